"""Types and checks that several sections of the settings share."""

import re
from ipaddress import ip_network
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

DEFAULT_ADDRESS = "127.0.0.1:11111"
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")
HIGHEST_POSITION = 2_147_483_647
"""Alpaca sends positions as signed 32-bit numbers."""

Duration = Annotated[float, Field(gt=0, le=86_400)]
Steps = Annotated[int, Field(ge=0, le=HIGHEST_POSITION)]


class Section(BaseModel):
    """Strict, frozen, nothing unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def checked_address(address: str, example: str = DEFAULT_ADDRESS) -> str:
    """Return a well-formed "host:port".

    Args:
        address: What was written.
        example: What a right one looks like, with the usual port.

    Raises:
        ValueError: It is not of that form.
    """
    host, colon, port = address.rpartition(":")
    if "//" in address:
        raise ValueError(f"{address!r} is a URL: write only host:port, for example {example}")
    if not colon or (host.startswith("[") != host.endswith("]")):
        raise ValueError(f"{address!r} has no port: write host:port, for example {example}")
    if not _HOST.fullmatch(host):
        raise ValueError(f"{address!r} does not begin with a host name: write host:port, for example {example}")
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        raise ValueError(
            f"{port!r} is not a port: write a number from 1 to 65535, most often {example.rpartition(':')[2]}"
        )
    return address


def checked_networks(allow: list[str], listen: str, *, to_do: str) -> list[str]:
    """Return the addresses and networks that may connect besides this computer, checked.

    Args:
        allow: They.
        listen: Address that is listened on.
        to_do: What they come for, for the message.

    Raises:
        ValueError: One is no network, or there is none although others are listened to.
    """
    for each in allow:
        try:
            ip_network(each, strict=False)
        except ValueError:
            raise ValueError(f'"{each}" is neither an address nor a network such as 192.168.1.0/24') from None
    if not allow and not listen.startswith("127.") and listen not in {"::1", "localhost"}:
        raise ValueError(
            f"nobody but this computer is allowed, and {listen} is for others: name who may {to_do}, or listen on "
            "127.0.0.1"
        )
    return allow
