"""The night as the gateway sees it: each has a thread of its own, and neither waits for the other for ever."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

import structlog

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.core.values import Position
from alpaca_focus.daemon.light_frames import frame_of, measured
from alpaca_focus.gateway.engine import LightFrame
from alpaca_focus.night.exclusive_job import FOCUS_RUN
from alpaca_focus.night.scheduler import RefocusScheduler
from alpaca_focus.service.control_wire import Request
from alpaca_focus.service.threads import LowPriorityWorker, start_in_loop

STILL_WITHIN_S = 60.0
"""Real seconds for which a move of the imaging program waits for the focuser, whatever the engine does."""

_log = structlog.get_logger(__name__)


class EngineLink:
    """The night as the gateway sees it; implements `gateway.engine.Engine`.

    Everything but the constructor and `close` is called in the gateway's thread.

    Args:
        answer: Answers a command, in the loop that this is constructed in.

    Attributes:
        scheduler: Keeps the night; `None`: nobody does just now, and everything passes.
        measures_stars: Whether frames show stars, as far as the settings tell.
    """

    def __init__(self, answer: Callable[[Request], Awaitable[Mapping[str, object]]]) -> None:
        self._loop = asyncio.get_running_loop()
        self._answer = answer
        self._worker = LowPriorityWorker("light-frames")
        self.scheduler: RefocusScheduler | None = None
        self.measures_stars = True

    def close(self) -> None:
        """Wait for a frame that is being measured."""
        self._worker.close()

    @property
    def wants_gap(self) -> bool:
        """Whether something waits for nothing but a gap between two exposures."""
        scheduler = self.scheduler
        return scheduler is not None and scheduler.wants_gap

    @property
    def correcting(self) -> bool:
        """Whether a small move of the focuser is under way."""
        scheduler = self.scheduler
        return scheduler is not None and scheduler.doing not in {"", FOCUS_RUN}

    @property
    def focusing(self) -> bool:
        """Whether a focus run is under way, interrupted or not."""
        scheduler = self.scheduler
        return scheduler is not None and scheduler.doing == FOCUS_RUN

    async def use_gap(self) -> None:
        """Do what waits for a gap; returns when nothing is under way any more."""
        await self._or_pass(self._with_scheduler(lambda scheduler: scheduler.use_gap()))

    async def wait_until_idle(self) -> None:
        """Wait until neither a focus run nor a small move is under way, but not for ever."""
        await self._or_pass(self._with_scheduler(lambda scheduler: scheduler.at_rest(STILL_WITHIN_S)))

    def give_way(self, why: str) -> None:
        """End a focus run soon: the imaging program comes first."""
        self._soon(lambda scheduler: scheduler.give_way(why))

    def program_moves(self) -> None:
        """Keep away from the focuser: the imaging program moves it."""
        self._soon(lambda scheduler: scheduler.program_moves())

    def program_has_moved(self, position: Position | None) -> None:
        """Take up where the imaging program has moved the focuser to."""
        self._soon(lambda scheduler: scheduler.program_has_moved(position))

    def measure_frame(self, frame: LightFrame) -> None:
        """Measure a frame in the background, and release it; leave it where the one before still is measured."""
        if not self.measures_stars or not self._worker.start(partial(self._measure, frame)):
            frame.image.release()

    async def run_action(self, action: str) -> str:
        """Carry out an action of the virtual devices and return what there is to say.

        Raises:
            ConfigurationError: It cannot be done just now.
        """
        told = await start_in_loop(self._loop, self._asked(Request(action, {})))
        if "error" in told:
            raise ConfigurationError(str(told["error"]))
        return json.dumps(told, default=str) if action == "status" else str(told["said"])

    def _measure(self, frame: LightFrame) -> None:
        """Measure in the worker's thread."""
        try:
            taken = frame_of(
                frame.image.pixels, exposure_s=frame.exposure_s, started_at=frame.started_at, facts=frame.facts
            )
            ended_at = frame.started_at + timedelta(seconds=frame.exposure_s)
            measured(taken, lambda hfd_px: self._soon(lambda night: night.requests.report_hfd(hfd_px, ended_at)))
        except Exception:  # noqa: BLE001 - a frame that cannot be measured is the imaging program's all the same
            _log.exception("A light frame could not be measured")
        finally:
            frame.image.release()

    async def _with_scheduler(self, work: Callable[[RefocusScheduler], Awaitable[object]]) -> None:
        scheduler = self.scheduler
        if scheduler is not None:
            await work(scheduler)

    async def _asked(self, request: Request) -> Mapping[str, object]:
        return await self._answer(request)

    async def _or_pass(self, work: Coroutine[Any, Any, None]) -> None:
        """Carry something out in the engine's loop; where that fails the imaging program goes on all the same."""
        try:
            await start_in_loop(self._loop, work)
        except Exception:  # noqa: BLE001 - the log has it whole
            _log.exception("The engine failed; the imaging program goes on without it")

    def _soon(self, work: Callable[[RefocusScheduler], None]) -> None:
        scheduler = self.scheduler
        if scheduler is None:
            return
        try:
            self._loop.call_soon_threadsafe(work, scheduler)
        except RuntimeError:
            _log.debug("The night has ended; there is nobody to tell")
