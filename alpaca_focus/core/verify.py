"""The last frame of a run decides: it must show what the curve promised, and nothing better may have been seen."""

import math
from collections.abc import Sequence

from alpaca_focus.core.metrics import METRICS, Metric, blur_width, relative_width_error
from alpaca_focus.core.values import Fit, Measurement, Sample
from alpaca_focus.core.vcurve import POWERS, SEEING_SCATTER

SIGMAS = 3.0
PIXEL_ERROR_PX = 0.3
"""What stars smaller than two pixels are larger than the arms of their curve promise."""
WIDEST_JUDGED = 1 / 0.75
"""How many times wider than the best of the run the verifying frame may be by the metric that judges it: of the best
signal it must have three quarters, and the air alone takes a tenth."""


def keeps_promise(measurement: Measurement, fit: Fit) -> bool:
    """Tell whether a frame at the vertex is as good as the curve says, within its error and the moment's seeing."""
    if not measurement.usable:
        return False
    promised = fit.best_value ** POWERS[fit.model]
    seen = blur_width(measurement)
    error = math.hypot(
        relative_width_error(measurement) * seen,
        SEEING_SCATTER * promised,
        fit.parameters.get("least_stderr", 0.0),
        PIXEL_ERROR_PX if measurement.unit == "px" else 0.0,
    )
    return bool(seen <= promised + SIGMAS * error)


def better_before(verification: Sample, samples: Sequence[Sample]) -> Sample | None:
    """Return an earlier frame that was clearly better than the verifying one, if there was one.

    A focus that is worse than the start, or than any other place that was seen, is none.
    """
    usable = [each for each in samples if each is not verification and each.measurement.usable]
    if not usable:
        return None
    row = METRICS.get(verification.measurement.metric)
    if row is not None and row.judge:
        judge = METRICS[row.judge]
        judged_best = min(usable, key=lambda each: _judged_width(each.measurement, judge))
        if _judged_width(verification.measurement, judge) > WIDEST_JUDGED * _judged_width(
            judged_best.measurement, judge
        ):
            return judged_best
    best = min(usable, key=lambda each: blur_width(each.measurement))
    least, seen = blur_width(best.measurement), blur_width(verification.measurement)
    error = math.hypot(
        relative_width_error(verification.measurement) * seen,
        relative_width_error(best.measurement) * least,
        math.sqrt(2) * SEEING_SCATTER * least,
    )
    return best if seen > least + SIGMAS * error else None


def _judged_width(measurement: Measurement, judge: Metric) -> float:
    """Return the width of the blur by the metric that judges a measurement; infinite where it shows nothing."""
    value = measurement.details.get(judge.column, math.nan)
    return float(value**judge.blur.power) if value > 0 else math.inf
