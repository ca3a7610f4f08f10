"""What is no light: lone bright pixels, which are hot or hit by cosmic rays, and noise."""

import math

import numpy as np
from numpy.typing import NDArray

from alpaca_focus.core.robust import MAD_TO_SIGMA
from alpaca_focus.core.values import Pixels
from alpaca_focus.imaging.sky_background import binned

BRIGHT_SIGMAS, NEIGHBOUR_SIGMAS = 12.0, 4.0
NEIGHBOUR_SHARE = 0.15
"""A star lights the brightest neighbour of its brightest pixel by more than this share, however small it is."""
LIGHT_SIGMAS, LIGHT_BINS = 4.0, (1, 4, 8)
"""The median of 3 x 3 pixels of noise never stands so high above the sky; stars do at one of these binnings."""
SAMPLES = 100_000


def without_lone_pixels(pixels: Pixels) -> tuple[Pixels, int]:
    """Return a frame with each lone bright pixel replaced by the median of its neighbours, and their number.

    Also for a colour matrix: a star lights pixels of all colours. Frames of planes are returned as they are.

    Args:
        pixels: ADU, shape (rows, columns); not written to.
    """
    if pixels.ndim != 2:
        return pixels, 0
    sky, sigma = _level_and_noise(pixels)
    rows, columns = np.nonzero(np.greater(pixels, sky + BRIGHT_SIGMAS * sigma))
    above = pixels[rows, columns].astype(np.float64) - sky
    beside = _neighbours(pixels, rows, columns).max(axis=1, initial=-np.inf) - sky
    lone = beside < NEIGHBOUR_SHARE * above + NEIGHBOUR_SIGMAS * sigma
    rows, columns = rows[lone], columns[lone]
    if not len(rows):
        return pixels, 0
    cleaned = pixels.copy(order="K")
    cleaned[rows, columns] = np.median(_neighbours(pixels, rows, columns), axis=1).astype(pixels.dtype)
    return cleaned, len(rows)


def shows_light(pixels: Pixels) -> bool:
    """Return whether anything stands out of the noise over neighbouring pixels; frames of planes always do."""
    if pixels.ndim != 2:
        return True
    for size in LIGHT_BINS:
        image = pixels if size == 1 else binned(pixels, size)
        level, sigma = _level_and_noise(image)
        limit = level + LIGHT_SIGMAS * sigma
        rows, columns = np.nonzero(np.greater(image, limit))
        # The median of nine is above the limit if the middle one and four of its neighbours are.
        if bool(((_neighbours(image, rows, columns) > limit).sum(axis=1) >= 4).any()):
            return True
    return False


def _neighbours(pixels: Pixels, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the eight neighbours of some pixels, shape (pixels, 8); at an edge, those inside are repeated."""
    height, width = pixels.shape
    beside = [
        pixels[np.clip(rows + down, 0, height - 1), np.clip(columns + right, 0, width - 1)]
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
        if down or right
    ]
    return np.stack(beside, axis=1).astype(np.float64)


def _level_and_noise(pixels: Pixels) -> tuple[float, float]:
    """Return the median and the standard deviation of most pixels, at least that of rounding where they are whole."""
    some = pixels.reshape(-1)[:: max(1, pixels.size // SAMPLES)].astype(np.float64)
    some = some[np.isfinite(some)]
    if not len(some):
        return 0.0, math.inf
    with np.errstate(over="ignore", invalid="ignore"):
        level = float(np.median(some))
        sigma = MAD_TO_SIGMA * float(np.median(np.abs(some - level)))
        near = some[np.abs(some - level) <= 5 * max(sigma, 1.0)]
        return level, max(sigma, float(np.std(near)) if len(near) else 0.0, 1e-9)
