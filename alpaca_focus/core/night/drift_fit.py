"""Robust generalised least squares for a linear model through nights of drifting positions.

Each night has a free level. On top of the model a position walks at random from run to run, so runs close in time are
correlated: errors that treat every run as independent would be far too small (decision 0017). The width of the walk is
estimated with the rest, so that the reduced chi-square is 1.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize
from scipy.special import ndtr, ndtri, stdtrit

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

OUTLIER_SIGMAS = 4.0
MEDIAN_OF_CHI_SQUARE = 0.4549
"""Median of the chi-square distribution of one degree of freedom."""
REWEIGHTINGS = 30
"""Iterations towards the least absolute residuals."""
LEAST_SIGMAS = 0.1
"""Smaller residuals have the weight of this one: the weight of a residual of 0 would be infinite."""
RELATIVE_ACCURACY = 1e-2
"""Of the width of the walk; its own statistical error is far larger."""


@dataclass(frozen=True, slots=True)
class Nights:
    """Runs by night, in the order of time; nights are padded to the length of the longest one.

    Attributes:
        terms: The independent variables, shape (nights, runs, terms).
        positions: Best focus in steps, shape (nights, runs), like the following.
        variances: Of the positions, in square steps.
        times: Since the first run of the night, in units of the typical gap.
        counts: Which of the runs are real, not padding.
    """

    terms: Array
    positions: Array
    variances: Array
    times: Array
    counts: Mask


@dataclass(frozen=True, slots=True)
class DriftFit:
    """The result of a fit.

    Attributes:
        values: Coefficients of the terms.
        covariance: Of the coefficients. It and the walk are widened where the degrees of freedom are few, so that
            1.96 standard errors hold 95 % also then.
        known: Which of the coefficients the runs determine.
        walk_steps: Standard deviation of the random walk after one typical gap.
        freedom: Degrees of freedom.
        used: Which runs took part; the others are padding or outliers.
    """

    values: Array
    covariance: Array
    known: Mask
    walk_steps: float
    freedom: int
    used: Mask


@dataclass(frozen=True, slots=True)
class _Solution:
    """A fit for a given width of the walk."""

    values: Array
    covariance: Array
    known: Mask
    chi_square: float
    sigmas: Array
    """Distance of each run from the fit to all others, in standard errors; 0 where that is not determined."""


def fit_drift(nights: Nights) -> DriftFit | None:
    """Fit without outliers; return `None` if there are no degrees of freedom."""
    # Only the worst run of each night is left out at a time: a bad one pulls its neighbours away as well.
    used = _not_outliers(nights)
    while (freedom := _freedom(nights, used)) > 0:
        solved = _solved(nights, used, _walk_steps(nights, used, _excess_of_the_median))
        worst = (solved.sigmas == solved.sigmas.max(axis=1, keepdims=True)) & (solved.sigmas > _outlier_limit(freedom))
        if not worst.any():
            break
        used = used & ~worst
    else:
        return None
    walk_steps = _walk_steps(nights, used, lambda each: each.chi_square / freedom - 1)
    solved = _solved(nights, used, walk_steps)
    widened = float(stdtrit(freedom, 0.975) / ndtri(0.975))
    return DriftFit(solved.values, solved.covariance * widened**2, solved.known, walk_steps * widened, freedom, used)


def _outlier_limit(freedom: int) -> float:
    """Return `OUTLIER_SIGMAS` by Student's distribution: more sigmas when the runs are few."""
    return float(stdtrit(freedom, ndtr(OUTLIER_SIGMAS)))


def _freedom(nights: Nights, used: Mask) -> int:
    centred = _centred(nights.terms, used).reshape(-1, nights.terms.shape[2])
    return int(used.sum() - used.any(axis=1).sum() - np.linalg.matrix_rank(centred))


def _centred(values: Array, weights: Array | Mask) -> Array:
    """Return the values minus their weighted mean of each night; 0 where there is no weight."""
    each = np.asarray(weights, dtype=float)[..., np.newaxis]
    means = (values * each).sum(axis=1, keepdims=True) / np.maximum(each.sum(axis=1, keepdims=True), 1e-300)
    return np.asarray((values - means) * (each > 0))


def _not_outliers(nights: Nights) -> Mask:
    """Return which runs are near a fit of the least absolute residuals, on which outliers have little influence."""
    # Without this step a few outliers would be fitted as a wide random walk, in which none of them stands out.
    freedom = _freedom(nights, nights.counts)
    if freedom <= 0:
        return nights.counts
    sigmas = np.ones(nights.counts.shape)
    for _ in range(REWEIGHTINGS):
        weights = nights.counts / nights.variances / np.maximum(sigmas, LEAST_SIGMAS)
        x, y = _centred(nights.terms, weights), _centred(nights.positions[..., np.newaxis], weights)[..., 0]
        root = np.sqrt(weights)
        values = np.linalg.lstsq((x * root[..., np.newaxis]).reshape(-1, x.shape[2]), (y * root).ravel(), rcond=None)[0]
        sigmas = np.abs(y - x @ values) / np.sqrt(nights.variances)
    # The fit passes exactly through as many runs as it has coefficients: they are left out of the median.
    spread = float(np.median(np.sort(sigmas[nights.counts])[-freedom:])) / math.sqrt(MEDIAN_OF_CHI_SQUARE)
    return np.asarray(nights.counts & (sigmas <= _outlier_limit(freedom) * max(spread, 1.0)))


def _walk_steps(nights: Nights, used: Mask, excess: Callable[[_Solution], float]) -> float:
    """Return the width of the walk that leaves no excess scatter; 0 where the standard errors explain all."""

    def at(walk_steps: float) -> float:
        return excess(_solved(nights, used, walk_steps))

    if at(0.0) <= 0:
        return 0.0
    highest = 1.0 + float(np.ptp(_centred(nights.positions[..., np.newaxis], used)))
    if at(highest) >= 0:
        return highest
    return float(optimize.brentq(at, 0.0, highest, rtol=RELATIVE_ACCURACY, xtol=1e-3))


def _excess_of_the_median(solved: _Solution) -> float:
    """Return by how much the scatter exceeds the errors, by a median, which a few outliers hardly change."""
    sigmas = solved.sigmas[solved.sigmas > 0]
    return float(np.median(sigmas**2)) / MEDIAN_OF_CHI_SQUARE - 1 if len(sigmas) else -1.0


def _solved(nights: Nights, used: Mask, walk_steps: float) -> _Solution:
    precision = _precision(nights, used, walk_steps)
    x, y = _centred(nights.terms, used), _centred(nights.positions[..., np.newaxis], used)[..., 0]
    weighted = precision @ x
    normal = np.einsum("gip,giq->pq", x, weighted)
    covariance = np.linalg.pinv(normal, rcond=1e-9, hermitian=True)
    values = covariance @ np.einsum("gip,gi->p", weighted, y)
    residuals = y - x @ values
    # Leave-one-out residuals and their variances, both scaled by the precision of the run.
    left = np.einsum("gij,gj->gi", precision, residuals)
    own = np.einsum("gii->gi", precision)
    variance = own - np.einsum("gip,pq,giq->gi", weighted, covariance, weighted)
    determined = variance > 1e-6 * np.maximum(own, 1e-300)
    sigmas = np.where(determined, np.abs(left) / np.sqrt(np.where(determined, variance, 1.0)), 0.0)
    known = np.abs(np.diag(covariance @ normal) - 1) < 1e-6
    return _Solution(values, covariance, known, float(np.sum(residuals * left)), sigmas)


def _precision(nights: Nights, used: Mask, walk_steps: float) -> Array:
    """Return the inverse covariance of each night with its free level taken out; 0 for unused runs."""
    pairs = used[:, :, np.newaxis] & used[:, np.newaxis, :]
    walked = walk_steps**2 * np.minimum(nights.times[:, :, np.newaxis], nights.times[:, np.newaxis, :])
    own = np.where(used, nights.variances, 1.0)[:, :, np.newaxis] * np.eye(used.shape[1])
    inverse = np.linalg.inv(np.where(pairs, walked, 0.0) + own) * pairs
    level = inverse.sum(axis=2)
    total = np.maximum(level.sum(axis=1), 1e-300)
    return np.asarray(inverse - level[:, :, np.newaxis] * level[:, np.newaxis, :] / total[:, np.newaxis, np.newaxis])
