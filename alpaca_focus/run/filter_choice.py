"""The filter to focus through, and what lies between its best focus and that of the filter in the light."""

from dataclasses import dataclass

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.run.device_adapters import Devices
from alpaca_focus.settings.models import FilterFocusSection, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How the light comes to the camera during a run.

    Attributes:
        filter_name: Filter to focus through; `None`: there is none, or nobody knows.
        offset_steps: From its best focus to that of the filter that belongs in the light.
    """

    filter_name: str | None
    offset_steps: int


def way_through(settings: Settings, devices: Devices, wanted: str | None) -> Way:
    """Choose the filter to focus through, for the filter that belongs in the light.

    Raises:
        ConfigurationError: The settings name a filter that no wheel can turn to, or no offset is known of it.
    """
    instead = None if wanted is None else settings.focus.filters.get(wanted, FilterFocusSection()).focus_through
    if wanted is None or instead is None or instead == wanted:
        return Way(filter_name=wanted, offset_steps=0)
    if devices.filter_wheel is None:
        raise ConfigurationError(
            f"focus.filters.{wanted} asks to focus through {instead}, and there is no filter_wheel in the settings "
            f"that could turn to it. Nothing was moved. Take focus_through out of focus.filters.{wanted}, or set "
            "filter_wheel."
        )
    offsets = focus_offsets(settings, devices)
    for name in (wanted, instead):
        if name not in offsets:
            raise ConfigurationError(
                f"focus.filters.{wanted} asks to focus through {instead}, and no focus offset of {name} is known. "
                f"Give filter_wheel.focus_offsets_steps.{name}: `alpaca-focus calibrate filters` measures it."
            )
    return Way(filter_name=instead, offset_steps=offsets[wanted] - offsets[instead])


def focus_offsets(settings: Settings, devices: Devices) -> dict[str, int]:
    """Return the focus offsets of the filters in steps: those of the settings, else what the wheel says."""
    if settings.filter_wheel is not None and settings.filter_wheel.focus_offsets_steps:
        return dict(settings.filter_wheel.focus_offsets_steps)
    wheel = devices.filter_wheel
    return {} if wheel is None else dict(zip(wheel.names, wheel.focus_offsets_steps, strict=True))


async def filter_in_light(devices: Devices, *, told: str | None = None) -> str | None:
    """Return the name of the filter in the light; `None` where nobody says.

    Args:
        devices: With the wheel that is asked.
        told: What a script has told; counts where there is no wheel.
    """
    if devices.filter_wheel is None:
        return told
    slot, names = await devices.filter_wheel.slot(), devices.filter_wheel.names
    return names[slot] if slot is not None and slot < len(names) else None
