"""Runs as autofocus reports in N.I.N.A.'s form, so that what shows those shows ours as well."""

import json
import math
import tempfile
from pathlib import Path
from typing import Any

from alpaca_focus.core.curve_models import CurveModel, fit_curve
from alpaca_focus.core.errors import ConfigurationError, RunFailed
from alpaca_focus.core.values import Fit, FocusResult, Sample

VERSION = 2
NOT_FITTED = "NaN"
"""What such a report has for the R^2 of a curve that was not fitted."""
STAR_METRICS = frozenset({"hfd", "fwhm"})


def nina_report(result: FocusResult) -> dict[str, Any]:
    """Put a run into the form of such a report; star sizes become half-flux radii.

    Args:
        result: A run by star sizes.

    Raises:
        ConfigurationError: The run measured something else, or nothing.
    """
    samples = [sample for sample in result.samples if sample.purpose != "verify"]
    metrics = {sample.measurement.metric for sample in samples}
    if not metrics or not metrics <= STAR_METRICS:
        raise ConfigurationError("Only a run that measured stars can be written as a report of N.I.N.A.")
    hyperbola = _hyperbola(samples, result.fit)
    parabola, lines = _fitted(samples, CurveModel.PARABOLA), _fitted(samples, CurveModel.TREND_LINES)
    first, last = samples[0], samples[-1]
    calculated = _place(result.fit) if result.verification is None else _point(result.verification)
    return {
        "Version": VERSION,
        "Filter": result.filter_name or "",
        "AutoFocuserName": "alpaca-focus",
        "StarDetectorName": "alpaca-focus",
        "Timestamp": result.started_at.isoformat(),
        "Temperature": NOT_FITTED if result.temperature_c is None else result.temperature_c,
        "Method": "STARHFR",
        "Fitting": "HYPERBOLIC",
        "InitialFocusPoint": _initial(result.start_position, first),
        "CalculatedFocusPoint": calculated,
        "PreviousFocusPoint": _initial(result.start_position, last),
        "MeasurePoints": [_point(sample) for sample in sorted(samples, key=lambda each: each.position)],
        "Intersections": {
            "TrendLineIntersection": _place(lines),
            "HyperbolicMinimum": _place(hyperbola),
            "QuadraticMinimum": _place(parabola),
            "GaussianMaximum": _place(None),
        },
        "Fittings": {
            "Quadratic": _quadratic(parabola),
            "Hyperbolic": _hyperbolic(hyperbola),
            "Gaussian": "",
            "LeftTrend": _trend(lines, -1),
            "RightTrend": _trend(lines, 1),
        },
        "RSquares": {
            "Quadratic": _r_squared(parabola),
            "Hyperbolic": _r_squared(hyperbola),
            "LeftTrend": _r_squared(lines),
            "RightTrend": _r_squared(lines),
        },
        "BacklashCompensation": {"BacklashCompensationModel": "OVERSHOOT", "BacklashIN": 0, "BacklashOUT": 0},
        "Duration": _duration(result.duration_s),
    }


def write_nina_report(path: Path, result: FocusResult) -> None:
    """Write a run as such a report, whole or not at all.

    Raises:
        ConfigurationError: The run measured no stars, or the file cannot be written.
    """
    text = json.dumps(nina_report(result), indent=2)
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, suffix=".new", delete=False) as new:
            new.write(text)
        Path(new.name).replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written ({error.strerror}).") from error


def _hyperbola(samples: list[Sample], accepted: Fit | None) -> Fit | None:
    """Return the hyperbola through the points; where they are too few, the one that the run knew before."""
    return _fitted(samples, CurveModel.HYPERBOLA) or accepted


def _fitted(samples: list[Sample], model: CurveModel) -> Fit | None:
    try:
        return fit_curve(samples, model)
    except RunFailed:
        return None


def _point(sample: Sample) -> dict[str, float]:
    """One point, in half-flux radii; 0 is that program's own value for no stars."""
    measured = sample.measurement
    value, error = (measured.value / 2, measured.stderr / 2) if measured.usable else (0.0, 0.0)
    return {"Position": float(sample.position), "Value": value, "Error": error}


def _place(fit: Fit | None) -> dict[str, float]:
    if fit is None:
        return {"Position": 0.0, "Value": 0.0, "Error": 0.0}
    return {"Position": float(round(fit.best_position)), "Value": fit.best_value / 2, "Error": 0.0}


def _initial(position: int, sample: Sample) -> dict[str, Any]:
    value = sample.measurement.value / 2 if sample.position == position and sample.measurement.usable else NOT_FITTED
    return {"Position": float(position), "Value": value, "Error": 0.0}


def _slope(fit: Fit) -> float:
    slopes = [fit.parameters[name] for name in ("slope", "slope_in", "slope_out") if name in fit.parameters]
    return math.fsum(slopes) / len(slopes)


def _hyperbolic(fit: Fit | None) -> str:
    if fit is None:
        return ""
    reach = fit.best_value / _slope(fit)
    return f"y = {fit.best_value / 2!r} * cosh(asinh(({fit.best_position!r} - x) / {reach!r}))"


def _quadratic(fit: Fit | None) -> str:
    if fit is None:
        return ""
    square, vertex = fit.parameters["curvature"] / 2, fit.best_position
    return f"y = {square!r} * x^2 + {-2 * square * vertex!r} * x + {square * vertex**2 + fit.best_value / 2!r}"


def _trend(fit: Fit | None, sign: int) -> str:
    if fit is None:
        return ""
    slope = sign * fit.parameters["slope_in" if sign < 0 else "slope_out"] / 2
    return f"y = {slope!r} * x + {fit.best_value / 2 - slope * fit.best_position!r}"


def _r_squared(fit: Fit | None) -> float | str:
    return NOT_FITTED if fit is None else fit.r_squared


def _duration(duration_s: float) -> str:
    minutes, seconds = divmod(max(duration_s, 0.0), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:010.7f}"
