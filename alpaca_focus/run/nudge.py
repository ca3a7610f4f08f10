"""A small move of the focuser and the way back, to see whether it moves; it always ends where it began."""

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

AT_START_STEPS = 1
"""A move is over within a step of its target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nudged:
    """The outcome of a small move and the way back.

    Attributes:
        start: The position before it.
        reached: The position at which it came to rest; `None`: it did not arrive.
        ended_at: The position afterwards; `None`: unknown.
        lasted_s: Duration of all of it.
        trouble: What went wrong on the way there; empty: nothing, or it was aborted.
        return_trouble: What went wrong on the way back; empty: nothing.
    """

    start: Position
    reached: Position | None
    ended_at: Position | None
    lasted_s: float
    trouble: str = ""
    return_trouble: str = ""

    @property
    def is_stranded(self) -> bool:
        """Whether the focuser is not back."""
        return self.ended_at is None or abs(self.ended_at - self.start) > AT_START_STEPS


@dataclass(frozen=True, slots=True, kw_only=True)
class Nudge:
    """How the focuser is moved.

    Attributes:
        focuser: Is moved.
        clock: Time.
        backlash: How the start is approached again.
        limits: No leg goes beyond them.
        restore_marker: Where it belongs, on disk while it is away.
    """

    focuser: Focuser
    clock: Clock
    backlash: Backlash
    limits: Limits
    restore_marker: RestoreMarker

    async def there_and_back(self, start: Position, target: Position, report: Callable[[Nudged], None]) -> None:
        """Go to a position and come back, whatever happens meanwhile.

        Args:
            start: Where it stands.
            target: Where it goes.
            report: Takes the outcome, also when the call is cancelled.

        Raises:
            asyncio.CancelledError: Cancelled; it was brought back first.
        """
        abort, trouble, reached = Abort(), "", None
        began_s = self.clock.monotonic()
        self.restore_marker.set(start)
        try:
            reached = await self.focuser.move_to(target)
        except DeviceError as error:
            trouble = str(error)
        except asyncio.CancelledError:
            abort.asked = True
        ended_at, return_trouble = await abort.see_through(self._come_back(start, has_moved=reached is not None))
        outcome = Nudged(
            start=start,
            reached=reached,
            ended_at=ended_at,
            lasted_s=self.clock.monotonic() - began_s,
            trouble=trouble,
            return_trouble=return_trouble,
        )
        if not outcome.is_stranded:
            self.restore_marker.clear()
        report(outcome)
        abort.check()

    async def _come_back(self, start: Position, *, has_moved: bool) -> tuple[Position | None, str]:
        """Return where it stands in the end, and why that is not the start, if it is not.

        It is tried patiently: the device may be restarting.
        """
        here, trouble = None, ""
        for pause_s in RESTORE_PAUSES_S:
            await self.clock.sleep(pause_s)
            try:
                here = None
                here = await self.focuser.position()
                if has_moved or here != start:
                    has_moved = True
                    await self._go(here, start)
                    here = await self.focuser.position()
                if abs(here - start) <= AT_START_STEPS:
                    return here, ""
            except DeviceError as error:
                trouble = str(error)
        return here, trouble

    async def _go(self, here: Position, start: Position) -> None:
        # The position that the device itself shows is what counts here, hence the overshoot.
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
            except DeviceMisbehaved:  # the start is the start, also with the slack on the other side
                continue
        if legs:
            await self.focuser.move_to(legs[-1])
