"""The focuser's way in a run: away from where it belongs, back to it, and out again after a handover."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from alpaca_focus.core.errors import DeviceMisbehaved
from alpaca_focus.core.events import Event, Moved
from alpaca_focus.core.sweep.backlash import ApproachMethod, Backlash, Direction, approach
from alpaca_focus.core.sweep.plan import SweepSettings
from alpaca_focus.core.sweep.reserve import Reserve
from alpaca_focus.core.sweep.sampler import generous_overshoot_steps
from alpaca_focus.core.values import Position
from alpaca_focus.ports import Clock, Focuser
from alpaca_focus.run.restore_marker import RestoreMarker


class RestorePath:
    """Moves the focuser of a run, and knows the way back to where it belongs.

    Args:
        focuser: Is moved.
        clock: Time.
        settings: How positions are approached, and the limits.
        start: Where it stands.
        restore_marker: Keeps on disk where it belongs, from before the first move.
        reserve: Learns how long moves take.
        note: Adds a trouble that stops nothing to the result.
        emit: Publishes every move.

    Attributes:
        start: As given.
        restore_position: Where it belongs: the start, or where a run that was cut off had started.
        here: Where it stands; `None` where that is not known.
        last_direction: Of the last move, as the slack remembers it.
        has_moved: Whether it was moved in this run at all.
        has_moved_since: Whether it was moved since this was last set to False.
    """

    def __init__(
        self,
        focuser: Focuser,
        clock: Clock,
        settings: SweepSettings,
        *,
        start: Position,
        restore_marker: RestoreMarker,
        reserve: Reserve,
        note: Callable[[str], None],
        emit: Callable[[Event], None],
    ) -> None:
        self._focuser = focuser
        self._clock = clock
        self._settings = settings
        self._restore_marker = restore_marker
        self._reserve = reserve
        self._note = note
        self._emit = emit
        left_behind = restore_marker.left_by_interrupted_run()
        self.start = start
        self.restore_position = start if left_behind is None else left_behind
        self.here: Position | None = start
        self.last_direction = settings.backlash.arrive
        self.has_moved = False
        self.has_moved_since = False
        self._is_restored = self.restore_position == start

    @property
    def restore_place(self) -> str:
        """The restore position in words."""
        return "where it started" if self.restore_position == self.start else "where a run that was cut off had started"

    def steps_away(self, *positions: Position | None) -> int:
        """Return how far the farthest of some positions is from the restore position."""
        return max(
            abs(each - self.restore_position) for each in (*positions, self.restore_position) if each is not None
        )

    async def move(self, position: Position) -> Position:
        """Go to a position in one leg, and return where the focuser came to rest."""
        if not self.has_moved:
            self._restore_marker.set(self.restore_position)
        before, began_s = self.here, self._clock.monotonic()
        self.has_moved = self.has_moved_since = True
        self._is_restored = False
        self.last_direction = self.direction_to(position)
        self.here = None
        self.here = await self._focuser.move_to(position)
        if before is not None:
            self._reserve.moved(abs(self.here - before), self._clock.monotonic() - began_s)
        self._emit(Moved(position=self.here, target=position))
        return self.here

    def direction_to(self, position: Position) -> Direction:
        """Return in which direction the slack is taken up after a move to a position."""
        if self.here is None or position == self.here:
            return self.last_direction
        return Direction.OUT if position > self.here else Direction.IN

    async def restore(self) -> None:
        """Go where the focuser belongs, unless it has been restored already and stayed there."""
        self.here = await self._focuser.position()
        if self._is_restored and self.here == self.restore_position:
            return
        # The position the device itself shows is what counts here, hence the overshoot.
        legs = self._legs(self.restore_position, replace(self._settings.backlash, method=ApproachMethod.OVERSHOOT))
        for leg in legs[:-1]:
            try:
                await self.move(leg)
            except DeviceMisbehaved as error:
                # The position counts, also with the slack on the other side.
                self._note(f"On the way back the slack could not be taken up: {error}")
        if legs:
            await self.move(legs[-1])
        self._is_restored = True

    async def legs_back(self, position: Position, direction: Direction) -> tuple[Position, ...]:
        """Return the legs that put the focuser at a position with its slack taken up in a direction.

        The plan relies on the slack as the last move before the handover left it: in the direction of arrival with the
        overshoot method, against it after a reversal with the absolute one.
        """
        self.here = await self._focuser.position()
        generous = Backlash(steps=generous_overshoot_steps(self._settings), arrive=direction)
        return self._legs(position, generous)

    def _legs(self, target: Position, backlash: Backlash) -> tuple[Position, ...]:
        assert self.here is not None  # noqa: S101 - it was just asked for
        return approach(self.here, target, backlash=backlash, limits=self._settings.limits, backlash_taken_up=False)


T = TypeVar("T")


class Abort:
    """Whether a run was asked to stop.

    Attributes:
        asked: Whether it was, once or many times.
    """

    def __init__(self) -> None:
        self.asked = False

    def check(self) -> None:
        """Stop here if the run was asked to.

        Raises:
            asyncio.CancelledError: It was.
        """
        if self.asked:
            raise asyncio.CancelledError

    async def see_through(self, work: Coroutine[Any, Any, T]) -> T:
        """Carry something out to its end even when asked to stop meanwhile; that is noted."""
        task = asyncio.create_task(work)
        while not task.done():
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError:
                self.asked = True
        return task.result()
