"""Options, exit codes and signal handling shared by the commands."""

import asyncio
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from alpaca_focus.core.values import Outcome

T = TypeVar("T")

ConfigOption = Annotated[Path, typer.Option("--config", "-c", metavar="FILE", help="Settings file (YAML).")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
JsonLinesOption = Annotated[bool, typer.Option("--json", help="Print one JSON object per line instead of text.")]

EXIT_CODES = {Outcome.FOCUSED: 0, Outcome.RESTORED: 1, Outcome.STRANDED: 3}
EXIT_CONFIGURATION = 2
EXIT_RUNS_ALREADY = 4
"""Nothing is wrong: the same command works once the other alpaca-focus has ended."""
EXIT_ABORTED = 130

ABORTING = "Aborting: the focuser goes back to where it started."


def until_signalled(work: Coroutine[Any, Any, T], *, notice: str = ABORTING) -> T | None:
    """Run a coroutine and return its result; `None` if a signal, at which `notice` is printed, has cancelled it."""

    async def run() -> T | None:
        task = asyncio.create_task(work)

        def abort() -> None:
            typer.echo(notice, err=True)
            task.cancel()

        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, abort)
        try:
            return await task
        except asyncio.CancelledError:
            return None

    return asyncio.run(run())


def command_group(description: str) -> typer.Typer:
    """Return a command with subcommands."""
    return typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True, help=description)
