"""The hyperbola through a V-curve, and its vertex, the best focus, with a standard error."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from alpaca_focus.core.errors import RunFailed
from alpaca_focus.core.metrics import Blur, blur_of
from alpaca_focus.core.values import Fit, Sample

Array = NDArray[np.float64]

SEEING_SCATTER = 0.10
"""Rms of the seeing from frame to frame, as a fraction; sites show 5 to 20 %."""
RELATIVE_FLOOR = 0.006
"""Share of the HFD by which real curves depart from a hyperbola."""
OUTLIER_SIGMAS = 5.0
"""A point further than this from the curve through the others is left out."""
NO_EFFECT = 1e-9
"""Singular values below this share of the largest are those of a parameter without effect."""
MAX_SUSPECTS = 30
"""Points tried as the worst outlier. In a larger set one point cannot bend the curve through all enough to hide."""
MIN_POINTS = 4
LARGEST_RISE = 6.0
"""Points with more than this many times the smallest HFD are left out: far from focus an arm need not be straight."""

WIDTH = "hyperbola"
KNOWN = "known hyperbola"
"""A hyperbola with slopes known before, one for each arm."""
NAMES = (WIDTH, "unequal hyperbola", "parabola", "trend lines", "mean", KNOWN)
POWERS = MappingProxyType({name + blur.suffix: blur.power for name in NAMES for blur in Blur})
"""By model, the power of the metric that goes as the width of the blur, see `Blur`; its curve is a hyperbola."""


@dataclass(frozen=True, slots=True)
class _Curve:
    """A hyperbola y = sqrt(least^2 + (slope (x - vertex))^2) with the covariance of (vertex, least, slope)."""

    vertex: float
    least: float
    slope: float
    covariance: Array

    def values(self, positions: Array) -> Array:
        return np.hypot(self.least, self.slope * (positions - self.vertex))


def fit_hyperbola(samples: Sequence[Sample]) -> Fit:
    """Fit a symmetric hyperbola to the usable samples of one metric.

    The HFD of a defocused star is the blur of seeing and the blur of defocus added in quadrature, a hyperbola
    y^2 = y0^2 + s^2 (x - c)^2. Points are weighted by their own error and by the seeing's scatter from frame to
    frame: it moves a point by e y0^2 / y, much near focus and little on the arms. Outliers from the curve through all
    other points are left out, at most one in four, and so are points very far from focus.

    A metric that is better when higher (NSIG) is fitted by its reciprocal, an area (InvPower) by its square root, see
    `POWERS`: the errors are propagated, and the fit is returned in the metric's own values. The samples may be in any
    order, several at one position.

    Returns:
        The fit; residuals of samples that are not usable or very far from focus are NaN. The slope and `r_squared` are
        those of the hyperbola. The standard error is scaled up if the scatter exceeds the errors, never down.

    Raises:
        RunFailed: Fewer than four usable samples or positions, or no curve with a minimum goes through them.
    """
    # All samples of one curve share the metric.
    measured = next((sample.measurement for sample in samples if sample.measurement.usable), None)
    model = WIDTH if measured is None else WIDTH + blur_of(measured).suffix
    power = POWERS[model]
    values = {index: sample.measurement.value for index, sample in enumerate(samples) if sample.measurement.usable}
    # A value of 0 or less (a signal lost in the sky) has no width and counts as infinitely far from focus.
    widths = {index: value**power if value > 0 else math.inf for index, value in values.items()}
    least = min(widths.values(), default=math.inf)
    near = [index for index, width in widths.items() if math.isfinite(width) and width <= LARGEST_RISE * least]
    x = np.array([samples[index].position for index in near], dtype=float)
    y = np.array([widths[index] for index in near], dtype=float)
    relative_error = np.array([samples[index].measurement.stderr / values[index] for index in near], dtype=float)
    fit = _fit_widths(x, y, abs(power) * relative_error * y)
    in_metric = replace(fit, model=model, best_value=fit.best_value ** (1 / power))
    residuals = np.full(len(samples), np.nan)
    least, slope = in_metric.best_value**power, fit.parameters["slope"]
    for index in near:
        width = math.hypot(least, slope * (samples[index].position - fit.best_position))
        residuals[index] = values[index] - width ** (1 / power)
    return replace(
        in_metric,
        residuals=tuple(float(value) for value in residuals),
        rejected=tuple(sorted((values.keys() - set(near)) | {near[index] for index in fit.rejected})),
    )


def compromise(first: Fit, second: Fit) -> tuple[float, float]:
    """Return the mean of two best positions, weighted by inverse variance, and its standard error, both in steps.

    The standard error covers the scatter only: in an astigmatic instrument the two positions differ systematically.
    """
    positions = np.array([first.best_position, second.best_position])
    weights = np.array([first.best_position_stderr, second.best_position_stderr]) ** -2.0
    return float(np.average(positions, weights=weights)), float(np.sum(weights) ** -0.5)


def _fit_widths(x: Array, y: Array, own_error: Array) -> Fit:
    """Fit widths of the blur; residuals and `rejected` follow the order of the points."""
    if len(np.unique(x)) < MIN_POINTS:
        raise RunFailed(
            f"A V-curve needs at least {MIN_POINTS} positions with a usable frame, and there are {len(np.unique(x))}."
        )
    keep = np.ones(len(x), dtype=bool)
    curve = _fit(x, y, own_error)
    for _ in range(len(x) // 4):
        worst = _worst_outlier(x, y, own_error, keep, curve)
        if worst is None:
            break
        keep[worst] = False
        curve = _fit(x[keep], y[keep], own_error[keep])
    return Fit(
        model=WIDTH,
        best_position=curve.vertex,
        best_position_stderr=float(np.sqrt(curve.covariance[0, 0])),
        best_value=curve.least,
        parameters=MappingProxyType({"slope": curve.slope}),
        r_squared=weighted_r_squared(
            y[keep], curve.values(x[keep]), point_errors(y[keep], own_error[keep], curve.least)
        ),
        residuals=tuple(float(value) for value in y - curve.values(x)),
        rejected=tuple(int(index) for index in np.flatnonzero(~keep)),
    )


def point_errors(y: Array, own_error: Array, least: float) -> Array:
    """Return the errors of points: their own, the seeing's scatter (`least`: value in focus) and the curve's shape."""
    seeing = SEEING_SCATTER * least**2 / np.maximum(y, least)
    return np.sqrt(own_error**2 + seeing**2 + (RELATIVE_FLOOR * y) ** 2)


def _worst_outlier(x: Array, y: Array, own_error: Array, keep: NDArray[np.bool_], through_all: _Curve) -> int | None:
    """Return the index of the worst outlier from the curve through the others, in its own sigmas, if there is one."""
    worst, distance = None, OUTLIER_SIGMAS
    away_from_all = np.abs(y - through_all.values(x)) / point_errors(y, own_error, through_all.least)
    by_distance = np.argsort(-np.where(keep, away_from_all, -np.inf), kind="stable")
    for index in by_distance[: min(int(keep.sum()), MAX_SUSPECTS)]:
        others = keep.copy()
        others[index] = False
        if len(np.unique(x[others])) < MIN_POINTS:
            return None
        curve = _fit(x[others], y[others], own_error[others])
        sigma = point_errors(y[index : index + 1], own_error[index : index + 1], curve.least)[0]
        # The curve itself is uncertain where no other points are near, above all at the ends.
        gradient = _gradient(x[index : index + 1], curve)[0]
        total = float(np.sqrt(sigma**2 + gradient @ curve.covariance @ gradient))
        away = float(abs(y[index] - curve.values(x[index : index + 1])[0])) / total
        if away > distance:
            worst, distance = int(index), away
    return worst


def _fit(x: Array, y: Array, own_error: Array) -> _Curve:
    """Fit by weighted least squares from the best of a grid of starts; the weights depend on the fitted minimum."""
    curve = _start(x, y)
    for _ in range(3):
        curve = _refine(x, y, point_errors(y, own_error, curve.least), curve)
    return curve


def _start(x: Array, y: Array) -> _Curve:
    """Return the best curve over a grid of vertices: with a fixed vertex, y^2 is a straight line in (x - c)^2."""
    span = float(np.ptp(x))
    best: tuple[float, _Curve] | None = None
    for vertex in np.linspace(x.min() - span / 2, x.max() + span / 2, 81):
        design = np.column_stack([np.ones_like(x), (x - vertex) ** 2])
        # y^2 has an error in proportion to y, hence the weights 1 / y.
        (least_squared, slope_squared), *_ = np.linalg.lstsq(design / y[:, None], y, rcond=None)
        if slope_squared <= 0:
            continue
        least_squared = max(least_squared, (0.2 * y.min()) ** 2)
        curve = _Curve(float(vertex), float(np.sqrt(least_squared)), float(np.sqrt(slope_squared)), np.zeros((3, 3)))
        cost = float(np.sum(((curve.values(x) - y) / y) ** 2))
        if best is None or cost < best[0]:
            best = cost, curve
    if best is None:
        raise RunFailed("The frames do not form a V: the stars do not grow on both sides of any position.")
    return best[1]


def _refine(x: Array, y: Array, sigma: Array, start: _Curve) -> _Curve:
    scale = np.array([max(float(np.ptp(x)), 1.0), start.least, start.slope])
    centre = np.array([start.vertex, 0.0, 0.0])

    def unpack(parameters: Array) -> _Curve:
        vertex, least, slope = centre + parameters * scale
        return _Curve(float(vertex), abs(float(least)), abs(float(slope)), np.zeros((3, 3)))

    def weighted_residuals(parameters: Array) -> Array:
        return (unpack(parameters).values(x) - y) / sigma

    solution = least_squares(weighted_residuals, np.array([0.0, 1.0, 1.0]), method="lm")
    curve = unpack(np.asarray(solution.x, dtype=float))
    degrees_of_freedom = max(len(x) - 3, 1)
    scatter = max(1.0, 2.0 * float(solution.cost) / degrees_of_freedom)
    covariance = _covariance(_gradient(x, curve) / sigma[:, None], scale) * scatter
    return _Curve(curve.vertex, curve.least, curve.slope, covariance)


def _covariance(jacobian: Array, scale: Array) -> Array:
    """Return the covariance of parameters whose usual sizes are `scale`; a parameter without effect has a huge one.

    By singular values, since position and slope differ by seven orders of magnitude: the inverse of the squared
    Jacobian has variances below zero for a poor curve, and none for a flat one.
    """
    _, singular, rows = np.linalg.svd(jacobian * scale, full_matrices=False)
    inverse = scale[:, None] * rows.T / np.maximum(singular, NO_EFFECT * singular[0])
    return np.asarray(inverse @ inverse.T, dtype=float)


def _gradient(x: Array, curve: _Curve) -> Array:
    """Return the derivatives of the curve's values by (vertex, least, slope), shape (points, 3)."""
    away = x - curve.vertex
    values = np.maximum(curve.values(x), 1e-12)
    return np.column_stack([-(curve.slope**2) * away / values, curve.least / values, curve.slope * away**2 / values])


def weighted_r_squared(y: Array, fitted: Array, sigma: Array) -> float:
    """Return the share of the points' weighted variance that a curve explains, R^2."""
    weights = 1 / sigma**2
    mean = float(np.average(y, weights=weights))
    total = float(np.sum(weights * (y - mean) ** 2))
    return 1 - float(np.sum(weights * (y - fitted) ** 2)) / total if total > 0 else 0.0
