"""`alpaca-focus focus`, `check` and `schema`."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from alpaca_focus.cli.common import EXIT_ABORTED, EXIT_CODES, ConfigOption, JsonOption, until_signalled
from alpaca_focus.cli.terminal import RunPrinter, result_json, text_console
from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.core.events import Event, RunEnded
from alpaca_focus.core.values import FocusResult
from alpaca_focus.run.focus_run import focus_once
from alpaca_focus.settings.contradictions import contradictions
from alpaca_focus.settings.describe import describe, describe_zone
from alpaca_focus.settings.loader import load_yaml
from alpaca_focus.settings.models import Settings, schema_text


def focus(config: ConfigOption, json: JsonOption = False) -> None:  # noqa: FBT002 - typer's convention
    """Focus once: sweep, fit, move to the best position, verify. On any failure the focuser goes back."""
    settings = load_yaml(config, Settings)
    print_run(lambda emit: focus_once(settings, emit=emit), json=json)


def check(file: Annotated[Path, typer.Argument(metavar="FILE", help="Settings file (YAML).")]) -> None:
    """Check and explain a settings file, without touching devices."""
    settings = load_yaml(file, Settings)
    for line in (*describe(settings), describe_zone(settings)):
        typer.echo(line)
    if found := contradictions(settings):
        raise ConfigurationError("\n".join(found))
    typer.echo(f"{file} is good.")


def schema() -> None:
    """Print the JSON schema of the settings, for editors."""
    typer.echo(schema_text(), nl=False)


def print_run(start: Callable[[Callable[[Event], None]], Coroutine[Any, Any, FocusResult]], *, json: bool) -> NoReturn:
    """Start a focus run, print its events, and exit with the code of its outcome."""
    result = until_signalled(start(_print_json if json else RunPrinter(text_console()).show))
    raise typer.Exit(EXIT_ABORTED if result is None else EXIT_CODES[result.outcome])


def _print_json(event: Event) -> None:
    if isinstance(event, RunEnded):
        typer.echo(result_json(event.result))
