"""Focus from few frames where the shape of the V-curve is known from earlier runs.

The slopes of the arms belong to the telescope and hardly change; the vertex and the seeing change from night to night.
Two frames, one on each arm, give the vertex: with the HFD y on a hyperbola y^2 = m^2 + s^2 (x - c)^2 the difference of
the squares does not depend on the seeing m of both frames.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.special import chdtrc

from alpaca_focus.core.curves.hyperbola import KNOWN, point_errors, weighted_r_squared
from alpaca_focus.core.errors import RunFailed
from alpaca_focus.core.values import Fit, Sample

Array = NDArray[np.float64]

SEEING_SPREAD = 0.35
"""Spread of the seeing from night to night about the learned one, as a fraction."""
STARTS = 41
ARMS_ERROR = 0.02
"""Fraction by which the ratio of the two slopes may differ from the learned one."""
CHANCE = "chance"
"""Name of the parameter with the probability of frames this far from the curve."""
ONE_SIDED = 1.15
"""Factor on the standard error of the vertex if all frames are on one arm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RingOffset:
    """The correction of the distance from focus measured by rings on one side, learned from so many sweeps."""

    steps: float
    variance: float
    sweeps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownCurve:
    """The V-curve of one optical train and filter, learned from earlier runs.

    Attributes:
        slope_in: Rise of the metric for each step far inside of focus.
        slope_out: The same outside.
        slope_error: Standard error of the slopes, as a fraction.
        least: The metric in focus in usual seeing.
        expected_position: Expected focus now.
        ring_in: Correction for rings inside of focus; `None`: not known.
        ring_out: The same outside.
    """

    slope_in: float
    slope_out: float
    slope_error: float
    least: float
    expected_position: float
    ring_in: RingOffset | None = None
    ring_out: RingOffset | None = None

    def ring_offset(self, sign: int) -> RingOffset | None:
        """Return the correction for rings on one side; `None`: not known."""
        return self.ring_out if sign > 0 else self.ring_in

    def distance(self, value: float, sign: int) -> float:
        """Return the distance from focus, in steps, of a value of the metric on one side."""
        slope = self.slope_out if sign > 0 else self.slope_in
        return math.sqrt(max(value**2 - self.least**2, 0.0)) / slope


def fit_known_curve(samples: Sequence[Sample], curve: KnownCurve, *, leave_out: Sequence[int] = ()) -> Fit:
    """Find the vertex of a known V-curve from at least two frames.

    The vertex is free; the seeing of the night, a common factor of the slopes and their ratio have the known values as
    priors, whose uncertainty goes into the standard error.

    Args:
        samples: Points in any order; those that are not usable take no part.
        curve: The known curve.
        leave_out: Indices of samples to leave out; they are the rejected ones of the fit.

    Returns:
        The fit, with parameters `slope_in`, `slope_out`, `least_stderr` and `chance`, the probability of frames this
        far from the known curve.

    Raises:
        RunFailed: Fewer than two usable frames at different positions.
    """
    usable = [index for index, sample in enumerate(samples) if sample.measurement.usable and index not in leave_out]
    x = np.array([samples[index].position for index in usable], dtype=float)
    y = np.array([samples[index].measurement.value for index in usable], dtype=float)
    own_error = np.array([samples[index].measurement.stderr for index in usable], dtype=float)
    if len(np.unique(x)) < 2:
        raise RunFailed("A known V-curve needs frames at two positions at least, and there are not so many.")
    vertex, least, factors, covariance, chi_squared = _best(x, y, own_error, curve)
    fitted = _values(x, vertex, least, factors, curve)
    residuals = np.full(len(samples), np.nan)
    residuals[usable] = y - fitted
    stderr = math.sqrt(float(covariance[0, 0]))
    if np.all(x > vertex) or np.all(x < vertex):
        stderr *= ONE_SIDED
    return Fit(
        model=KNOWN,
        best_position=vertex,
        best_position_stderr=stderr,
        best_value=least,
        parameters=MappingProxyType(
            {
                "slope_in": curve.slope_in * factors[0],
                "slope_out": curve.slope_out * factors[1],
                "least_stderr": least * math.sqrt(float(covariance[1, 1])),
                # Seeing, slope and ratio have priors: of the four unknowns only the vertex costs a degree of freedom.
                CHANCE: float(chdtrc(len(x) - 1, chi_squared)),
            }
        ),
        r_squared=weighted_r_squared(y, fitted, point_errors(y, own_error, least)),
        residuals=tuple(float(value) for value in residuals),
        rejected=tuple(leave_out),
    )


def _values(x: Array, vertex: float, least: float, factors: tuple[float, float], curve: KnownCurve) -> Array:
    away = x - vertex
    return np.hypot(least, np.where(away < 0, factors[0] * curve.slope_in, factors[1] * curve.slope_out) * away)


def _best(
    x: Array, y: Array, own_error: Array, curve: KnownCurve
) -> tuple[float, float, tuple[float, float], Array, float]:
    """Return vertex, minimum, factors of both slopes, the covariance of (vertex, ln minimum, ...), and chi^2."""
    reach = max(curve.distance(float(value), sign) for value in y for sign in (-1, 1))
    starts = np.linspace(x.min() - reach, x.max() + reach, STARTS)
    scale = max(float(np.ptp(x)), 1.0)
    slope_error = max(curve.slope_error, 1e-4)

    def unpack(parameters: Array) -> tuple[float, float, tuple[float, float]]:
        vertex, log_least, log_slope, log_ratio = (float(value) for value in parameters)
        factors = math.exp(log_slope - log_ratio / 2), math.exp(log_slope + log_ratio / 2)
        return scale * vertex, curve.least * math.exp(log_least), factors

    def residuals(parameters: Array) -> Array:
        vertex, least, factors = unpack(parameters)
        away = (_values(x, vertex, least, factors, curve) - y) / point_errors(y, own_error, least)
        return np.append(away, parameters[1:] / (SEEING_SPREAD, slope_error, ARMS_ERROR))

    costs = [float(np.sum(residuals(np.array([start / scale, 0.0, 0.0, 0.0])) ** 2)) for start in starts]
    solutions = (
        least_squares(residuals, np.array([starts[index] / scale, 0.0, 0.0, 0.0]), method="lm")
        for index in _lowest(costs)
    )
    # Of two equally good solutions, the one nearer to the expected focus.
    solution = min(
        solutions, key=lambda each: float(each.cost) + 1e-6 * abs(scale * each.x[0] - curve.expected_position) / scale
    )
    vertex, least, factors = unpack(solution.x)
    jacobian = np.asarray(solution.jac)
    freedom = max(len(x) - 1, 1)
    # More scatter than the errors allow raises the standard error; two frames always agree.
    scatter = max(1.0, 2 * float(solution.cost) / freedom) if len(x) > 2 else 1.0
    covariance = np.linalg.pinv(jacobian.T @ jacobian) * scatter
    covariance[0] *= scale
    covariance[:, 0] *= scale
    return vertex, least, factors, covariance, 2 * float(solution.cost)


def _lowest(costs: list[float]) -> list[int]:
    """Return the local minima of the costs along the starts, at most four, the lowest first."""
    padded = [math.inf, *costs, math.inf]
    minima = [index for index in range(len(costs)) if padded[index] >= costs[index] <= padded[index + 2]]
    return sorted(minima, key=lambda index: costs[index])[:4]
