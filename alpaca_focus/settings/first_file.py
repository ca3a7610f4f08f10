"""The first settings file of an observatory: from what was found and answered to YAML with comments. Pure."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from alpaca_focus.core.found import FoundCamera, FoundDevice, FoundFocuser, FoundMount, FoundObservatory, FoundWheel
from alpaca_focus.core.wording import LONGEST_LINE, one_line
from alpaca_focus.settings.section import HIGHEST_POSITION
from alpaca_focus.settings.yaml_text import yaml_quoted, yaml_value

Way = Literal["gateway", "watch", "told", "none"]
WAYS: tuple[str, ...] = get_args(Way)

SCHEMA_NAME = "alpaca-focus.schema.json"
_LONGEST_EXPOSURE_S = 600.0
_MARGIN = 50
"""The part of the travel that is kept clear at each end, as in one of so many."""


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
    way: Way
    directory: str


def first_file(found: FoundObservatory, answers: Answers, *, file_name: str, beside_schema: bool) -> str:
    """Return the text of a settings file.

    Args:
        found: The devices.
        answers: What was asked.
        file_name: Name of the file, for the commands in its comments.
        beside_schema: Whether the JSON schema is in the same folder.
    """
    file = one_line(shlex.quote(file_name))
    mount = None if found.mount is None else found.mount.device
    sections = (
        _head(file, beside_schema=beside_schema),
        _telescope(answers, found.mount),
        ("alpaca:", "  # The server of all devices that name no other.", f"  address: {yaml_quoted(found.server)}"),
        _camera(found.camera, found.server, answers.pixel_size_um),
        _focuser(found.focuser, found.server, answers, file),
        _wheel(found.filter_wheel, found.server),
        _watched("mount", mount, found.server, "It is only looked at, never moved."),
        _watched("observing_conditions", found.observing_conditions, found.server, "The weather station."),
        _watched("safety_monitor", found.safety_monitor, found.server, "Nothing is done while it says: not safe."),
        _site(found.mount),
        _thermometer(found),
        _storage(answers.directory, file),
        _imaging(answers.way),
        _focus(answers.exposure_s, found.filter_wheel),
        _triggers(found, answers.way),
        _later(),
    )
    return "\n\n".join("\n".join(lines) for section in sections if (lines := tuple(section))) + "\n"


def next_commands(file_name: str, *, backlash_known: bool) -> tuple[tuple[str, str], ...]:
    """Return the commands to go on with, in their order, each with what it does."""
    commands = _commands(one_line(shlex.quote(file_name)))
    return tuple(each for each in commands if not (backlash_known and "backlash" in each[0]))


def _commands(file: str) -> tuple[tuple[str, str], ...]:
    measure = (
        f"alpaca-focus calibrate backlash --config {file} --apply",
        "measures the backlash, and writes it into the file",
    )
    return (
        (f"alpaca-focus doctor --config {file}", "tries each device, and says what to mend"),
        measure,
        (f"alpaca-focus focus --config {file}", "focuses once"),
        (f"alpaca-focus run --config {file}", "keeps the telescope in focus, night after night"),
    )


def _head(file: str, *, beside_schema: bool) -> Iterator[str]:
    if beside_schema:
        yield f"# yaml-language-server: $schema=./{SCHEMA_NAME}"
        yield "#"
    yield "# Settings of alpaca-focus, begun by `alpaca-focus init`. What stands behind # is not in force: take the #"
    yield "# and one space away to switch it on. After every change:"
    yield "#"
    yield f"#     alpaca-focus check {file}"
    yield "#"
    yield "# Next, at night, under stars:"
    yield "#"
    for command, what in _commands(file):
        yield f"#     {command}"
        yield f"#         {what}"
    if not beside_schema:
        yield "#"
        yield f"# `alpaca-focus schema > {SCHEMA_NAME}` makes what editors need to complete and check this file."


def _words(device: FoundDevice) -> str:
    name = f', "{one_line(device.name)}"' if one_line(device.name) else ""
    numbered = one_line(device.numbered)
    return f"{numbered[:1].upper()}{numbered[1:]} at {one_line(device.server)}{name}"


def _place(device: FoundDevice, server: str) -> Iterator[str]:
    """Say where a device is."""
    if device.server != server:
        yield f"  address: {yaml_quoted(device.server)}"
    yield f"  device_number: {device.number}"
    if device.unique_id:
        yield f"  # unique_id: {yaml_quoted(device.unique_id)}  # finds it also under another number"


def _telescope(answers: Answers, mount: FoundMount | None) -> Iterator[str]:
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


def _camera(camera: FoundCamera, server: str, pixel_size_um: float | None) -> Iterator[str]:
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


def _focuser(focuser: FoundFocuser, server: str, answers: Answers, file: str) -> Iterator[str]:
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


def _wheel(wheel: FoundWheel | None, server: str) -> Iterator[str]:
    if wheel is None:
        return
    yield "filter_wheel:"
    yield f"  # {_words(wheel.device)}."
    if wheel.filters:
        yield f"  # Its filters: {one_line(', '.join(wheel.filters))}."
    yield from _place(wheel.device, server)


def _watched(section: str, device: FoundDevice | None, server: str, what: str) -> Iterator[str]:
    if device is None:
        return
    yield f"{section}:"
    yield f"  # {_words(device)}. {what}"
    yield from _place(device, server)


def _site(mount: FoundMount | None) -> Iterator[str]:
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


def _thermometer(found: FoundObservatory) -> Iterator[str]:
    if found.focuser.temperature_c is None and found.observing_conditions is not None:
        yield "# The focuser tells no temperature, so that of the weather station counts."
        yield "thermometer:"
        yield "  source: external"


def _storage(directory: str, file: str) -> Iterator[str]:
    yield "storage:"
    yield "  # The runs are kept here, and what they teach about the V-curve: with that a run needs three exposures"
    yield "  # where the first one needs nine. Each telescope needs a folder of its own. To learn the curve at once:"
    yield f"  #     alpaca-focus calibrate vcurve --config {file}"
    yield f"  directory: {yaml_quoted(directory)}"


def _imaging(way: Way) -> Iterator[str]:
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


def _focus(exposure_s: float, wheel: FoundWheel | None) -> Iterator[str]:
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


def _triggers(found: FoundObservatory, way: Way) -> Iterator[str]:
    yield "# What makes `alpaca-focus run` refocus; without any of them it does so only when asked."
    yield "# triggers:"
    yield "#   temperature_c: 1.0"
    yield "#   minutes: 90"
    if found.filter_wheel is not None:
        yield "#   filter_change: refocus"
    if found.mount is not None:
        yield "#   meridian_flip: true"
    if way == "gateway":
        yield "#   hfd_rise_percent: 15"


def _later() -> Iterator[str]:
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
