"""The sections of a first settings file that say what is done: focusing, keeping, telling. Pure."""

from collections.abc import Iterator

from alpaca_focus.core.device_kinds import LONGEST_LINE, DiscoveredWheel
from alpaca_focus.core.discovered import DiscoveredObservatory
from alpaca_focus.settings.yaml_writer import yaml_quoted, yaml_value
from alpaca_focus.setup.first_devices import ImagingWay

_LONGEST_EXPOSURE_S = 600.0


def thermometer_section(found: DiscoveredObservatory) -> Iterator[str]:
    """Write whose temperature counts, where it is not the focuser's."""
    if found.focuser.temperature_c is None and "observing_conditions" in found.devices:
        yield "# The focuser tells no temperature, so that of the weather station counts."
        yield "thermometer:"
        yield "  source: external"


def storage_section(directory: str, file: str) -> Iterator[str]:
    """Write where the runs are kept."""
    yield "storage:"
    yield "  # The runs are kept here, and what they teach about the V-curve: with that a run needs three exposures"
    yield "  # where the first one needs nine. Each telescope needs a folder of its own. To learn the curve at once:"
    yield f"  #     alpaca-focus calibrate vcurve --config {file}"
    yield f"  directory: {yaml_quoted(directory)}"


def imaging_section(way: ImagingWay) -> Iterator[str]:
    """Write how the imaging program and this one live together."""
    if way == "none":
        yield "# There is no imaging program. One that comes later can be watched (watch), work through this program"
        yield "# (gateway), or tell of its exposures by scripts (told)."
        yield "# imaging:"
        yield "#   way: gateway"
        return
    yield "imaging:"
    yield "  # The camera is looked at (watch), the imaging program works through this program (gateway), or its"
    yield "  # scripts call `alpaca-focus exposure begin` and `alpaca-focus exposure end` (told)."
    yield f"  way: {way}"
    if way == "gateway":
        yield ""
        yield "# The imaging program connects to port 11112 of this computer instead of the real devices. If it runs on"
        yield "# another computer: an address of this one to listen on, and the addresses that may come."
        yield "# gateway:"
        yield "#   listen: 192.168.1.10"
        yield '#   allow: ["192.168.1.20"]'
    else:
        yield "  # Where it saves its frames: with that their stars are measured too."
        yield "  # folder: ~/Pictures/tonight"


def focus_section(exposure_s: float, wheel: DiscoveredWheel | None) -> Iterator[str]:
    """Write how a focus frame is taken."""
    yield "focus:"
    yield "  # Exposure of a focus frame, in seconds: enough for some tens of stars, also out of focus."
    yield f"  exposure_s: {yaml_value(exposure_s)}"
    yield "  # Left out: what the camera has."
    yield "  # gain: 100"
    if wheel is not None and wheel.filters and len(wheel.filters[-1]) <= LONGEST_LINE:
        yield "  # Through a dark filter an exposure has to be longer."
        yield "  # filters:"
        yield f"  #   {yaml_quoted(wheel.filters[-1])}:"
        yield f"  #     exposure_s: {yaml_value(min(3 * exposure_s, _LONGEST_EXPOSURE_S))}"


def triggers_section(found: DiscoveredObservatory, way: ImagingWay) -> Iterator[str]:
    """Write what makes a refocus due."""
    yield "# What makes `alpaca-focus run` refocus; without any of them it does so only when asked."
    yield "triggers:"
    if found.focuser.temperature_c is not None or "observing_conditions" in found.devices:
        yield "  # Degrees of change; better smaller for a fast telescope."
        yield "  temperature_c: 1.0"
    yield "  minutes: 90"
    if found.filter_wheel is not None:
        yield "  # `offset` moves by the filter's offset instead; `alpaca-focus calibrate filters` measures them."
        yield "  filter_change: refocus"
    if found.mount is not None:
        yield "  meridian_flip: true"
    if way == "gateway":
        yield "  hfd_rise_percent: 15"


def later_section() -> Iterator[str]:
    """Write what comes later, to be switched on."""
    yield "# Following the temperature between two refocuses, by focuser.temperature_coefficient_steps_per_c."
    yield "# compensation:"
    yield "#   enabled: true"
    yield ""
    yield "# The dashboard is at http://127.0.0.1:11180 while `alpaca-focus run` runs. For a phone in the same network:"
    yield "# web:"
    yield "#   listen: 0.0.0.0"
    yield '#   allow: ["192.168.1.0/24"]'
    yield "#   token_file: ~/.config/alpaca-focus/token"
    yield ""
    yield "# Messages when something goes wrong, by any service that Apprise speaks."
    yield "# messages:"
    yield "#   services_file: ~/.config/alpaca-focus/services"
