"""Autofocus reports of N.I.N.A., as that program writes them after each run (JSON, version 2)."""

import json
import math
from pathlib import Path

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.files.best_focus import Curve
from alpaca_focus.files.points import Point, make_curve, read_text

STAR_METHOD = "STARHFR"
ERRORS_NOTE = (
    "A report of N.I.N.A. gives the scatter from star to star at each position, not the error of their mean: "
    "the standard error of the best position is an upper limit."
)


def read_nina_report(path: Path) -> Curve:
    """Return the HFR in pixels against position.

    The errors are the standard deviations from star to star, which serve as weights but are larger than the standard
    errors of the means. A leading byte order mark, values of "NaN" and errors of 0 occur in real reports.

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
    return make_curve("hfr", "px", [_point(path, index, point) for index, point in enumerate(points, start=1)])


def _point(path: Path, number: int, point: object) -> Point:
    position, value, error = (_number(point, name) for name in ("Position", "Value", "Error"))
    if position is None or not math.isfinite(position):
        raise ConfigurationError(f"{path}: number {number} of its MeasurePoints has no position.")
    value = math.nan if value is None else value
    # N.I.N.A. writes 0 or NaN where it found no star.
    reason = "" if math.isfinite(value) and value > 0 else "no stars found"
    return Point(position=round(position), value=value, stderr=error or 0.0, reason=reason)


def _number(values: object, name: str) -> float | None:
    """Return a number of a JSON object, which may be written as a text; `None` when there is none."""
    value = values.get(name) if isinstance(values, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None
