"""One star on its stamp of full pixels: centre, flux, half-flux diameter, and what speaks against it."""

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import sep
from numpy.typing import NDArray

from alpaca_focus.imaging.background import MAD_TO_SIGMA, Image

SATURATED_SHARE = 0.98
LONE_PIXEL_SHARE = 0.6
SMALLEST_HFD_PX = 1.0
FAINTEST_SNR = 10.0
LARGEST_ELONGATION = 1.8
"""Ratio of the axes above which something is a trail, a pair or a galaxy."""
SUBPIXELS = 9
ROUNDS = 16
CONVERGED = 0.01


class Flag(StrEnum):
    """Why a candidate is not measured."""

    SATURATED = "saturated"
    EDGE = "edge"
    LONE_PIXEL = "lone pixel"
    ELONGATED = "elongated"
    FAINT = "faint"
    UNCERTAIN = "uncertain"
    BLENDED = "blended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Star:
    """A measured star.

    Attributes:
        x_px: Column of the centre.
        y_px: Row of the centre.
        flux_adu: Light above the sky within the aperture.
        snr: Flux over the sky's noise in the aperture.
        hfd_px: Half-flux diameter.
        hfd_stderr_px: Its standard error from the sky's noise.
        elongation: Ratio of the long to the short axis, from second moments.
        peak_adu: Highest pixel above the sky.
    """

    x_px: float
    y_px: float
    flux_adu: float
    snr: float
    hfd_px: float
    hfd_stderr_px: float
    elongation: float
    peak_adu: float


@dataclass(frozen=True, slots=True)
class _Stamp:
    """A part of the image about a place, with the sky subtracted."""

    values: Image
    x: float
    y: float
    noise: float


def aperture_radius_px(hfd_px: float) -> float:
    """Return the radius in which a star is measured.

    Close to three HFD for sharp stars, whose seeing disc has wide wings, and just beyond the rim of a large ring, where
    more would only add noise.
    """
    return 1.5 * hfd_px + 4.0


def measure_star(
    pixels: NDArray[np.generic], x_px: float, y_px: float, *, start_hfd_px: float, saturation_adu: float
) -> Star | Flag:
    """Measure the star near a place, or say what speaks against it.

    The half-flux diameter is twice the radius about the centroid that holds half of the light within the aperture; the
    aperture follows the HFD until both agree.

    Args:
        pixels: ADU, shape (rows, columns).
        x_px: Column to start at.
        y_px: Row to start at.
        start_hfd_px: First guess of the HFD.
        saturation_adu: Value at which a pixel is saturated.
    """
    hfd_px = start_hfd_px
    for _ in range(ROUNDS):
        radius_px = aperture_radius_px(hfd_px)
        stamp = _cut(pixels, x_px, y_px, radius_px)
        if stamp is None:
            return Flag.EDGE
        inside, far = _distances(stamp, radius_px)
        weights = np.where(inside, stamp.values, 0)
        flux = float(weights.sum())
        if flux <= FAINTEST_SNR * stamp.noise * math.sqrt(inside.sum()):
            return Flag.FAINT
        if far >= SATURATED_SHARE * saturation_adu:
            return Flag.SATURATED
        if float(weights.max()) > LONE_PIXEL_SHARE * flux:
            return Flag.LONE_PIXEL
        shift_x, shift_y = _centroid(weights, stamp, flux)
        x_px, y_px = x_px + shift_x, y_px + shift_y
        measured = _half_flux_diameter(stamp, stamp.x + shift_x, stamp.y + shift_y, radius_px)
        if measured is None:
            return Flag.UNCERTAIN
        settled = abs(measured - hfd_px) < CONVERGED * hfd_px and math.hypot(shift_x, shift_y) < 0.02 * hfd_px
        # Half of the step only: a small aperture cuts a large ring, and a large one may reach a neighbour.
        hfd_px = measured if measured > hfd_px else (measured + hfd_px) / 2
        if settled:
            return _judged(stamp, weights, x_px=x_px, y_px=y_px, hfd_px=hfd_px, radius_px=radius_px)
    return Flag.UNCERTAIN


def _cut(pixels: NDArray[np.generic], x_px: float, y_px: float, radius_px: float) -> _Stamp | None:
    half = math.ceil(1.3 * radius_px + 6)
    column, row = round(x_px), round(y_px)
    rows, columns = pixels.shape
    if column - radius_px < 0 or row - radius_px < 0 or column + radius_px >= columns or row + radius_px >= rows:
        return None
    top, left = max(0, row - half), max(0, column - half)
    part = np.ascontiguousarray(pixels[top : row + half + 1, left : column + half + 1], dtype=np.float32)
    y, x = np.ogrid[: part.shape[0], : part.shape[1]]
    around = part[np.hypot(x - (x_px - left), y - (y_px - top)) > radius_px + 1]
    sky, noise = _clipped_sky(around)
    return _Stamp(part - np.float32(sky), x_px - left, y_px - top, noise)


def _clipped_sky(values: NDArray[np.float32]) -> tuple[float, float]:
    """Mean and noise of the sky without the stars in it."""
    middle = float(np.median(values))
    for _ in range(3):
        noise = MAD_TO_SIGMA * float(np.median(np.abs(values - middle)))
        kept = values[np.abs(values - middle) <= 3 * noise] if noise > 0 else values
        if kept.size == values.size or kept.size < 20:
            break
        values, middle = kept, float(np.mean(kept))
    return float(np.mean(values)), float(np.std(values))


def _distances(stamp: _Stamp, radius_px: float) -> tuple[NDArray[np.bool_], float]:
    y, x = np.ogrid[: stamp.values.shape[0], : stamp.values.shape[1]]
    inside = np.hypot(x - stamp.x, y - stamp.y) <= radius_px
    return inside, float(stamp.values[inside].max())


def _centroid(weights: Image, stamp: _Stamp, flux: float) -> tuple[float, float]:
    y, x = np.ogrid[: weights.shape[0], : weights.shape[1]]
    return float((weights * (x - stamp.x)).sum() / flux), float((weights * (y - stamp.y)).sum() / flux)


def _half_flux_diameter(stamp: _Stamp, x: float, y: float, radius_px: float) -> float | None:
    radius, flag = sep.flux_radius(stamp.values, [x], [y], [radius_px], 0.5, subpix=SUBPIXELS)
    value = 2 * float(radius[0])
    return value if math.isfinite(value) and value > 0 and not flag[0] else None


def _judged(stamp: _Stamp, weights: Image, *, x_px: float, y_px: float, hfd_px: float, radius_px: float) -> Star | Flag:
    flux = float(weights.sum())
    elongation = _elongation(weights, stamp, flux, hfd_px)
    if elongation > LARGEST_ELONGATION:
        return Flag.ELONGATED
    if hfd_px < SMALLEST_HFD_PX:
        return Flag.LONE_PIXEL
    radii, _ = sep.flux_radius(stamp.values, [stamp.x], [stamp.y], [radius_px], [0.4, 0.6], subpix=SUBPIXELS)
    inner_px, outer_px = (float(radius) for radius in np.ravel(radii))
    # Half of the light is uncertain by about half of the aperture's noise; the slope of the growth curve there turns
    # that into pixels.
    flux_error = stamp.noise * math.sqrt(math.pi) * radius_px
    stderr_px = 2 * (0.5 * flux_error / flux) * max(outer_px - inner_px, 0.05) / 0.2
    return Star(
        x_px=x_px,
        y_px=y_px,
        flux_adu=flux,
        snr=flux / flux_error if flux_error > 0 else math.inf,
        hfd_px=hfd_px,
        hfd_stderr_px=stderr_px,
        elongation=elongation,
        peak_adu=float(weights.max()),
    )


def _elongation(weights: Image, stamp: _Stamp, flux: float, hfd_px: float) -> float:
    """Ratio of the axes from second moments within one HFD of the centre."""
    y, x = np.ogrid[: weights.shape[0], : weights.shape[1]]
    dx, dy = x - stamp.x, y - stamp.y
    core = np.where(np.hypot(dx, dy) <= 1.2 * hfd_px + 1, weights, 0)
    total = float(core.sum())
    if total <= 0.1 * flux:
        return math.inf
    xx, yy, xy = (float((core * product).sum()) / total for product in (dx * dx, dy * dy, dx * dy))
    spread = math.hypot((xx - yy) / 2, xy)
    mean = (xx + yy) / 2
    return math.inf if mean - spread <= 0 else math.sqrt((mean + spread) / (mean - spread))
