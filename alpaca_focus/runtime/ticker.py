"""The tick of the night: APScheduler calls, and a jump of the computer's clock does not stop it.

APScheduler goes by the time of day. A Raspberry Pi without a clock battery starts in the past and is put right later,
by hours or years: a watcher that compares both clocks wakes the scheduler then.
"""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Self

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from alpaca_focus.ports import Clock

WATCH_S = 2.0
"""Real seconds between two comparisons of the clocks."""
STEP_S = 2.0
JOB = "look"

_log = structlog.get_logger(__name__)


class Ticker:
    """Calls something again and again; a context manager.

    Args:
        call: What to call; while it runs, ticks are left out, not queued.
        every_s: Real seconds from tick to tick.
        clock: Both clocks of the computer.
    """

    def __init__(self, call: Callable[[], Awaitable[None]], every_s: float, clock: Clock) -> None:
        self._call = call
        self._clock = clock
        self._running = asyncio.Lock()
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        # Never dropped for being late, and many late ones are one.
        self._scheduler.add_job(
            self._tick, "interval", seconds=every_s, id=JOB, misfire_grace_time=None, coalesce=True, max_instances=2
        )
        self._watcher: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin, with a first call at once."""
        self._scheduler.start()
        self._now()
        self._watcher = asyncio.create_task(self._watch_clocks())
        return self

    async def __aexit__(self, *_: object) -> None:
        """End; a call that is under way is waited for."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        self._scheduler.pause()
        async with self._running:
            # APScheduler would cancel a call that is under way.
            self._scheduler.remove_job(JOB)
        await asyncio.sleep(0)
        self._scheduler.shutdown(wait=False)

    async def _tick(self) -> None:
        if self._running.locked():
            return
        async with self._running:
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
                self._now()

    def _between_s(self) -> float:
        return self._clock.wall().timestamp() - self._clock.monotonic()
