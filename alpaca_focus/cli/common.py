"""Options, exit codes and signal handling that the commands share."""

import asyncio
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from alpaca_focus.core.values import Outcome

T = TypeVar("T")

ConfigOption = Annotated[Path, typer.Option("--config", "-c", metavar="FILE", help="The settings, a YAML file.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
JsonLinesOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text, one object a line.")]

EXIT_CODES = {Outcome.FOCUSED: 0, Outcome.RESTORED: 1, Outcome.STRANDED: 3}
EXIT_NEEDS_FIX = 2
EXIT_RUNS_ALREADY = 4
"""Another alpaca-focus holds the devices: the same command works once that has ended."""
EXIT_ABORTED = 130


def until_signalled(
    work: Coroutine[Any, Any, T], *, message: str = "Aborting: the focuser goes back to where it started."
) -> T | None:
    """Run a coroutine that SIGINT and SIGTERM abort, printing the message; return `None` if it was aborted.

    An aborted coroutine has restored what it changed.
    """

    async def run() -> T | None:
        task = asyncio.create_task(work)

        def abort() -> None:
            typer.echo(message, err=True)
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
