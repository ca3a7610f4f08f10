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

import io
import sys
import tempfile
import traceback
from typing import Annotated, NoReturn

import typer

from alpaca_focus import __version__
from alpaca_focus.cli.exit_codes import EXIT_CODES, EXIT_MEND, EXIT_RUNS_ALREADY
from alpaca_focus.cli.loaded_late import LateCommands
from alpaca_focus.core.errors import AlpacaFocusError, RunFailed, RunsAlready
from alpaca_focus.core.values import Outcome
from alpaca_focus.runtime.telemetry import configure_logging

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
        _end(str(error), EXIT_MEND)
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
