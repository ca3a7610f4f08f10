"""The focuser's moves in a run: the sweep, the restore path to where it belongs, the return after a handover."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from alpaca_focus.core.errors import DeviceMisbehaved, RunFailed
from alpaca_focus.core.events import Event, Moved
from alpaca_focus.core.sweep.backlash import ApproachMethod, Backlash, Direction, approach
from alpaca_focus.core.sweep.plan import SweepSettings
from alpaca_focus.core.sweep.reserve import Reserve
from alpaca_focus.core.sweep.sampler import generous_overshoot_steps
from alpaca_focus.core.values import Position
from alpaca_focus.devices.arrival import ArrivalRules
from alpaca_focus.ports import Clock, Focuser
from alpaca_focus.run.restore_marker import RestoreMarker, is_within_reach

AT_REST_S = 0.5
"""Clock seconds between two readings that agree when the focuser stands still."""
LONGEST_MOTION_S = 60.0


@dataclass(kw_only=True)
class RestorePath:
    """Moves the focuser of a run and restores it.

    Attributes:
        restore_marker: Set before the first move.
        reserve: Learns how long moves take.
        note: Adds a sentence to the result.
        restore_position: Where the focuser belongs: the start, or the start of an earlier run that a crash interrupted.
        here: The current position; `None` if a failed move left it unknown.
        last_direction: The direction in which the last move took up the slack.
        has_moved: Whether the run has moved the focuser.
        has_moved_since: Whether the focuser has moved since the last exposure; the runner resets it.
    """

    focuser: Focuser
    clock: Clock
    settings: SweepSettings
    start: Position
    restore_marker: RestoreMarker
    reserve: Reserve
    note: Callable[[str], None]
    emit: Callable[[Event], None]

    def __post_init__(self) -> None:
        """Begin at the start; the restore position may be that of an interrupted run."""
        left_behind = self.restore_marker.left_by_interrupted_run(self.start)
        self.restore_position = self.start if left_behind is None else left_behind
        self.here: Position | None = self.start
        self.last_direction = self.settings.backlash.arrive
        self.has_moved = self.has_moved_since = False
        self._restored_at = self.start if self.restore_position == self.start else None
        self._rest_error_steps = 0
        self._reach = (min(self.start, self.restore_position), max(self.start, self.restore_position))

    @property
    def restored_place(self) -> str:
        """Where the restored focuser stands, in words."""
        here = self.restore_position if self.here is None else self.here
        off_steps = abs(here - self.restore_position)
        home = "where it started" if self.restore_position == self.start else "where an interrupted run had started"
        return f"position {here}, {f'{off_steps} steps from ' if off_steps else ''}{home}"

    def steps_away(self, *positions: Position | None) -> int:
        """Return the largest distance of the given positions from the restore position."""
        return max(
            abs(each - self.restore_position) for each in (*positions, self.restore_position) if each is not None
        )

    async def move(self, position: Position) -> Position:
        """Move to a position in one leg and return the position reached."""
        if not self.has_moved or not is_within_reach(position, self._reach):
            # Also how far it goes, so that a focuser that has lost its zero meanwhile is not sent to a wrong place.
            self._reach = (min(position, self._reach[0]), max(position, self._reach[1]))
            self.restore_marker.set(self.restore_position, reach=self._reach)
        before, began_s = self.here, self.clock.monotonic()
        self.has_moved = self.has_moved_since = True
        self._restored_at = None
        self.last_direction = self.direction_to(position)
        # Unknown until the move has ended well: a failed or cancelled one may stop anywhere.
        self.here = None
        self.here = await self.focuser.move_to(position)
        if before is not None:
            self.reserve.moved(abs(self.here - before), self.clock.monotonic() - began_s)
        if self.last_direction is self.settings.backlash.arrive:
            self._rest_error_steps = self.here - position
        self.emit(Moved(position=self.here, target=position))
        return self.here

    def direction_to(self, position: Position) -> Direction:
        """Return the direction in which a move to a position leaves the slack."""
        if self.here is None or position == self.here:
            return self.last_direction
        return Direction.OUT if position > self.here else Direction.IN

    async def restore(self) -> None:
        """Move to the restore position, unless the focuser has been restored already and not moved since."""
        self.here = await self.focuser.position()
        if self.here == self._restored_at:
            return
        # Overshoot whatever the settings: images were good at the device's own position, reached from this side.
        # A focuser that always stops a little short would otherwise creep away from home with every failed run.
        target = self.settings.limits.clamp(self.restore_position - self._rest_error_steps)
        legs = self._legs(target, replace(self.settings.backlash, method=ApproachMethod.OVERSHOOT))
        for leg in legs[:-1]:
            try:
                await self.move(leg)
            except DeviceMisbehaved as error:
                # The first leg only takes up the slack; the last one still reaches the position.
                self.note(f"The backlash could not be taken up on the way back: {error}")
        if legs:
            await self.move(legs[-1])
        self._restored_at = self.here

    async def legs_back(self, position: Position, direction: Direction) -> tuple[Position, ...]:
        """Return the legs to a position that leave the slack taken up in a direction.

        The plan relies on the slack as the last move before the handover left it: in the direction of arrival with the
        overshoot method, against it after a reversal with the absolute one.
        """
        self.here = await self.focuser.position()
        generous = Backlash(steps=generous_overshoot_steps(self.settings), arrive=direction)
        return self._legs(position, generous)

    def _legs(self, target: Position, backlash: Backlash) -> tuple[Position, ...]:
        assert self.here is not None  # noqa: S101 - both callers have just read it
        return approach(self.here, target, backlash=backlash, limits=self.settings.limits, backlash_taken_up=False)


async def position_at_rest(focuser: Focuser, clock: Clock) -> Position:
    """Return the position once the focuser stands still.

    Raises:
        DeviceError: It does not answer.
        RunFailed: It still moves after `LONGEST_MOTION_S`.
    """
    before, began_s = await focuser.position(), clock.monotonic()
    still_since_s = began_s
    while (now_s := clock.monotonic()) - began_s < LONGEST_MOTION_S:
        await clock.sleep(AT_REST_S)
        is_moving, here = await focuser.is_moving(), await focuser.position()
        if here != before:
            before, still_since_s = here, now_s
        elif not is_moving or now_s - still_since_s >= ArrivalRules().disbelief_s:
            return here
    raise RunFailed(
        f"{focuser.name} is still being moved by others after {LONGEST_MOTION_S:.0f} s. The run has moved nothing."
    )


T = TypeVar("T")


class Abort:
    """A request to abort a run; `shield` delays it while the focuser is restored.

    Attributes:
        requested: Whether the run has to end; it stays true.
    """

    def __init__(self) -> None:
        self.requested = False

    def check(self) -> None:
        """End the run here if an abort was requested.

        Raises:
            asyncio.CancelledError: It was.
        """
        if self.requested:
            raise asyncio.CancelledError

    async def shield(self, work: Coroutine[Any, Any, T]) -> T:
        """Await work to its end; a cancellation meanwhile is recorded as `requested`, however often it comes."""
        task = asyncio.create_task(work)
        while not task.done():
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError:
                self.requested = True
        return task.result()
