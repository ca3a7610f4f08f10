"""Points of a V-curve as files hold them: a position and a value, perhaps an error, perhaps a reason not to use it."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.core.metrics import CURVES
from alpaca_focus.core.values import Measurement, Sample
from alpaca_focus.files.best_focus import Curve


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One point.

    Attributes:
        position: Focuser position in steps.
        value: The metric; NaN when there is none.
        stderr: Its error, same unit; 0 or NaN when nothing tells.
        reason: Why the value may not be used; empty when it may.
        name: The file it comes from, if each point has its own.
    """

    position: int
    value: float
    stderr: float = 0.0
    reason: str = ""
    name: str = ""


def make_curve(metric: str, unit: str, points: Sequence[Point]) -> Curve:
    """Make a curve of points.

    A point without an error among others with one gets their median: no error told does not mean a perfect point.
    Where no point has one, the errors are 0 and the fit goes by the scatter alone.
    """
    known = [point.stderr for point in points if not point.reason and 0 < point.stderr < math.inf]
    usual = statistics.median(known) if known else 0.0
    return Curve(
        metric=metric,
        unit=unit,
        samples=tuple(_sample(metric, unit, point, usual) for point in points),
        names=tuple(point.name for point in points) if any(point.name for point in points) else (),
    )


def _sample(metric: str, unit: str, point: Point, usual_error: float) -> Sample:
    reason = point.reason or ("" if math.isfinite(point.value) else "no value")
    stderr = point.stderr if 0 < point.stderr < math.inf else usual_error
    measurement = Measurement(
        metric=metric,
        value=math.nan if reason else point.value,
        stderr=math.nan if reason else stderr,
        unit=unit,
        lower_is_better=metric not in CURVES or CURVES[metric].lower_is_better,
        usable=not reason,
        reason=reason,
    )
    return Sample(position=point.position, measurement=measurement, purpose="sweep")


def read_text(path: Path) -> str:
    """Read a text file in UTF-8, with or without a byte order mark.

    Raises:
        ConfigurationError: It is not there, cannot be read, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise ConfigurationError(f"There is no file {path}.") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not a text file in UTF-8.") from error
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read ({error.strerror or error}).") from error
