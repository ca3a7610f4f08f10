"""The sections of a first settings file for the telescope and its devices. Pure."""

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
    """The settings that no device reports.

    Attributes:
        central_obstruction: As a fraction of the aperture's diameter.
        pixel_size_um: `None` if the camera reports it.
        step_size_um: `None` if the focuser reports it.
        backlash_steps: 0 if unknown.
        way: How an imaging program shares the camera; "none" without such a program.
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
"""One part in so many of the travel stays unused at each end."""


def _words(device: DiscoveredDevice) -> str:
    name = f', "{one_line(device.name)}"' if one_line(device.name) else ""
    numbered = one_line(device.numbered)
    return f"{numbered[:1].upper()}{numbered[1:]} at {one_line(device.server)}{name}"


def _address_lines(device: DiscoveredDevice, server: str) -> Iterator[str]:
    """Yield the lines with the address of a device."""
    if device.server != server:
        yield f"  address: {yaml_quoted(device.server)}"
    yield f"  device_number: {device.number}"
    if device.unique_id:
        yield f"  # unique_id: {yaml_quoted(device.unique_id)}  # finds it also under another number"


def telescope_section(answers: Answers, mount: DiscoveredMount | None) -> Iterator[str]:
    """Yield the section `telescope`."""
    yield "telescope:"
    yield "  # Its name in reports and messages."
    yield f"  name: {yaml_quoted(answers.name)}"
    is_reported = mount is not None and (mount.focal_length_mm, mount.aperture_mm) == (
        answers.focal_length_mm,
        answers.aperture_mm,
    )
    yield "  # As the camera sees it: with reducer, flattener or extender."
    if is_reported:
        yield "  # Both are reported by the mount; correct them if it does not know all of the optics."
    yield f"  focal_length_mm: {yaml_value(answers.focal_length_mm)}"
    yield f"  aperture_mm: {yaml_value(answers.aperture_mm)}"
    yield "  # Diameter of the central obstruction over that of the aperture; 0 for a refractor."
    yield f"  central_obstruction: {yaml_value(answers.central_obstruction)}"


def camera_section(camera: DiscoveredCamera, server: str, pixel_size_um: float | None) -> Iterator[str]:
    """Yield the section `camera`."""
    yield "camera:"
    yield f"  # {_words(camera.device)}."
    if camera.width_px and camera.height_px:
        sensor = f" {one_line(camera.sensor)}" if one_line(camera.sensor) else ""
        yield f"  # Its sensor{sensor} has {camera.width_px} x {camera.height_px} pixels."
    yield from _address_lines(camera.device, server)
    if pixel_size_um is not None:
        yield "  # Side of an unbinned pixel, in micrometres."
        yield f"  pixel_size_um: {yaml_value(pixel_size_um)}"
    elif camera.pixel_size_um is not None:
        yield "  # As the camera reports it, in micrometres; set it only if that is wrong."
        yield f"  # pixel_size_um: {yaml_value(camera.pixel_size_um)}"


def focuser_section(focuser: DiscoveredFocuser, server: str, answers: Answers, file: str) -> Iterator[str]:
    """Yield the section `focuser`; `file` is for the commands in its comments."""
    yield "focuser:"
    yield f"  # {_words(focuser.device)}."
    yield from _address_lines(focuser.device, server)
    if answers.step_size_um is not None:
        yield "  # Travel of one step, in micrometres."
        yield f"  step_size_um: {yaml_value(answers.step_size_um)}"
    elif focuser.step_size_um is not None:
        yield "  # As the focuser reports it, in micrometres; set it only if that is wrong."
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


def optional_section(kind: DeviceKind, facts: DiscoveredFacts, server: str) -> Iterator[str]:
    """Yield the section of an optional device."""
    yield f"{kind.section}:"
    yield f"  # {_words(facts.device)}." + (f" {kind.comment}" if kind.comment else "")
    if isinstance(facts, DiscoveredWheel) and facts.filters:
        yield f"  # Its filters: {one_line(', '.join(facts.filters))}."
    yield from _address_lines(facts.device, server)


def site_section(mount: DiscoveredMount | None) -> Iterator[str]:
    """Yield the section `site`, as a comment if the mount does not report it."""
    if mount is None or mount.latitude_deg is None or mount.longitude_deg is None:
        yield "# Location of the telescope in degrees, north and east positive; it determines when it is night."
        yield "# site:"
        yield "#   latitude_deg: 47.0"
        yield "#   longitude_deg: 8.0"
        return
    yield "# Location of the telescope as the mount reports it; it determines when it is night."
    yield "site:"
    yield f"  latitude_deg: {yaml_value(mount.latitude_deg)}"
    yield f"  longitude_deg: {yaml_value(mount.longitude_deg)}"
