"""The reference of the commands is complete."""

from collections.abc import Iterator
from typing import Any

import typer

from alpaca_focus.cli import COMMANDS, commands
from alpaca_focus.cli.common import EXIT_CODES, EXIT_NEEDS_FIX, EXIT_RUNS_ALREADY
from tools.manual.commands_page import anchor, page


def all_commands() -> Iterator[tuple[str, Any]]:
    root: Any = typer.main.get_command(commands)
    with typer.Context(root) as context:
        for name in COMMANDS:
            command = root.get_command(context, name)
            yield name, command
            for inner in getattr(command, "commands", ()):
                yield f"{name} {inner}", command.commands[inner]


def part_of(text: str, name: str) -> str:
    start = text.index(f"{{ #{anchor(f'alpaca-focus {name}')} }}")
    end = text.find("\n## ", start)
    return text[start : end if end > 0 else None]


def test_every_command_is_there_with_its_help() -> None:
    text = page()
    for name, command in all_commands():
        first_line = command.help.strip().splitlines()[0]
        assert first_line in part_of(text, name), name


def test_every_option_is_there() -> None:
    text = page()
    told = 0
    for name, command in all_commands():
        part = part_of(text, name)
        for parameter in command.params:
            for option in parameter.opts if parameter.param_type_name == "option" else ():
                assert option in part, f"{name} {option}"
                told += 1
    assert told > 40


def test_groups_are_told_with_their_commands() -> None:
    text = page()
    assert "{ #calibrate-backlash }" in text
    assert "{ #exposure-begin }" in text


def test_every_exit_code_is_explained() -> None:
    codes = page().split("## How a command ends", 1)[1].split("\n## ", 1)[0]
    for code in (*EXIT_CODES.values(), EXIT_NEEDS_FIX, EXIT_RUNS_ALREADY, 130):
        assert f"| {code} |" in codes
