"""Work in the gateway's loop that nobody waits for, and waiting there for something to change."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import structlog

from alpaca_focus.ports import Clock

_log = structlog.get_logger(__name__)


class Background:
    """Keeps the tasks alive, and tells of those that fail."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin some work."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def cancel(self) -> None:
        """End all of it."""
        for task in self._tasks:
            task.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("The gateway failed", why=repr(task.exception()))


class News:
    """Something has changed: whoever waits for a change looks anew.

    Args:
        clock: Time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._event = asyncio.Event()

    def tell(self) -> None:
        """Say that something has changed."""
        self._event.set()

    async def wait(self, within_s: float) -> None:
        """Wait until something changes, but not for long."""
        self._event.clear()
        sleeping = asyncio.ensure_future(self._clock.sleep(within_s))
        waiting = asyncio.create_task(self._event.wait())
        try:
            await asyncio.wait({sleeping, waiting}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            waiting.cancel()
            await asyncio.gather(sleeping, waiting, return_exceptions=True)
