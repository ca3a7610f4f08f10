"""Links the gateway to the scheduler, which runs in another thread; every wait is limited."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from functools import partial

import structlog

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.core.values import Position
from alpaca_focus.daemon.light_frames import frame_of, measure_light_frame
from alpaca_focus.gateway.engine import LightFrame
from alpaca_focus.night.exclusive_job import FOCUS_RUN
from alpaca_focus.night.scheduler import RefocusScheduler
from alpaca_focus.service.control_server import Handler
from alpaca_focus.service.control_wire import Request
from alpaca_focus.service.threads import LowPriorityWorker, start_in_loop

STILL_WITHIN_S = 60.0
"""Longest time, in real seconds, that the imaging program's own move waits for a run or a correction move."""
DECIDE_WITHIN_S = 2.0
"""Longest time, in real seconds, that a StartExposure waits for a decision: imaging programs give a request more."""

_log = structlog.get_logger(__name__)


class EngineLink:
    """Passes the gateway's requests to the scheduler; implements `gateway.engine.Engine`.

    Construct and close it in the daemon's event loop, which also answers its commands; the gateway calls all other
    methods in its own thread.

    Attributes:
        scheduler: `None`: the devices are not connected, and no request of the imaging program waits.
        measures_stars: Whether the focus metric is measured on stars; light frames are measured only then.
    """

    def __init__(self, answer: Handler) -> None:
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
        return self._doing not in {"", FOCUS_RUN}

    @property
    def focusing(self) -> bool:
        """Whether a focus run is under way; true also during a camera handover."""
        return self._doing == FOCUS_RUN

    @property
    def _doing(self) -> str:
        scheduler = self.scheduler
        return "" if scheduler is None else scheduler.doing

    async def decide(self) -> None:
        """Decide anew whether something is due, within `DECIDE_WITHIN_S`."""

        async def decide(scheduler: RefocusScheduler) -> None:
            scheduler.decide_before_exposure()

        try:
            async with asyncio.timeout(DECIDE_WITHIN_S):
                await self._in_daemon(decide)
        except TimeoutError:
            _log.warning("No decision in time: an exposure begins without one", waited_s=DECIDE_WITHIN_S)

    async def use_gap(self) -> None:
        """Let the job that waits for a gap start, and return when no job is under way."""
        await self._in_daemon(lambda scheduler: scheduler.use_gap())

    async def wait_until_idle(self) -> None:
        """Wait, for a limited time, until neither a focus run nor a correction move is under way."""
        await self._in_daemon(lambda scheduler: scheduler.at_rest(STILL_WITHIN_S))

    def give_way(self, why: str) -> None:
        """Request the end of a focus run, because the imaging program needs the camera."""
        self._soon(lambda scheduler: scheduler.give_way(why))

    @property
    def compensates_moves(self) -> bool:
        """Whether `move_focuser` makes the imaging program's moves."""
        scheduler = self.scheduler
        return scheduler is not None and scheduler.compensates_program

    async def move_focuser(self, target: Position) -> bool:
        """Move the focuser for the imaging program; return False if the gateway has to pass the move on.

        Raises:
            AlpacaFocusError: The move failed, or the daemon has stopped.
        """
        scheduler = self.scheduler
        return scheduler is not None and await start_in_loop(self._loop, scheduler.move_for_program(target))

    def program_moves(self) -> None:
        """Report that the imaging program is moving the focuser."""
        self._soon(lambda scheduler: scheduler.program_moves())

    def program_has_moved(self, position: Position | None) -> None:
        """Report the position to which the imaging program has moved the focuser; `None`: unknown."""
        self._soon(lambda scheduler: scheduler.program_has_moved(position))

    def measure_frame(self, frame: LightFrame) -> None:
        """Measure a frame in the background, or skip it if the previous one is still being measured."""
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
        try:
            started_at, exposure_s = frame.started_at, frame.exposure_s
            taken = frame_of(frame.image.pixels, exposure_s=exposure_s, started_at=started_at, facts=frame.facts)
            ended_at = started_at + timedelta(seconds=exposure_s)
            measure_light_frame(
                taken, lambda hfd_px: self._soon(lambda night: night.requests.report_hfd(hfd_px, ended_at))
            )
        except Exception:  # noqa: BLE001 - the imaging program gets its frame in any case
            _log.exception("A light frame could not be measured")
        finally:
            frame.image.release()

    async def _request(self, request: Request) -> Mapping[str, object]:
        return await self._answer(request)

    async def _in_daemon(self, work: Callable[[RefocusScheduler], Awaitable[object]]) -> None:
        """Run work in the daemon's loop, if there is a scheduler; log an error, so that imaging continues."""

        async def with_scheduler() -> None:
            if (scheduler := self.scheduler) is not None:
                await work(scheduler)

        try:
            await start_in_loop(self._loop, with_scheduler())
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
