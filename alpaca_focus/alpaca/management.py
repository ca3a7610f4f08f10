"""Asks a server which devices it has.

Source: ASCOM Alpaca Management API, /management/v1/configureddevices.
"""

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import urlsplit

MAX_REPLY_BYTES = 1 << 20


class ManagementError(Exception):
    """A server does not say which devices it has; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredDevice:
    """A device as a server lists it.

    Attributes:
        name: Its name for people.
        device_type: Its type in lower case, as it stands in a path; not only those in `standard`.
        number: Its number within the type.
        unique_id: The same for ever, empty if the server gives none.
    """

    name: str
    device_type: str
    number: int
    unique_id: str


def list_devices(base_url: str, timeout_s: float) -> tuple[ConfiguredDevice, ...] | None:
    """Return the devices of a server, or `None` if it has no management API.

    Args:
        base_url: The server, for example "http://127.0.0.1:11111".
        timeout_s: Longest wait for the connection, and then for each part of the reply.

    Raises:
        ManagementError: The server cannot be reached or does not answer as Alpaca servers do.
    """
    parts = urlsplit(base_url)
    if parts.scheme != "http" or parts.hostname is None:
        raise ManagementError(f"The address of an Alpaca server begins with http:// and a host, unlike {base_url!r}.")
    connection = HTTPConnection(parts.hostname, parts.port or 80, timeout=timeout_s)
    with contextlib.closing(connection):
        try:
            connection.request("GET", f"{parts.path.rstrip('/')}/management/v1/configureddevices")
            response = connection.getresponse()
            status, text = response.status, response.read(MAX_REPLY_BYTES)
        except (OSError, HTTPException) as error:
            raise ManagementError(f"The server at {base_url} does not answer ({error}).") from error
    if 400 <= status < 500 or status == 501:
        return None
    if status != 200:
        raise ManagementError(f"The server at {base_url} answers with HTTP status {status} when asked for its devices.")
    try:
        return tuple(_device(entry) for entry in json.loads(text)["Value"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ManagementError(f"The server at {base_url} gives no proper list of its devices ({error!r}).") from error


def _device(entry: Mapping[str, Any]) -> ConfiguredDevice:
    return ConfiguredDevice(
        name=str(entry.get("DeviceName") or ""),
        device_type=str(entry["DeviceType"]).lower(),
        number=int(entry["DeviceNumber"]),
        unique_id=str(entry.get("UniqueID") or ""),
    )
