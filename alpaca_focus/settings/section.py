"""Types and checks shared by several sections of the settings."""

import os
import re
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator

DEFAULT_ADDRESS = "127.0.0.1:11111"
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")
HIGHEST_POSITION = 2_147_483_647
"""Alpaca sends positions as signed 32-bit numbers."""

Duration = Annotated[float, Field(gt=0, le=86_400)]
Port = Annotated[int, Field(ge=1, le=65535)]
Text = Annotated[str, Field(min_length=1)]
Distance = Annotated[int, Field(ge=1, le=HIGHEST_POSITION)]
ExposureTime = Annotated[float, Field(gt=0, le=600)]
Binning = Annotated[int, Field(ge=1, le=16)]
Steps = Annotated[int, Field(ge=0, le=HIGHEST_POSITION)]


class PathOrigin:
    """The folder that relative paths of a settings file start from, given to its validation as the context.

    `misplaced`: a sentence, with the remedy, about each that exists only in the current folder, the former origin.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.misplaced: list[str] = []

    def joined(self, path: Path) -> Path:
        """Return a path that starts from the folder, unless it is absolute."""
        here = self.folder / path
        if not path.is_absolute() and os.path.exists(path) and not os.path.exists(here):  # noqa: PTH110 - never raises
            self.misplaced.append(
                f"{here} does not exist, but {path.absolute()} does: relative paths in the settings start from the "
                "folder of the settings file. Move it there, or write the whole path."
            )
        return here


def _expanded(text: str, info: ValidationInfo) -> str:
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise ValueError(f"the home folder of {Path(text).parts[0]} is unknown: write the whole path") from None
    return str(info.context.joined(path) if isinstance(info.context, PathOrigin) else path)


FilePath = Annotated[str, Field(min_length=1), AfterValidator(_expanded)]
"""A path with ~ as the home folder; in a settings file a relative one starts from the folder of that file."""


class Section(BaseModel):
    """Base of all sections: strict and frozen, without unknown settings."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def checked_address(address: str, example: str = DEFAULT_ADDRESS) -> str:
    """Return a well-formed "host:port"; `example` is for the message of the `ValueError` of any other text."""
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


T = TypeVar("T")


def either(other: str) -> Callable[[T, ValidationInfo], T]:
    """Return a validator that refuses a setting if another setting of the section is given too."""

    def check(value: T, info: ValidationInfo) -> T:
        if value is not None and info.data.get(other):
            raise ValueError(f"{other} is given already: write either {other} or {info.field_name}")
        return value

    return check


class ListeningSection(Section):
    """A server of this program, and the computers that may connect to it."""

    listen: Text = Field(
        "127.0.0.1",
        description='Address to listen on; "0.0.0.0" is every address of this computer, and needs allow',
        examples=["127.0.0.1", "192.168.1.10"],
    )
    port: Port
    allow: list[str] = Field(
        [],
        validate_default=True,
        description="Addresses and networks that may connect besides this computer itself",
        examples=[["192.168.1.20", "192.168.7.0/24"]],
    )

    @field_validator("allow")
    @classmethod
    def _check_networks(cls, allow: list[str], info: ValidationInfo) -> list[str]:
        for each in allow:
            try:
                ip_network(each, strict=False)
            except ValueError:
                raise ValueError(f'"{each}" is neither an address nor a network such as 192.168.1.0/24') from None
        listen = info.data.get("listen", "")
        if not allow and not listen.startswith("127.") and listen not in {"::1", "localhost"}:
            raise ValueError(
                f"only this computer is allowed, and {listen} is for others: name who may connect, or "
                "listen on 127.0.0.1"
            )
        return allow
