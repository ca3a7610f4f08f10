"""Temperatures of a simulated night: air, tube and the camera's sensor. Pure."""

import math
from collections.abc import Callable
from dataclasses import dataclass

TIME_CONSTANT_S = 60.0
DEEPEST_C = 40.0
"""Cooling below the temperature of the air at full power, degrees Celsius."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Climate:
    """A night that cools towards dawn, and a tube that follows the air with a lag of the first order.

    The air falls from `start_c` by `fall_c` in the shape of 1 - exp(-t / fall_s); a body with time constant `lag_s`
    that was at `start_c` too follows it by the solution of dT/dt = (air - T) / lag_s.
    """

    start_c: float
    fall_c: float
    fall_s: float

    def air_c(self, time_s: float) -> float:
        """Return the temperature of the air."""
        return self.start_c - self.fall_c * -math.expm1(-time_s / self.fall_s)

    def body_c(self, time_s: float, lag_s: float) -> float:
        """Return the temperature of a body that follows the air with a lag."""
        if lag_s <= 0:
            return self.air_c(time_s)
        if math.isclose(lag_s, self.fall_s, rel_tol=1e-6):
            share = math.exp(-time_s / lag_s) * (1 + time_s / lag_s)
        else:
            air_part = self.fall_s * math.exp(-time_s / self.fall_s)
            share = (air_part - lag_s * math.exp(-time_s / lag_s)) / (self.fall_s - lag_s)
        return self.start_c - self.fall_c * (1 - share)


class SimulatedCooler:
    """A sensor that approaches its target, or the temperature of the air, with a lag of the first order."""

    def __init__(self, ambient_c: Callable[[], float], now_s: Callable[[], float]) -> None:
        self._ambient_c = ambient_c
        self._now_s = now_s
        self.is_on = False
        self.target_c = -10.0
        self._from_c = ambient_c()
        self._since_s = now_s()

    def switch(self, *, on: bool) -> None:
        """Switch cooling on or off."""
        self._hold()
        self.is_on = on

    def aim(self, target_c: float) -> None:
        """Set the temperature to cool to."""
        self._hold()
        self.target_c = target_c

    def sensor_c(self) -> float:
        """Return the temperature of the sensor."""
        goal_c = self._goal_c()
        return goal_c + (self._from_c - goal_c) * math.exp(-(self._now_s() - self._since_s) / TIME_CONSTANT_S)

    def power_percent(self) -> float:
        """Return the power that holds the present temperature."""
        if not self.is_on:
            return 0.0
        return min(max((self._ambient_c() - self._goal_c()) / DEEPEST_C, 0.0), 1.0) * 100

    def heat_sink_c(self) -> float:
        """Return the temperature of the heat sink."""
        return self._ambient_c() + 0.08 * self.power_percent()

    def _goal_c(self) -> float:
        if not self.is_on:
            return self._ambient_c()
        return min(max(self.target_c, self._ambient_c() - DEEPEST_C), self._ambient_c())

    def _hold(self) -> None:
        self._from_c, self._since_s = self.sensor_c(), self._now_s()
