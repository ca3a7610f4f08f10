"""Whether a move is over, from positions and the device's word about moving. Pure.

Position is what counts. `IsMoving` is only a hint: there are focusers that never say true, and some that never say
false again.
"""

from dataclasses import dataclass
from enum import Enum

from alpaca_focus.core.values import Position


class Progress(Enum):
    """What can be said of a move."""

    UNDER_WAY = "under way"
    ARRIVED = "arrived"
    STOPPED_SHORT = "stopped short"
    STALLED = "stalled"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivalRules:
    """How a move is judged.

    Attributes:
        tolerance_steps: Distance from the target at which a rest counts as arrival.
        still_polls: Readings in a row of the target itself that count as rest, if the device agrees.
        disbelief_s: Time of rest at the target after which a device that still says it is moving is not believed.
        start_patience_s: Time of rest elsewhere after which a device that says it is not moving is believed: a move
            may begin late.
        stall_timeout_s: Time without coming nearer to the target after which a move has failed.
    """

    tolerance_steps: int = 1
    still_polls: int = 2
    disbelief_s: float = 3.0
    start_patience_s: float = 2.5
    stall_timeout_s: float = 30.0


class MoveWatch:
    """Follows one move; all times are seconds of one clock."""

    def __init__(self, target: Position, start: Position, now_s: float, rules: ArrivalRules) -> None:
        self._target = target
        self._rules = rules
        self._position = start
        self._equal_readings = 0
        self._still_since_s = now_s
        self._nearest_steps = abs(target - start)
        self._nearer_at_s = now_s

    def update(self, position: Position, now_s: float, *, is_moving: bool) -> Progress:
        """Take one reading of the focuser and judge."""
        rules = self._rules
        distance_steps = abs(self._target - position)
        if position != self._position:
            self._position, self._still_since_s, self._equal_readings = position, now_s, 0
        self._equal_readings += 1
        if distance_steps < self._nearest_steps:
            self._nearest_steps, self._nearer_at_s = distance_steps, now_s
        still_s = now_s - self._still_since_s
        if distance_steps == 0 and self._equal_readings >= rules.still_polls and not is_moving:
            return Progress.ARRIVED
        if distance_steps <= rules.tolerance_steps and still_s >= self._patience_s(is_moving=is_moving):
            return Progress.ARRIVED
        if distance_steps > rules.tolerance_steps and not is_moving and still_s >= rules.start_patience_s:
            return Progress.STOPPED_SHORT
        if now_s - self._nearer_at_s >= rules.stall_timeout_s:
            return Progress.STALLED
        return Progress.UNDER_WAY

    def _patience_s(self, *, is_moving: bool) -> float:
        return self._rules.disbelief_s if is_moving else self._rules.start_patience_s


def legs(start: Position, target: Position, longest_steps: int) -> tuple[Position, ...]:
    """Split a move into positions to go to one after the other, none further than `longest_steps` from the last."""
    if start == target or longest_steps <= 0:
        return (target,)
    step = longest_steps if target > start else -longest_steps
    return (*range(start + step, target, step), target)
