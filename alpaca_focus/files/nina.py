"""Autofocus reports of N.I.N.A. (JSON, version 2): read as curves, and written from focus runs."""

import contextlib
import json
import math
import statistics
from pathlib import Path
from typing import Any

from alpaca_focus.core.curves.curve_models import CurveModel, fit_model
from alpaca_focus.core.curves.hyperbola import fit_hyperbola
from alpaca_focus.core.errors import ConfigurationError, RunFailed
from alpaca_focus.core.metrics import METRICS
from alpaca_focus.core.sweep.backlash import Backlash, Direction
from alpaca_focus.core.values import Fit, FocusResult, Sample
from alpaca_focus.files.best_focus import Curve
from alpaca_focus.files.curve_tables import Point, make_curve
from alpaca_focus.files.file_access import atomic_write, read_text

STAR_METHOD = "STARHFR"
ERRORS_NOTE = (
    "A report of N.I.N.A. gives the scatter from star to star at each position, not the error of their mean: "
    "the standard error of the best position is an upper limit."
)


def read_nina_report(path: Path) -> Curve:
    """Return the HFR in pixels against position of a report.

    The errors are the standard deviations from star to star, which serve as weights but are larger than the standard
    errors of the means. Real reports have a byte order mark, values of "NaN" and errors of 0.

    Raises:
        ConfigurationError: The file cannot be read, is no such report, or holds contrasts instead of star sizes.
    """
    try:
        report = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"{path} is not valid JSON ({error}): give an autofocus report of N.I.N.A.") from error
    points = report.get("MeasurePoints") if isinstance(report, dict) else None
    if not isinstance(points, list):
        raise ConfigurationError(f"{path} is JSON, but no autofocus report of N.I.N.A.: it has no MeasurePoints.")
    method = report.get("Method", STAR_METHOD)
    if method != STAR_METHOD:
        raise ConfigurationError(
            f"{path} was measured by the method {method}; only reports of star sizes ({STAR_METHOD}) can be fitted."
        )
    return make_curve("hfr", "px", [_point_of(path, index, point) for index, point in enumerate(points, start=1)])


def _point_of(path: Path, number: int, point: object) -> Point:
    position, value, error = (_number(point, name) for name in ("Position", "Value", "Error"))
    if position is None or not math.isfinite(position):
        raise ConfigurationError(f"{path}: number {number} of its MeasurePoints has no position.")
    value = math.nan if value is None else value
    # N.I.N.A. writes 0 or NaN where it found no star.
    reason = "" if math.isfinite(value) and value > 0 else "no stars found"
    return Point(position=round(position), value=value, stderr=error or 0.0, reason=reason)


def _number(values: object, name: str) -> float | None:
    """Return a number of a JSON object, which may be written as text; `None` when there is none."""
    value = values.get(name) if isinstance(values, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


VERSION = 2
NAME = "alpaca-focus"
TICKS = 10_000_000
"""Per second."""
STAR_METRICS = frozenset(name for name, row in METRICS.items() if row.is_star_diameter)
NOT_KNOWN = "NaN"
"""How a report writes an unknown number, for example the R^2 of a curve that was not fitted."""


def nina_report(result: FocusResult, backlash: Backlash | None = None) -> dict[str, Any]:
    """Return a focus run that measured stars as a report.

    Half of the HFD is the half-flux radius of stars, and so is half of the FWHM of a Gaussian star. In points and
    intersections every value is a number, 0 where there is none. An unknown backlash (`None`) can only be
    written as 0.

    Raises:
        ConfigurationError: The run measured something else, or nothing.
    """
    samples = [sample for sample in result.samples if sample.purpose != "verify"]
    metrics = {sample.measurement.metric for sample in samples}
    if not metrics or not metrics <= STAR_METRICS:
        raise ConfigurationError(
            "Only a run that measured stars can be written as a report of N.I.N.A., and this one measured "
            f"{' and '.join(sorted(metrics)) or 'nothing'}."
        )
    fits = _fits(samples, result.fit)
    hyperbola = fits.get(CurveModel.HYPERBOLA)
    parabola, lines = fits.get(CurveModel.PARABOLA), fits.get(CurveModel.TREND_LINES)
    start = _start(result.start_position, samples)
    return {
        "Version": VERSION,
        "Filter": result.filter_name or "",
        "AutoFocuserName": NAME,
        "StarDetectorName": NAME,
        "Timestamp": result.started_at.isoformat(),
        "Temperature": NOT_KNOWN if result.temperature_c is None else result.temperature_c,
        "Method": STAR_METHOD,
        "Fitting": "HYPERBOLIC",
        "InitialFocusPoint": start,
        "CalculatedFocusPoint": _minimum(hyperbola) if result.verification is None else _point(result.verification),
        "PreviousFocusPoint": start,
        "MeasurePoints": [_point(sample) for sample in sorted(samples, key=lambda each: each.position)],
        "Intersections": {
            "TrendLineIntersection": _minimum(lines),
            "HyperbolicMinimum": _minimum(hyperbola),
            "QuadraticMinimum": _minimum(parabola),
            "GaussianMaximum": _minimum(None),
        },
        "Fittings": {
            "Quadratic": "" if parabola is None else _quadratic(parabola),
            "Hyperbolic": "" if hyperbola is None else _hyperbolic(hyperbola),
            "Gaussian": "",
            "LeftTrend": "" if lines is None else _trend(lines, -1),
            "RightTrend": "" if lines is None else _trend(lines, 1),
        },
        "RSquares": {
            "Quadratic": NOT_KNOWN if parabola is None else parabola.r_squared,
            "Hyperbolic": NOT_KNOWN if hyperbola is None else hyperbola.r_squared,
            "LeftTrend": NOT_KNOWN if lines is None else lines.parameters["r_squared_in"],
            "RightTrend": NOT_KNOWN if lines is None else lines.parameters["r_squared_out"],
        },
        "BacklashCompensation": {
            "BacklashCompensationModel": "OVERSHOOT" if backlash is None else backlash.method.upper(),
            # Arriving inward overshoots outward, and vice versa.
            "BacklashIN": backlash.steps if backlash is not None and backlash.arrive is not Direction.IN else 0,
            "BacklashOUT": backlash.steps if backlash is not None and backlash.arrive is Direction.IN else 0,
        },
        "Duration": _duration(result.duration_s),
    }


def write_nina_report(path: Path, result: FocusResult, backlash: Backlash | None = None) -> None:
    """Write a run as a report, atomically; see `nina_report`.

    Raises:
        ConfigurationError: The run measured no stars, or the file cannot be written.
    """
    text = json.dumps(nina_report(result, backlash), indent=2, allow_nan=False)
    with atomic_write(path, "report") as file:
        file.write(text.encode())


def _fits(samples: list[Sample], accepted: Fit | None) -> dict[CurveModel, Fit]:
    """Return the curves through the points; the hyperbola is the one by which the run decided."""
    fits = {} if accepted is None else {CurveModel.HYPERBOLA: accepted}
    try:
        hyperbola = fit_hyperbola(samples)
    except RunFailed:
        # A run on a learned curve takes too few frames for a curve of their own.
        return fits
    fits.setdefault(CurveModel.HYPERBOLA, hyperbola)
    for model in (CurveModel.PARABOLA, CurveModel.TREND_LINES):
        # Not every V has points enough near focus, or on both arms: the report leaves such a curve empty.
        with contextlib.suppress(RunFailed):
            fits[model] = fit_model(samples, hyperbola, model)
    return fits


def _point(sample: Sample) -> dict[str, float]:
    """Return a point in half-flux radii; 0 is N.I.N.A.'s own value for no stars."""
    measured = sample.measurement
    value, error = (measured.value / 2, measured.stderr / 2) if measured.usable else (0.0, 0.0)
    return {"Position": float(sample.position), "Value": value, "Error": error}


def _minimum(fit: Fit | None) -> dict[str, float]:
    position, value = (0.0, 0.0) if fit is None else (float(round(fit.best_position)), fit.best_value / 2)
    return {"Position": position, "Value": value, "Error": 0.0}


def _start(position: int, samples: list[Sample]) -> dict[str, Any]:
    """Return the start position with its measurement, if there is one."""
    there = (_point(each) for each in samples if each.position == position and each.measurement.usable)
    return next(there, {"Position": float(position), "Value": NOT_KNOWN, "Error": 0.0})


def _hyperbolic(fit: Fit) -> str:
    slopes = [fit.parameters[name] for name in ("slope", "slope_in", "slope_out") if name in fit.parameters]
    reach = fit.best_value / statistics.fmean(slopes)
    return f"y = {fit.best_value / 2!r} * cosh(asinh(({fit.best_position!r} - x) / {reach!r}))"


def _quadratic(fit: Fit) -> str:
    square, vertex = fit.parameters["curvature"] / 2, fit.best_position
    constant = square * vertex**2 + fit.best_value / 2
    return f"y = {square!r} * x^2 + {-2 * square * vertex!r} * x + {constant!r}"


def _trend(fit: Fit, sign: int) -> str:
    slope = sign * fit.parameters["slope_in" if sign < 0 else "slope_out"] / 2
    return f"y = {slope!r} * x + {fit.best_value / 2 - slope * fit.best_position!r}"


def _duration(duration_s: float) -> str:
    """Return hours, minutes, seconds and seven decimals, as .NET writes a time span."""
    minutes, ticks = divmod(round(max(duration_s, 0.0) * TICKS), 60 * TICKS)
    hours, minutes = divmod(minutes, 60)
    seconds, ticks = divmod(ticks, TICKS)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}.{ticks:07d}"
