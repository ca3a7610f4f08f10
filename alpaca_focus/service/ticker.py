"""Calls the poll at a fixed interval by APScheduler, also across jumps of the computer's clock.

APScheduler uses the time of day. A Raspberry Pi without a clock battery starts in the past, and its clock is set later
by hours or years: a watcher wakes the scheduler when the next tick is suddenly far away.
"""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, Self

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from alpaca_focus.ports import Clock

WATCH_S = 2.0
"""Real seconds between two readings of the clocks."""
STEP_S = 2.0
LAST_CALL_S = 1.0
"""Real seconds for a call that runs at the end; it may wait for devices that do not answer."""
JOB = "poll"

_log = structlog.get_logger(__name__)


class _Every(BaseTrigger):  # type: ignore[misc] # APScheduler has no types
    """A fixed interval that skips ticks in the past.

    APScheduler's own interval lists all ticks that a jump of the clock has skipped: those of years fill the memory.
    """

    def __init__(self, every: timedelta) -> None:
        self._every = every

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        return max(previous or now, now - self._every) + self._every


class Ticker:
    """Calls a coroutine function at a fixed interval; a context manager.

    Args:
        call: The function; ticks while it runs are skipped, not queued.
        every_s: Real seconds from tick to tick.
    """

    def __init__(self, call: Callable[[], Coroutine[Any, Any, None]], every_s: float, clock: Clock) -> None:
        self._call = call
        self._every = timedelta(seconds=every_s)
        self._clock = clock
        self._running = asyncio.Lock()
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        # A late tick is never dropped, and several late ones become one.
        self._scheduler.add_job(
            self._tick, _Every(self._every), id=JOB, misfire_grace_time=None, coalesce=True, max_instances=2
        )
        self._current_call: asyncio.Task[None] | None = None
        self._is_ending = False
        self._watcher: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start, with a first call at once."""
        self._scheduler.start()
        self._tick_now()
        self._watcher = asyncio.create_task(self._watch_clocks())
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop; wait up to `LAST_CALL_S` for a running call, then cancel it."""
        self._is_ending = True
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        self._scheduler.pause()
        if self._current_call is not None:
            await asyncio.wait({self._current_call}, timeout=LAST_CALL_S)
            self._current_call.cancel()
        async with self._running:
            # With the lock held: APScheduler would log a warning about a job that still runs.
            self._scheduler.remove_job(JOB)
        await asyncio.sleep(0)
        self._scheduler.shutdown(wait=False)

    async def _tick(self) -> None:
        if self._running.locked() or self._is_ending:
            return
        async with self._running:
            self._current_call = asyncio.create_task(self._call())
            await asyncio.wait({self._current_call})
        if not self._current_call.cancelled():
            self._current_call.result()

    def _tick_now(self) -> None:
        self._scheduler.modify_job(JOB, next_run_time=datetime.now(UTC))

    async def _watch_clocks(self) -> None:
        offset_s = self._clock_offset_s()
        while True:
            await asyncio.sleep(WATCH_S)
            step_s = self._clock_offset_s() - offset_s
            if abs(step_s) > STEP_S:
                offset_s += step_s
                _log.warning("The computer's clock was set", step_s=round(step_s, 1))
            if self._scheduler.get_job(JOB).next_run_time > datetime.now(UTC) + self._every:
                self._tick_now()

    def _clock_offset_s(self) -> float:
        return self._clock.wall().timestamp() - self._clock.monotonic()
