"""Where a server is, as it is written in the settings."""

import re

DEFAULT_ADDRESS = "127.0.0.1:11111"

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\]")


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
