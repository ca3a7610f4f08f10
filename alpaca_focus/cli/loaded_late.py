"""Commands that are loaded when they are called: a Raspberry Pi takes seconds for what only some of them need."""

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import typer
from typer.core import TyperGroup
from typing_extensions import override

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "init": "setting_up:init",
        "focus": "focus:focus",
        "run": "run:run",
        "status": "night:status",
        "refocus": "night:refocus",
        "pause": "night:pause",
        "resume": "night:resume",
        "abort": "night:abort",
        "compensation": "night:compensation",
        "tell": "night:tell",
        "exposure": "exposure:exposure",
        "filter": "exposure:filter_",
        "flip": "exposure:flip",
        "fleet": "fleet:fleet",
        "history": "history:history",
        "report": "history:report",
        "report-night": "telling:report_night",
        "notify-test": "telling:notify_test",
        "calibrate": "calibrate:calibrate",
        "doctor": "doctor:doctor",
        "check": "focus:check",
        "schema": "focus:schema",
        "measure": "measure:measure",
        "watch": "watch:watch",
        "fit": "fit:fit",
        "simulate": "simulated:simulate",
        "demo": "simulated:demo",
    }
)
"""In the order of the help: name, and where in this package it is."""


class LateCommands(TyperGroup):
    """All commands by name."""

    @override
    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names in the order of the help."""
        return list(COMMANDS)

    @override
    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Load a command; `None`: there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(":")
        found = getattr(importlib.import_module(f"alpaca_focus.cli.{module}"), name)
        if isinstance(found, typer.Typer):
            group = typer.main.get_group(found)
            group.name = cmd_name
            return group
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
        alone.command(cmd_name)(found)
        return typer.main.get_command(alone)
