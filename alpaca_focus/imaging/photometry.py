"""Light, centre, half-flux diameter and shape of stars on their stamps, all stars at once."""

import math
from dataclasses import dataclass, fields

import numpy as np
import sep
from numpy.typing import NDArray

from alpaca_focus.imaging.stamps import Flags, Floats, Stamps

CENTRE_ROUNDS = 4
NEAR_HALF = (0.9, 1.0, 1.1)
"""Radii at which the growth of the light is measured, in half-flux radii."""
OUTSKIRTS = 0.9
"""Radius beyond which a star, or the rim of a ring, has hardly any light, in HFD."""
EXACT = 0
"""The `subpix` of sep that takes the exact area of a circle in each cell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Photometry:
    """The measurements of some stars; lengths in cells of the stamps, one value per star.

    Attributes:
        x: Column of the centre, from the middle of the stamp.
        y: Row of the centre.
        flux_adu: Light above the sky within the aperture.
        noise_adu: Standard error of that light from the sky's noise.
        half_flux_diameter: Twice the radius about the centre that holds half of that light.
        half_flux_noise: Its standard error from the sky's noise and the light's own.
        measurable: Whether there is light, and a radius that holds half of the light.
        elongation: Ratio of the long to the short axis, from second moments; infinite without a short axis.
        angle_deg: Direction of the long axis from the columns' axis towards higher rows, -90 to 90.
        lopsidedness: How far the light beyond 0.9 HFD lies to one side: its dipole as a share of all light.
        peak_share: Share of the light that the brightest cell has.
    """

    x: Floats
    y: Floats
    flux_adu: Floats
    noise_adu: Floats
    half_flux_diameter: Floats
    half_flux_noise: Floats
    measurable: Flags
    elongation: Floats
    angle_deg: Floats
    lopsidedness: Floats
    peak_share: Floats

    def where(self, chosen: Flags) -> "Photometry":
        """Return some of the stars."""
        return Photometry(**{part.name: getattr(self, part.name)[chosen] for part in fields(self)})


def measure(stamps: Stamps, hfd_cells: float, electrons_per_adu: float) -> Photometry:
    """Measure the stars on their stamps.

    The error of the half-flux radius is that of the light inside less half of all light: the sky's noise and the star's
    own counting noise contribute about half of the error of all light, the error of the sky's level in proportion to
    the areas; the slope of the growth curve converts it to a length.

    Args:
        stamps: The stars.
        hfd_cells: Their approximate HFD.
        electrons_per_adu: For the counting noise of their light.
    """
    aperture, half = stamps.geometry.aperture, stamps.geometry.half
    size, count = stamps.geometry.size, len(stamps.values)
    x, y = centres(stamps, min(hfd_cells + 2.0, aperture))
    mosaic = stamps.values.reshape(count * size, size)
    on_mosaic = x + half, y + half + np.arange(count) * size
    flux = np.asarray(sep.sum_circle(mosaic, *on_mosaic, aperture, subpix=EXACT)[0])
    radius, growth, measurable = _half_flux(mosaic, on_mosaic, flux, aperture)
    adu_per_cell = stamps.geometry.binning**2
    noise = np.maximum(stamps.noise_adu, 1e-9) * adu_per_cell
    light = np.where(flux > 0, flux, np.nan) * adu_per_cell
    sky_error = noise / np.sqrt(stamps.sky_cells)
    area, half_area = math.pi * aperture**2, math.pi * radius**2
    half_flux_error = np.sqrt(
        (noise**2 * area + light / electrons_per_adu) / 4 + (sky_error * (area / 2 - half_area)) ** 2
    )
    elongation, angle_deg, lopsidedness, peak_share = _shapes(stamps, x, y, hfd_cells)
    return Photometry(
        x=x,
        y=y,
        flux_adu=np.nan_to_num(light),
        noise_adu=np.sqrt(noise**2 * area + (sky_error * area) ** 2),
        half_flux_diameter=2 * radius,
        half_flux_noise=2 * half_flux_error / (growth * adu_per_cell),
        measurable=measurable,
        elongation=elongation,
        angle_deg=angle_deg,
        lopsidedness=lopsidedness,
        peak_share=peak_share,
    )


def _half_flux(
    mosaic: NDArray[np.float32], positions: tuple[Floats, Floats], flux: Floats, aperture: float
) -> tuple[Floats, Floats, Flags]:
    """Return the half-flux radius, the growth of the light there, and whether such a radius exists.

    A coarse search is followed by a parabola through the exact light within three circles near its result.
    """
    coarse, flags = sep.flux_radius(mosaic, *positions, np.full(len(flux), aperture), 0.5, normflux=flux, subpix=1)
    coarse = np.asarray(coarse, dtype=float)
    valid = (flux > 0) & (np.asarray(flags) == 0) & np.isfinite(coarse) & (coarse > 0)
    coarse = np.clip(np.where(valid, coarse, aperture / 2), 0.3, aperture / max(NEAR_HALF))
    inner, middle, outer = (
        np.asarray(sep.sum_circle(mosaic, *positions, share * coarse, subpix=EXACT)[0]) / np.where(valid, flux, 1)
        for share in NEAR_HALF
    )
    # The share of all light, against s = r / coarse - 1.
    step = NEAR_HALF[2] - NEAR_HALF[1]
    slope, bend = (outer - inner) / (2 * step), (outer - 2 * middle + inner) / step**2
    valid &= slope > 0
    slope = np.where(valid, slope, 1)
    s = (0.5 - middle) / slope
    s = (0.5 - middle - bend * s**2 / 2) / slope
    valid &= np.abs(s) < 0.5
    radius = coarse * (1 + np.where(valid, s, 0))
    return radius, slope * np.where(valid, flux, 1) / coarse, valid


def _about_middle(stamps: Stamps, radius: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the middle parts of the stamps around a circle of this radius, with a margin, and their axis."""
    half = stamps.geometry.half
    reach = min(half, math.ceil(radius) + 3)
    axis = np.arange(-reach, reach + 1, dtype=np.float32)
    part = slice(half - reach, half + reach + 1)
    return stamps.values[:, part, part], axis


def centres(stamps: Stamps, radius: float | None = None) -> tuple[Floats, Floats]:
    """Return the centre of the light in a circle that is centred on it iteratively.

    Args:
        stamps: The stars.
        radius: Radius of the circle; by default the aperture.

    Returns:
        Columns and rows, in cells from the middle of the stamps, never further than a third of the radius.
    """
    radius = stamps.geometry.aperture if radius is None else radius
    x, y = np.zeros(len(stamps.values)), np.zeros(len(stamps.values))
    limit = max(radius / 3, 1.5)
    for _ in range(CENTRE_ROUNDS):
        x, y = (np.clip(np.nan_to_num(at), -limit, limit) for at in _light_centre(stamps, x, y, radius))
    return x, y


def _light_centre(stamps: Stamps, x: Floats, y: Floats, radius: float) -> tuple[Floats, Floats]:
    """Return the centre of the light in circles around some points; NaN without light."""
    values, axis = _about_middle(stamps, radius)
    total, by_x, by_y = _first_moments(_inside(values, axis, x, y, radius), axis)
    return by_x / total, by_y / total


def _inside(
    values: NDArray[np.float32], axis: NDArray[np.float32], x: Floats, y: Floats, radius: float
) -> NDArray[np.float32]:
    """Return the values in circles around the centres, zero outside; a cell on the rim counts in part."""
    x32, y32 = np.asarray(x, dtype=np.float32), np.asarray(y, dtype=np.float32)
    distance = np.sqrt(
        (axis[None, :] - y32[:, None])[:, :, None] ** 2 + (axis[None, :] - x32[:, None])[:, None, :] ** 2
    )
    share = np.float32(radius + 0.5) - distance
    np.clip(share, 0, 1, out=share)
    share *= values
    return share


def _lopsidedness(stamps: Stamps, x: Floats, y: Floats, inner: float) -> Floats:
    """Return the dipole of the light between a radius and the aperture, which a neighbouring star raises."""
    outer = stamps.geometry.aperture
    values, axis = _about_middle(stamps, outer)
    total, by_x, by_y = _first_moments(_inside(values, axis, x, y, outer), axis)
    core, core_x, core_y = _first_moments(_inside(values, axis, x, y, min(inner, outer)), axis)
    along_x, along_y = by_x - core_x - (total - core) * x, by_y - core_y - (total - core) * y
    return np.asarray(np.hypot(along_x, along_y) / (total * (inner + outer) / 2))


def _first_moments(weights: NDArray[np.float32], axis: NDArray[np.float32]) -> tuple[Floats, Floats, Floats]:
    """Return the sums of the weights, NaN where not positive, and of the weights times column and row."""
    columns, rows = weights.sum(axis=1).astype(float), weights.sum(axis=2).astype(float)
    total = columns.sum(axis=1)
    return np.where(total > 0, total, np.nan), columns @ axis, rows @ axis


def _shapes(stamps: Stamps, x: Floats, y: Floats, hfd_cells: float) -> tuple[Floats, Floats, Floats, Floats]:
    radius = min(1.2 * hfd_cells + 1.0, stamps.geometry.aperture)
    values, axis = _about_middle(stamps, radius)
    weights = _inside(values, axis, x, y, radius)
    total, by_x, by_y = _first_moments(weights, axis)
    centre_x, centre_y = by_x / total, by_y / total
    square = axis**2
    xx = (weights.sum(axis=1) @ square) / total - centre_x**2
    yy = (weights.sum(axis=2) @ square) / total - centre_y**2
    xy = ((weights @ axis) @ axis) / total - centre_x * centre_y
    spread, mean = np.hypot((xx - yy) / 2, xy), (xx + yy) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        elongation = np.sqrt((mean + spread) / (mean - spread))
    lopsidedness = _lopsidedness(stamps, x, y, OUTSKIRTS * hfd_cells)
    return (
        np.where(np.isfinite(elongation) & (mean > spread), elongation, np.inf),
        np.degrees(np.arctan2(2 * xy, xx - yy)) / 2,
        np.nan_to_num(lopsidedness, nan=np.inf),
        np.nan_to_num(weights.max(axis=(1, 2)) / total, nan=1.0),
    )
