"""The commands. Each prints text, or JSON with `--json`, and returns an exit code for scripts.

| code | meaning |
| ---- | ------- |
| 0 | done |
| 1 | the focus run failed and the focuser is back where it started |
| 2 | the settings, an address or a device is wrong: correct it, then run the command again |
| 3 | the focuser could not be moved back: check it |
| 4 | another alpaca-focus uses the telescope: run the command again when that one has ended |
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
from alpaca_focus.cli.common import EXIT_CODES, EXIT_CONFIGURATION, EXIT_RUNS_ALREADY
from alpaca_focus.core.errors import AlpacaFocusError, AlreadyRunning, RunFailed
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
"""Module and function of each command, in the order of the help."""


class LateCommands(TyperGroup):
    """Loads each command when it is called: loading all takes a Raspberry Pi seconds (docs/decisions/0016)."""

    @override
    def list_commands(self, ctx: Any) -> list[str]:
        """Return the command names in the order of the help."""
        return list(COMMANDS)

    @override
    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Load and return a command; `None` if the name is unknown."""
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(":")
        command = getattr(importlib.import_module(f"alpaca_focus.cli.{module}"), name)
        if isinstance(command, typer.Typer):
            group = typer.main.get_group(command)
            group.name = cmd_name
            return group
        single = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
        single.command(cmd_name)(command)
        return typer.main.get_command(single)


commands = typer.Typer(
    name="alpaca-focus",
    help="Keep a telescope in focus through an unattended night, over ASCOM Alpaca.",
    cls=LateCommands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@commands.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,  # noqa: FBT002 - typer's convention
) -> None:
    if version:
        typer.echo(f"alpaca-focus {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line. Errors become one sentence and an exit code; a traceback goes to a file."""
    configure_logging()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal without UTF-8 shows question marks in a plot instead of failing.
        sys.stdout.reconfigure(errors="replace")
    try:
        commands()
    except RunFailed as error:
        _end(str(error), EXIT_CODES[Outcome.RESTORED])
    except AlreadyRunning as error:
        _end(str(error), EXIT_RUNS_ALREADY)
    except AlpacaFocusError as error:
        _end(str(error), EXIT_CONFIGURATION)
    except Exception as error:  # noqa: BLE001 - the last resort: expected errors are caught above
        with tempfile.NamedTemporaryFile("w", prefix="alpaca-focus-", suffix=".txt", delete=False) as report:
            report.write(traceback.format_exc())
        _end(
            f"Internal error ({type(error).__name__}: {error}). Please report it with the details in {report.name}.",
            EXIT_CODES[Outcome.RESTORED],
        )


def _end(message: str, code: int) -> NoReturn:
    typer.echo(f"alpaca-focus: {message}", err=True)
    sys.exit(code)
