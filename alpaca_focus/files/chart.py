"""Describes charts, so that SVG, the terminal and matplotlib (`chart_drawing`, `pictures`) draw the same V-curve."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeAlias

from alpaca_focus.core.curves.curve_models import curve_value
from alpaca_focus.core.metrics import label_of
from alpaca_focus.core.values import Fit, Sample

MARGIN = 0.06
NICE = (1.0, 2.0, 2.5, 5.0, 10.0)
NICE_MINUTES = (1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360)
CURVE_POINTS = 241
HEADROOM, UPPER_END = 1.05, 0.97
"""Room above the highest point, and where points too high for the axis are drawn, as a share of the axis."""
OUTLIER_ROOM = 2.0
"""Frames left out of a fit stretch the axes up to so many times the highest one kept; more would flatten the V."""


class Colour(StrEnum):
    """A colour by name; each output has its own shade."""

    BLUE = "blue"
    RED = "red"
    GREEN = "green"


@dataclass(frozen=True, slots=True)
class Range:
    """The ends of an axis; never empty."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """Single points, named in a legend.

    Attributes:
        errors: Standard error of each point, NaN if unknown; empty if all are unknown.
        crossed: Whether to draw crosses instead of dots.
    """

    at: Sequence[tuple[float, float]]
    colour: Colour
    errors: Sequence[float] = ()
    crossed: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Polyline:
    """A line through points, named in a legend."""

    at: Sequence[tuple[float, float]]
    colour: Colour
    dashed: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upright:
    """A vertical line over the whole height, named in a legend."""

    x: float
    colour: Colour
    dashed: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A shaded part of the horizontal axis, named in a legend."""

    low: float
    high: float
    colour: Colour
    name: str = ""


Mark: TypeAlias = Points | Polyline | Upright | Band


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Points and lines over two axes.

    Attributes:
        label: Quantity and unit of the vertical axis.
        marks: The lowest layer first.
        x_label: Quantity and unit of the horizontal axis; empty for times.
        at_times: Whether the horizontal axis shows times, as seconds since 1970.
    """

    label: str
    x: Range
    y: Range
    marks: Sequence[Mark]
    x_label: str = ""
    at_times: bool = False

    def x_ticks(self, most: int) -> list[tuple[float, str]]:
        """Return up to about `most` round values on the horizontal axis with their labels."""
        return _times(self.x, most) if self.at_times else _ticks(self.x, most)

    def y_ticks(self, most: int) -> list[tuple[float, str]]:
        """Return up to about `most` round values on the vertical axis with their labels."""
        return _ticks(self.y, most)


def range_of(values: Sequence[float], *, least: float = 10.0) -> Range:
    """Return a range with some room around values, and at least `least` wide."""
    low, high = min(values), max(values)
    short = max(least - (high - low), 0.0) / 2
    margin = MARGIN * max(high - low, least)
    return Range(low - short - margin, high + short + margin)


def v_curve(samples: Sequence[Sample], fit: Fit | None) -> Chart:
    """Describe a V-curve: its frames with their errors, the curve through them, and the best position.

    At least one of the frames must be usable. Frames left out of the fit are crosses. Those too high for the vertical
    axis stand at its upper end, and those beyond the horizontal axis as well are not shown.
    """
    rejected = frozenset() if fit is None else frozenset(fit.rejected)
    usable = [(index, sample) for index, sample in enumerate(samples) if sample.measurement.usable]
    kept = [sample for index, sample in usable if index not in rejected]
    left_out = [sample for index, sample in usable if index in rejected]
    limit = OUTLIER_ROOM * max((_top(sample) for sample in kept), default=math.inf)
    near = [*kept, *(sample for sample in left_out if _top(sample) <= limit)]
    x = range_of([*(each.position for each in near), *([] if fit is None else [fit.best_position])], least=2.0)
    along = [x.low + (x.high - x.low) * index / (CURVE_POINTS - 1) for index in range(CURVE_POINTS)]
    curve = [] if fit is None else [(position, curve_value(position, fit)) for position in along]
    highest = max([*map(_top, near), *(value for _, value in (*curve[:1], *curve[-1:]))])
    y = Range(0.0, HEADROOM * highest if highest > 0 else 1.0)
    shown = [sample for sample in left_out if x.low <= sample.position <= x.high]
    frames = (
        _frames(kept, y, Points(at=(), colour=Colour.BLUE, name="frames")),
        _frames(shown, y, Points(at=(), colour=Colour.RED, crossed=True, name="left out")),
    )
    first = usable[0][1].measurement
    return Chart(
        label=f"{label_of(first.metric)}{f', {first.unit}' if first.unit else ''}",
        x=x,
        y=y,
        marks=(*([] if fit is None else _fit_marks(fit, curve)), *(each for each in frames if each.at)),
        x_label="position, steps",
    )


def _fit_marks(fit: Fit, curve: Sequence[tuple[float, float]]) -> list[Mark]:
    best, error = fit.best_position, fit.best_position_stderr
    marks: list[Mark] = [Polyline(at=curve, colour=Colour.BLUE, name=fit.model)]
    if math.isfinite(error):
        marks.append(Band(low=best - error, high=best + error, colour=Colour.GREEN))
    return [*marks, Upright(x=best, colour=Colour.GREEN, name=f"best {best:.1f} \u00b1 {error:.1f} steps")]


def _top(sample: Sample) -> float:
    error = sample.measurement.stderr
    return sample.measurement.value + (error if math.isfinite(error) else 0.0)


def _frames(samples: Sequence[Sample], y: Range, style: Points) -> Points:
    """Return frames as points, without an error where the value itself is too high for the axis."""
    end = UPPER_END * y.high
    values = [(float(sample.position), sample.measurement.value, sample.measurement.stderr) for sample in samples]
    return replace(
        style,
        at=[(position, min(value, end)) for position, value, _ in values],
        errors=[error if value <= end else math.nan for _, value, error in values],
    )


def _ticks(shown: Range, most: int) -> list[tuple[float, str]]:
    rough = (shown.high - shown.low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(nice * power for nice in NICE if nice * power >= rough * (1 - 1e-9))
    first = math.ceil(shown.low / step - 1e-9)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    if step / 10.0**-digits % 1 > 1e-6:
        digits += 1
    values = [step * index for index in range(first, math.floor(shown.high / step + 1e-9) + 1)]
    return [(value, f"{value:.{digits}f}") for value in values]


def _times(shown: Range, most: int) -> list[tuple[float, str]]:
    minutes = next((each for each in NICE_MINUTES if (shown.high - shown.low) / 60 / each <= most), NICE_MINUTES[-1])
    step = 60 * minutes
    first = math.ceil(shown.low / step)
    marks = [step * index for index in range(first, math.floor(shown.high / step) + 1)]
    return [(at, f"{datetime.fromtimestamp(at, UTC):%H:%M}") for at in marks]
