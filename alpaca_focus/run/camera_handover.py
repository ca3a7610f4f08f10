"""Camera handovers: a focus run lets the imaging program expose and continues at the next gap (decision 0019).

The imaging program's patience is limited. Before a step that would outlast it, the focuser is restored, so that images
are as good as before the run, the camera lease is released, and the run waits. The plan does not notice: afterwards the
focuser is where the plan expects it, with its slack on the same side.
"""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from alpaca_focus.core.errors import RunFailed
from alpaca_focus.core.events import CameraHandover, Event, Resumed
from alpaca_focus.core.sweep.backlash import Direction
from alpaca_focus.core.sweep.plan import Action, Expose, Measure, MoveTo, Settle
from alpaca_focus.core.sweep.reserve import Reserve
from alpaca_focus.core.values import Position
from alpaca_focus.ports import Clock
from alpaca_focus.run.camera_lease import CameraLease
from alpaca_focus.run.paused_guider import PausedGuider
from alpaca_focus.run.restore_path import Abort, RestorePath

LONGEST_HANDOVER_S = 1800.0
"""After a longer handover the samples are no longer valid: temperature and sky have changed."""

MOST_LATE_GAPS = 2
"""Accepted gaps in a row that end before an exposure has begun: the computer may be busy, or a device slow."""


@dataclass(slots=True, kw_only=True)
class CameraHandovers:
    """Hands the camera over before the imaging program's patience ends.

    Attributes:
        reserve: Estimates how long the next step may take.
        settle_s: Wait after the return to the sweep.
        still_valid: Returns why the samples are no longer valid, as a sentence; empty if they are.
        finish_frame: Waits for a frame that is still being downloaded and measured.
        without_camera_s: Total time for which the run had released the camera.
    """

    lease: CameraLease
    path: RestorePath
    guider: PausedGuider
    reserve: Reserve
    clock: Clock
    settle_s: float
    abort: Abort
    still_valid: Callable[[], Awaitable[str]]
    finish_frame: Callable[[], Awaitable[None]]
    emit: Callable[[Event], None]
    without_camera_s: float = field(default=0.0, init=False)
    _count: int = field(default=0, init=False)
    _has_exposed: bool = field(default=False, init=False)
    _most_left_s: float = field(default=0.0, init=False)
    _late_gaps: int = field(default=0, init=False)

    @property
    def summary(self) -> str:
        """A sentence on how often the run was interrupted; empty if it was not."""
        times = {1: "once", 2: "twice"}.get(self._count, f"{self._count} times")
        return f"The run was interrupted {times} for the imaging program." if self._count else ""

    def exposing(self, exposure_s: float) -> None:
        """Record that an exposure begins."""
        self._has_exposed = True
        self._late_gaps = 0
        self.reserve.exposing(exposure_s, self.clock.monotonic())

    async def make_room_for(self, action: Action) -> bool:
        """Hand the camera over if the imaging program would not wait for the end of an action.

        Afterwards the focuser is settled where the plan expects it; before a move, at a position from which that move
        leaves the slack as the plan expects.

        Returns:
            Whether the run was interrupted.

        Raises:
            RunFailed: The imaging program does not even wait for one exposure, or the samples are no longer valid.
            DeviceError: A device failed; the lease may be held or not.
        """
        rest_s = max(0.0, action.duration_s - self.settle_s) if isinstance(action, Settle) else 0.0
        self.reserve.rested(rest_s)
        if isinstance(action, Measure) or (isinstance(action, Settle) and rest_s == 0.0):
            return False
        was_interrupted = False
        while (left_s := self._left_s()) < (needed_s := self._needed_s(action) + rest_s):
            # A settling pause can be spent on a handover even before the gap has yielded an exposure.
            if not self._has_exposed and not isinstance(action, Settle):
                if left_s >= needed_s - self.reserve.guiding_s:
                    # Only the guider's settling would be cut short: better an unsettled guide star than no focus.
                    break
                self._late_gaps += 1
                if self._late_gaps > MOST_LATE_GAPS:
                    raise RunFailed(self._too_impatient(action, left_s, needed_s))
            await self._interrupt(action, left_s, needed_s)
            was_interrupted = True
            if isinstance(action, Settle):
                # The handover has lasted longer than the pause.
                break
        return was_interrupted

    def _left_s(self) -> float:
        left_s = self.lease.left_s
        if math.isfinite(left_s):
            self._most_left_s = max(self._most_left_s, left_s)
        return left_s

    def _needed_s(self, action: Action) -> float:
        target = action.position if isinstance(action, MoveTo) else None
        exposure_s = action.settings.exposure_s if isinstance(action, Expose) else None
        return self.reserve.needed_s(self.path.steps_away(self.path.here, target), exposure_s)

    def _too_impatient(self, action: Action, left_s: float, needed_s: float) -> str:
        what = f"an exposure of {action.settings.exposure_s:g} s" if isinstance(action, Expose) else "one exposure"
        return (
            f"The imaging program waits only {self._most_left_s:.0f} s for the camera ({max(0.0, left_s):.0f} s were "
            f"left), but {what} of the focus run takes up to {needed_s:.0f} s with its moves, its download and the "
            "restore. Choose a shorter focus.exposure_s, or a greater gateway.patience_s."
        )

    async def _interrupt(self, action: Action, left_s: float, needed_s: float) -> None:
        path = self.path
        here = path.here
        assert here is not None  # noqa: S101 - a move that left it unknown has ended the run
        # Before a move the slack must end up as that move would leave it, not as the last move did.
        target, direction = (
            (action.position, path.direction_to(action.position))
            if isinstance(action, MoveTo)
            else (here, path.last_direction)
        )
        self._count += 1
        self.emit(
            CameraHandover(number=self._count, restore_position=path.restore_position, left_s=left_s, needed_s=needed_s)
        )
        self.reserve.interrupted()
        lasted_s = await self._hand_over()
        if lasted_s > LONGEST_HANDOVER_S:
            raise RunFailed(
                f"The imaging program interrupted the run for {lasted_s / 60:.0f} min, longer than the "
                f"{LONGEST_HANDOVER_S / 60:.0f} min for which its frames are valid. Focus again in a longer gap."
            )
        if reason := await self.still_valid():
            raise RunFailed(f"The run could not continue after {lasted_s / 60:.0f} min of imaging: {reason}")
        await self.guider.pause()
        if path.has_moved:
            await self.return_to_sweep(target, direction, but_last_leg=isinstance(action, MoveTo))
        self._has_exposed = False
        self.emit(Resumed(number=self._count, position=path.here or target, lasted_s=lasted_s))

    async def _hand_over(self) -> float:
        """Release the lease, acquire it at the next gap, and return the seconds in between."""
        # Order: restore first (the shutter is closed, a frame may still be read out), then the frame, the camera's
        # settings and guiding; only then is the camera ready for the imaging program.
        if self.path.has_moved:
            await self.path.restore()
        await self.finish_frame()
        await self.lease.restore_settings()
        began_s = self.clock.monotonic()
        await self.guider.resume(within_s=self.lease.left_s)
        self.reserve.guided(self.clock.monotonic() - began_s)
        self.abort.check()
        began_s = self.clock.monotonic()
        await self.lease.release()
        self.abort.check()
        await self.lease.acquire()
        lasted_s = self.clock.monotonic() - began_s
        self.without_camera_s += lasted_s
        return lasted_s

    async def return_to_sweep(self, target: Position, direction: Direction, *, but_last_leg: bool = False) -> None:
        """Move to where the plan expects the focuser; `but_last_leg` leaves the last leg to the plan's own move."""
        legs = await self.path.legs_back(target, direction)
        for leg in legs[:-1] if but_last_leg else legs:
            await self.path.move(leg)
        if not but_last_leg:
            await self.clock.sleep(self.settle_s)
