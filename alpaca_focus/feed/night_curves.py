"""Temperature, position and the focus model's line over the last day, thin enough to be drawn at once."""

from collections import deque
from collections.abc import Sequence
from datetime import datetime
from threading import Lock
from typing import TypeAlias

Point: TypeAlias = tuple[float, float]
"""Seconds since 1970, and a value."""

APART_S = 60.0
"""Nearer points than that are kept only where the value has changed by itself, as positions do."""
LONGEST = 3000
MOST_POINTS = 1000


class NightCurves:
    """Notes how things go; one thread notes, any thread reads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._temperature: deque[Point] = deque(maxlen=LONGEST)
        self._position: deque[Point] = deque(maxlen=LONGEST)
        self._model: deque[Point] = deque(maxlen=LONGEST)

    def note(
        self, at: datetime, *, temperature_c: float | None, position: float | None, expected_position: float | None
    ) -> None:
        """Take note of what is known now; `None`: not known."""
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
    if points:
        last_s, last = points[-1]
        # A clock that was put back begins a new line where it stands now.
        is_far = abs(at_s - last_s) >= APART_S
        if not is_far and not (each_change and value != last):
            return
    points.append((at_s, value))


def thinned(points: Sequence[Point], most: int = MOST_POINTS) -> list[Point]:
    """Return at most so many of the points, evenly chosen, the first and the last among them."""
    if len(points) <= most:
        return list(points)
    return [points[round(index * (len(points) - 1) / (most - 1))] for index in range(most)]
