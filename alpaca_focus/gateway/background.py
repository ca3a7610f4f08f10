"""Background tasks in the gateway's loop, and waiting there by the clock."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

from alpaca_focus.ports import Clock

_log = structlog.get_logger(__name__)


class BackgroundTasks:
    """Runs coroutines that nobody awaits, keeps a reference to each task, and logs those that fail."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start a task."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def cancel(self) -> None:
        """Cancel all tasks."""
        for task in self._tasks:
            task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("A background task of the gateway failed", why=repr(task.exception()))


async def run_within(timeout_s: float, clock: Clock, work: Coroutine[Any, Any, object]) -> asyncio.Task[object] | None:
    """Run a coroutine for at most so many seconds of the clock; return its finished task, or `None` on a timeout."""
    task, sleeping = asyncio.create_task(work), asyncio.ensure_future(clock.sleep(timeout_s))
    try:
        await asyncio.wait({task, sleeping}, return_when=asyncio.FIRST_COMPLETED)
        return task if task.done() else None
    finally:
        task.cancel()
        sleeping.cancel()
        await asyncio.gather(task, sleeping, return_exceptions=True)
