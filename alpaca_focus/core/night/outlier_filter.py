"""Thermometer readings: an outlier filter, and averages over windows."""

import math
import statistics
from dataclasses import dataclass, replace

from alpaca_focus.core.night.save_marks import AtOnce
from alpaca_focus.core.robust import robust_sigma
from alpaca_focus.core.temperature import plausible_temperature_c

LARGEST_JUMP_C = 5.0
"""Largest change between two readings; outdoor air does not change faster."""
ALIKE_C = 1.0
"""Rejected readings this close to each other may be a real new level; a flickering sensor never stays within it."""
ACCEPTED_AFTER = 6
"""Alike readings in a row after which a jump is accepted: the sensor was plugged in elsewhere."""
OUTLIER_SIGMAS = 3.0
LEAST_SCATTER_C = 0.1
"""Floor of the scatter: a sensor with coarse digits repeats itself exactly, and all else would be an outlier."""


@dataclass(frozen=True, slots=True)
class OutlierFilter:
    """Rejects impossible readings, and jumps that do not last.

    Attributes:
        last_c: The last accepted reading; `None`: none yet.
        doubted_c: Rejected readings since then that are alike.
        rejection: Why the latest reading was rejected; empty: it was accepted.
        ignored: How many readings were rejected.
    """

    last_c: float | None = None
    doubted_c: tuple[float, ...] = ()
    rejection: str = ""
    ignored: int = 0

    def take(self, reading_c: float | None) -> "OutlierFilter":
        """Return the filter with one more reading accepted, or rejected with the reason in `rejection`."""
        if reading_c is None or math.isnan(reading_c):
            return self._rejecting("the thermometer reports no temperature")
        if plausible_temperature_c(reading_c) is None:
            return self._rejecting(f"the thermometer reports an impossible {reading_c:g} degrees")
        if self.last_c is None or abs(reading_c - self.last_c) <= LARGEST_JUMP_C:
            return OutlierFilter(last_c=reading_c, ignored=self.ignored)
        alike = all(abs(reading_c - each) <= ALIKE_C for each in self.doubted_c)
        doubted = (*self.doubted_c, reading_c) if alike else (reading_c,)
        if len(doubted) >= ACCEPTED_AFTER:
            return OutlierFilter(last_c=reading_c, ignored=self.ignored)
        jump = f"the temperature jumped from {self.last_c:.1f} to {reading_c:.1f} degrees"
        return replace(self._rejecting(jump), doubted_c=doubted)

    def _rejecting(self, reason: str) -> "OutlierFilter":
        return replace(self, rejection=reason, ignored=self.ignored + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Readings averaged over a window, which is emptied when it is full.

    Attributes:
        mean_c: Average of the last full window; `None`: no window was full yet.
        filled: How many windows were full.
    """

    readings_c: tuple[float, ...] = ()
    mean_c: float | None = None
    filled: AtOnce[int] = 0

    def take(self, reading_c: float, *, size: int) -> "Window":
        """Return the window of `size` readings with one more reading."""
        readings = (*self.readings_c, reading_c)
        if len(readings) < size:
            return replace(self, readings_c=readings)
        return Window(readings_c=(), mean_c=steady_mean(readings), filled=self.filled + 1)

    @property
    def latest_c(self) -> float | None:
        """Average of the last full window, before that of the readings so far; `None`: no reading."""
        if self.mean_c is not None:
            return self.mean_c
        return steady_mean(self.readings_c) if self.readings_c else None


def steady_mean(readings: tuple[float, ...]) -> float:
    """Return the mean of the readings without outliers, as a gust of wind causes them."""
    middle = statistics.median(readings)
    limit = OUTLIER_SIGMAS * max(robust_sigma(readings, middle), LEAST_SCATTER_C)
    return statistics.fmean(each for each in readings if abs(each - middle) <= limit)
