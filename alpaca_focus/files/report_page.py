"""The report of a night as one page of HTML, for screen, phone and paper.

The page is the template `night_report.html.j2` with its style; what it shows is collected here.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from alpaca_focus.core.metrics import label_of
from alpaca_focus.core.night.focus_model import AVERAGE
from alpaca_focus.core.night.night_review import (
    ReviewedNight,
    Share,
    advice,
    by_curves,
    by_stars,
    not_known,
    temperature_of,
    troubles,
)
from alpaca_focus.core.values import Fit, Light, Outcome, SavedRun
from alpaca_focus.files.chart import Chart, Colour, Mark, Points, Polyline, Range, Upright, range_of, v_curve
from alpaca_focus.files.chart_drawing import chart_svg

TEMPLATE = "night_report.html.j2"
CURVE_SIZE = {"width": 340, "height": 210}
_temperature_c = partial(temperature_of, sensor=AVERAGE)


@dataclass(frozen=True, slots=True)
class _Figure:
    """A chart with its caption, which may be empty."""

    chart: Chart
    caption: str = ""
    height: int = 220

    @property
    def svg(self) -> str:
        return chart_svg(self.chart, height=self.height)


@dataclass(frozen=True, slots=True)
class _RunCurve:
    """The V-curve of a run."""

    run: SavedRun

    @property
    def left_out(self) -> int:
        """The number of usable frames left out of the fit."""
        result = self.run.result
        return sum(result.samples[index].measurement.usable for index in (result.fit.rejected if result.fit else ()))

    @property
    def svg(self) -> str:
        result = self.run.result
        return chart_svg(v_curve(result.samples, result.fit), **CURVE_SIZE)


def report_page(night: ReviewedNight, *, made_at: datetime, version: str) -> str:
    """Return the page; `made_at` is in UTC, and `version` is that of this program."""
    # Not needed until a night is over.
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    page = Environment(
        loader=PackageLoader("alpaca_focus.files"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    page.filters |= {"clock": "{:%H:%M}".format, "number": _number}
    page.globals["temperature_of"] = _temperature_c
    samples = [sample for run in night.runs for sample in run.result.samples]
    return page.get_template(TEMPLATE).render(
        title=f"{night.telescope}: the night of {night.date:%d %B %Y}",
        night=night,
        made_at=made_at,
        version=version,
        tiles=_tiles(night),
        troubles=troubles(night),
        advice=advice(night),
        night_figures=_night_figures(night),
        metric=label_of(samples[0].measurement.metric) if samples else "",
        failures=[
            f"Run {run.number} at {run.result.started_at:%H:%M}: {run.result.reason}"
            for run in night.runs
            if run.result.outcome is not Outcome.FOCUSED
        ],
        curves=[_RunCurve(run) for run in night.runs if any(each.measurement.usable for each in run.result.samples)],
        drift=_drift(night),
        not_known=not_known(night),
    )


def _number(value: float, digits: int, sign: str = "") -> str:
    """Write a number with some digits after the point; NaN is empty."""
    return "" if math.isnan(value) else f"{value:{sign}.{digits}f}"


def _tiles(night: ReviewedNight) -> list[tuple[str, str]]:
    """Return the numbers at the top of the page, each with its meaning."""
    good = sum(run.is_good for run in night.runs)
    tiles = [(f"{good} of {len(night.runs)}", "refocuses good")]
    if sizes := [light.hfd_px for light in night.lights]:
        tiles.append((f"{len(sizes)}", "light frames measured"))
        tiles.append((f"{statistics.median_high(sizes):.2f} px", "median HFD of these"))
    tolerance = f"{100 * night.tolerance:.0f}\u00a0%"
    seconds = sum(run.result.duration_s for run in night.runs)
    return [
        *tiles,
        (_percent(by_stars(night)), f"of the frames within {tolerance} of the HFD after a refocus"),
        (_percent(by_curves(night)), "of the time within the critical focus zone, by the V-curves"),
        (f"{seconds / 60:.0f} min", "spent on refocuses"),
    ]


def _percent(share: Share | None) -> str:
    return "not known" if share is None or share.share is None else f"{100 * share.share:.0f}\u00a0%"


def _night_figures(night: ReviewedNight) -> list[_Figure]:
    """Return the charts over the hours of the night; none where nothing was recorded."""
    times = [at.timestamp() for run in night.runs for at in (run.result.started_at, run.ended_at)]
    times += [light.ended_at.timestamp() for light in night.lights]
    if not times:
        return []
    low, high = min(times), max(times)
    shown = Range(low, high if high > low else low + 60.0)
    figures = (_positions(night, shown), _temperatures(night, shown), _sizes(night, shown))
    return [figure for figure in figures if figure is not None]


def _of_lights(night: ReviewedNight, value: Callable[[Light], float | None]) -> list[tuple[float, float]]:
    """Return a value of the light frames over time, where it is known."""
    known = ((light.ended_at, value(light)) for light in night.lights)
    return [(at.timestamp(), float(number)) for at, number in known if number is not None]


def _positions(night: ReviewedNight, times: Range) -> _Figure | None:
    good = [(run, run.result.fit) for run in night.runs if run.is_good and run.result.fit is not None]
    found = [(run.result.started_at.timestamp(), fit.best_position) for run, fit in good]
    stands = _of_lights(night, lambda light: light.position)
    expected = _expected(night, good)
    values = [position for line in (stands, found, *expected) for _, position in line]
    if not values:
        return None
    marks: tuple[Mark, ...] = (
        Polyline(at=stands, colour=Colour.BLUE),
        *(Polyline(at=line, colour=Colour.GREEN, dashed=True) for line in expected),
        Points(at=found, colour=Colour.RED, errors=[fit.best_position_stderr for _, fit in good]),
    )
    caption = (
        f"Points: best focus of each refocus{'; line: focuser position' if stands else ''}"
        f"{'; dashed: position the model expects from there' if expected else ''}."
    )
    return _Figure(
        Chart(label="focuser position, steps", x=times, y=range_of(values), marks=marks, at_times=True), caption
    )


def _expected(night: ReviewedNight, good: Sequence[tuple[SavedRun, Fit]]) -> list[list[tuple[float, float]]]:
    """Return the model's lines, one from each good run to the next."""
    if night.learned is None:
        return []
    lines = []
    for index, (run, fit) in enumerate(good):
        start_c = _temperature_c(run.result)
        if math.isnan(start_c):
            continue
        ends_at = good[index + 1][0].result.started_at if index + 1 < len(good) else None
        line = [(run.result.started_at.timestamp(), fit.best_position)]
        for light in night.lights:
            is_between = light.ended_at > run.result.started_at and (ends_at is None or light.ended_at <= ends_at)
            if is_between and light.temperature_c is not None and light.filter_name == run.result.filter_name:
                moved = night.learned.value * (light.temperature_c - start_c)
                line.append((light.ended_at.timestamp(), fit.best_position + moved))
        if len(line) > 1:
            lines.append(line)
    return lines


def _temperatures(night: ReviewedNight, times: Range) -> _Figure | None:
    known = [(run.result.started_at.timestamp(), _temperature_c(run.result)) for run in night.runs]
    known += _of_lights(night, lambda light: light.temperature_c)
    line = sorted((at, degrees) for at, degrees in known if math.isfinite(degrees))
    if len(line) < 2:
        return None
    shown = range_of([degrees for _, degrees in line], least=1.0)
    marks = (Polyline(at=line, colour=Colour.BLUE),)
    return _Figure(Chart(label="temperature, \u00b0C", x=times, y=shown, marks=marks, at_times=True), height=150)


def _sizes(night: ReviewedNight, times: Range) -> _Figure | None:
    if not night.lights:
        return None
    sizes = [light.hfd_px for light in night.lights]
    # One trailed frame would flatten all the others.
    highest = 1.1 * min(max(sizes), 3 * statistics.median_high(sizes))
    frames = Points(at=_of_lights(night, lambda light: min(light.hfd_px, highest)), colour=Colour.BLUE)
    runs = [(run.result.started_at.timestamp(), Colour.GREEN if run.is_good else Colour.RED) for run in night.runs]
    marks: tuple[Mark, ...] = (*(Upright(x=at, colour=colour, dashed=True) for at, colour in runs), frames)
    chart = Chart(label="HFD of the light frames, px", x=times, y=Range(0.0, highest), marks=marks, at_times=True)
    return _Figure(chart, "Dashed: refocuses.", height=170)


def _drift(night: ReviewedNight) -> _Figure | None:
    """Return best focus against temperature; `None` where there are fewer than two refocuses to show."""
    good = [run.result for run in night.runs if run.is_good and math.isfinite(_temperature_c(run.result))]
    filters = [result.filter_name for result in good]
    # Other filters have their focus elsewhere, whatever the temperature.
    through = max(filters, key=filters.count, default=None)
    same = [result for result in good if result.filter_name == through]
    fits = [(_temperature_c(result), result.fit) for result in same if result.fit is not None]
    if len(fits) < 2:
        return None
    degrees = range_of([each for each, _ in fits], least=1.0)
    found = [(each, fit.best_position) for each, fit in fits]
    line: list[tuple[float, float]] = []
    if night.learned is not None:
        middle_c, middle = (sum(values) / len(found) for values in zip(*found, strict=True))
        line = [(each, middle + night.learned.value * (each - middle_c)) for each in (degrees.low, degrees.high)]
    marks = (
        Polyline(at=line, colour=Colour.GREEN, dashed=True),
        Points(at=found, colour=Colour.BLUE, errors=[fit.best_position_stderr for _, fit in fits]),
    )
    positions = range_of([position for _, position in (*found, *line)])
    named = f" through {through}" if through else ""
    model = " Dashed: the learned slope, through the middle of tonight's points." if line else ""
    chart = Chart(label="best focus, steps", x=degrees, y=positions, marks=marks, x_label="\u00b0C")
    return _Figure(chart, f"Tonight's good refocuses{named}.{model}")
