"""The curves that can be fitted to a V by name, and their values for whoever draws them.

All of them share the weights and the rejection of bad frames of `vcurve.fit_hyperbola`: a point that contradicts the
hyperbola through all others takes part in none of them.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from alpaca_focus.core.errors import RunFailed
from alpaca_focus.core.values import Fit, Sample
from alpaca_focus.core.vcurve import (
    POWERS,
    WIDTH,
    fit_hyperbola,
    point_errors,
    weighted_r_squared,
)

Array = NDArray[np.float64]

NEAR_RISE = 2.0
"""A parabola goes through points whose width is at most this many times the least: beyond, the arms are straight."""
ARM_RISE = 1.6
"""Trend lines go through the points whose width is at least this many times the least: nearer, the curve is round."""
FEWEST_NEAR, FEWEST_ON_AN_ARM = 4, 2


class CurveModel(StrEnum):
    """A curve by name."""

    HYPERBOLA = "hyperbola"
    """Equal arms; what seeing and defocus make of a star, added in quadrature."""
    UNEQUAL = "unequal hyperbola"
    """Each arm has a slope of its own."""
    PARABOLA = "parabola"
    """Through the points near focus."""
    TREND_LINES = "trend lines"
    """Where the straight lines through the two arms meet."""
    MEAN = "mean"
    """Half way between the hyperbola and the trend lines."""


@dataclass(frozen=True, slots=True)
class _Points:
    """Widths of the blur that a fit keeps, with their errors."""

    x: Array
    y: Array
    sigma: Array


@dataclass(frozen=True, slots=True)
class _Found:
    """A curve of widths: where its vertex is, how well that is known, and its parameters."""

    vertex: float
    stderr: float
    least: float
    parameters: dict[str, float]


def fit_curve(samples: Sequence[Sample], model: CurveModel = CurveModel.HYPERBOLA) -> Fit:
    """Fit a curve by name.

    Args:
        samples: Points of the V-curve of one metric in any order.
        model: Which curve.

    Returns:
        The fit, with the name of the curve and of the power of the metric that it is one of. Standard errors are
        scaled up where the points scatter more than their errors say, never down. Points that the curve is not meant
        for (far ones for the parabola, near ones for the trend lines) take no part, and have residuals all the same.

    Raises:
        RunFailed: Too few usable points, or they do not form such a curve.
    """
    base = fit_hyperbola(samples)
    if model is CurveModel.HYPERBOLA:
        return base
    power = POWERS[base.model]
    kept = [index for index, residual in enumerate(base.residuals) if _takes_part(index, residual, base)]
    x = np.array([samples[index].position for index in kept], dtype=float)
    y = np.array([samples[index].measurement.value ** power for index in kept])
    own_error = np.array(
        [abs(power) * samples[index].measurement.stderr / samples[index].measurement.value for index in kept]
    )
    points = _Points(x, y, point_errors(y, own_error * y, base.best_value**power))
    found = FITS[model](points, base)
    name = base.model.replace(WIDTH, model.value, 1)
    fit = replace(
        base,
        model=name,
        best_position=found.vertex,
        best_position_stderr=found.stderr,
        best_value=float(found.least ** (1 / power)),
        parameters=MappingProxyType(found.parameters),
    )
    widths = np.array([curve_width(position, fit) for position in x])
    residuals = tuple(
        math.nan
        if math.isnan(residual)
        else samples[index].measurement.value - curve_value(samples[index].position, fit)
        for index, residual in enumerate(base.residuals)
    )
    return replace(fit, residuals=residuals, r_squared=weighted_r_squared(y, widths, points.sigma))


def curve_value(position: float, fit: Fit) -> float:
    """Return the fitted curve's value at a position, in the unit of the metric."""
    return float(curve_width(position, fit) ** (1 / POWERS[fit.model]))


def curve_width(position: float, fit: Fit) -> float:
    """Return the fitted curve's value at a position as a width of the blur."""
    away, least, parameters = position - fit.best_position, fit.best_value ** POWERS[fit.model], fit.parameters
    if "curvature" in parameters:
        return float(least + parameters["curvature"] * away**2)
    slope = parameters.get("slope_in" if away < 0 else "slope_out", parameters.get("slope", 0.0))
    if parameters.get("straight"):
        return float(least + slope * abs(away))
    return math.hypot(least, slope * away)


def _takes_part(index: int, residual: float, base: Fit) -> bool:
    return not math.isnan(residual) and index not in base.rejected


def _unequal(points: _Points, base: Fit) -> _Found:
    if len(np.unique(points.x)) < 5:
        raise RunFailed("A hyperbola with unequal arms needs at least 5 positions with a usable frame.")
    span = float(np.ptp(points.x))
    slope, least = base.parameters["slope"], base.best_value ** POWERS[base.model]

    def unpack(parameters: Array) -> tuple[float, float, float, float]:
        shift, log_least, log_in, log_out = (float(value) for value in parameters)
        return base.best_position + shift * span, least * math.exp(log_least), math.exp(log_in), math.exp(log_out)

    def away(parameters: Array) -> Array:
        vertex, low, slope_in, slope_out = unpack(parameters)
        distance = points.x - vertex
        curve = np.hypot(low, np.where(distance < 0, slope_in, slope_out) * distance)
        return np.asarray((curve - points.y) / points.sigma)

    solution = least_squares(away, np.array([0.0, 0.0, math.log(slope), math.log(slope)]))
    jacobian = np.asarray(solution.jac)
    variance = float(np.linalg.pinv(jacobian.T @ jacobian)[0, 0]) * _excess(2 * solution.cost, len(points.x) - 4)
    vertex, low, slope_in, slope_out = unpack(solution.x)
    return _Found(vertex, math.sqrt(variance) * span, low, {"slope_in": slope_in, "slope_out": slope_out})


def _parabola(points: _Points, base: Fit) -> _Found:
    least = base.best_value ** POWERS[base.model]
    near = points.y <= NEAR_RISE * least
    if len(np.unique(points.x[near])) < FEWEST_NEAR:
        near = np.argsort(points.y)[: FEWEST_NEAR + 1]
    scale = float(np.ptp(points.x[near]))
    u = (points.x[near] - base.best_position) / scale
    coefficients, covariance = _linear(np.column_stack([np.ones_like(u), u, u**2]), points.y[near], points.sigma[near])
    level, tilt, curvature = (float(value) for value in coefficients)
    if curvature <= 0:
        raise RunFailed("The frames near focus do not form a parabola that opens upwards.")
    vertex = -tilt / (2 * curvature)
    gradient = np.array([0.0, -1 / (2 * curvature), tilt / (2 * curvature**2)])
    lowest = level - tilt**2 / (4 * curvature)
    if lowest <= 0:
        raise RunFailed("The parabola through the frames near focus goes below zero: there are too few near focus.")
    return _Found(
        base.best_position + vertex * scale,
        math.sqrt(float(gradient @ covariance @ gradient)) * scale,
        lowest,
        {"curvature": curvature / scale**2},
    )


def _trend_lines(points: _Points, base: Fit) -> _Found:
    least = base.best_value ** POWERS[base.model]
    lines = []
    for sign in (-1, 1):
        on_arm = ((points.x - base.best_position) * sign > 0) & (points.y >= ARM_RISE * least)
        if len(np.unique(points.x[on_arm])) < FEWEST_ON_AN_ARM:
            side = "inside" if sign < 0 else "outside"
            raise RunFailed(f"The arm on the {side} has too few frames, away from focus, for a trend line.")
        distance = points.x[on_arm] - base.best_position
        lines.append(
            _linear(np.column_stack([np.ones_like(distance), distance]), points.y[on_arm], points.sigma[on_arm])
        )
    (inner, inner_covariance), (outer, outer_covariance) = lines
    fall, rise = float(inner[1]), float(outer[1])
    if not fall < 0 < rise:
        raise RunFailed("The trend lines do not fall on the inside and rise on the outside: the frames form no V.")
    meet = float(outer[0] - inner[0]) / (fall - rise)
    # The lines cross where their difference is zero; its error over its slope is the error of the place.
    at = np.array([1.0, meet])
    variance = float(at @ inner_covariance @ at + at @ outer_covariance @ at) / (fall - rise) ** 2
    # Lines through arms that are not quite straight yet meet below the curve, sometimes below zero.
    lowest = max(float(inner[0]) + fall * meet, 1e-3 * least)
    return _Found(
        base.best_position + meet,
        math.sqrt(variance),
        lowest,
        {"slope_in": -fall, "slope_out": rise, "straight": 1.0},
    )


def _mean(points: _Points, base: Fit) -> _Found:
    lines = _trend_lines(points, base)
    return _Found(
        (base.best_position + lines.vertex) / 2,
        # Both come from the same frames: their errors may go together.
        (base.best_position_stderr + lines.stderr) / 2,
        base.best_value ** POWERS[base.model],
        dict(base.parameters),
    )


FITS: MappingProxyType[CurveModel, Callable[[_Points, Fit], _Found]] = MappingProxyType(
    {
        CurveModel.UNEQUAL: _unequal,
        CurveModel.PARABOLA: _parabola,
        CurveModel.TREND_LINES: _trend_lines,
        CurveModel.MEAN: _mean,
    }
)


def _linear(design: Array, y: Array, sigma: Array) -> tuple[Array, Array]:
    """Return the coefficients of a weighted linear fit and their covariance."""
    weighted = design / sigma[:, None]
    covariance = np.asarray(np.linalg.pinv(weighted.T @ weighted), dtype=float)
    coefficients = np.asarray(covariance @ weighted.T @ (y / sigma), dtype=float)
    chi_squared = float(np.sum(((design @ coefficients - y) / sigma) ** 2))
    return coefficients, covariance * _excess(chi_squared, len(y) - design.shape[1])


def _excess(chi_squared: float, freedom: int) -> float:
    """Return by how much more the points scatter than their errors say, at least 1."""
    return max(1.0, chi_squared / freedom) if freedom > 0 else 1.0
