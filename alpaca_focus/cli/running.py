"""Work that a signal aborts: it brings everything home first, and only then ends."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

import typer

T = TypeVar("T")

EXIT_ABORTED = 130


def until_signalled(work: Coroutine[Any, Any, T]) -> T | None:
    """Carry something out; SIGINT and SIGTERM abort it. `None`: it was aborted."""
    return asyncio.run(_until_signalled(work))


async def _until_signalled(work: Coroutine[Any, Any, T]) -> T | None:
    task = asyncio.create_task(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _abort, task)
    try:
        return await task
    except asyncio.CancelledError:
        return None


def _abort(task: asyncio.Task[Any]) -> None:
    typer.echo("Aborting: the focuser goes back to where it started.", err=True)
    task.cancel()
