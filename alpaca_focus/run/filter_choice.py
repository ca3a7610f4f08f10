"""The filter to focus through, and the focus offset from it to the current filter."""

from dataclasses import dataclass

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.run.device_adapters import Devices
from alpaca_focus.settings.models import FilterFocusSection, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterChoice:
    """The filter of a run.

    Attributes:
        filter_name: Filter to focus through; `None`: there is none, or it is unknown.
        offset_steps: From its best focus to that of the filter in use after the run.
    """

    filter_name: str | None
    offset_steps: int


def choose_filter(settings: Settings, devices: Devices, wanted: str | None) -> FilterChoice:
    """Return the filter to focus through when `wanted` is the filter to image through.

    Raises:
        ConfigurationError: No wheel can turn to the filter of the settings, or its offset is unknown.
    """
    instead = None if wanted is None else settings.focus.filters.get(wanted, FilterFocusSection()).focus_through
    if wanted is None or instead is None or instead == wanted:
        return FilterChoice(filter_name=wanted, offset_steps=0)
    if devices.filter_wheel is None:
        raise ConfigurationError(
            f"focus.filters.{wanted} requires focusing through {instead}, but no filter_wheel is set; nothing was "
            f"moved. Remove focus_through from focus.filters.{wanted}, or set filter_wheel."
        )
    offsets = focus_offsets(settings, devices)
    for name in (wanted, instead):
        if name not in offsets:
            raise ConfigurationError(
                f"focus.filters.{wanted} requires focusing through {instead}, but the focus offset of {name} is "
                f"unknown. Set filter_wheel.focus_offsets_steps.{name}: `alpaca-focus calibrate filters` measures it."
            )
    return FilterChoice(filter_name=instead, offset_steps=offsets[wanted] - offsets[instead])


def focus_offsets(settings: Settings, devices: Devices) -> dict[str, int]:
    """Return the filters' focus offsets in steps: those of the settings, else those that the wheel reports."""
    if settings.filter_wheel is not None and settings.filter_wheel.focus_offsets_steps:
        return dict(settings.filter_wheel.focus_offsets_steps)
    wheel = devices.filter_wheel
    return {} if wheel is None else dict(zip(wheel.names, wheel.focus_offsets_steps, strict=True))


async def current_filter(devices: Devices, *, reported: str | None = None) -> str | None:
    """Return the name of the current filter; `None` if it is unknown.

    Args:
        devices: With or without a filter wheel.
        reported: The filter that a script has reported; used only without a wheel.
    """
    if devices.filter_wheel is None:
        return reported
    slot, names = await devices.filter_wheel.slot(), devices.filter_wheel.names
    return names[slot] if slot is not None and slot < len(names) else None
