"""The sections of a first settings file that say what is there: the telescope and its devices. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from alpaca_focus.core.device_kinds import (
    DeviceKind,
    DiscoveredCamera,
    DiscoveredDevice,
    DiscoveredFacts,
    DiscoveredFocuser,
    DiscoveredMount,
    DiscoveredWheel,
    one_line,
)
from alpaca_focus.settings.section import HIGHEST_POSITION
from alpaca_focus.settings.yaml_writer import yaml_quoted, yaml_value

ImagingWay = Literal["gateway", "watch", "told", "none"]
WAYS: tuple[str, ...] = get_args(ImagingWay)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What no device says.

    Attributes:
        name: What to call the telescope.
        focal_length_mm: Focal length.
        aperture_mm: Free aperture.
        central_obstruction: As a fraction of the aperture's diameter.
        pixel_size_um: Where the camera does not say it, else `None`.
        step_size_um: Where the focuser does not say it, else `None`.
        backlash_steps: Slack of the focuser; 0: not known.
        exposure_s: Exposure of a focus frame.
        way: How an imaging program and this one live together; none: there is no such program.
        directory: Where the runs are kept.
    """

    name: str
    focal_length_mm: float
    aperture_mm: float
    central_obstruction: float
    pixel_size_um: float | None = None
    step_size_um: float | None = None
    backlash_steps: int
    exposure_s: float
    way: ImagingWay
    directory: str


_MARGIN = 50
"""The part of the travel that is kept clear at each end, as in one of so many."""


def _words(device: DiscoveredDevice) -> str:
    name = f', "{one_line(device.name)}"' if one_line(device.name) else ""
    numbered = one_line(device.numbered)
    return f"{numbered[:1].upper()}{numbered[1:]} at {one_line(device.server)}{name}"


def _place(device: DiscoveredDevice, server: str) -> Iterator[str]:
    """Say where a device is."""
    if device.server != server:
        yield f"  address: {yaml_quoted(device.server)}"
    yield f"  device_number: {device.number}"
    if device.unique_id:
        yield f"  # unique_id: {yaml_quoted(device.unique_id)}  # finds it also under another number"


def telescope_section(answers: Answers, mount: DiscoveredMount | None) -> Iterator[str]:
    """Write what the optics are."""
    yield "telescope:"
    yield "  # What to call it in reports and messages."
    yield f"  name: {yaml_quoted(answers.name)}"
    told = mount is not None and (mount.focal_length_mm, mount.aperture_mm) == (
        answers.focal_length_mm,
        answers.aperture_mm,
    )
    yield "  # As the camera sees it: with reducer, flattener or extender."
    if told:
        yield "  # The mount says these two; correct them where it does not know all of the optics."
    yield f"  focal_length_mm: {yaml_value(answers.focal_length_mm)}"
    yield f"  aperture_mm: {yaml_value(answers.aperture_mm)}"
    yield "  # Diameter of what stands in the way of the light over that of the aperture; 0 for a refractor."
    yield f"  central_obstruction: {yaml_value(answers.central_obstruction)}"


def camera_section(camera: DiscoveredCamera, server: str, pixel_size_um: float | None) -> Iterator[str]:
    """Write where the camera is."""
    yield "camera:"
    yield f"  # {_words(camera.device)}."
    if camera.width_px and camera.height_px:
        sensor = f" {one_line(camera.sensor)}" if one_line(camera.sensor) else ""
        yield f"  # Its sensor{sensor} has {camera.width_px} x {camera.height_px} pixels."
    yield from _place(camera.device, server)
    if pixel_size_um is not None:
        yield "  # Side of an unbinned pixel, in micrometres."
        yield f"  pixel_size_um: {yaml_value(pixel_size_um)}"
    elif camera.pixel_size_um is not None:
        yield "  # What the camera says itself, in micrometres; set it only if that is wrong."
        yield f"  # pixel_size_um: {yaml_value(camera.pixel_size_um)}"


def focuser_section(focuser: DiscoveredFocuser, server: str, answers: Answers, file: str) -> Iterator[str]:
    """Write where the focuser is, and how it is moved."""
    yield "focuser:"
    yield f"  # {_words(focuser.device)}."
    yield from _place(focuser.device, server)
    if answers.step_size_um is not None:
        yield "  # Travel of one step, in micrometres."
        yield f"  step_size_um: {yaml_value(answers.step_size_um)}"
    elif focuser.step_size_um is not None:
        yield "  # What the focuser says itself, in micrometres; set it only if that is wrong."
        yield f"  # step_size_um: {yaml_value(focuser.step_size_um)}"
    top = focuser.max_step or 0
    if _MARGIN <= top <= HIGHEST_POSITION:
        yield f"  # It goes from 0 to {top}. To keep clear of the ends of its travel:"
        yield f"  # min_position: {top // _MARGIN}"
        yield f"  # max_position: {top - top // _MARGIN}"
    yield "  # Time for the tube to stop shaking after a move, in seconds."
    yield "  settle_s: 1.0"
    yield "  # Steps a degree; `alpaca-focus calibrate temperature --apply` measures them after a few nights."
    yield "  # temperature_coefficient_steps_per_c: -12.5"
    yield from _backlash(answers.backlash_steps, file)


def _backlash(steps: int, file: str) -> Iterator[str]:
    yield "  backlash:"
    if steps:
        yield "    # Always arrive from the same side: past the target and back. Too many steps cost a second, too few"
        yield "    # the focus. This measures them:"
        yield f"    #     alpaca-focus calibrate backlash --config {file} --apply"
        yield "    method: overshoot"
        yield f"    steps: {steps}"
        yield "    # in lowers the position, out raises it: take the one that pushes the weight uphill."
        yield "    arrive: in"
    else:
        yield "    # Not known yet; most focusers lose some steps when they turn round. This measures them and writes"
        yield "    # them here:"
        yield f"    #     alpaca-focus calibrate backlash --config {file} --apply"
        yield "    method: none"


def optional_section(kind: DeviceKind, found: DiscoveredFacts, server: str) -> Iterator[str]:
    """Write where a device is that not every observatory has."""
    yield f"{kind.section}:"
    yield f"  # {_words(found.device)}." + (f" {kind.comment}" if kind.comment else "")
    if isinstance(found, DiscoveredWheel) and found.filters:
        yield f"  # Its filters: {one_line(', '.join(found.filters))}."
    yield from _place(found.device, server)


def site_section(mount: DiscoveredMount | None) -> Iterator[str]:
    """Write where the telescope stands; what nobody says is left to be filled in."""
    if mount is None or mount.latitude_deg is None or mount.longitude_deg is None:
        yield "# Where the telescope stands, in degrees, north and east positive: then it is known when it is night."
        yield "# site:"
        yield "#   latitude_deg: 47.0"
        yield "#   longitude_deg: 8.0"
        return
    yield "# Where the telescope stands, as the mount says; with it, it is known when it is night."
    yield "site:"
    yield f"  latitude_deg: {yaml_value(mount.latitude_deg)}"
    yield f"  longitude_deg: {yaml_value(mount.longitude_deg)}"
