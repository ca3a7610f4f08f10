"""The commands. Each prints for a person, or JSON for a machine, and ends with an exit code that a script can use.

| code | meaning |
| ---- | ------- |
| 0 | done |
| 1 | the focus run failed and the focuser is back where it started |
| 2 | something a person must mend first: the settings, an address, a device |
| 3 | the focuser could not be brought back: look at it |
| 4 | another alpaca-focus has the telescope: the same command works once that has ended |
| 130 | aborted; the focuser is back where it started |
"""

import importlib
import io
import sys
import tempfile
import traceback
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup
from typing_extensions import override

from alpaca_focus import __version__
from alpaca_focus.cli.common import EXIT_CODES, EXIT_NEEDS_FIX, EXIT_RUNS_ALREADY
from alpaca_focus.core.errors import AlpacaFocusError, RunFailed, RunsAlready
from alpaca_focus.core.values import Outcome
from alpaca_focus.service.log_output import configure_logging

COMMANDS: Mapping[str, str] = MappingProxyType(
    {
        "init": "init_command:init",
        "focus": "focus:focus",
        "run": "run_command:run",
        "status": "daemon_commands:status",
        "refocus": "daemon_commands:refocus",
        "pause": "daemon_commands:pause",
        "resume": "daemon_commands:resume",
        "abort": "daemon_commands:abort",
        "compensation": "daemon_commands:compensation",
        "tell": "daemon_commands:tell",
        "exposure": "daemon_commands:exposure",
        "filter": "daemon_commands:filter_",
        "flip": "daemon_commands:flip",
        "fleet": "fleet_command:fleet",
        "history": "history_commands:history",
        "report": "history_commands:report",
        "report-night": "history_commands:report_night",
        "notify-test": "run_command:notify_test",
        "calibrate": "calibrate:calibrate",
        "doctor": "doctor_command:doctor",
        "check": "focus:check",
        "schema": "focus:schema",
        "measure": "measure:measure",
        "watch": "watch_command:watch",
        "fit": "fit:fit",
        "simulate": "simulation:simulate",
        "demo": "simulation:demo",
    }
)
"""In the order of the help: name, and where in this package it is."""


class LateCommands(TyperGroup):
    """Loads each command when it is called.

    A Raspberry Pi takes seconds to load what only some of them need; see docs/decisions/0016.
    """

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


commands = typer.Typer(
    name="alpaca-focus",
    help="Keeps a telescope in focus through an unattended night, over ASCOM Alpaca.",
    cls=LateCommands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@commands.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,  # noqa: FBT002 - typer's way
) -> None:
    if version:
        typer.echo(f"alpaca-focus {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line; no traceback reaches the user."""
    configure_logging()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal of another age shows a plot with question marks rather than none at all.
        sys.stdout.reconfigure(errors="replace")
    try:
        commands()
    except RunFailed as error:
        _end(str(error), EXIT_CODES[Outcome.RESTORED])
    except RunsAlready as error:
        _end(str(error), EXIT_RUNS_ALREADY)
    except AlpacaFocusError as error:
        _end(str(error), EXIT_NEEDS_FIX)
    except Exception as error:  # noqa: BLE001 - the last resort: everything expected was caught before
        with tempfile.NamedTemporaryFile("w", prefix="alpaca-focus-", suffix=".txt", delete=False) as report:
            report.write(traceback.format_exc())
        _end(
            f"The program itself failed ({type(error).__name__}: {error}). The details are in {report.name}; please "
            "report them.",
            EXIT_CODES[Outcome.RESTORED],
        )


def _end(sentence: str, code: int) -> NoReturn:
    typer.echo(f"alpaca-focus: {sentence}", err=True)
    sys.exit(code)
