"""The doctor's test move: the focuser goes a few steps away and returns to its start, whatever happens."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from alpaca_focus.core.errors import DeviceError, DeviceMisbehaved
from alpaca_focus.core.sweep.backlash import ApproachMethod, Backlash, Limits, approach
from alpaca_focus.core.values import Position
from alpaca_focus.ports import Clock, Focuser
from alpaca_focus.run.restore_marker import RestoreMarker
from alpaca_focus.run.restore_path import Abort
from alpaca_focus.run.runner import RESTORE_PAUSES_S


@dataclass(frozen=True, slots=True, kw_only=True)
class NudgeResult:
    """The outcome of a test move.

    Attributes:
        reached: The position near the target at which the focuser stopped; `None`: it did not arrive.
        ended_at: The position after the return; `None`: unknown.
        lasted_s: Duration of both moves.
        tolerance_steps: Distance from the start that still counts as the start.
        problem: The error on the way out; empty if there was none, or on an abort.
        return_problem: The error on the way back; empty if there was none.
    """

    start: Position
    reached: Position | None
    ended_at: Position | None
    lasted_s: float
    tolerance_steps: int = 1
    problem: str = ""
    return_problem: str = ""

    @property
    def is_stranded(self) -> bool:
        """Whether the focuser did not return to its start."""
        return self.ended_at is None or abs(self.ended_at - self.start) > self.tolerance_steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Nudge:
    """Carries out a test move.

    Attributes:
        backlash: How the start is approached on the way back.
        restore_marker: Set while the focuser is away from its start.
    """

    focuser: Focuser
    clock: Clock
    backlash: Backlash
    limits: Limits
    restore_marker: RestoreMarker

    async def there_and_back(self, start: Position, target: Position, report: Callable[[NudgeResult], None]) -> None:
        """Move to a position and back, also after an error or a cancellation.

        Args:
            start: The current position.
            target: The position to move to.
            report: Called with the outcome, also when the call is cancelled.

        Raises:
            asyncio.CancelledError: Cancelled; the focuser was returned first.
        """
        abort, problem, reached = Abort(), "", None
        began_s = self.clock.monotonic()
        self.restore_marker.set(start)
        try:
            reached = await self.focuser.move_to(target)
        except DeviceError as error:
            problem = str(error)
        except asyncio.CancelledError:
            abort.requested = True
        ended_at, return_problem = await abort.shield(self._come_back(start, has_moved=reached is not None))
        outcome = NudgeResult(
            start=start,
            reached=reached,
            ended_at=ended_at,
            lasted_s=self.clock.monotonic() - began_s,
            tolerance_steps=self.focuser.info.tolerance_steps,
            problem=problem,
            return_problem=return_problem,
        )
        if not outcome.is_stranded:
            self.restore_marker.clear()
        report(outcome)
        abort.check()

    async def _come_back(self, start: Position, *, has_moved: bool) -> tuple[Position | None, str]:
        """Return the final position and, if it is not the start, the reason."""
        here, problem = None, ""
        for pause_s in RESTORE_PAUSES_S:
            await self.clock.sleep(pause_s)
            try:
                here = None
                here = await self.focuser.position()
                if has_moved or here != start:
                    has_moved = True
                    await self._go(here, start)
                    here = await self.focuser.position()
                if abs(here - start) <= self.focuser.info.tolerance_steps:
                    return here, ""
            except DeviceError as error:
                problem = str(error)
        return here, problem

    async def _go(self, here: Position, start: Position) -> None:
        # Overshoot whatever the settings: the restore marker and the report refer to the device's own position.
        legs = approach(
            here,
            start,
            backlash=replace(self.backlash, method=ApproachMethod.OVERSHOOT),
            limits=self.limits,
            backlash_taken_up=False,
        )
        for leg in legs[:-1]:
            try:
                await self.focuser.move_to(leg)
            except DeviceMisbehaved:  # the last leg still reaches the start, if with the slack on the other side
                continue
        if legs:
            await self.focuser.move_to(legs[-1])
