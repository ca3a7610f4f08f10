"""A linear model through nights of drifting positions: generalised least squares, robust, with honest errors.

Each night has a free level. On top of the model a position walks at random from run to run, which makes runs close in
time alike: errors that took every run for independent would be far too small. How far it walks is estimated with the
rest, so that the reduced chi-square is 1.
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
ROUNDS = 30
"""Of reweighting, towards the least absolute residuals."""
NOT_AWAY = 0.1
"""Sigmas below which a residual counts no more than this one."""
RELATIVE_ACCURACY = 1e-2
"""Of the width of the walk, which is never known as well as that."""


@dataclass(frozen=True, slots=True)
class Nights:
    """Runs by night, in the order of time; nights are filled up to the longest one by runs that do not count.

    Attributes:
        terms: What the positions depend on, shape (nights, runs, terms).
        positions: Best focus in steps, shape (nights, runs), like the following.
        variances: Of the positions, in square steps.
        times: Since the first run of the night, in units of the typical gap.
        counts: Which of the runs count.
    """

    terms: Array
    positions: Array
    variances: Array
    times: Array
    counts: Mask


@dataclass(frozen=True, slots=True)
class DriftFit:
    """What a fit found.

    Attributes:
        values: Coefficients of the terms.
        covariance: Of the coefficients. It and the walk are widened where the degrees of freedom are few, so that
            1.96 standard errors hold 95 % also then.
        known: Which of the coefficients the runs determine.
        walk_steps: Standard deviation of the random walk after one typical gap.
        freedom: Degrees of freedom.
        kept: Which runs took part.
    """

    values: Array
    covariance: Array
    known: Mask
    walk_steps: float
    freedom: int
    kept: Mask


@dataclass(frozen=True, slots=True)
class _Solution:
    """A fit for a given width of the walk; `away` in sigmas, each run against all others, 0 where it says nothing."""

    values: Array
    covariance: Array
    known: Mask
    chi_square: float
    away: Array


def fit_drift(nights: Nights) -> DriftFit | None:
    """Fit without the runs that are far from the others; `None` if there are no degrees of freedom.

    The worst run of each night is left out until none is too far: a bad one makes its neighbours look bad as well.
    """
    kept = _near(nights)
    while (freedom := _freedom(nights, kept)) > 0:
        solved = _solved(nights, kept, _walk_steps(nights, kept, _excess_of_the_median))
        worst = (solved.away == solved.away.max(axis=1, keepdims=True)) & (solved.away > _limit(freedom))
        if not worst.any():
            break
        kept = kept & ~worst
    else:
        return None
    walk_steps = _walk_steps(nights, kept, lambda each: each.chi_square / freedom - 1)
    solved = _solved(nights, kept, walk_steps)
    widened = float(stdtrit(freedom, 0.975) / ndtri(0.975))
    return DriftFit(solved.values, solved.covariance * widened**2, solved.known, walk_steps * widened, freedom, kept)


def _limit(freedom: int) -> float:
    """Return how many sigmas a good run may be away: by Student's distribution more when the runs are few."""
    return float(stdtrit(freedom, ndtr(OUTLIER_SIGMAS)))


def _freedom(nights: Nights, kept: Mask) -> int:
    levels = int(kept.any(axis=1).sum())
    centred = _centred(nights.terms, kept).reshape(-1, nights.terms.shape[2])
    return int(kept.sum()) - levels - int(np.linalg.matrix_rank(centred))


def _centred(values: Array, weights: Array | Mask) -> Array:
    """Return values less their weighted means over each night; 0 where there is no weight."""
    each = np.asarray(weights, dtype=float)[..., np.newaxis]
    means = (values * each).sum(axis=1, keepdims=True) / np.maximum(each.sum(axis=1, keepdims=True), 1e-300)
    return np.asarray((values - means) * (each > 0))


def _near(nights: Nights) -> Mask:
    """Return which runs are not far from the line of the least absolute residuals, which outliers hardly turn.

    Outliers would pass for a wide random walk otherwise, in which they are not far from anything.
    """
    freedom = _freedom(nights, nights.counts)
    if freedom <= 0:
        return nights.counts
    away = np.ones(nights.counts.shape)
    for _ in range(ROUNDS):
        weights = nights.counts / nights.variances / np.maximum(away, NOT_AWAY)
        x, y = _centred(nights.terms, weights), _centred(nights.positions[..., np.newaxis], weights)[..., 0]
        root = np.sqrt(weights)
        values = np.linalg.lstsq((x * root[..., np.newaxis]).reshape(-1, x.shape[2]), (y * root).ravel(), rcond=None)[0]
        away = np.abs(y - x @ values) / np.sqrt(nights.variances)
    # The line goes through as many runs as it has coefficients.
    spread = float(np.median(np.sort(away[nights.counts])[-freedom:])) / math.sqrt(MEDIAN_OF_CHI_SQUARE)
    return np.asarray(nights.counts & (away <= _limit(freedom) * max(spread, 1.0)))


def _walk_steps(nights: Nights, kept: Mask, excess: Callable[[_Solution], float]) -> float:
    """Return the width of the walk that leaves no excess scatter; 0 where the stated errors explain all."""

    def at(walk_steps: float) -> float:
        return excess(_solved(nights, kept, walk_steps))

    if at(0.0) <= 0:
        return 0.0
    highest = 1.0 + float(np.ptp(_centred(nights.positions[..., np.newaxis], kept)))
    if at(highest) >= 0:
        return highest
    return float(optimize.brentq(at, 0.0, highest, rtol=RELATIVE_ACCURACY, xtol=1e-3))


def _excess_of_the_median(solved: _Solution) -> float:
    """Return how much the scatter exceeds the errors, by a measure that a few outliers hardly change."""
    away = solved.away[solved.away > 0]
    return float(np.median(away**2)) / MEDIAN_OF_CHI_SQUARE - 1 if len(away) else -1.0


def _solved(nights: Nights, kept: Mask, walk_steps: float) -> _Solution:
    precision = _precision(nights, kept, walk_steps)
    x, y = _centred(nights.terms, kept), _centred(nights.positions[..., np.newaxis], kept)[..., 0]
    weighted = precision @ x
    normal = np.einsum("gip,giq->pq", x, weighted)
    covariance = np.linalg.pinv(normal, rcond=1e-9, hermitian=True)
    values = covariance @ np.einsum("gip,gi->p", weighted, y)
    residuals = y - x @ values
    # What is left of a residual, and of its variance, once the run itself takes no part in the fit.
    left = np.einsum("gij,gj->gi", precision, residuals)
    own = np.einsum("gii->gi", precision)
    variance = own - np.einsum("gip,pq,giq->gi", weighted, covariance, weighted)
    says = variance > 1e-6 * np.maximum(own, 1e-300)
    away = np.where(says, np.abs(left) / np.sqrt(np.where(says, variance, 1.0)), 0.0)
    known = np.abs(np.diag(covariance @ normal) - 1) < 1e-6
    return _Solution(values, covariance, known, float(np.sum(residuals * left)), away)


def _precision(nights: Nights, kept: Mask, walk_steps: float) -> Array:
    """Return the inverse covariance of each night with its free level taken out; 0 for runs not kept."""
    pairs = kept[:, :, np.newaxis] & kept[:, np.newaxis, :]
    walked = walk_steps**2 * np.minimum(nights.times[:, :, np.newaxis], nights.times[:, np.newaxis, :])
    own = np.where(kept, nights.variances, 1.0)[:, :, np.newaxis] * np.eye(kept.shape[1])
    inverse = np.linalg.inv(np.where(pairs, walked, 0.0) + own) * pairs
    level = inverse.sum(axis=2)
    total = np.maximum(level.sum(axis=1), 1e-300)
    return np.asarray(inverse - level[:, :, np.newaxis] * level[:, np.newaxis, :] / total[:, np.newaxis, np.newaxis])
