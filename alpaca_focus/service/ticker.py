"""The tick of the night: APScheduler calls, and a jump of the computer's clock does not stop it.

APScheduler goes by the time of day. A Raspberry Pi without a clock battery starts in the past and is put right later,
by hours or years: a watcher wakes the scheduler when the next tick has come to lie far away by that.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Self

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.base import BaseTrigger

from alpaca_focus.ports import Clock

WATCH_S = 2.0
"""Real seconds from one look at the clocks to the next."""
STEP_S = 2.0
LAST_CALL_S = 1.0
"""Real seconds for a call that is under way at the end; it may wait for devices that do not answer."""
JOB = "look"

_log = structlog.get_logger(__name__)


class _Every(BaseTrigger):  # type: ignore[misc] # APScheduler has no types
    """From tick to tick, and from now when that would be in the past.

    APScheduler's own interval lists all ticks that a jump of the clock has left out: those of years fill the memory.
    """

    def __init__(self, every: timedelta) -> None:
        self._every = every

    def get_next_fire_time(self, previous: datetime | None, now: datetime) -> datetime:
        return max(previous or now, now - self._every) + self._every


class Ticker:
    """Calls something again and again; a context manager.

    Args:
        call: What to call; while it runs, ticks are left out, not queued.
        every_s: Real seconds from tick to tick.
        clock: Both clocks of the computer.
    """

    def __init__(self, call: Callable[[], Awaitable[None]], every_s: float, clock: Clock) -> None:
        self._call = call
        self._every = timedelta(seconds=every_s)
        self._clock = clock
        self._running = asyncio.Lock()
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        # Never dropped for being late, and many late ones are one.
        self._scheduler.add_job(
            self._tick, _Every(self._every), id=JOB, misfire_grace_time=None, coalesce=True, max_instances=2
        )
        self._under_way: asyncio.Task[None] | None = None
        self._is_ending = False
        self._watcher: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin, with a first call at once."""
        self._scheduler.start()
        self._now()
        self._watcher = asyncio.create_task(self._watch_clocks())
        return self

    async def __aexit__(self, *_: object) -> None:
        """End; a call that is under way is waited for, but not long: then it is cancelled."""
        self._is_ending = True
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        self._scheduler.pause()
        if self._under_way is not None:
            await asyncio.wait({self._under_way}, timeout=LAST_CALL_S)
            self._under_way.cancel()
        async with self._running:
            # APScheduler would tell of a call that it finds under way.
            self._scheduler.remove_job(JOB)
        await asyncio.sleep(0)
        self._scheduler.shutdown(wait=False)

    async def _tick(self) -> None:
        if self._running.locked() or self._is_ending:
            return
        async with self._running:
            self._under_way = asyncio.create_task(self._called())
            await asyncio.wait({self._under_way})
        if not self._under_way.cancelled():
            self._under_way.result()

    async def _called(self) -> None:
        await self._call()

    def _now(self) -> None:
        self._scheduler.modify_job(JOB, next_run_time=datetime.now(UTC))

    async def _watch_clocks(self) -> None:
        between_s = self._between_s()
        while True:
            await asyncio.sleep(WATCH_S)
            step_s = self._between_s() - between_s
            if abs(step_s) > STEP_S:
                between_s += step_s
                _log.warning("The computer's clock was put right", step_s=round(step_s, 1))
            if self._scheduler.get_job(JOB).next_run_time > datetime.now(UTC) + self._every:
                self._now()

    def _between_s(self) -> float:
        return self._clock.wall().timestamp() - self._clock.monotonic()
