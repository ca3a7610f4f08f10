"""The mechanics of the simulated focuser, a motor that drags a tube along with slack, and of the filter wheel. Pure."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """One motion of the motor from a place to another at constant speed.

    Attributes:
        began_s: Time at which the motor starts, after any delay.
        origin: Where it was.
        destination: Where it stops.
        speed_steps_per_s: Its speed.
    """

    began_s: float
    origin: float
    destination: float
    speed_steps_per_s: float

    def motor(self, time_s: float) -> float:
        """Return where the motor is."""
        way = self.destination - self.origin
        moved = min(abs(way), max(0.0, time_s - self.began_s) * self.speed_steps_per_s)
        return self.origin + math.copysign(moved, way)

    def is_over(self, time_s: float) -> bool:
        """Tell whether the motor has come to rest."""
        return self.motor(time_s) == self.destination


def drag(tube: float, motor: float, backlash_steps: float) -> float:
    """Return where the tube is after the motor came to `motor` on a straight way.

    The motor pushes the tube only at the ends of the slack (the play operator): moving out the tube is at the motor's
    position, moving in it is behind by the backlash, and in between it stays.

    Args:
        tube: Where the tube was, in motor steps.
        motor: Where the motor is now.
        backlash_steps: Width of the slack.
    """
    return min(max(tube, motor), motor + backlash_steps)


class Mechanism:
    """A motor and a tube; times must not go backwards."""

    def __init__(self, position: int, backlash_steps: float, speed_steps_per_s: float) -> None:
        self._backlash_steps = backlash_steps
        self._speed_steps_per_s = speed_steps_per_s
        self._tube = float(position)
        self._motion = Motion(began_s=0.0, origin=position, destination=position, speed_steps_per_s=speed_steps_per_s)

    def start(self, destination: float, time_s: float, *, delay_s: float = 0.0) -> None:
        """Send the motor from where it is now to a place."""
        self._tube = self.tube(time_s)
        self._motion = Motion(
            began_s=time_s + delay_s,
            origin=self._motion.motor(time_s),
            destination=destination,
            speed_steps_per_s=self._speed_steps_per_s,
        )

    def stop(self, time_s: float) -> None:
        """Stop the motor where it is."""
        self.start(round(self._motion.motor(time_s)), time_s)

    def position(self, time_s: float) -> int:
        """Return the motor's position, which is what the focuser reports."""
        return round(self._motion.motor(time_s))

    def tube(self, time_s: float) -> float:
        """Return the tube's position in motor steps, which is what the light sees."""
        return drag(self._tube, self._motion.motor(time_s), self._backlash_steps)

    def is_moving(self, time_s: float) -> bool:
        """Tell whether the motor is on its way."""
        return not self._motion.is_over(time_s)


class Wheel:
    """A filter wheel that takes the same time for each slot; times must not go backwards.

    Attributes:
        target: The slot that it stands at or turns to.
    """

    def __init__(self, slot: int, seconds_per_slot: float) -> None:
        self.target = slot
        self._origin = slot
        self._arrives_s = 0.0
        self._seconds_per_slot = seconds_per_slot

    def turn(self, slot: int, time_s: float) -> None:
        """Turn to a slot."""
        self._origin, self.target = self.slot(time_s), slot
        self._arrives_s = time_s + self._seconds_per_slot * abs(slot - self._origin)

    def is_turning(self, time_s: float) -> bool:
        """Tell whether it is on its way."""
        return time_s < self._arrives_s

    def slot(self, time_s: float) -> int:
        """Return the slot whose filter is in the light: the one it comes from until it arrives."""
        return self._origin if self.is_turning(time_s) else self.target
