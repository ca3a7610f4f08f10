"""The two small web pages that the Alpaca management API wants."""

from collections.abc import Mapping
from html import escape

from alpaca_focus.alpaca.served import ServedDevice
from alpaca_focus.alpaca.standard import INTERFACES, DeviceType


def server_page(name: str, version: str, devices: Mapping[tuple[DeviceType, int], ServedDevice]) -> str:
    """Return the page at /setup: what is served, with a link to each device's page."""
    rows = "".join(
        f'<li><a href="/setup/v1/{device_type}/{number}/setup">{INTERFACES[device_type].display_name} {number}</a>:'
        f" {escape(device.name)}</li>"
        for (device_type, number), device in devices.items()
    )
    return _page(name, f"<p>Version {escape(version)}. Devices served here:</p><ul>{rows}</ul>")


def device_page(device: ServedDevice, number: int) -> str:
    """Return the page at /setup/v1/{type}/{number}/setup: what the device is."""
    facts = {
        "Type": f"{INTERFACES[device.device_type].display_name} {number}",
        "Description": device.description,
        "Driver": f"{device.driver_info} {device.driver_version}",
        "Unique ID": device.unique_id,
    }
    rows = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    return _page(device.name, f"<dl>{rows}</dl><p>There is nothing to set here.</p>")


def _page(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title></head>'
        f"<body><h1>{escape(title)}</h1>{body}</body></html>"
    )
