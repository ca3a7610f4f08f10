"""Builds the first settings file of an observatory: YAML with comments, from its devices and the answers. Pure."""

import shlex
from collections.abc import Iterator

from alpaca_focus.core.device_kinds import DEVICE_KINDS, LONGEST_LINE, DiscoveredWheel, one_line
from alpaca_focus.core.discovered import DiscoveredObservatory
from alpaca_focus.settings.interface_models import DEFAULT_GATEWAY_PORT
from alpaca_focus.settings.yaml_writer import yaml_quoted, yaml_value
from alpaca_focus.setup.first_devices import (
    Answers,
    ImagingWay,
    camera_section,
    focuser_section,
    optional_section,
    site_section,
    telescope_section,
)

SCHEMA_NAME = "alpaca-focus.schema.json"
_LONGEST_EXPOSURE_S = 600.0


def first_file(observatory: DiscoveredObservatory, answers: Answers, *, file_name: str, beside_schema: bool) -> str:
    """Return the text of a settings file; `beside_schema`: whether the JSON schema is in the same folder."""
    file = one_line(shlex.quote(file_name))
    sections = (
        _head(file_name, answers, beside_schema=beside_schema),
        telescope_section(answers, observatory.mount),
        (
            "alpaca:",
            "  # The server of all devices that name no other.",
            f"  address: {yaml_quoted(observatory.server)}",
        ),
        camera_section(observatory.camera, observatory.server, answers.pixel_size_um),
        focuser_section(observatory.focuser, observatory.server, answers, file),
        *(
            optional_section(kind, observatory.devices[kind.section], observatory.server)
            for kind in DEVICE_KINDS.values()
            if not kind.required and kind.section in observatory.devices
        ),
        site_section(observatory.mount),
        _thermometer_section(observatory),
        _storage_section(answers.directory, file),
        _imaging_section(answers.way),
        _focus_section(answers.exposure_s, observatory.filter_wheel),
        _triggers_section(observatory, answers.way),
        _later_section(),
    )
    return "\n\n".join("\n".join(lines) for section in sections if (lines := tuple(section))) + "\n"


def next_commands(file_name: str, *, backlash_known: bool, way: ImagingWay = "none") -> tuple[tuple[str, str], ...]:
    """Return the next commands to run, in order, each with its purpose."""
    commands = _commands(one_line(shlex.quote(file_name)), way)
    return tuple(each for each in commands if not (backlash_known and "backlash" in each[0]))


def _commands(file: str, way: ImagingWay) -> tuple[tuple[str, str], ...]:
    keeps = "keeps the telescope in focus, night after night"
    if way == "gateway":
        keeps += f"; the imaging program connects to host 127.0.0.1, port {DEFAULT_GATEWAY_PORT}"
    measure = (
        f"alpaca-focus calibrate backlash --config {file} --apply",
        "measures the backlash, and writes it into the file",
    )
    return (
        (f"alpaca-focus doctor --config {file}", "tries each device, and reports what to correct"),
        measure,
        (f"alpaca-focus focus --config {file}", "focuses once"),
        (f"alpaca-focus run --config {file}", keeps),
    )


def _head(file_name: str, answers: Answers, *, beside_schema: bool) -> Iterator[str]:
    if beside_schema:
        yield f"# yaml-language-server: $schema=./{SCHEMA_NAME}"
        yield "#"
    yield "# Settings of alpaca-focus, begun by `alpaca-focus init`. Settings behind # are not in force: remove the #"
    yield "# and one space to enable them. After every change:"
    yield "#"
    yield f"#     alpaca-focus check {one_line(shlex.quote(file_name))}"
    yield "#"
    yield "# Next, the first by day as well, the others under stars:"
    yield "#"
    for command, what in next_commands(file_name, backlash_known=answers.backlash_steps > 0, way=answers.way):
        yield f"#     {command}"
        yield f"#         {what}"
    if not beside_schema:
        yield "#"
        yield f"# `alpaca-focus schema > {SCHEMA_NAME}` writes the schema for editors to complete and check this file."


def _thermometer_section(observatory: DiscoveredObservatory) -> Iterator[str]:
    """Yield the section `thermometer`, unless the focuser has one."""
    if observatory.focuser.temperature_c is None and "observing_conditions" in observatory.devices:
        yield "# The focuser reports no temperature, so that of the weather station is used."
        yield "thermometer:"
        yield "  source: external"


def _storage_section(directory: str, file: str) -> Iterator[str]:
    yield "storage:"
    yield "  # The runs and the learned curve are saved here. With the learned curve a run needs three exposures"
    yield "  # instead of nine. Each telescope needs a folder of its own. To learn the curve at once:"
    yield f"  #     alpaca-focus calibrate vcurve --config {file}"
    yield f"  directory: {yaml_quoted(directory)}"


def _imaging_section(way: ImagingWay) -> Iterator[str]:
    """Yield the section `imaging`, and for the gateway its own."""
    if way == "none":
        yield "# There is no imaging program. One that comes later can be watched (watch), work through this program"
        yield "# (gateway), or report its exposures from scripts (told)."
        yield "# imaging:"
        yield "#   way: gateway"
        return
    yield "imaging:"
    yield "  # The camera is polled (watch), the imaging program works through this program (gateway), or its"
    yield "  # scripts call `alpaca-focus exposure begin` and `alpaca-focus exposure end` (told)."
    yield f"  way: {way}"
    if way == "gateway":
        yield ""
        yield f"# The imaging program connects to host 127.0.0.1, port {DEFAULT_GATEWAY_PORT}, not to the real devices."
        yield "# If it runs on another computer: the address to listen on, and the addresses that may connect."
        yield "# gateway:"
        yield "#   listen: 192.168.1.10"
        yield '#   allow: ["192.168.1.20"]'
    else:
        yield "  # Where it saves its frames: with that their stars are measured too."
        yield "  # folder: ~/Pictures/tonight"


def _focus_section(exposure_s: float, wheel: DiscoveredWheel | None) -> Iterator[str]:
    yield "focus:"
    yield "  # Exposure of a focus frame, in seconds: enough for some tens of stars, also out of focus."
    yield f"  exposure_s: {yaml_value(exposure_s)}"
    yield "  # By default the camera's current gain."
    yield "  # gain: 100"
    if wheel is not None and wheel.filters and len(wheel.filters[-1]) <= LONGEST_LINE:
        yield "  # A dark filter needs a longer exposure."
        yield "  # filters:"
        yield f"  #   {yaml_quoted(wheel.filters[-1])}:"
        yield f"  #     exposure_s: {yaml_value(min(3 * exposure_s, _LONGEST_EXPOSURE_S))}"


def _triggers_section(observatory: DiscoveredObservatory, way: ImagingWay) -> Iterator[str]:
    yield "# What makes `alpaca-focus run` refocus; without any of them only on request."
    yield "triggers:"
    if observatory.focuser.temperature_c is not None or "observing_conditions" in observatory.devices:
        yield "  # Degrees of change; better smaller for a fast telescope."
        yield "  temperature_c: 1.0"
    yield "  minutes: 90"
    if observatory.filter_wheel is not None:
        yield "  # `offset` moves by the filter's offset instead; `alpaca-focus calibrate filters` measures them."
        yield "  filter_change: refocus"
    if observatory.mount is not None:
        yield "  meridian_flip: true"
    if way == "gateway":
        yield "  hfd_rise_percent: 15"


def _later_section() -> Iterator[str]:
    """Yield sections to enable later, as comments."""
    yield "# Temperature compensation between refocuses, by focuser.temperature_coefficient_steps_per_c."
    yield "# compensation:"
    yield "#   enabled: true"
    yield ""
    yield "# The dashboard is at http://127.0.0.1:11180 while `alpaca-focus run` runs. For a phone in the same network:"
    yield "# web:"
    yield "#   listen: 0.0.0.0"
    yield '#   allow: ["192.168.1.0/24"]'
    yield "#   token_file: ~/.config/alpaca-focus/token"
    yield ""
    yield "# Messages when something goes wrong, by any service that Apprise supports."
    yield "# messages:"
    yield "#   services_file: ~/.config/alpaca-focus/services"
