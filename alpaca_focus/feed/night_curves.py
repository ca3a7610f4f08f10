"""Temperature, position and the focus model's expectation over the last day, thinned for drawing."""

import math
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from threading import Lock
from typing import TypeAlias

Point: TypeAlias = tuple[float, float]
"""Seconds since 1970, and a value."""

APART_S = 60.0
"""Least time between two points, unless a position has changed."""
LONGEST = 3000
MOST_POINTS = 1000


class NightCurves:
    """Records the curves of the night; one thread records, any thread reads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._temperature, self._position, self._model = (deque[Point](maxlen=LONGEST) for _ in range(3))

    def note(
        self, at: datetime, *, temperature_c: float | None, position: float | None, expected_position: float | None
    ) -> None:
        """Record the present values; `None`: not known."""
        at_s = at.timestamp()
        with self._lock:
            _append(self._temperature, at_s, temperature_c)
            _append(self._position, at_s, position, each_change=True)
            _append(self._model, at_s, expected_position)

    def temperature(self) -> tuple[Point, ...]:
        """Return the temperature in degrees Celsius."""
        with self._lock:
            return tuple(self._temperature)

    def position(self) -> tuple[Point, ...]:
        """Return where the focuser belonged, in steps."""
        with self._lock:
            return tuple(self._position)

    def model(self) -> tuple[Point, ...]:
        """Return where the focus model expected best focus, in steps."""
        with self._lock:
            return tuple(self._model)


def _append(points: deque[Point], at_s: float, value: float | None, *, each_change: bool = False) -> None:
    if value is None:
        return
    last_s, last = points[-1] if points else (-math.inf, None)
    # The absolute difference, so that a clock that was set back does not stop the curve.
    if abs(at_s - last_s) >= APART_S or (each_change and value != last):
        points.append((at_s, value))


def thinned(points: Sequence[Point], most: int = MOST_POINTS) -> list[Point]:
    """Return at most `most` points, evenly chosen, with the first and the last."""
    if len(points) <= most:
        return list(points)
    return [points[round(index * (len(points) - 1) / (most - 1))] for index in range(most)]
