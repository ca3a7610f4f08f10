"""Focus from one frame out of focus: the shape of its rings tells the distance, a known side the direction.

Rings are fitted with ideal optics. What the real telescope does to a single ring (a quarter of a wave of spherical
aberration moves it by up to a fifth of the critical focus zone) is a constant for each side of focus, which sweeps of
the ordinary kind teach: the distance from the vertex they found, less what their own rings said.
"""

import math
from collections.abc import Sequence
from types import MappingProxyType

from alpaca_focus.core.curves.hyperbola import KNOWN
from alpaca_focus.core.curves.known_curve import SEEING_SPREAD, KnownCurve, RingOffset, fit_known_curve
from alpaca_focus.core.values import Fit, Sample

DEFOCUS, STDERR = "ring_defocus_steps", "ring_stderr_steps"
"""Details of a measurement: the distance from focus that its rings say, and the standard error of that."""
FEWEST_SWEEPS = 3
"""Sweeps that must have taught the constant: the error of one would be in every later run."""
NEAREST_CFZ = 2.5
"""Least distance of the frame from where focus is expected, so that its side is known."""
LEAST_RISE = 1.6
"""Size of the stars, in times that in focus, from which on a ring is believed: nearer, seeing looks like one too."""
AGREES_SIGMAS = 3.5


def taught_offset(before: RingOffset | None, samples: Sequence[Sample], fit: Fit, sign: int) -> RingOffset | None:
    """Learn the constant of one side from a sweep.

    Args:
        before: What was known.
        samples: Frames of the sweep.
        fit: Its accepted fit.
        sign: +1 for frames outside of focus, -1 inside.

    Returns:
        The mean of all sweeps, weighted by their errors; what was known before when this one had no rings there.
    """
    away = [
        ((sample.position - fit.best_position) * sign - sample.measurement.details[DEFOCUS], sample)
        for sample in samples
        if (sample.position - fit.best_position) * sign > 0 and _is_ring(sample, fit.best_value)
    ]
    if not away:
        return before
    own = math.fsum(sample.measurement.details[STDERR] ** 2 for _, sample in away) / len(away) ** 2
    variance = fit.best_position_stderr**2 + own
    steps = math.fsum(offset for offset, _ in away) / len(away)
    if before is None:
        return RingOffset(steps=steps, variance=variance, sweeps=1)
    old, new = 1 / before.variance, 1 / variance
    return RingOffset(
        steps=(old * before.steps + new * steps) / (old + new),
        variance=1 / (old + new),
        sweeps=before.sweeps + 1,
    )


def is_calibrated(offset: RingOffset | None) -> bool:
    """Tell whether enough sweeps have taught a constant."""
    return offset is not None and offset.sweeps >= FEWEST_SWEEPS


def ring_fit(sample: Sample, side: int, curve: KnownCurve) -> Fit | None:
    """Return where focus is by the rings of one frame.

    Args:
        sample: A frame on a known side.
        side: +1 when it is outside of focus, -1 inside.
        curve: What is known, with the constant of that side.

    Returns:
        The known curve with its vertex there; `None` when the frame's rings said nothing.
    """
    offset = curve.ring_offset(side)
    details = sample.measurement.details
    if offset is None or not _is_ring(sample, curve.least):
        return None
    return Fit(
        model=KNOWN,
        best_position=sample.position - side * (details[DEFOCUS] + offset.steps),
        best_position_stderr=math.hypot(details[STDERR], math.sqrt(offset.variance)),
        best_value=curve.least,
        parameters=MappingProxyType(
            {"slope_in": curve.slope_in, "slope_out": curve.slope_out, "least_stderr": SEEING_SPREAD * curve.least}
        ),
        r_squared=math.nan,
        residuals=(math.nan,),
    )


def _is_ring(sample: Sample, least: float) -> bool:
    measured = sample.measurement
    return measured.usable and DEFOCUS in measured.details and measured.value >= LEAST_RISE * least


def agrees(fit: Fit, samples: Sequence[Sample], curve: KnownCurve) -> bool:
    """Tell whether the sizes of the stars, at the ring and in focus, say the same place as the rings do."""
    by_size = fit_known_curve(samples, curve)
    error = math.hypot(by_size.best_position_stderr, fit.best_position_stderr)
    return abs(by_size.best_position - fit.best_position) <= AGREES_SIGMAS * error
