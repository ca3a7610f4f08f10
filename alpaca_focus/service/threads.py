"""A thread that gives way to everything else, for work that nobody waits for."""

import asyncio
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import structlog

from alpaca_focus.core.errors import ConfigurationError

NICENESS = 15

_log = structlog.get_logger(__name__)


class QuietWorker:
    """Does one thing at a time at low priority; what is started meanwhile is refused."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name, initializer=_give_way)
        self._at_work: Future[None] | None = None

    def start(self, work: Callable[[], None]) -> bool:
        """Begin something; False: it still does something else. Called in one thread only."""
        if self._at_work is not None and not self._at_work.done():
            return False
        self._at_work = self._pool.submit(work)
        self._at_work.add_done_callback(_tell_failure)
        return True

    def queue(self, work: Callable[[], None]) -> None:
        """Do something after all that was begun or queued before; called in any thread."""
        self._pool.submit(work).add_done_callback(_tell_failure)

    def close(self) -> None:
        """Wait for what was begun, and end the thread."""
        self._pool.shutdown()


def _give_way() -> None:
    try:
        # Linux has a priority for each thread.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
    except OSError as error:
        # Without it the work is done all the same.
        _log.debug("A thread cannot give way to the others", why=str(error))


def _tell_failure(work: Future[None]) -> None:
    if not work.cancelled() and work.exception() is not None:
        _log.error("Work in the background failed", why=repr(work.exception()))


T = TypeVar("T")


def begun_in(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> asyncio.Future[T]:
    """Begin to carry something out in another loop; what is returned is waited for in the present one.

    Raises:
        ConfigurationError: That loop has ended.
    """
    try:
        future = asyncio.run_coroutine_threadsafe(work, loop)
    except RuntimeError as error:
        # The loop is closed.
        work.close()
        raise ConfigurationError("alpaca-focus has just stopped.") from error
    return asyncio.wrap_future(future)
