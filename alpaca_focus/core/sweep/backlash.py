"""Approach to a position so that the focuser's backlash does not matter.

A focuser with backlash loses steps whenever it changes direction. With the `overshoot` method every target is reached
in the same direction, so that the backlash is always taken up on the same side: a move against that direction goes past
the target by `steps` and comes back. `steps` must be at least the mechanical backlash; more does no harm.

With the `absolute` method a move against the direction of arrival goes further by `steps` and stays there. Targets are
then the positions reached in the direction of arrival; `steps` must be the mechanical backlash exactly.
"""

from dataclasses import dataclass
from enum import StrEnum

from alpaca_focus.core.values import Position


class Direction(StrEnum):
    """Direction of travel: out raises the position, in lowers it."""

    IN = "in"
    OUT = "out"

    @property
    def sign(self) -> int:
        """+1 for out, -1 for in."""
        return 1 if self is Direction.OUT else -1


class ApproachMethod(StrEnum):
    """How backlash is compensated."""

    OVERSHOOT = "overshoot"
    ABSOLUTE = "absolute"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlash:
    """Compensation of backlash by `steps`, 0 for none, arriving in the direction `arrive`."""

    steps: int
    arrive: Direction
    method: ApproachMethod = ApproachMethod.OVERSHOOT


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Lowest and highest position the focuser may be sent to, both allowed."""

    lowest: Position
    highest: Position

    def clamp(self, position: Position) -> Position:
        """Return the nearest allowed position."""
        return min(max(position, self.lowest), self.highest)


def reachable(limits: Limits, backlash: Backlash) -> Limits:
    """Return the targets that can be approached with the full overshoot, within the limits."""
    if backlash.arrive is Direction.IN:
        return Limits(lowest=limits.lowest, highest=max(limits.lowest, limits.highest - backlash.steps))
    return Limits(lowest=min(limits.highest, limits.lowest + backlash.steps), highest=limits.highest)


def approach(
    current: Position, target: Position, *, backlash: Backlash, limits: Limits, backlash_taken_up: bool
) -> tuple[Position, ...]:
    """Return the legs from one position to another; none if the focuser is there with its backlash taken up.

    Args:
        current: The last target, or the start.
        target: Where to come to rest; with the absolute method as counted in the direction of arrival.
        backlash: The steps lost at a reversal, and how they are compensated.
        limits: No leg goes beyond them; near a limit the overshoot is cut short.
        backlash_taken_up: Whether the last movement was in the direction of arrival.
    """
    travel = (target - current) * backlash.arrive.sign
    turning_point = limits.clamp(target - backlash.arrive.sign * backlash.steps)
    if backlash.method is ApproachMethod.ABSOLUTE:
        return () if travel == 0 else (target,) if travel > 0 else (turning_point,)
    if travel == 0 and backlash_taken_up:
        return ()
    if backlash.steps == 0 or (travel > 0 and backlash_taken_up) or travel >= backlash.steps:
        return (target,)
    return (target,) if turning_point in {current, target} else (turning_point, target)
