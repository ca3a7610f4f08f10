"""The light of a frame's stars against distance from the centre, and a Moffat curve fitted to it.

A Moffat profile I = (1 + (r / a)^2)^-b describes stars blurred by the air, with wings that a Gaussian lacks (Moffat,
A&A 3, 455, 1969); as b grows it becomes a Gaussian. It does not fit a ring, as the misfit shows.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from alpaca_focus.imaging.photometry import Photometry, measure
from alpaca_focus.imaging.stamps import Floats, Geometry, Stamps

BINS_PER_HFD = 20.0
LARGEST_MISFIT = 0.05
"""Departure from a Moffat curve, as a share of the profile, above which stars are rings or discs."""
MODEL_SHARE = 0.01
"""Normal departure, even of a star in focus."""
STEEPEST, FLATTEST = 0.003, 0.6
"""Limits of 1 / b: nearly a Gaussian, and wings below those with infinite light."""
NODES, NODE_WEIGHTS = np.polynomial.legendre.leggauss(3)
PHASES = (0.125, 0.375)
"""Positions within a cell: the middles of its quarters; the other half is the mirror image."""
MODEL_FLUX_ADU = 1e6
CELL_VARIANCE = 2 / 12


@dataclass(frozen=True, slots=True)
class Moffat:
    """A Moffat profile with the exponent b = 1 / `inverse_exponent`; lengths in cells."""

    fwhm: float
    inverse_exponent: float

    @property
    def exponent(self) -> float:
        """The exponent b."""
        return 1 / self.inverse_exponent

    @property
    def core(self) -> float:
        """The radius a."""
        return self.fwhm / 2 / math.sqrt(2**self.inverse_exponent - 1)

    @property
    def half_flux_diameter(self) -> float:
        """Diameter that holds half of all light, from the integral 1 - (1 + (r / a)^2)^(1 - b)."""
        return 2 * self.core * math.sqrt(2 ** (1 / (self.exponent - 1)) - 1)

    def brightness(self, squared_radius: NDArray[np.floating]) -> Floats:
        """Return the light per area; the total is one."""
        peak = (self.exponent - 1) / (math.pi * self.core**2)
        return np.asarray(peak * (1 + squared_radius / self.core**2) ** -self.exponent, dtype=float)

    def on_cells(self, x: NDArray[np.floating], y: NDArray[np.floating]) -> Floats:
        """Return the light in cells centred at these distances from the star, by quadrature over each cell."""
        total = np.zeros(np.broadcast_shapes(x.shape, y.shape))
        for dx, weight_x in zip(NODES / 2, NODE_WEIGHTS / 2, strict=True):
            for dy, weight_y in zip(NODES / 2, NODE_WEIGHTS / 2, strict=True):
                total += weight_x * weight_y * self.brightness((x + dx) ** 2 + (y + dy) ** 2)
        return total


@dataclass(frozen=True, slots=True)
class Profile:
    """The mean profile of some stars, each scaled to a light of one; lengths in cells.

    Attributes:
        radius: Mean distance from the centre in each bin.
        light: Mean light of a cell.
        error: Standard error from the sky's noise.
        cells: Number of averaged cells.
    """

    radius: Floats
    light: Floats
    error: Floats
    cells: Floats


def stacked(stamps: Stamps, photometry: Photometry, hfd_cells: float) -> Profile:
    """Average the profiles of some stars, weighted by their light, out to the aperture."""
    distance = _distances(stamps, photometry)
    light = np.broadcast_to(_light_per_value(stamps, photometry), distance.shape)
    inside = distance < stamps.geometry.aperture
    bins = (distance[inside] / (hfd_cells / BINS_PER_HFD)).astype(int)
    count = np.bincount(bins).astype(float)
    some = count > 0
    # A star of light f has the weight f and the values v / f: the weighted sum is that of the values v.
    weight = np.bincount(bins, light[inside])[some]
    variance = np.broadcast_to(stamps.noise_adu[:, None, None] ** 2, distance.shape)
    return Profile(
        radius=np.bincount(bins, (light * distance)[inside])[some] / weight,
        light=np.bincount(bins, stamps.values[inside])[some] / weight,
        error=np.sqrt(np.bincount(bins, variance[inside])[some]) / weight,
        cells=count[some],
    )


def _distances(stamps: Stamps, photometry: Photometry) -> Floats:
    axis = np.arange(-stamps.geometry.half, stamps.geometry.half + 1)
    distance: Floats = np.hypot((axis - photometry.y[:, None])[:, :, None], (axis - photometry.x[:, None])[:, None, :])
    return distance


def _light_per_value(stamps: Stamps, photometry: Photometry) -> Floats:
    """Return the divisor of the stamps' values that scales each star's light to one."""
    light: Floats = (photometry.flux_adu / stamps.geometry.binning**2)[:, None, None]
    return light


def fit_moffat(profile: Profile, hfd_cells: float) -> Moffat | None:
    """Fit a Moffat curve, integrated over the cells, to a mean profile; `None` if the stars are rings or discs."""
    level = float(profile.light[: max(1, len(profile.light) // 8)].max())
    error = np.hypot(profile.error, MODEL_SHARE * np.abs(profile.light)) + 2e-3 * level

    def model(parameters: Floats) -> tuple[float, Moffat]:
        amplitude, log_fwhm, inverse_exponent = parameters
        return float(amplitude), Moffat(hfd_cells * math.exp(log_fwhm), float(inverse_exponent))

    def residuals(parameters: Floats) -> Floats:
        amplitude, curve = model(parameters)
        return (amplitude * curve.on_cells(profile.radius, np.zeros(1)) - profile.light) / error

    solution = least_squares(
        residuals,
        np.array([1.0, math.log(0.9), 0.3]),
        bounds=([0.2, math.log(0.2), STEEPEST], [5.0, math.log(3.0), FLATTEST]),
        max_nfev=30,
        ftol=1e-5,
        xtol=1e-5,
    )
    amplitude, curve = model(solution.x)
    away = amplitude * curve.on_cells(profile.radius, np.zeros(1)) - profile.light
    # Weighted by the radius, as is the area between two radii; the sky's noise is no misfit.
    misfit = float(np.sum(profile.radius * (away**2 - profile.error**2)))
    return curve if misfit <= LARGEST_MISFIT**2 * float(np.sum(profile.radius * profile.light**2)) else None


def width_changes(stamps: Stamps, photometry: Photometry, profile: Profile, hfd_cells: float) -> tuple[Floats, Floats]:
    """Return the share by which each star is wider than the median one, with its standard error.

    A star is the mean profile P, times an amplitude, stretched by 1 + s; to first order P - s r P'. A linear fit gives
    amplitude and s, and the sky's noise their errors.
    """
    distance = _distances(stamps, photometry)
    near = distance < 1.5 * hfd_cells
    shape = np.interp(distance, profile.radius, profile.light)
    stretch = -np.interp(distance, profile.radius, profile.radius * np.gradient(profile.light, profile.radius))
    light = _light_per_value(stamps, photometry)
    values = stamps.values / light
    aa, ab, bb = (
        np.where(near, product, 0).sum(axis=(1, 2)) for product in (shape * shape, shape * stretch, stretch * stretch)
    )
    av, bv = (np.where(near, product * values, 0).sum(axis=(1, 2)) for product in (shape, stretch))
    determinant = aa * bb - ab * ab
    amplitude, change = (av * bb - bv * ab) / determinant, (bv * aa - av * ab) / determinant
    noise = stamps.noise_adu / light[:, 0, 0]
    wider = change / amplitude
    return wider - float(np.median(wider)), noise * np.sqrt(aa / determinant) / np.abs(amplitude)


def half_flux_bias(curve: Moffat, geometry: Geometry) -> float:
    """Return the factor by which the half-flux diameter of stars with this profile is measured too large.

    The cells of the sensor widen a star, the aperture cuts its wings, and the wings raise its sky. Stars of this
    profile are rendered at several positions within a cell and measured in the same way.
    """
    x, y = (each.ravel() for each in np.meshgrid(PHASES, PHASES))
    axis = np.arange(-geometry.half, geometry.half + 1)
    cells = curve.on_cells(axis[None, None, :] - x[:, None, None], axis[None, :, None] - y[:, None, None])
    outside = np.hypot(axis[None, :], axis[:, None]) >= geometry.sky_radius
    values = MODEL_FLUX_ADU * (cells - cells[:, outside].mean(axis=1)[:, None, None])
    count = np.ones(len(x))
    stamps = Stamps(geometry, values.astype(np.float32), x, y, count, 1e9 * count, count, count.astype(int))
    measured = measure(stamps, curve.half_flux_diameter, math.inf).half_flux_diameter
    return float(np.mean(measured)) / curve.half_flux_diameter


def half_flux_bias_of_rings(profile: Profile, hfd_cells: float) -> float:
    """Return the factor by which the half-flux diameter of rings and discs is measured too large.

    A blur of variance s^2 on each axis changes the light within r by -s^2 / 2 times 2 pi r I', to first order, and so
    the half-flux radius by that over 2 pi r I. The sensor's cell blurs by 1/12, and so does treating its light as
    evenly spread; aperture and sky have no effect, because rings have their light inside.
    """
    radius = hfd_cells / 2
    near = np.abs(profile.radius - radius) < 0.25 * radius
    if near.sum() < 3:
        return 1.0
    slope, level = np.polyfit(profile.radius[near] - radius, profile.light[near], 1, w=np.sqrt(profile.cells[near]))
    change = -CELL_VARIANCE / 2 * slope / max(level, 1e-12)
    return 1 / (1 - float(np.clip(change / radius, -0.1, 0.1)))
