"""Any metric as a width of the blur, so that one sweep serves them all: the larger, the further from focus."""

import math

from alpaca_focus.core.values import Measurement
from alpaca_focus.core.vcurve import AREA, AREA_METRICS, POWERS, RECIPROCAL, WIDTH


def power(measurement: Measurement) -> float:
    """Return the power of this metric that goes as the width of the blur, see `vcurve.POWERS`."""
    if measurement.metric in AREA_METRICS:
        return POWERS[AREA]
    return POWERS[WIDTH if measurement.lower_is_better else RECIPROCAL]


def width(measurement: Measurement) -> float:
    """Return the metric as a width; infinite where the frame is not usable or shows no light at all."""
    if not measurement.usable or measurement.value <= 0:
        return math.inf
    return float(measurement.value ** power(measurement))


def relative_error(measurement: Measurement) -> float:
    """Return the standard error of `width`, as a fraction of it."""
    return abs(power(measurement)) * measurement.stderr / measurement.value
