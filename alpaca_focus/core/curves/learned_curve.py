"""The V-curve of a train and filter, learned from earlier runs so that the next one needs fewer frames."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from alpaca_focus.core.curves.hyperbola import LARGEST_RISE, point_errors
from alpaca_focus.core.curves.known_curve import KnownCurve, RingOffset
from alpaca_focus.core.curves.ring_mode import learn_ring_offset
from alpaca_focus.core.errors import RunFailed
from alpaca_focus.core.values import Fit, Sample

Array = NDArray[np.float64]

FEWEST_ON_AN_ARM = 2
LEAST_SLOPE_ERROR = 0.01
"""Smallest relative error of the slopes, however many runs agree: the telescope bends, mirrors move."""
ARMS_DIFFER = 0.02
"""Usual relative difference of the two slopes: one run alone measures it no better than to 10 %, which would move the
vertex of every later run."""
OLD_RUNS = 10
"""Largest weight of the past, in runs, so that a change of the telescope is learned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedCurve:
    """The V-curve of one optical train and filter; see `KnownCurve` for the slopes and the rings.

    Attributes:
        least: The metric in focus, a mean over the runs.
        best_position: Focus of the latest run.
        temperature_c: Temperature of that run, if known.
        learned_at: Time of that run, UTC.
        runs: Number of runs.
    """

    slope_in: float
    slope_out: float
    slope_error: float
    least: float
    best_position: float
    temperature_c: float | None
    learned_at: datetime
    runs: int
    ring_in: RingOffset | None = None
    ring_out: RingOffset | None = None

    def known_curve(self, *, expected_position: float | None = None) -> KnownCurve:
        """Return the curve for a sweep; by default, focus is expected at the latest run's position."""
        return KnownCurve(
            slope_in=self.slope_in,
            slope_out=self.slope_out,
            slope_error=self.slope_error,
            least=self.least,
            expected_position=self.best_position if expected_position is None else expected_position,
            ring_in=self.ring_in,
            ring_out=self.ring_out,
        )


def learn_curve(
    samples: Sequence[Sample],
    fit: Fit,
    *,
    before: LearnedCurve | None,
    temperature_c: float | None,
    learned_at: datetime,
) -> LearnedCurve:
    """Return the curve learned so far, updated by a verified run with frames on both arms.

    The slopes are those of a hyperbola with unequal arms. Runs are averaged by their errors; the position of focus is
    the latest one's. `learned_at` is the time of the run, UTC.

    Raises:
        RunFailed: An arm has too few frames to have a slope.
    """
    usable = [
        sample
        for sample in samples
        if sample.measurement.usable and sample.measurement.value <= LARGEST_RISE * fit.best_value
    ]
    x = np.array([sample.position for sample in usable], dtype=float)
    y = np.array([sample.measurement.value for sample in usable])
    own_error = np.array([sample.measurement.stderr for sample in usable])
    away = x - fit.best_position
    if min(int((away < 0).sum()), int((away > 0).sum())) < FEWEST_ON_AN_ARM:
        raise RunFailed("An arm of the V has too few frames to learn its slope from.")
    slope_in, slope_out, slope_error, least = _arms(x, y, point_errors(y, own_error, fit.best_value), fit)
    now = LearnedCurve(
        slope_in=slope_in,
        slope_out=slope_out,
        slope_error=max(slope_error, LEAST_SLOPE_ERROR),
        least=least,
        best_position=fit.best_position,
        temperature_c=temperature_c,
        learned_at=learned_at,
        runs=1,
        ring_in=learn_ring_offset(None if before is None else before.ring_in, samples, fit, -1),
        ring_out=learn_ring_offset(None if before is None else before.ring_out, samples, fit, 1),
    )
    return now if before is None else _averaged(before, now)


def move_learned_focus(
    before: LearnedCurve, samples: Sequence[Sample], fit: Fit, *, temperature_c: float | None, learned_at: datetime
) -> LearnedCurve:
    """Return a learned curve with the focus of a run that used the curve's own slopes.

    A pair, with frames on both arms, also calibrates the rings; a run by the rings themselves does not.
    """
    by_pair = len({sample.position > fit.best_position for sample in samples if sample.purpose == "pair"}) == 2
    return replace(
        before,
        best_position=fit.best_position,
        temperature_c=temperature_c,
        learned_at=learned_at,
        ring_in=learn_ring_offset(before.ring_in, samples, fit, -1) if by_pair else before.ring_in,
        ring_out=learn_ring_offset(before.ring_out, samples, fit, 1) if by_pair else before.ring_out,
    )


def _arms(x: Array, y: Array, sigma: Array, fit: Fit) -> tuple[float, float, float, float]:
    """Return both slopes, their common relative error, and the minimum."""
    start_slope = max(float(np.max((y - fit.best_value) / np.maximum(np.abs(x - fit.best_position), 1))), 1e-9)
    # Unequal arms shift the vertex of an equal-armed fit by more than its standard error, but far less than the curve.
    vertex_freedom = float(np.ptp(x)) / 10

    def residuals(parameters: Array) -> Array:
        shift, log_least, log_in, log_out = parameters
        away = x - fit.best_position - shift * vertex_freedom
        slope = np.where(away < 0, math.exp(log_in), math.exp(log_out))
        values = np.hypot(fit.best_value * math.exp(log_least), slope * away)
        return np.append((values - y) / sigma, [shift, (log_in - log_out) / ARMS_DIFFER])

    start = np.array([0.0, 0.0, math.log(start_slope), math.log(start_slope)])
    solution = least_squares(residuals, start, loss="soft_l1")
    jacobian = np.asarray(solution.jac)
    covariance = np.linalg.pinv(jacobian.T @ jacobian)
    error = math.sqrt(float(max(covariance[2, 2], covariance[3, 3])))
    _, log_least, log_in, log_out = (float(value) for value in solution.x)
    return math.exp(log_in), math.exp(log_out), error, fit.best_value * math.exp(log_least)


def _averaged(before: LearnedCurve, now: LearnedCurve) -> LearnedCurve:
    runs = min(before.runs, OLD_RUNS)
    past, present = 1 / before.slope_error**2, 1 / now.slope_error**2

    def mean(old: float, new: float) -> float:
        return math.exp((past * math.log(old) + present * math.log(new)) / (past + present))

    return replace(
        now,
        slope_in=mean(before.slope_in, now.slope_in),
        slope_out=mean(before.slope_out, now.slope_out),
        slope_error=max(1 / math.sqrt(past + present), LEAST_SLOPE_ERROR),
        least=math.exp((runs * math.log(before.least) + math.log(now.least)) / (runs + 1)),
        runs=before.runs + 1,
    )
