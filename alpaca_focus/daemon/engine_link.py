"""The gateway's link to the scheduler: both run in threads of their own, and every wait is limited."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

import structlog

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.core.values import Position
from alpaca_focus.daemon.light_frames import frame_of, measure_light_frame
from alpaca_focus.gateway.engine import LightFrame
from alpaca_focus.night.exclusive_job import FOCUS_RUN
from alpaca_focus.night.scheduler import RefocusScheduler
from alpaca_focus.service.control_wire import Request
from alpaca_focus.service.threads import LowPriorityWorker, start_in_loop

STILL_WITHIN_S = 60.0
"""Longest wait, in real seconds, of the imaging program's own move for a run or a correction move to end."""

_log = structlog.get_logger(__name__)


class EngineLink:
    """The gateway's link to the scheduler; implements `gateway.engine.Engine`.

    Everything but the constructor and `close` is called in the gateway's thread.

    Args:
        answer: Answers a command, in the loop in which the link is constructed.

    Attributes:
        scheduler: `None`: there is none at present, and all requests of the imaging program pass.
        measures_stars: Whether the metric of the settings is one of stars.
    """

    def __init__(self, answer: Callable[[Request], Awaitable[Mapping[str, object]]]) -> None:
        self._loop = asyncio.get_running_loop()
        self._answer = answer
        self._worker = LowPriorityWorker("light-frames")
        self.scheduler: RefocusScheduler | None = None
        self.measures_stars = True

    def close(self) -> None:
        """Wait for the frame that is being measured."""
        self._worker.close()

    @property
    def wants_gap(self) -> bool:
        """Whether a job is due and waits only for a gap between two exposures."""
        scheduler = self.scheduler
        return scheduler is not None and scheduler.wants_gap

    @property
    def correcting(self) -> bool:
        """Whether a correction move is under way."""
        scheduler = self.scheduler
        return scheduler is not None and scheduler.doing not in {"", FOCUS_RUN}

    @property
    def focusing(self) -> bool:
        """Whether a focus run is under way, interrupted or not."""
        scheduler = self.scheduler
        return scheduler is not None and scheduler.doing == FOCUS_RUN

    async def use_gap(self) -> None:
        """Carry out the job that waits for a gap; return when no job is under way."""
        await self._or_pass(self._with_scheduler(lambda scheduler: scheduler.use_gap()))

    async def wait_until_idle(self) -> None:
        """Wait, for a limited time, until neither a focus run nor a correction move is under way."""
        await self._or_pass(self._with_scheduler(lambda scheduler: scheduler.at_rest(STILL_WITHIN_S)))

    def give_way(self, why: str) -> None:
        """End a focus run soon: the imaging program comes first."""
        self._soon(lambda scheduler: scheduler.give_way(why))

    def program_moves(self) -> None:
        """Keep away from the focuser: the imaging program moves it."""
        self._soon(lambda scheduler: scheduler.program_moves())

    def program_has_moved(self, position: Position | None) -> None:
        """Record the position that the imaging program has moved the focuser to."""
        self._soon(lambda scheduler: scheduler.program_has_moved(position))

    def measure_frame(self, frame: LightFrame) -> None:
        """Measure a frame in the background and release it; skip it while the one before is being measured."""
        if not self.measures_stars or not self._worker.start(partial(self._measure, frame)):
            frame.image.release()

    async def run_action(self, action: str) -> str:
        """Carry out an action of the virtual devices and return the reply.

        Raises:
            ConfigurationError: The action is not possible at present.
        """
        reply = await start_in_loop(self._loop, self._request(Request(action, {})))
        if "error" in reply:
            raise ConfigurationError(str(reply["error"]))
        return json.dumps(reply, default=str) if action == "status" else str(reply["said"])

    def _measure(self, frame: LightFrame) -> None:
        """Measure a frame; called in the worker's thread."""
        try:
            taken = frame_of(
                frame.image.pixels, exposure_s=frame.exposure_s, started_at=frame.started_at, facts=frame.facts
            )
            ended_at = frame.started_at + timedelta(seconds=frame.exposure_s)
            measure_light_frame(
                taken, lambda hfd_px: self._soon(lambda night: night.requests.report_hfd(hfd_px, ended_at))
            )
        except Exception:  # noqa: BLE001 - the imaging program gets its frame in any case
            _log.exception("A light frame could not be measured")
        finally:
            frame.image.release()

    async def _with_scheduler(self, work: Callable[[RefocusScheduler], Awaitable[object]]) -> None:
        scheduler = self.scheduler
        if scheduler is not None:
            await work(scheduler)

    async def _request(self, request: Request) -> Mapping[str, object]:
        return await self._answer(request)

    async def _or_pass(self, work: Coroutine[Any, Any, None]) -> None:
        """Run work in the daemon's loop; after an error, which is logged, the imaging program continues."""
        try:
            await start_in_loop(self._loop, work)
        except Exception:  # noqa: BLE001 - logged with its traceback
            _log.exception("A request of the gateway failed; the imaging program continues")

    def _soon(self, work: Callable[[RefocusScheduler], None]) -> None:
        scheduler = self.scheduler
        if scheduler is None:
            return
        try:
            self._loop.call_soon_threadsafe(work, scheduler)
        except RuntimeError:
            _log.debug("The daemon has stopped; a report of the gateway was dropped")
