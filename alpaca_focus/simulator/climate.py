"""Air and tube: the temperatures of a simulated night. Pure."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Climate:
    """A night that cools towards dawn, and a tube that follows the air with a lag of the first order.

    The air falls from `start_c` by `fall_c` in the shape of 1 - exp(-t / fall_s); a body with time constant `lag_s`
    that was at `start_c` too follows it by the solution of dT/dt = (air - T) / lag_s.

    Attributes:
        start_c: Air and tube at the beginning, degrees Celsius.
        fall_c: How much colder the air becomes in the end.
        fall_s: Time constant of the air.
    """

    start_c: float
    fall_c: float
    fall_s: float

    def air_c(self, time_s: float) -> float:
        """Return the temperature of the air."""
        return self.start_c - self.fall_c * -math.expm1(-time_s / self.fall_s)

    def body_c(self, time_s: float, lag_s: float) -> float:
        """Return the temperature of something that follows the air with a lag."""
        if lag_s <= 0:
            return self.air_c(time_s)
        if math.isclose(lag_s, self.fall_s, rel_tol=1e-6):
            share = math.exp(-time_s / lag_s) * (1 + time_s / lag_s)
        else:
            air_part = self.fall_s * math.exp(-time_s / self.fall_s)
            share = (air_part - lag_s * math.exp(-time_s / lag_s)) / (self.fall_s - lag_s)
        return self.start_c - self.fall_c * (1 - share)
