"""Work that a signal aborts: it brings everything home first, and only then ends."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

import typer

T = TypeVar("T")

EXIT_ABORTED = 130


ABORTING = "Aborting: the focuser goes back to where it started."


def until_signalled(work: Coroutine[Any, Any, T], *, saying: str = ABORTING) -> T | None:
    """Carry something out; SIGINT and SIGTERM abort it. `None`: it was aborted.

    Args:
        work: What to carry out.
        saying: What is told when a signal comes.
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
