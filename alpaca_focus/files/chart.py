"""A small chart as SVG, in colours that the page around it chooses."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

LEFT, RIGHT, TOP, BOTTOM = 58, 12, 20, 24
WIDTH, HEIGHT = 960, 220
MARGIN = 0.06
NICE = (1.0, 2.0, 2.5, 5.0, 10.0)
NICE_MINUTES = (1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360)
TEXT_PX = 6.5
"""Width of a figure on an axis."""


@dataclass(frozen=True, slots=True)
class Range:
    """What an axis goes from and to; never empty."""

    low: float
    high: float


def range_of(values: Sequence[float], *, least: float = 10.0) -> Range:
    """Return a range with some room around values, at least so wide."""
    low, high = min(values), max(values)
    short = max(least - (high - low), 0.0) / 2
    margin = MARGIN * max(high - low, least)
    return Range(low - short - margin, high + short + margin)


class Chart:
    """Points and lines over two axes.

    Args:
        label: What is drawn, with its unit.
        x: What the horizontal axis shows.
        y: What the vertical one shows.
        at_times: Whether the horizontal axis shows times, as seconds since 1970.
        along: What it shows otherwise, if that must be said.
        width: Of the picture, in its own units.
        height: Of the picture.
    """

    def __init__(
        self,
        label: str,
        x: Range,
        y: Range,
        *,
        at_times: bool = False,
        along: str = "",
        width: int = WIDTH,
        height: int = HEIGHT,
    ) -> None:
        self._x, self._y = x, y
        self._width, self._height = width, height
        self._label = label
        self._parts: list[str] = []
        self._frame(at_times=at_times, along=along)

    def line(self, points: Sequence[tuple[float, float]], kind: str) -> None:
        """Draw a line; `kind` is its class in the page's style."""
        if len(points) > 1:
            path = " ".join(f"{self._across(x):.1f},{self._up(y):.1f}" for x, y in points)
            self._parts.append(f'<polyline class="{kind}" points="{path}"/>')

    def point(self, x: float, y: float, kind: str, *, error: float = math.nan) -> None:
        """Draw a point, with its standard error where that is known."""
        across = self._across(x)
        if math.isfinite(error):
            top, bottom = self._up(min(y + error, self._y.high)), self._up(max(y - error, self._y.low))
            self._parts.append(
                f'<line class="err" x1="{across:.1f}" x2="{across:.1f}" y1="{top:.1f}" y2="{bottom:.1f}"/>'
            )
        self._parts.append(f'<circle class="{kind}" cx="{across:.1f}" cy="{self._up(y):.1f}" r="3.2"/>')

    def upright(self, x: float, kind: str) -> None:
        """Draw a vertical line."""
        across = self._across(x)
        self._parts.append(
            f'<line class="{kind}" x1="{across:.1f}" x2="{across:.1f}" y1="{TOP}" y2="{self._height - BOTTOM}"/>'
        )

    def band(self, low: float, high: float) -> None:
        """Shade a part of the horizontal axis."""
        left, right = self._across(max(low, self._x.low)), self._across(min(high, self._x.high))
        self._parts.append(
            f'<rect class="band" x="{left:.1f}" width="{max(right - left, 0.5):.1f}" y="{TOP}" '
            f'height="{self._height - TOP - BOTTOM}"/>'
        )

    def svg(self) -> str:
        """Return the picture."""
        return (
            f'<svg viewBox="0 0 {self._width} {self._height}" role="img" aria-label="{escape(self._label)}">'
            f"{''.join(self._parts)}</svg>"
        )

    def _across(self, x: float) -> float:
        return LEFT + (x - self._x.low) / (self._x.high - self._x.low) * (self._width - LEFT - RIGHT)

    def _up(self, y: float) -> float:
        room = self._height - TOP - BOTTOM
        return TOP + room - (y - self._y.low) / (self._y.high - self._y.low) * room

    def _frame(self, *, at_times: bool, along: str) -> None:
        bottom = self._height - BOTTOM
        values, digits = _ticks(self._y, max(2, (bottom - TOP) // 40))
        for value in values:
            up = self._up(value)
            self._parts.append(
                f'<line class="grid" x1="{LEFT}" x2="{self._width - RIGHT}" y1="{up:.1f}" y2="{up:.1f}"/>'
                f'<text x="{LEFT - 6}" y="{up + 4:.1f}" text-anchor="end">{value:.{digits}f}</text>'
            )
        self._parts.append(f'<line class="axis" x1="{LEFT}" x2="{self._width - RIGHT}" y1="{bottom}" y2="{bottom}"/>')
        for at, text in self._marks(at_times=at_times):
            across = self._across(at)
            self._parts.append(
                f'<line class="axis" x1="{across:.1f}" x2="{across:.1f}" y1="{bottom}" y2="{bottom + 4}"/>'
                f'<text x="{across:.1f}" y="{bottom + 17}" text-anchor="middle">{text}</text>'
            )
        self._parts.append(f'<text x="6" y="13">{escape(self._label)}</text>')
        if along:
            self._parts.append(
                f'<text x="{self._width - RIGHT}" y="{bottom - 6}" text-anchor="end">{escape(along)}</text>'
            )

    def _marks(self, *, at_times: bool) -> list[tuple[float, str]]:
        room = self._width - LEFT - RIGHT
        if at_times:
            return _times(self._x, room // 70)
        longest = TEXT_PX * (len(f"{self._x.high:.0f}") + 3)
        values, digits = _ticks(self._x, max(2, int(room // max(longest, 45))))
        return [(value, f"{value:.{digits}f}") for value in values]


def _ticks(shown: Range, most: int) -> tuple[list[float], int]:
    """Return round values within a range, and how many digits they need after the point."""
    rough = (shown.high - shown.low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(nice * power for nice in NICE if nice * power >= rough * (1 - 1e-9))
    first = math.ceil(shown.low / step - 1e-9)
    values = [step * index for index in range(first, math.floor(shown.high / step + 1e-9) + 1)]
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    is_between = step / 10.0**-digits % 1 > 1e-6
    return values, digits + is_between


def _times(shown: Range, most: int) -> list[tuple[float, str]]:
    minutes = next((each for each in NICE_MINUTES if (shown.high - shown.low) / 60 / each <= most), NICE_MINUTES[-1])
    step = 60 * minutes
    first = math.ceil(shown.low / step)
    marks = [step * index for index in range(first, math.floor(shown.high / step) + 1)]
    return [(at, f"{datetime.fromtimestamp(at, UTC):%H:%M}") for at in marks]
