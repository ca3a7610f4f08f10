"""The first settings file of an observatory: from what was found and answered to YAML with comments. Pure."""

import shlex
from collections.abc import Iterator

from alpaca_focus.core.device_kinds import DEVICE_KINDS, one_line
from alpaca_focus.core.discovered import DiscoveredObservatory
from alpaca_focus.settings.yaml_writer import yaml_quoted
from alpaca_focus.setup.first_devices import (
    Answers,
    camera_section,
    focuser_section,
    optional_section,
    site_section,
    telescope_section,
)
from alpaca_focus.setup.first_habits import (
    focus_section,
    imaging_section,
    later_section,
    storage_section,
    thermometer_section,
    triggers_section,
)

SCHEMA_NAME = "alpaca-focus.schema.json"


def first_file(found: DiscoveredObservatory, answers: Answers, *, file_name: str, beside_schema: bool) -> str:
    """Return the text of a settings file.

    Args:
        found: The devices.
        answers: What was asked.
        file_name: Name of the file, for the commands in its comments.
        beside_schema: Whether the JSON schema is in the same folder.
    """
    file = one_line(shlex.quote(file_name))
    sections = (
        _head(file_name, backlash_known=answers.backlash_steps > 0, beside_schema=beside_schema),
        telescope_section(answers, found.mount),
        ("alpaca:", "  # The server of all devices that name no other.", f"  address: {yaml_quoted(found.server)}"),
        camera_section(found.camera, found.server, answers.pixel_size_um),
        focuser_section(found.focuser, found.server, answers, file),
        *(
            optional_section(kind, found.devices[kind.section], found.server)
            for kind in DEVICE_KINDS.values()
            if not kind.required and kind.section in found.devices
        ),
        site_section(found.mount),
        thermometer_section(found),
        storage_section(answers.directory, file),
        imaging_section(answers.way),
        focus_section(answers.exposure_s, found.filter_wheel),
        triggers_section(found, answers.way),
        later_section(),
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


def _head(file_name: str, *, backlash_known: bool, beside_schema: bool) -> Iterator[str]:
    if beside_schema:
        yield f"# yaml-language-server: $schema=./{SCHEMA_NAME}"
        yield "#"
    yield "# Settings of alpaca-focus, begun by `alpaca-focus init`. What stands behind # is not in force: take the #"
    yield "# and one space away to switch it on. After every change:"
    yield "#"
    yield f"#     alpaca-focus check {one_line(shlex.quote(file_name))}"
    yield "#"
    yield "# Next, the first by day as well, the others under stars:"
    yield "#"
    for command, what in next_commands(file_name, backlash_known=backlash_known):
        yield f"#     {command}"
        yield f"#         {what}"
    if not beside_schema:
        yield "#"
        yield f"# `alpaca-focus schema > {SCHEMA_NAME}` makes what editors need to complete and check this file."
