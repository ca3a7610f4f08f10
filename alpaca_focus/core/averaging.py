"""Readings of a thermometer: which of them are believed, and their average over a window."""

import math
import statistics
from dataclasses import dataclass, replace

from alpaca_focus.core.robust import robust_sigma
from alpaca_focus.core.temperature import plausible_temperature_c

LARGEST_JUMP_C = 5.0
"""Between two readings; air under the open sky does not change faster."""
ALIKE_C = 1.0
BELIEVED_AFTER = 6
"""Readings in a row, alike, after which a jump is believed: the sensor was plugged in elsewhere."""
OUTLIER_SIGMAS = 3.0
LEAST_SCATTER_C = 0.1


@dataclass(frozen=True, slots=True)
class Sieve:
    """What the believed readings have been so far.

    Attributes:
        last_c: The last one believed; `None`: none yet.
        doubted_c: Readings since then, alike, that were not.
        trouble: Why the latest one was not believed; empty when it was.
        ignored: How many were not.
    """

    last_c: float | None = None
    doubted_c: tuple[float, ...] = ()
    trouble: str = ""
    ignored: int = 0

    def take(self, reading_c: float | None) -> "Sieve":
        """Believe a reading, or say in `trouble` why not."""
        if reading_c is None or math.isnan(reading_c):
            return replace(self, trouble="the thermometer gives no reading", ignored=self.ignored + 1)
        if plausible_temperature_c(reading_c) is None:
            return replace(
                self, trouble=f"the thermometer says {reading_c:g} degrees, which is nonsense", ignored=self.ignored + 1
            )
        if self.last_c is None or abs(reading_c - self.last_c) <= LARGEST_JUMP_C:
            return Sieve(last_c=reading_c, ignored=self.ignored)
        alike = all(abs(reading_c - each) <= ALIKE_C for each in self.doubted_c)
        doubted = (*self.doubted_c, reading_c) if alike else (reading_c,)
        if len(doubted) >= BELIEVED_AFTER:
            return Sieve(last_c=reading_c, ignored=self.ignored)
        return Sieve(
            last_c=self.last_c,
            doubted_c=doubted,
            trouble=f"the temperature jumped from {self.last_c:.1f} to {reading_c:.1f} degrees",
            ignored=self.ignored + 1,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Readings averaged over a window, which begins anew when it is full.

    Attributes:
        readings_c: Those of the window that is being filled.
        mean_c: Average of the last full window; `None`: none has been full.
        filled: How many windows have been full.
    """

    readings_c: tuple[float, ...] = ()
    mean_c: float | None = None
    filled: int = 0

    def take(self, reading_c: float, *, size: int) -> "Window":
        """Add a reading to a window of `size` readings."""
        readings = (*self.readings_c, reading_c)
        if len(readings) < size:
            return replace(self, readings_c=readings)
        return Window(readings_c=(), mean_c=steady_mean(readings), filled=self.filled + 1)

    @property
    def latest_c(self) -> float | None:
        """Average of the last full window, or of what there is before one is full; `None`: nothing."""
        if self.mean_c is not None:
            return self.mean_c
        return steady_mean(self.readings_c) if self.readings_c else None


def steady_mean(readings: tuple[float, ...]) -> float:
    """Return the mean of the readings without those that a gust of wind has moved away from the others."""
    middle = statistics.median(readings)
    limit = OUTLIER_SIGMAS * max(robust_sigma(readings, middle), LEAST_SCATTER_C)
    return statistics.fmean(each for each in readings if abs(each - middle) <= limit)
