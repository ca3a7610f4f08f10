"""The last frame of a run decides: it must show what the curve promised, and nothing better may have been seen."""

import math
from collections.abc import Sequence
from types import MappingProxyType

from alpaca_focus.core.blur import relative_error, width
from alpaca_focus.core.values import Fit, Measurement, Sample
from alpaca_focus.core.vcurve import POWERS, SEEING_SCATTER

SIGMAS = 3.0
PIXEL_ERROR_PX = 0.3
"""What stars smaller than two pixels are larger than the arms of their curve promise."""
JUDGES = MappingProxyType({"spectrum_fwhm": "nsig"})
"""By metric, the detail that has the last word: a spectrum is there for its signal."""
LEAST_SIGNAL = 0.75
"""Share of the best signal seen in the run that the verifying frame must have; the air alone takes a tenth."""


def keeps_promise(measurement: Measurement, fit: Fit) -> bool:
    """Tell whether a frame at the vertex is as good as the curve says, within its error and the moment's seeing."""
    if not measurement.usable:
        return False
    promised = fit.best_value ** POWERS[fit.model]
    seen = width(measurement)
    error = math.hypot(
        relative_error(measurement) * seen,
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
    judge = JUDGES.get(verification.measurement.metric)
    if judge is not None:
        brightest = max(usable, key=lambda each: each.measurement.details.get(judge, 0.0))
        signal = brightest.measurement.details.get(judge, 0.0)
        if verification.measurement.details.get(judge, 0.0) < LEAST_SIGNAL * signal:
            return brightest
    best = min(usable, key=lambda each: width(each.measurement))
    least, seen = width(best.measurement), width(verification.measurement)
    error = math.hypot(
        relative_error(verification.measurement) * seen,
        relative_error(best.measurement) * least,
        math.sqrt(2) * SEEING_SCATTER * least,
    )
    return best if seen > least + SIGMAS * error else None
