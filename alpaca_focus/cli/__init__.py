"""The commands. Each prints for a person, or JSON for a machine, and ends with an exit code that a script can use.

| code | meaning |
| ---- | ------- |
| 0 | done |
| 1 | the focus run failed and the focuser is back where it started |
| 2 | something a person must mend first: the settings, an address, a device |
| 3 | the focuser could not be brought back: look at it |
| 130 | aborted; the focuser is back where it started |
"""

import io
import sys
import tempfile
import traceback
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from alpaca_focus import __version__, app, simulation
from alpaca_focus.cli.calibrate import calibrate
from alpaca_focus.cli.fit import fit
from alpaca_focus.cli.history import history, report
from alpaca_focus.cli.measure import measure
from alpaca_focus.cli.night import abort, pause, refocus, resume, run, status, tell
from alpaca_focus.cli.running import EXIT_ABORTED, until_signalled
from alpaca_focus.cli.watch import watch
from alpaca_focus.core.errors import AlpacaFocusError, RunFailed
from alpaca_focus.core.events import Event, RunEnded
from alpaca_focus.core.values import FocusResult, Outcome
from alpaca_focus.runtime.telemetry import configure_logging
from alpaca_focus.terminal import RunPrinter, result_json

EXIT_CODES = {Outcome.FOCUSED: 0, Outcome.RESTORED: 1, Outcome.STRANDED: 3}
EXIT_MEND = 2

commands = typer.Typer(
    name="alpaca-focus",
    help="Keeps a telescope in focus through an unattended night, over ASCOM Alpaca.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

ConfigOption = Annotated[Path, typer.Option("--config", "-c", metavar="FILE", help="The settings, a YAML file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


@commands.callback(invoke_without_command=True)
def _version(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,  # noqa: FBT002 - typer's way
) -> None:
    if version:
        typer.echo(f"alpaca-focus {__version__}")
        raise typer.Exit


@commands.command()
def focus(config: ConfigOption, json: JsonOption = False) -> None:  # noqa: FBT002 - typer's way
    """Focus once: sweep, fit, go to the best position, verify. On any failure the focuser goes back."""
    settings = app.load_settings(config)
    _focus(lambda emit: app.focus(settings, emit=emit), json=json)


@commands.command()
def check(file: Annotated[Path, typer.Argument(metavar="FILE", help="The settings, a YAML file.")]) -> None:
    """Check a settings file without touching any device, and say what it means."""
    for line in app.describe_settings(app.load_settings(file)):
        typer.echo(line)
    typer.echo(f"{file} is good.")


@commands.command()
def schema() -> None:
    """Print the JSON schema of the settings, for editors."""
    typer.echo(app.settings_schema(), nl=False)


@commands.command()
def simulate(
    config: Annotated[
        Path | None, typer.Option("--config", "-c", metavar="FILE", help="Settings of the simulated observatory, YAML.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on; by default only this machine.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port; 0 takes a free one.")] = 11111,
    discovery: Annotated[bool, typer.Option(help="Answer Alpaca discovery on UDP port 32227.")] = True,  # noqa: FBT002 - typer's way
) -> None:
    """Run the simulated observatory alone, for any Alpaca client to connect to."""
    simulation.simulate(config, host=host, port=port, discovery=discovery, tell=typer.echo)


@commands.command()
def demo(
    seed: Annotated[int | None, typer.Option(help="Seed of the simulated night; a fresh one by default.")] = None,
    json: JsonOption = False,  # noqa: FBT002 - typer's way
) -> None:
    """Focus a simulated telescope through real Alpaca HTTP, start to end."""
    tell = (lambda _: None) if json else typer.echo
    _focus(lambda emit: simulation.demo(seed=seed, emit=emit, tell=tell), json=json)


commands.command()(fit)
commands.command()(measure)
commands.command()(watch)
commands.command()(history)
commands.command()(report)
for night_command in (run, status, refocus, pause, resume, abort, tell):
    commands.command()(night_command)
commands.add_typer(calibrate, name="calibrate")


def _focus(start: Callable[[Callable[[Event], None]], Coroutine[Any, Any, FocusResult]], *, json: bool) -> NoReturn:
    """Carry out a focus run with its printing, its signals and its exit code."""
    tell = _tell_json if json else RunPrinter(Console(highlight=False)).tell
    result = until_signalled(start(tell))
    raise typer.Exit(EXIT_ABORTED if result is None else EXIT_CODES[result.outcome])


def _tell_json(event: Event) -> None:
    if isinstance(event, RunEnded):
        typer.echo(result_json(event.result))


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
