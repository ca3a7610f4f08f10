"""The time of a simulated night, which may run faster than real time."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class SimulatedClock:
    """A clock of simulated seconds since `start`, an aware time; `factor` is simulated seconds per real second."""

    def __init__(self, factor: float, start: datetime, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._start = start.astimezone(UTC)
        self._lock = threading.Lock()
        self._factor = factor
        self._real_s = monotonic()
        self._simulated_s = 0.0

    @property
    def factor(self) -> float:
        """Simulated seconds per real second."""
        return self._factor

    def set_factor(self, factor: float) -> None:
        """Change the pace from now on."""
        with self._lock:
            self._simulated_s, self._real_s = self._now_s(), self._monotonic()
            self._factor = factor

    def now_s(self) -> float:
        """Return simulated seconds since the start."""
        with self._lock:
            return self._now_s()

    def _now_s(self) -> float:
        return self._simulated_s + self._factor * (self._monotonic() - self._real_s)

    def utc(self) -> datetime:
        """Return the simulated time of day, UTC."""
        return self._start + timedelta(seconds=self.now_s())

    def real_s(self, simulated_s: float) -> float:
        """Return the real seconds that a simulated time lasts at the present pace."""
        return simulated_s / self._factor
