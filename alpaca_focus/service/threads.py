"""A low-priority thread for background work, and coroutines started in another thread's event loop."""

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


class LowPriorityWorker:
    """Runs one function at a time at low priority."""

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name, initializer=_lower_priority)
        self._running: Future[None] | None = None

    def start(self, work: Callable[[], None]) -> bool:
        """Start `work`; return False if earlier work still runs. Call it from one thread only."""
        if self._running is not None and not self._running.done():
            return False
        self._running = self._pool.submit(work)
        self._running.add_done_callback(_log_failure)
        return True

    def queue(self, work: Callable[[], None]) -> None:
        """Run `work` after everything started or queued before; call it from any thread."""
        self._pool.submit(work).add_done_callback(_log_failure)

    def close(self) -> None:
        """Wait for the running work, and end the thread."""
        self._pool.shutdown()


def _lower_priority() -> None:
    try:
        # Linux has a priority for each thread, not only for the process.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
    except OSError as error:
        # The work is done at normal priority.
        _log.debug("The priority of a background thread cannot be lowered", why=str(error))


def _log_failure(work: Future[None]) -> None:
    if not work.cancelled() and work.exception() is not None:
        _log.error("Background work failed", why=repr(work.exception()))


T = TypeVar("T")


def start_in_loop(loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, T]) -> asyncio.Future[T]:
    """Start a coroutine in another event loop; return a future of the current one.

    Raises:
        ConfigurationError: The other loop is closed.
    """
    try:
        future = asyncio.run_coroutine_threadsafe(work, loop)
    except RuntimeError as error:
        work.close()
        raise ConfigurationError("alpaca-focus has just stopped.") from error
    return asyncio.wrap_future(future)
