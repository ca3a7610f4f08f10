"""The spatial profile of a spectrum: columns straightened, sky subtracted, and a Gaussian fitted."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter, uniform_filter1d
from scipy.optimize import least_squares
from scipy.special import erf

from alpaca_focus.core.robust import MAD_TO_SIGMA
from alpaca_focus.imaging.sky_background import Image
from alpaca_focus.imaging.spectrum_trace import Floats

SIGMA_TO_FWHM = 2.3548
PHASES = 8
"""Bins per row of a straightened trace."""
STAR_SIGMAS = 5.0
"""Half width of the star's window in sigma; beyond is sky."""
SKY_SIGMAS, SKY_ROWS = 9.0, 12.0
"""Outer end of the sky in sigma, and its least width in rows."""
OUTLIER_SIGMAS, SHAPE_SHARE = 5.0, 0.3
"""Largest departure of a pixel from the model, and the share of the model that the profile's shape may add to it."""
EXPOSED_SHARE = 0.3
FEWEST_COLUMNS = 24
SMOOTH_COLUMNS = 21
"""Columns of the running median along the dispersion: more than a cosmic ray covers."""
ROUNDS = 4


@dataclass(frozen=True, slots=True)
class TraceLine:
    """The course of a trace: its row in the column `x`, and rows per column."""

    x: float
    row: float
    slant: float

    def rows(self, columns: NDArray[np.integer]) -> Floats:
        """Return the row of the trace in each column."""
        return np.asarray(self.row + self.slant * (columns - self.x), dtype=float)


@dataclass(frozen=True, slots=True)
class FittedProfile:
    """The mean spatial profile of a slice and the fit to it; rows are relative to the given line.

    Attributes:
        rows: Distances from the line, in rows.
        adu: Mean signal of a pixel above its column's sky, less the fitted background.
        model_adu: The fitted Gaussian, integrated over the pixels.
        errors_adu: Standard errors of `adu`.
        weights: Pixels in each bin.
        flux_adu: Area of the Gaussian: light of the trace in a column.
        centre: Row of its middle.
        background_adu: Level of the sky in a pixel.
        noise_adu: Standard deviation of a pixel of the sky.
    """

    rows: Floats
    adu: Floats
    model_adu: Floats
    errors_adu: Floats
    weights: Floats
    flux_adu: float
    centre: float
    sigma: float
    sigma_stderr: float
    background_adu: float
    noise_adu: float


def exposed_columns(image: Image, line: TraceLine, sigma: float) -> tuple[int, int]:
    """Return the first and last + 1 column of the best exposed part of the trace."""
    columns = np.arange(image.shape[1])
    signal = _column_light(image, line, sigma, columns)
    smooth = uniform_filter1d(signal, max(9, image.shape[1] // 40))
    peak = int(np.argmax(smooth))
    low = np.flatnonzero(smooth < EXPOSED_SHARE * smooth[peak])
    before, after = low[low < peak], low[low > peak]
    x0 = int(before[-1]) + 1 if len(before) else 0
    x1 = int(after[0]) if len(after) else image.shape[1]
    if x1 - x0 < FEWEST_COLUMNS:
        x0 = max(0, min(peak - FEWEST_COLUMNS // 2, image.shape[1] - FEWEST_COLUMNS))
        x1 = min(image.shape[1], x0 + FEWEST_COLUMNS)
    return x0, x1


def refined_line(image: Image, line: TraceLine, sigma: float, x0: int, x1: int) -> TraceLine:
    """Return the course of the trace through the centres of the light in parts of the slice."""
    middles, centres, weights = [], [], []
    for columns in np.array_split(np.arange(x0, x1), max(4, min(24, (x1 - x0) // 12))):
        profile, rows, _ = _window(image, line, sigma, columns)
        light = np.maximum(np.median(profile, axis=1), 0)
        near = np.abs(rows).mean(axis=1) < 2.5 * sigma + 1
        total = float(light[near].sum())
        if total > 0:
            middles.append(float(columns.mean()))
            centres.append(float((light * rows.mean(axis=1))[near].sum()) / total)
            weights.append(total)
    if len(middles) < 4:
        return line
    x, departure, weight = np.array(middles), np.array(centres), np.array(weights)
    kept = np.ones(len(x), dtype=bool)
    slope = level = 0.0
    for _ in range(3):
        slope, level = np.polyfit(x[kept] - line.x, departure[kept], 1, w=weight[kept])
        away = np.abs(departure - level - slope * (x - line.x))
        kept = away <= 3 * max(MAD_TO_SIGMA * float(np.median(away[kept])), 0.05)
        if kept.sum() < 4:
            return line
    return TraceLine(line.x, line.row + float(level), line.slant + float(slope))


def fit_profile(
    image: Image, line: TraceLine, sigma: float, *, x0: int, x1: int, electrons_per_adu: float
) -> FittedProfile | None:
    """Fit a Gaussian, integrated over the pixels, and a straight background to the mean profile of a slice.

    Pixels far from the model (hot pixels, cosmic rays) and a second star beside the trace are rejected. The standard
    errors come from the pixels' noise, scaled up if the profile departs from a Gaussian by more.

    Args:
        image: Shape (rows, columns), dispersion along the columns' axis.
        line: Course of the trace.
        sigma: Its approximate width.
        x0: First column.
        x1: Last column + 1.
        electrons_per_adu: For the counting noise of the light.

    Returns:
        The profile, or `None` if no Gaussian fits it.
    """
    columns = np.arange(x0, x1)
    fitted: FittedProfile | None = None
    for _ in range(ROUNDS):
        slice_ = _Slice.of(image, line, sigma, columns, electrons_per_adu)
        light = np.ones(len(columns)) if fitted is None else slice_.light(fitted)
        kept = slice_.kept(fitted, light)
        previous, fitted = fitted, _fit(slice_, kept, light, sigma)
        if fitted is None or not 0.3 < fitted.sigma < image.shape[0] / 2:
            return None
        settled = previous is not None and abs(fitted.sigma / sigma - 1) < 0.005
        sigma = fitted.sigma
        if settled:
            break
    return fitted


@dataclass(frozen=True, slots=True)
class _Slice:
    """The pixels around a trace less the sky of their columns, shape (rows, columns), with their sky and noise."""

    values: Floats
    rows: Floats
    sky_adu: float
    noise_adu: float
    beyond: NDArray[np.bool_]
    electrons_per_adu: float

    @classmethod
    def of(
        cls, image: Image, line: TraceLine, sigma: float, columns: NDArray[np.integer], electrons_per_adu: float
    ) -> "_Slice":
        values, rows, sky = _window(image, line, sigma, columns)
        beyond = np.abs(rows) > STAR_SIGMAS * sigma
        return cls(values, rows, float(np.median(sky)), _noise(values[beyond]), beyond, electrons_per_adu)

    def light(self, fitted: FittedProfile) -> Floats:
        """Return the light of each column, smoothed over its neighbours: a cosmic ray may dominate one."""
        shape = _on_pixels(self.rows, fitted.centre, fitted.sigma)
        near = np.abs(self.rows - fitted.centre) < 2 * fitted.sigma + 1
        light = np.nansum(np.where(near, self.values, 0), axis=0)
        light /= np.maximum(np.where(near, shape, 0).sum(axis=0), 1e-9)
        smooth = np.asarray(median_filter(light, min(SMOOTH_COLUMNS, len(light))), dtype=float)
        return np.asarray(np.maximum(smooth, 0.01 * max(float(smooth.max()), 1e-9)))

    def kept(self, fitted: FittedProfile | None, light: Floats) -> NDArray[np.bool_]:
        """Return for each pixel whether it is near the model of its column."""
        finite = np.isfinite(self.values)
        values = np.where(finite, self.values, 0)
        if fitted is None:
            # Without a model yet, compare with the same row in other columns.
            usual = median_filter(values, (1, min(SMOOTH_COLUMNS, values.shape[1])))
            allowed = OUTLIER_SIGMAS * np.sqrt(self.noise_adu**2 + np.maximum(usual, 0) / self.electrons_per_adu)
            return np.asarray(finite & (np.abs(values - usual) <= allowed + SHAPE_SHARE * np.abs(usual)))
        expected = light * _on_pixels(self.rows, fitted.centre, fitted.sigma)
        allowed = OUTLIER_SIGMAS * np.sqrt(self.noise_adu**2 + expected / self.electrons_per_adu)
        return np.asarray(finite & (np.abs(values - expected) <= allowed + SHAPE_SHARE * expected))


def _window(image: Image, line: TraceLine, sigma: float, columns: NDArray[np.integer]) -> tuple[Floats, Floats, Floats]:
    """Return the pixels around the trace less the sky of their columns, their distances from it, and the sky.

    The first two have the shape (rows, columns); pixels outside the frame are NaN.
    """
    star = STAR_SIGMAS * sigma
    outer = max(SKY_SIGMAS * sigma, star + SKY_ROWS)
    middle = line.rows(columns)
    reach = math.ceil(outer) + 1
    rows = np.round(middle).astype(int) + np.arange(-reach, reach + 1)[:, None]
    inside = (rows >= 0) & (rows < image.shape[0])
    values = np.where(inside, image[np.clip(rows, 0, image.shape[0] - 1), columns], np.nan)
    distance = rows - middle
    with np.errstate(invalid="ignore"):
        around = np.where((np.abs(distance) > star) & (np.abs(distance) <= outer), values, np.nan)
    sky = _column_sky(around, distance)
    return values - sky, distance, sky


def _column_sky(around: Floats, distance: Floats) -> Floats:
    """Return the sky of each column: the mean of the medians of both sides, or the median of the only one."""
    sides = []
    for side in (distance < 0, distance > 0):
        part = np.where(side, around, np.nan)
        some = np.isfinite(part).any(axis=0)
        level = np.full(part.shape[1], np.nan)
        if some.any():
            level[some] = np.nanmedian(part[:, some], axis=0)
        sides.append(level)
    below, above = sides
    both = np.where(
        np.isfinite(below) & np.isfinite(above), (below + above) / 2, np.where(np.isfinite(below), below, above)
    )
    return np.nan_to_num(both)


def _column_light(image: Image, line: TraceLine, sigma: float, columns: NDArray[np.integer]) -> Floats:
    values, rows, _ = _window(image, line, sigma, columns)
    usual = median_filter(np.nan_to_num(values), (1, min(SMOOTH_COLUMNS, len(columns))))
    return np.asarray(np.where(np.abs(rows) <= 2 * sigma + 1, usual, 0).sum(axis=0))


def _noise(values: Floats) -> float:
    finite = values[np.isfinite(values)]
    if finite.size == 0:
        return 0.0
    noise = MAD_TO_SIGMA * float(np.median(np.abs(finite - np.median(finite))))
    return noise if noise > 0 else float(finite.std())


def _on_pixels(rows: Floats, centre: float, sigma: float) -> Floats:
    """Return the share of a Gaussian's light in pixels centred at these rows."""
    scale = math.sqrt(2) * sigma
    return np.asarray(0.5 * (erf((rows - centre + 0.5) / scale) - erf((rows - centre - 0.5) / scale)))


def _width(log_sigma: float) -> float:
    """Return sigma in pixels, limited to between a thousandth of a pixel and a thousand for a diverging fit."""
    return math.exp(min(max(log_sigma, -7.0), 7.0))


def _fit(slice_: _Slice, kept: NDArray[np.bool_], light: Floats, sigma: float) -> FittedProfile | None:
    bins = np.round(slice_.rows[kept] * PHASES).astype(int)
    if bins.size < 10:
        return None
    noise, first = max(slice_.noise_adu, 1e-6), int(bins.min())
    # Each bin of a slanted trace has other columns: each pixel counts by the light of its column.
    share = np.broadcast_to(light / light.mean(), kept.shape)[kept]
    count = np.bincount(bins - first).astype(float)
    some = count > 0
    count, weight = count[some], np.bincount(bins - first, share**2)[some]
    mean_row = np.bincount(bins - first, slice_.rows[kept])[some] / count
    mean_adu = np.bincount(bins - first, share * slice_.values[kept])[some] / weight
    if len(count) < 7:
        return None
    variance = noise**2 + np.maximum(mean_adu, 0) / slice_.electrons_per_adu
    error = np.sqrt(np.maximum(variance, 1e-12) / weight)
    height = max(float((mean_adu * (np.abs(mean_row) < 2 * sigma)).max()), noise)
    start = np.array([height * 2.5 * sigma, 0, math.log(sigma), 0, 0])
    scale = [start[0], sigma, 1, noise, noise / sigma]
    used = np.ones(len(count), dtype=bool)

    def model(parameters: Floats, at: Floats) -> Floats:
        flux, centre, log_sigma, level, slope = parameters
        return np.asarray(flux * _on_pixels(at, centre, _width(log_sigma)) + level + slope * at)

    def residuals(parameters: Floats) -> Floats:
        return (model(parameters, mean_row[used]) - mean_adu[used]) / error[used]

    solution = least_squares(residuals, start, x_scale=scale, max_nfev=60)
    for _ in range(3):
        away = (mean_adu - model(solution.x, mean_row)) / error
        scatter = max(1.0, MAD_TO_SIGMA * float(np.median(np.abs(away[used]))))
        beyond = np.abs(mean_row - solution.x[1]) > 3 * _width(solution.x[2])
        # Outliers beyond the trace are a second star, not sky; the trace itself is never rejected.
        again = ~(beyond & (np.abs(away) > 4 * scatter))
        if again.sum() < 7 or bool((again == used).all()):
            break
        used = again
        solution = least_squares(residuals, solution.x, x_scale=scale, max_nfev=60)
    jacobian = np.asarray(solution.jac)
    freedom = max(int(used.sum()) - 5, 1)
    scatter = 2 * float(solution.cost) / freedom
    # Up to this limit, scatter above one is chance.
    covariance = np.linalg.pinv(jacobian.T @ jacobian) * (scatter if scatter > 1 + 2 * math.sqrt(2 / freedom) else 1.0)
    flux, centre, log_sigma, level, slope = (float(value) for value in solution.x)
    background = level + slope * mean_row
    return FittedProfile(
        rows=mean_row,
        adu=mean_adu - background,
        model_adu=flux * _on_pixels(mean_row, centre, _width(log_sigma)),
        errors_adu=error,
        weights=count,
        flux_adu=flux,
        centre=centre,
        sigma=_width(log_sigma),
        sigma_stderr=_width(log_sigma) * math.sqrt(max(float(covariance[2, 2]), 0.0)),
        background_adu=slice_.sky_adu + level,
        noise_adu=noise,
    )
