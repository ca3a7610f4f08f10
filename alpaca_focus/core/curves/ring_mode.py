"""Focus from one frame out of focus: the shape of its rings gives the distance, a known side the direction.

Rings are fitted with ideal optics. The error of a real telescope (a quarter of a wave of spherical aberration moves a
ring by up to a fifth of the critical focus zone) is a constant for each side of focus, learned from ordinary sweeps:
the distance of a frame from the vertex of the sweep, less the distance from the frame's own rings.
"""

import math
from collections.abc import Sequence
from types import MappingProxyType

from alpaca_focus.core.curves.hyperbola import KNOWN
from alpaca_focus.core.curves.known_curve import SEEING_SPREAD, KnownCurve, RingOffset, fit_known_curve
from alpaca_focus.core.values import Fit, Sample

DEFOCUS, STDERR = "ring_defocus_steps", "ring_stderr_steps"
"""Details of a measurement: the distance from focus by its rings, and the standard error of that."""
FEWEST_SWEEPS = 3
"""Sweeps needed to calibrate the constant: the error of one would be in every later run."""
NEAREST_CFZ = 2.5
"""Smallest distance of the frame from the expected focus, so that its side is known."""
LEAST_RISE = 1.6
"""Smallest size of the stars over that in focus at which rings are used: nearer, seeing looks like a ring too."""
AGREES_SIGMAS = 3.5


def learn_ring_offset(before: RingOffset | None, samples: Sequence[Sample], fit: Fit, sign: int) -> RingOffset | None:
    """Return the constant of one side, averaged over the sweeps so far and this one, weighted by their errors.

    The side is outside of focus for a sign of +1, inside for -1.
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
    steps = (old * before.steps + new * steps) / (old + new)
    return RingOffset(steps=steps, variance=1 / (old + new), sweeps=before.sweeps + 1)


def is_calibrated(offset: RingOffset | None) -> bool:
    """Return whether a constant comes from enough sweeps."""
    return offset is not None and offset.sweeps >= FEWEST_SWEEPS


def ring_fit(sample: Sample, side: int, curve: KnownCurve) -> Fit | None:
    """Return the known curve with its vertex at the focus by the rings of one frame; `None` without usable rings.

    The frame is outside of focus for a side of +1, inside for -1.
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
    """Return whether the sizes of the stars, at the ring and in focus, confirm the focus measured by the rings."""
    by_size = fit_known_curve(samples, curve)
    error = math.hypot(by_size.best_position_stderr, fit.best_position_stderr)
    return abs(by_size.best_position - fit.best_position) <= AGREES_SIGMAS * error
