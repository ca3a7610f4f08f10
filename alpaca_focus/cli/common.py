"""Options, exit codes and signals that many commands share."""

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
JsonLinesOption = Annotated[bool, typer.Option("--json", help="Print one JSON object a line instead of text.")]

EXIT_CODES = {Outcome.FOCUSED: 0, Outcome.RESTORED: 1, Outcome.STRANDED: 3}
EXIT_MEND = 2
EXIT_RUNS_ALREADY = 4
"""Nothing to mend: the same command works once the other alpaca-focus has ended."""
EXIT_ABORTED = 130

ABORTING = "Aborting: the focuser goes back to where it started."


def until_signalled(work: Coroutine[Any, Any, T], *, saying: str = ABORTING) -> T | None:
    """Carry something out; SIGINT and SIGTERM abort it. `None`: it was aborted, and has restored what it changed.

    Args:
        work: What to carry out.
        saying: Printed when a signal comes.
    """
    return asyncio.run(_until_signalled(work, saying))


async def _until_signalled(work: Coroutine[Any, Any, T], saying: str) -> T | None:
    task = asyncio.create_task(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _abort, task, saying)
    try:
        return await task
    except asyncio.CancelledError:
        return None


def _abort(task: asyncio.Task[Any], saying: str) -> None:
    typer.echo(saying, err=True)
    task.cancel()


def command_group(description: str) -> typer.Typer:
    """Return a command that has commands of its own."""
    return typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, no_args_is_help=True, help=description)
