"""The curves that can be fitted to a V by name, and their values for whoever draws them.

All of them share the weights and the rejection of bad frames of `vcurve.fit_hyperbola`: a point that contradicts the
hyperbola through all others takes part in none of them. Which points are near focus and which are on an arm is also
read off that hyperbola, not off the single points: a frame's own scatter must not decide where it belongs.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from alpaca_focus.core.curves.hyperbola import KNOWN, POWERS, WIDTH, fit_hyperbola, point_errors, weighted_r_squared
from alpaca_focus.core.errors import RunFailed
from alpaca_focus.core.metrics import Blur
from alpaca_focus.core.values import Fit, Sample

Array = NDArray[np.float64]

NEAR_RISE = 2.0
"""A parabola goes through points where the curve is at most this many times its least: beyond, it is straight."""
ARM_RISE = 1.6
"""Trend lines go through points where the curve is at least this many times its least: nearer, it is round."""
FEWEST_UNEQUAL, FEWEST_NEAR, FEWEST_ON_AN_ARM = 5, 5, 2
"""Positions that a hyperbola with unequal arms, a parabola and a trend line need."""


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
    """Widths of the blur that a fit keeps, their errors, and the hyperbola through them.

    Attributes:
        x: Positions.
        y: Widths.
        sigma: Their errors.
        vertex: Of the hyperbola.
        least: Its least width.
        slope: Of its arms.
    """

    x: Array
    y: Array
    sigma: Array
    vertex: float
    least: float
    slope: float

    def rise(self) -> Array:
        """How many times its least the hyperbola is at each point."""
        return np.hypot(1.0, self.slope * (self.x - self.vertex) / self.least)


@dataclass(frozen=True, slots=True)
class _Found:
    """A curve of widths.

    Attributes:
        vertex: Its best position.
        least: Its value there.
        parameters: Its other parameters.
        influence: By how much each point's width moves the vertex, in steps a unit; 0 for one that takes no part. The
            error of the vertex follows from it, and how two curves through the same points err together.
        excess: How many times larger the variance of the points is than their errors say, at least 1.
    """

    vertex: float
    least: float
    parameters: Mapping[str, float]
    influence: Array
    excess: float

    def stderr(self, sigma: Array) -> float:
        """Return the standard error of the vertex where the points have these errors."""
        return math.sqrt(self.excess) * float(np.linalg.norm(self.influence * sigma))


def fit_curve(samples: Sequence[Sample], model: CurveModel = CurveModel.HYPERBOLA) -> Fit:
    """Fit a curve by name.

    Args:
        samples: Points of the V-curve of one metric in any order.
        model: Which curve.

    Returns:
        The fit, with the name of the curve and of the power of the metric that it is one of. Standard errors are
        scaled up where the points scatter more than their errors say, never down. Points that the curve is not meant
        for (far ones for the parabola, near ones for the trend lines) take no part in it nor in its R^2, and have
        residuals all the same.

    Raises:
        RunFailed: Too few usable points, or they do not form such a curve.
    """
    return fit_beside(samples, fit_hyperbola(samples), model)


def fit_beside(samples: Sequence[Sample], hyperbola: Fit, model: CurveModel) -> Fit:
    """Fit another curve to points that `fit_hyperbola` was given; see `fit_curve`.

    Args:
        samples: The points.
        hyperbola: What `fit_hyperbola` made of them.
        model: Which curve.

    Raises:
        RunFailed: The points do not form such a curve.
    """
    if model is CurveModel.HYPERBOLA:
        return hyperbola
    power = POWERS[hyperbola.model]
    points = _points(samples, hyperbola, power)
    found = FITS[model](points)
    fit = replace(
        hyperbola,
        model=hyperbola.model.replace(WIDTH, model.value, 1),
        best_position=found.vertex,
        best_position_stderr=found.stderr(points.sigma),
        best_value=float(found.least ** (1 / power)),
        parameters=MappingProxyType(dict(found.parameters)),
    )
    residuals = tuple(
        math.nan if math.isnan(of_hyperbola) else sample.measurement.value - curve_value(sample.position, fit)
        for sample, of_hyperbola in zip(samples, hyperbola.residuals, strict=True)
    )
    part = found.influence != 0
    widths = np.array([curve_width(position, fit) for position in points.x[part]])
    return replace(fit, residuals=residuals, r_squared=weighted_r_squared(points.y[part], widths, points.sigma[part]))


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


_SHAPE_OF = {
    CurveModel.HYPERBOLA.value: _arms,
    CurveModel.UNEQUAL.value: _arms,
    CurveModel.PARABOLA.value: _bowl,
    CurveModel.TREND_LINES.value: _lines,
    CurveModel.MEAN.value: _arms,
    KNOWN: _arms,
}
SHAPES: Mapping[str, Callable[[float, float, Mapping[str, float]], float]] = MappingProxyType(
    {name + blur.suffix: shape for name, shape in _SHAPE_OF.items() for blur in Blur}
)


# Fits


def _hyperbola(points: _Points) -> _Found:
    """The hyperbola that is there already, with the influence of its points."""
    values, gradient = _unequal_arms(points.x, points.vertex, points.least, points.slope, points.slope)
    of_equal_arms = np.column_stack([gradient[:, :2], gradient[:, 2] + gradient[:, 3]])
    influence = _influences(of_equal_arms, points.sigma)[0]
    excess = _excess(_chi_squared(points.y - values, points.sigma), len(points.x) - 3)
    return _Found(points.vertex, points.least, {"slope": points.slope}, influence, excess)


def _unequal(points: _Points) -> _Found:
    if len(np.unique(points.x)) < FEWEST_UNEQUAL:
        raise RunFailed(
            f"A hyperbola with unequal arms needs at least {FEWEST_UNEQUAL} positions with a usable frame, and there "
            f"are {len(np.unique(points.x))}."
        )
    scale = np.array([float(np.ptp(points.x)), points.least, points.slope, points.slope])
    centre = np.array([points.vertex, 0.0, 0.0, 0.0])

    def unpack(parameters: Array) -> tuple[float, float, float, float]:
        # Least value and slopes are free as logarithms, which keeps them above zero.
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
    return _Found(vertex, least, parameters, influence[0], excess)


def _unequal_arms(x: Array, vertex: float, least: float, slope_in: float, slope_out: float) -> tuple[Array, Array]:
    """Return the values of a hyperbola and their derivatives by (vertex, least, slope_in, slope_out)."""
    away = x - vertex
    slope = np.where(away < 0, slope_in, slope_out)
    values = np.maximum(np.hypot(least, slope * away), 1e-12)
    by_slope = slope * away**2 / values
    by_slopes = [np.where(away < 0, by_slope, 0.0), np.where(away < 0, 0.0, by_slope)]
    return values, np.column_stack([-(slope**2) * away / values, least / values, *by_slopes])


def _parabola(points: _Points) -> _Found:
    positions = np.unique(points.x)
    if len(positions) < FEWEST_NEAR:
        raise RunFailed(
            f"A parabola needs at least {FEWEST_NEAR} positions with a usable frame, and there are {len(positions)}."
        )
    # Where there are few points near focus, the nearest ones have to do.
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
    return _Found(
        points.vertex + away, lowest, {"curvature": curvature}, influence, _excess(line.chi_squared, line.freedom)
    )


def _trend_lines(points: _Points) -> _Found:
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
    # The lines meet where their difference is zero; what moves it there, over its slope, moves that place.
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
    return _Found(points.vertex + away, lowest, parameters, influence, excess)


def _mean(points: _Points) -> _Found:
    curve, lines = _hyperbola(points), _trend_lines(points)
    # Both come from the same frames: what moves one of them moves the other, and the sum of influences knows it.
    return replace(
        curve,
        vertex=(curve.vertex + lines.vertex) / 2,
        influence=(curve.influence + lines.influence) / 2,
        excess=max(curve.excess, lines.excess),
    )


FITS: Mapping[CurveModel, Callable[[_Points], _Found]] = MappingProxyType(
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
        coefficients: From the constant one up.
        influences: By how much each point's width moves each coefficient, shape (coefficients, points).
        chi_squared: Sum of the squared residuals over the errors.
        freedom: Points that took part beyond the number of coefficients.
        r_squared: Of the points that took part.
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
    """Return by how much each point moves each parameter of a weighted least-squares fit.

    Args:
        gradient: Derivatives of the curve's values by its parameters, shape (points, parameters).
        sigma: Errors of the points.

    Returns:
        Shape (parameters, points): the pseudo-inverse of the weighted gradient, with the weights taken back.
    """
    return np.asarray(np.linalg.pinv(gradient / sigma[:, None]), dtype=float) / sigma


def _chi_squared(residuals: Array, sigma: Array) -> float:
    return float(np.sum((residuals / sigma) ** 2))


def _excess(chi_squared: float, freedom: int) -> float:
    """Return how many times larger the variance of the points is than their errors say, at least 1."""
    return max(1.0, chi_squared / freedom) if freedom > 0 else 1.0
