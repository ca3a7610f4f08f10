"""Reads a server's list of its devices.

Source: ASCOM Alpaca Management API, /management/v1/configureddevices.
"""

import json
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

from alpaca_focus.alpaca.http import BadReply, BadStatus, build_request, deadline, send


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfiguredDevice:
    """A device in a server's list.

    Attributes:
        device_type: The type in lower case; not only those in `standard`.
        number: The number within the type.
        unique_id: Identifies the device for ever; empty if the server reports none.
    """

    name: str
    device_type: str
    number: int
    unique_id: str


async def list_devices(authority: str, timeout_s: float) -> tuple[ConfiguredDevice, ...] | None:
    """Return the devices of a server at "host:port", or `None` if it has no management API.

    Raises:
        HttpError: The server cannot be reached, or its reply is not Alpaca.
        ValueError: The authority is not a host and a port.
    """
    request = build_request("GET", "/management/v1/configureddevices", authority=authority)
    async with deadline(timeout_s, "it sent no list of its devices within"):
        with closing(await send(authority, request)) as reply:
            text = await reply.whole()
    if 400 <= reply.status < 500 or reply.status == 501:
        return None
    if reply.status != 200:
        raise BadStatus(f"it answered the request for its devices with HTTP status {reply.status}", reply.status)
    try:
        return parse_devices(json.loads(text)["Value"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadReply(f"it sent no proper list of its devices ({error!r})") from error


def parse_devices(value: object) -> tuple[ConfiguredDevice, ...]:
    """Return the devices in the list's Value without malformed entries; raise `ValueError` if it is no list."""
    if not isinstance(value, list):
        raise ValueError(f"{value!r} is not a list of devices")  # noqa: TRY004 - a malformed reply
    return tuple(device for device in map(_parse_device, value) if device is not None)


def _parse_device(entry: object) -> ConfiguredDevice | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("DeviceType"), str):
        return None
    try:
        number = float(entry["DeviceNumber"])
        if number != int(number):
            return None
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
    return ConfiguredDevice(
        device_type=entry["DeviceType"].lower(),
        number=int(number),
        name=str(entry.get("DeviceName") or ""),
        unique_id=str(entry.get("UniqueID") or ""),
    )


def find_device(devices: Sequence[ConfiguredDevice], kind: str, wanted: str) -> ConfiguredDevice | None:
    """Return the device of a type with a UniqueID, or else with a name, in any casing."""
    of_kind = [device for device in devices if device.device_type == kind]
    key = wanted.strip().casefold()
    by_id = [device for device in of_kind if device.unique_id.casefold() == key]
    by_name = [device for device in of_kind if device.name.casefold() == key]
    return next(iter(by_id + by_name), None)


def describe(devices: Sequence[ConfiguredDevice]) -> str:
    """Return the list as text: focuser 0 "Moonlite", camera 0 "ASI1600"."""
    if not devices:
        return "no devices at all"
    return ", ".join(f'{device.device_type} {device.number} "{device.name}"' for device in devices)
