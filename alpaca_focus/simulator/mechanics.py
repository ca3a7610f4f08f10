"""Mechanics of the simulated focuser, a motor that drags a tube with backlash, and of the filter wheel. Pure."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """A motion of the motor at constant speed, in steps; `began_s` includes any delay."""

    began_s: float
    origin: float
    destination: float
    speed_steps_per_s: float

    def motor(self, time_s: float) -> float:
        """Return the motor's position."""
        distance = self.destination - self.origin
        moved = min(abs(distance), max(0.0, time_s - self.began_s) * self.speed_steps_per_s)
        return self.origin + math.copysign(moved, distance)


class Mechanism:
    """A motor and a tube with backlash between them; times must not go backwards."""

    def __init__(self, position: int, backlash_steps: float, speed_steps_per_s: float) -> None:
        self._backlash_steps = backlash_steps
        self._speed_steps_per_s = speed_steps_per_s
        self._tube = float(position)
        self._motion = Motion(began_s=0.0, origin=position, destination=position, speed_steps_per_s=speed_steps_per_s)

    def start(self, destination: float, time_s: float, *, delay_s: float = 0.0) -> None:
        """Start a motion of the motor to a position."""
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
        """Return the tube's position in motor steps, which decides the focus.

        The motor pushes the tube only at the ends of the slack (the play operator): moving out, the tube is at the
        motor's position; moving in, it is behind by the backlash; in between it stays.
        """
        motor = self._motion.motor(time_s)
        return min(max(self._tube, motor), motor + self._backlash_steps)

    def is_moving(self, time_s: float) -> bool:
        """Return whether the motor is moving."""
        return self._motion.motor(time_s) != self._motion.destination


class Wheel:
    """A filter wheel that takes the same time for each slot; times must not go backwards."""

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
        """Return whether the wheel is turning."""
        return time_s < self._arrives_s

    def slot(self, time_s: float) -> int:
        """Return the slot of the current filter: while turning, the one before the turn."""
        return self._origin if self.is_turning(time_s) else self.target
