"""A server's own list of its devices, from Alpaca's management API. Pure."""

from collections.abc import Sequence

from alpaca_focus.alpaca.management import ConfiguredDevice
from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.devices.translate import WrongValue, as_int, as_text


def read_inventory(value: object) -> tuple[ConfiguredDevice, ...]:
    """Take the Value of the list; entries that make no sense are left out, the rest is still of use.

    Raises:
        WrongValue: It is no list.
    """
    if not isinstance(value, list):
        raise WrongValue(f"{value!r} is not a list of devices")
    return tuple(device for device in map(_read_entry, value) if device is not None)


def _read_entry(entry: object) -> ConfiguredDevice | None:
    if not isinstance(entry, dict):
        return None
    try:
        return ConfiguredDevice(
            device_type=as_text(entry.get("DeviceType")).lower(),
            number=as_int(entry.get("DeviceNumber")),
            name=str(entry.get("DeviceName") or ""),
            unique_id=str(entry.get("UniqueID") or ""),
        )
    except WrongValue:
        return None


def find_device(devices: Sequence[ConfiguredDevice], kind: DeviceType, wanted: str) -> ConfiguredDevice | None:
    """Return the device of that type with that UniqueID, or else with that name; capitals do not matter."""
    of_kind = [device for device in devices if device.device_type == kind]
    key = wanted.strip().casefold()
    by_id = [device for device in of_kind if device.unique_id.casefold() == key]
    by_name = [device for device in of_kind if device.name.casefold() == key]
    return next(iter(by_id + by_name), None)


def describe(devices: Sequence[ConfiguredDevice]) -> str:
    """Return the list as words: focuser 0 "Moonlite", camera 0 "ASI1600"."""
    if not devices:
        return "no devices at all"
    return ", ".join(f'{device.device_type} {device.number} "{device.name}"' for device in devices)
