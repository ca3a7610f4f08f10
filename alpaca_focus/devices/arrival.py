"""Decides whether a move is over, from the positions and `IsMoving`. Pure.

The position decides. `IsMoving` is only a hint: some focusers never report true, and some never report false again
(decision 0024).
"""

from dataclasses import dataclass
from enum import Enum

from alpaca_focus.core.values import Position


class MoveProgress(Enum):
    """The state of a move."""

    UNDER_WAY = "under way"
    ARRIVED = "arrived"
    STOPPED_SHORT = "stopped short"
    STALLED = "stalled"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivalRules:
    """Tolerances for the end of a move.

    Attributes:
        tolerance_steps: Distance from the target at which a standing focuser has arrived.
        still_polls: Readings in a row that count as standing if `IsMoving` is false, at the target itself or, for a
            focuser that has reported moving, within the tolerance.
        disbelief_s: Time of standing at the target after which `IsMoving` true is ignored.
        start_patience_s: Time of standing elsewhere after which `IsMoving` false is believed: some focusers start
            half a second after the call.
        stall_timeout_s: Time without coming nearer to the target after which a move has failed.
    """

    tolerance_steps: int = 1
    still_polls: int = 2
    disbelief_s: float = 3.0
    start_patience_s: float = 2.5
    stall_timeout_s: float = 30.0


class MoveWatch:
    """Watches one move; all times are seconds of one clock."""

    def __init__(self, target: Position, start: Position, now_s: float, rules: ArrivalRules) -> None:
        self._target = target
        self._rules = rules
        self._position = start
        self._equal_readings = 0
        self._has_reported_moving = False
        self._still_since_s = now_s
        self._nearest_steps = abs(target - start)
        self._nearer_at_s = now_s

    def update(self, position: Position, now_s: float, *, is_moving: bool) -> MoveProgress:
        """Return the progress after one more reading of the focuser."""
        rules = self._rules
        distance_steps = abs(self._target - position)
        if position != self._position:
            self._position, self._still_since_s, self._equal_readings = position, now_s, 0
        self._equal_readings += 1
        if distance_steps < self._nearest_steps:
            self._nearest_steps, self._nearer_at_s = distance_steps, now_s
        still_s = now_s - self._still_since_s
        self._has_reported_moving |= is_moving
        near_steps = rules.tolerance_steps if self._has_reported_moving else 0
        if distance_steps <= near_steps and self._equal_readings >= rules.still_polls and not is_moving:
            return MoveProgress.ARRIVED
        if distance_steps <= rules.tolerance_steps:
            if still_s >= (rules.disbelief_s if is_moving else rules.start_patience_s):
                return MoveProgress.ARRIVED
        elif not is_moving and still_s >= rules.start_patience_s:
            return MoveProgress.STOPPED_SHORT
        if now_s - self._nearer_at_s >= rules.stall_timeout_s:
            return MoveProgress.STALLED
        return MoveProgress.UNDER_WAY


def legs(start: Position, target: Position, longest_steps: int) -> tuple[Position, ...]:
    """Split a move into successive target positions, none further than `longest_steps` from the one before."""
    if start == target or longest_steps <= 0:
        return (target,)
    step = longest_steps if target > start else -longest_steps
    return (*range(start + step, target, step), target)
