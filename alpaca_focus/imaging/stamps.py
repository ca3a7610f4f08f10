"""Stamps: the parts of a frame around its stars, all of one size in one array, each with its local sky subtracted."""

import math
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from alpaca_focus.core.robust import MAD_TO_SIGMA
from alpaca_focus.imaging.sky_background import Image, binned, native, second_highest_neighbour

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Raw = NDArray[np.generic]

LONE_TIMES, LONE_SIGMAS = 4.0, 6.0
"""A pixel that exceeds the second highest of its neighbours by both is a hot pixel or a cosmic ray. In a star down to
a FWHM of 1.3 pixels, that neighbour of the brightest pixel has more than a quarter of its light."""
CELLS_PER_HFD = 10.0
"""Larger stars are binned until their HFD has less than twice as many cells: more cells would only cost time."""
SKY_BEYOND_CELLS = 1.5
CORE_SHARE, PLATEAU_DEPTH = 0.35, 0.02
"""Radius of the search for the brightest pixel, as a share of the aperture, and how far below that pixel others count
as equally bright."""
CLIP_SIGMAS = 3.0
CLIP_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Geometry:
    """The size of all stamps of one measurement; a cell is `binning` x `binning` pixels.

    Attributes:
        aperture: Radius in which a star is measured, in cells.
        half: Cells from the middle of a stamp to its edge.
    """

    binning: int
    aperture: float
    half: int

    @property
    def size(self) -> int:
        """Cells to a side of a stamp."""
        return 2 * self.half + 1

    @property
    def sky_radius(self) -> float:
        """Radius beyond which a stamp is sky, in cells."""
        return self.aperture + SKY_BEYOND_CELLS


@dataclass(frozen=True, slots=True)
class Stamps:
    """Stars cut out of a frame.

    Attributes:
        values: ADU above the sky per pixel, shape (stars, size, size).
        x_px: Column of the middle of each stamp's middle cell, in pixels of the frame.
        y_px: Row of the same point.
        noise_adu: Standard deviation of a cell's sky.
        sky_cells: Number of cells in the estimate of each star's sky.
        brightest_adu: Highest pixel near the middle, with sky, without hot pixels.
        plateau: Pixels near the middle within 2 % of the highest.
    """

    geometry: Geometry
    values: Image
    x_px: Floats
    y_px: Floats
    noise_adu: Floats
    sky_cells: Floats
    brightest_adu: Floats
    plateau: NDArray[np.intp]

    def where(self, chosen: Flags) -> "Stamps":
        """Return some of the stars."""
        parts = {part.name: getattr(self, part.name)[chosen] for part in fields(self) if part.name != "geometry"}
        return replace(self, **parts)


def geometry_for(hfd_px: float) -> Geometry:
    """Return the size of the stamps for stars of about this HFD.

    The aperture is nearly three HFD wide for sharp stars, whose seeing disc has wide wings, and ends just beyond the
    rim of a large ring, where more would only add noise.
    """
    binning = max(1, int(hfd_px // CELLS_PER_HFD))
    aperture = (1.5 * hfd_px + 4.0) / binning
    return Geometry(binning, aperture, math.ceil(aperture + SKY_BEYOND_CELLS + max(4.0, 0.25 * aperture)))


def fits_in(shape: tuple[int, ...], x_px: Floats, y_px: Floats, geometry: Geometry) -> Flags:
    """Return for each position whether the aperture around it lies within a frame of this shape."""
    reach = geometry.aperture * geometry.binning + 1.0
    rows, columns = shape[:2]
    inside: Flags = (x_px >= reach) & (y_px >= reach) & (x_px <= columns - 1 - reach) & (y_px <= rows - 1 - reach)
    return inside


def cut(pixels: NDArray[np.generic], x_px: Floats, y_px: Floats, geometry: Geometry, fill: np.float32 | None) -> Stamps:
    """Cut out the stamps around some positions, remove hot pixels, and subtract the sky of each.

    Args:
        pixels: The frame, shape (rows, columns); read only.
        x_px: Columns, all within the frame.
        y_px: Rows.
        geometry: Size of the stamps.
        fill: Value for pixels without a finite one; `None`: there are none.
    """
    raw, middle_x, middle_y = _raw(pixels, x_px, y_px, geometry)
    if fill is not None:
        raw[~np.isfinite(raw)] = fill
    level = np.median(raw[:, ::3, ::3].astype(np.float32), axis=(1, 2)).astype(float)
    quantum_adu = 1.0 if pixels.dtype.kind in "iu" else 0.0
    cleaned = _without_lone_pixels(raw, level, quantum_adu)
    half, binning = geometry.half, geometry.binning
    reach = max(1, round(CORE_SHARE * geometry.aperture * binning))
    core = slice(raw.shape[1] // 2 - reach, raw.shape[1] // 2 + reach + 1)
    inner = cleaned[:, core, core].reshape(len(raw), (2 * reach + 1) ** 2)
    brightest = inner.max(axis=1).astype(float)
    plateau = (inner >= (brightest - PLATEAU_DEPTH * (brightest - level))[:, None]).sum(axis=1)
    below_one_another = cleaned.reshape(-1, cleaned.shape[2])
    values = binned(below_one_another, binning).reshape(len(raw), geometry.size, geometry.size)
    values, noise, sky_cells = _without_own_sky(values, geometry, quantum_adu)
    # The middle cell's middle: with an even binning it lies between two pixels.
    offset = (binning - 1) / 2 + half * binning
    return Stamps(geometry, values, middle_x + offset, middle_y + offset, noise, sky_cells, brightest, plateau)


def _raw(pixels: NDArray[np.generic], x_px: Floats, y_px: Floats, geometry: Geometry) -> tuple[Raw, Floats, Floats]:
    """Return the pixels of the stamps, and the column and row of each one's first pixel."""
    size = geometry.size * geometry.binning
    shift = (geometry.binning - 1) / 2 + geometry.half * geometry.binning
    left, top = np.round(x_px - shift).astype(int), np.round(y_px - shift).astype(int)
    raw = np.empty((len(x_px), size, size), dtype=native(pixels[:1]).dtype)
    rows, columns = pixels.shape
    for index, (x, y) in enumerate(zip(left, top, strict=True)):
        if x >= 0 and y >= 0 and x + size <= columns and y + size <= rows:
            raw[index] = pixels[y : y + size, x : x + size]
        else:
            # The aperture is inside the frame; the sky outside is mirrored.
            part_x = _mirrored(np.arange(x, x + size), columns)
            part_y = _mirrored(np.arange(y, y + size), rows)
            raw[index] = native(pixels[part_y[0] : part_y[1], part_x[0] : part_x[1]])[np.ix_(part_y[2], part_x[2])]
    return raw, left.astype(float), top.astype(float)


def _mirrored(wanted: NDArray[np.intp], length: int) -> tuple[int, int, NDArray[np.intp]]:
    """Return the first and last + 1 index to read along an axis, and the offset of each wanted one in that range."""
    inside = np.abs(wanted)
    inside = np.clip(np.where(inside >= length, 2 * (length - 1) - inside, inside), 0, length - 1)
    first, last = int(inside.min()), int(inside.max()) + 1
    return first, last, inside - first


def _without_lone_pixels(raw: Raw, level: Floats, quantum_adu: float) -> Raw:
    """Limit pixels that exceed at least three of their neighbours to the second highest neighbour."""
    neighbour, inner = second_highest_neighbour(raw), raw[:, 1:-1, 1:-1]
    above = np.subtract(inner, neighbour, dtype=np.float32)
    steps = np.abs(np.subtract(raw[:, ::8, 1:], raw[:, ::8, :-1], dtype=np.float32))
    noise = np.maximum(MAD_TO_SIGMA / math.sqrt(2) * np.median(steps, axis=(1, 2)), quantum_adu)
    star, y, x = np.nonzero(above > (LONE_SIGMAS * noise)[:, None, None].astype(np.float32))
    lone = above[star, y, x] > (LONE_TIMES - 1) * (neighbour[star, y, x].astype(float) - level[star])
    if not lone.any():
        return raw
    cleaned = raw.copy()
    cleaned[star[lone], y[lone] + 1, x[lone] + 1] = neighbour[star[lone], y[lone], x[lone]]
    return cleaned


def _without_own_sky(values: Image, geometry: Geometry, quantum_adu: float) -> tuple[Image, Floats, Floats]:
    """Subtract from each stamp the clipped mean of the sky beyond its aperture.

    If nearly all of the sky has one value, dark or clipped at the bias, the next value is sky as well.
    """
    y, x = np.ogrid[-geometry.half : geometry.half + 1, -geometry.half : geometry.half + 1]
    outside = np.hypot(x, y) >= geometry.sky_radius
    around = values[:, outside]
    middle = np.median(around, axis=1, keepdims=True)
    spread = MAD_TO_SIGMA * np.median(np.abs(around - middle), axis=1, keepdims=True)
    spread = np.where(spread > 0, spread, around.std(axis=1, keepdims=True))
    kept = np.ones(around.shape, dtype=bool)
    for _ in range(CLIP_ROUNDS):
        kept = np.abs(around - middle) <= np.maximum(CLIP_SIGMAS * spread, quantum_adu)
        middle, spread = _mean_and_spread(around, kept)
    return values - middle[:, :, None], spread[:, 0].astype(float), kept.sum(axis=1).astype(float)


def _mean_and_spread(values: Image, kept: Flags) -> tuple[Image, Image]:
    count = np.maximum(kept.sum(axis=1, keepdims=True), 1).astype(np.float32)
    middle = np.where(kept, values, 0).sum(axis=1, keepdims=True) / count
    spread = np.sqrt(np.where(kept, (values - middle) ** 2, 0).sum(axis=1, keepdims=True) / count)
    return middle.astype(np.float32), spread.astype(np.float32)
