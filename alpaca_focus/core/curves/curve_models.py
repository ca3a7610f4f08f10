"""The curves that can be fitted to a V by name, and their values for charts.

All of them share the weights and the rejection of bad frames of `fit_hyperbola`: a point that contradicts the hyperbola
through all others takes part in none of them. That hyperbola, not the single points, also decides which points are near
focus and which are on an arm: a frame's own scatter must not decide where it belongs.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from alpaca_focus.core.curves.hyperbola import NAMES, POWERS, WIDTH, fit_hyperbola, point_errors, weighted_r_squared
from alpaca_focus.core.errors import RunFailed
from alpaca_focus.core.metrics import Blur
from alpaca_focus.core.values import Fit, Sample

Array = NDArray[np.float64]

NEAR_RISE = 2.0
"""A parabola is fitted where the curve is at most this many times its minimum: beyond, it is straight."""
ARM_RISE = 1.6
"""Trend lines are fitted where the curve is at least this many times its minimum: nearer, it is round."""
FEWEST_UNEQUAL, FEWEST_NEAR, FEWEST_ON_AN_ARM = 5, 5, 2
"""Fewest positions for a hyperbola with unequal arms, a parabola and a trend line."""


class CurveModel(StrEnum):
    """A curve by name."""

    HYPERBOLA = "hyperbola"
    """Equal arms; seeing and defocus added in quadrature."""
    UNEQUAL = "unequal hyperbola"
    """Each arm has a slope of its own."""
    PARABOLA = "parabola"
    """Through the points near focus."""
    TREND_LINES = "trend lines"
    """The intersection of the straight lines through the two arms."""
    MEAN = "mean"
    """Half way between the hyperbola and the trend lines."""


@dataclass(frozen=True, slots=True)
class _Points:
    """The points that the hyperbola keeps: positions, widths of the blur and their errors, and that hyperbola."""

    x: Array
    y: Array
    sigma: Array
    vertex: float
    least: float
    slope: float

    def rise(self) -> Array:
        """Return the hyperbola at each point over its minimum."""
        return np.hypot(1.0, self.slope * (self.x - self.vertex) / self.least)


@dataclass(frozen=True, slots=True)
class _FittedCurve:
    """A fitted curve of widths.

    Attributes:
        least: Width at the vertex.
        influence: Steps by which each point's width moves the vertex per unit; 0 for points left out. It gives the
            error of the vertex, and the common error of two curves through the same points.
        excess: Ratio of the points' variance to the one that their errors predict, at least 1.
    """

    vertex: float
    least: float
    parameters: Mapping[str, float]
    influence: Array
    excess: float

    def stderr(self, sigma: Array) -> float:
        """Return the standard error of the vertex for points with these errors."""
        return math.sqrt(self.excess) * float(np.linalg.norm(self.influence * sigma))


def fit_curve(samples: Sequence[Sample], model: CurveModel = CurveModel.HYPERBOLA) -> Fit:
    """Fit a curve by name to the points of the V-curve of one metric, in any order.

    Returns:
        The fit, with the name of the curve and of the fitted power of the metric. Standard errors are scaled up if the
        points scatter more than their errors allow, never down. Points that the curve does not describe (far ones for
        the parabola, near ones for the trend lines) count neither in the fit nor in R^2, but have residuals.

    Raises:
        RunFailed: Too few usable points, or they do not form such a curve.
    """
    return fit_model(samples, fit_hyperbola(samples), model)


def fit_model(samples: Sequence[Sample], hyperbola: Fit, model: CurveModel) -> Fit:
    """Fit a curve to samples whose `fit_hyperbola` is known; see `fit_curve`.

    Raises:
        RunFailed: The points do not form such a curve.
    """
    if model is CurveModel.HYPERBOLA:
        return hyperbola
    power = POWERS[hyperbola.model]
    points = _points(samples, hyperbola, power)
    curve = FITS[model](points)
    fit = replace(
        hyperbola,
        model=hyperbola.model.replace(WIDTH, model.value, 1),
        best_position=curve.vertex,
        best_position_stderr=curve.stderr(points.sigma),
        best_value=float(curve.least ** (1 / power)),
        parameters=MappingProxyType(dict(curve.parameters)),
    )
    residuals = tuple(
        math.nan if math.isnan(of_hyperbola) else sample.measurement.value - curve_value(sample.position, fit)
        for sample, of_hyperbola in zip(samples, hyperbola.residuals, strict=True)
    )
    used = curve.influence != 0
    widths = np.array([curve_width(position, fit) for position in points.x[used]])
    return replace(fit, residuals=residuals, r_squared=weighted_r_squared(points.y[used], widths, points.sigma[used]))


def curve_value(position: float, fit: Fit) -> float:
    """Return the fitted curve's value at a position, in the unit of the metric."""
    return float(curve_width(position, fit) ** (1 / POWERS[fit.model]))


def curve_width(position: float, fit: Fit) -> float:
    """Return the fitted curve's value at a position as a width of the blur."""
    least = fit.best_value ** POWERS[fit.model]
    return SHAPES[fit.model](position - fit.best_position, least, fit.parameters)


def _points(samples: Sequence[Sample], hyperbola: Fit, power: float) -> _Points:
    kept = [
        sample
        for index, (sample, residual) in enumerate(zip(samples, hyperbola.residuals, strict=True))
        if not math.isnan(residual) and index not in hyperbola.rejected
    ]
    least = hyperbola.best_value**power
    y = np.array([sample.measurement.value**power for sample in kept])
    relative_error = np.array([sample.measurement.stderr / sample.measurement.value for sample in kept])
    return _Points(
        x=np.array([sample.position for sample in kept], dtype=float),
        y=y,
        sigma=point_errors(y, abs(power) * relative_error * y, least),
        vertex=hyperbola.best_position,
        least=least,
        slope=hyperbola.parameters["slope"],
    )


# Shapes: the width of the blur at a distance from the vertex


def _arms(away: float, least: float, parameters: Mapping[str, float]) -> float:
    return math.hypot(least, _slope(away, parameters) * away)


def _lines(away: float, least: float, parameters: Mapping[str, float]) -> float:
    return least + _slope(away, parameters) * abs(away)


def _bowl(away: float, least: float, parameters: Mapping[str, float]) -> float:
    return least + parameters["curvature"] * away**2


def _slope(away: float, parameters: Mapping[str, float]) -> float:
    slope = parameters.get("slope")
    return parameters["slope_in" if away < 0 else "slope_out"] if slope is None else slope


_OTHER_SHAPES = {CurveModel.PARABOLA.value: _bowl, CurveModel.TREND_LINES.value: _lines}
SHAPES: Mapping[str, Callable[[float, float, Mapping[str, float]], float]] = MappingProxyType(
    {name + blur.suffix: _OTHER_SHAPES.get(name, _arms) for name in NAMES for blur in Blur}
)


def _hyperbola(points: _Points) -> _FittedCurve:
    values, gradient = _unequal_arms(points.x, points.vertex, points.least, points.slope, points.slope)
    of_equal_arms = np.column_stack([gradient[:, :2], gradient[:, 2] + gradient[:, 3]])
    influence = _influences(of_equal_arms, points.sigma)[0]
    excess = _excess(_chi_squared(points.y - values, points.sigma), len(points.x) - 3)
    return _FittedCurve(points.vertex, points.least, {"slope": points.slope}, influence, excess)


def _unequal(points: _Points) -> _FittedCurve:
    if len(np.unique(points.x)) < FEWEST_UNEQUAL:
        raise RunFailed(
            f"A hyperbola with unequal arms needs at least {FEWEST_UNEQUAL} positions with a usable frame, and there "
            f"are {len(np.unique(points.x))}."
        )
    scale = np.array([float(np.ptp(points.x)), points.least, points.slope, points.slope])
    centre = np.array([points.vertex, 0.0, 0.0, 0.0])

    def unpack(parameters: Array) -> tuple[float, float, float, float]:
        # The minimum and the slopes vary as logarithms, which keeps them above zero.
        return tuple((centre + scale * np.array([parameters[0], *np.exp(parameters[1:])])).tolist())

    def weighted_residuals(parameters: Array) -> Array:
        values, _ = _unequal_arms(points.x, *unpack(parameters))
        return (values - points.y) / points.sigma

    solution = least_squares(weighted_residuals, np.zeros(4))
    vertex, least, slope_in, slope_out = unpack(np.asarray(solution.x, dtype=float))
    values, gradient = _unequal_arms(points.x, vertex, least, slope_in, slope_out)
    influence = _influences(gradient, points.sigma)
    excess = _excess(_chi_squared(points.y - values, points.sigma), len(points.x) - 4)
    ratio = slope_out / slope_in
    ratio_influence = ratio * (influence[3] / slope_out - influence[2] / slope_in)
    parameters = {
        "slope_in": slope_in,
        "slope_out": slope_out,
        "ratio_stderr": math.sqrt(excess) * float(np.linalg.norm(ratio_influence * points.sigma)),
    }
    return _FittedCurve(vertex, least, parameters, influence[0], excess)


def _unequal_arms(x: Array, vertex: float, least: float, slope_in: float, slope_out: float) -> tuple[Array, Array]:
    """Return the values of a hyperbola and their derivatives by (vertex, least, slope_in, slope_out)."""
    away = x - vertex
    slope = np.where(away < 0, slope_in, slope_out)
    values = np.maximum(np.hypot(least, slope * away), 1e-12)
    by_slope = slope * away**2 / values
    by_slopes = [np.where(away < 0, by_slope, 0.0), np.where(away < 0, 0.0, by_slope)]
    return values, np.column_stack([-(slope**2) * away / values, least / values, *by_slopes])


def _parabola(points: _Points) -> _FittedCurve:
    positions = np.unique(points.x)
    if len(positions) < FEWEST_NEAR:
        raise RunFailed(
            f"A parabola needs at least {FEWEST_NEAR} positions with a usable frame, and there are {len(positions)}."
        )
    # With few points near focus, the nearest ones are used.
    reach = np.sort(np.abs(positions - points.vertex))[FEWEST_NEAR - 1]
    near = (points.rise() <= NEAR_RISE) | (np.abs(points.x - points.vertex) <= reach)
    line = _line(points, near, degree=2)
    level, tilt, curvature = (float(value) for value in line.coefficients)
    if curvature <= 0:
        raise RunFailed("The frames near focus do not form a parabola that opens upwards.")
    away = -tilt / (2 * curvature)
    if not points.x[near].min() <= points.vertex + away <= points.x[near].max():
        raise RunFailed("The parabola through the frames near focus has its vertex beyond them.")
    lowest = level - tilt**2 / (4 * curvature)
    if lowest <= 0:
        raise RunFailed("The parabola through the frames near focus goes below zero: there are too few near focus.")
    influence = -(line.influences[1] + 2 * away * line.influences[2]) / (2 * curvature)
    return _FittedCurve(
        points.vertex + away, lowest, {"curvature": curvature}, influence, _excess(line.chi_squared, line.freedom)
    )


def _trend_lines(points: _Points) -> _FittedCurve:
    far = points.rise() >= ARM_RISE
    lines = []
    for side, sign in (("inside", -1), ("outside", 1)):
        on_arm = far & ((points.x - points.vertex) * sign > 0)
        if len(np.unique(points.x[on_arm])) < FEWEST_ON_AN_ARM:
            raise RunFailed(f"The arm on the {side} has too few frames, away from focus, for a trend line.")
        lines.append(_line(points, on_arm, degree=1))
    inner, outer = lines
    fall, rise = float(inner.coefficients[1]), float(outer.coefficients[1])
    if not fall < 0 < rise:
        raise RunFailed("The trend lines do not fall on the inside and rise on the outside: the frames form no V.")
    away = float(outer.coefficients[0] - inner.coefficients[0]) / (fall - rise)
    # The lines meet where their difference is zero: its shift there over its slope is the shift of the vertex.
    difference = outer.influences - inner.influences
    influence = (difference[0] + away * difference[1]) / (fall - rise)
    # Lines through arms that are not quite straight yet meet below the curve, sometimes below zero.
    lowest = max(float(inner.coefficients[0]) + fall * away, 1e-3 * points.least)
    parameters = {
        "slope_in": -fall,
        "slope_out": rise,
        "r_squared_in": inner.r_squared,
        "r_squared_out": outer.r_squared,
    }
    excess = _excess(inner.chi_squared + outer.chi_squared, inner.freedom + outer.freedom)
    return _FittedCurve(points.vertex + away, lowest, parameters, influence, excess)


def _mean(points: _Points) -> _FittedCurve:
    curve, lines = _hyperbola(points), _trend_lines(points)
    # Both come from the same frames and so err together: adding the influences, not the variances, accounts for it.
    return replace(
        curve,
        vertex=(curve.vertex + lines.vertex) / 2,
        influence=(curve.influence + lines.influence) / 2,
        excess=max(curve.excess, lines.excess),
    )


FITS: Mapping[CurveModel, Callable[[_Points], _FittedCurve]] = MappingProxyType(
    {
        CurveModel.UNEQUAL: _unequal,
        CurveModel.PARABOLA: _parabola,
        CurveModel.TREND_LINES: _trend_lines,
        CurveModel.MEAN: _mean,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _StraightLine:
    """A polynomial in the distance from the hyperbola's vertex through some of the points.

    Attributes:
        coefficients: From the constant up.
        influences: Change of each coefficient with each point's width, shape (coefficients, points).
        freedom: Fitted points less the number of coefficients.
    """

    coefficients: Array
    influences: Array
    chi_squared: float
    freedom: int
    r_squared: float


def _line(points: _Points, chosen: NDArray[np.bool_], *, degree: int) -> _StraightLine:
    y, sigma = points.y[chosen], points.sigma[chosen]
    away = points.x[chosen] - points.vertex
    design = np.vander(away / np.abs(away).max(), degree + 1, increasing=True)
    units = np.abs(away).max() ** np.arange(degree + 1)
    of_chosen = _influences(design, sigma) / units[:, None]
    coefficients = of_chosen @ y
    fitted = design @ (coefficients * units)
    influences = np.zeros((degree + 1, len(points.x)))
    influences[:, chosen] = of_chosen
    return _StraightLine(
        coefficients=coefficients,
        influences=influences,
        chi_squared=_chi_squared(y - fitted, sigma),
        freedom=len(y) - degree - 1,
        r_squared=weighted_r_squared(y, fitted, sigma),
    )


def _influences(gradient: Array, sigma: Array) -> Array:
    """Return the change of each parameter of a weighted least-squares fit with each point, shape (parameters, points).

    It is the pseudo-inverse of the weighted gradient, shape (points, parameters), without the weights.
    """
    return np.asarray(np.linalg.pinv(gradient / sigma[:, None]), dtype=float) / sigma


def _chi_squared(residuals: Array, sigma: Array) -> float:
    return float(np.sum((residuals / sigma) ** 2))


def _excess(chi_squared: float, freedom: int) -> float:
    return max(1.0, chi_squared / freedom) if freedom > 0 else 1.0
