"""What is no light: lone bright pixels, which are hot or hit by cosmic rays, and noise."""

import math

import numpy as np
from scipy.ndimage import maximum_filter, median_filter

from alpaca_focus.core.robust import MAD_TO_SIGMA
from alpaca_focus.core.values import Pixels
from alpaca_focus.imaging.sky_background import binned

BRIGHT_SIGMAS, NEIGHBOUR_SIGMAS = 12.0, 4.0
NEIGHBOUR_SHARE = 0.15
"""A star lights the brightest neighbour of its brightest pixel by more than this share, however small it is."""
LIGHT_SIGMAS, LIGHT_BINS = 4.0, (1, 4, 8)
"""The median of 3 x 3 pixels of noise never stands so high above the sky; stars do at one of these binnings."""
SAMPLES = 100_000
_NEIGHBOURS = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], dtype=bool)


def without_lone_pixels(pixels: Pixels) -> tuple[Pixels, int]:
    """Return a frame with each lone bright pixel replaced by the median of its neighbours, and their number.

    Also for a colour matrix: a star lights pixels of all colours. Frames of planes are returned as they are.

    Args:
        pixels: ADU, shape (rows, columns); not written to.
    """
    if pixels.ndim != 2:
        return pixels, 0
    sky, sigma = _level_and_noise(pixels)
    beside = maximum_filter(pixels, footprint=_NEIGHBOURS, mode="nearest")
    rows, columns = np.nonzero(np.greater(pixels, sky + BRIGHT_SIGMAS * sigma))
    above = pixels[rows, columns].astype(np.float64) - sky
    lone = beside[rows, columns].astype(np.float64) - sky < NEIGHBOUR_SHARE * above + NEIGHBOUR_SIGMAS * sigma
    rows, columns = rows[lone], columns[lone]
    if not len(rows):
        return pixels, 0
    cleaned = pixels.copy(order="K")
    cleaned[rows, columns] = median_filter(pixels, footprint=_NEIGHBOURS, mode="nearest")[rows, columns]
    return cleaned, len(rows)


def shows_light(pixels: Pixels) -> bool:
    """Return whether anything stands out of the noise over neighbouring pixels; frames of planes always do."""
    if pixels.ndim != 2:
        return True
    for size in LIGHT_BINS:
        image = pixels.astype(np.float64) if size == 1 else binned(pixels, size).astype(np.float64)
        level, sigma = _level_and_noise(image)
        if bool((median_filter(image, size=3, mode="nearest") > level + LIGHT_SIGMAS * sigma).any()):
            return True
    return False


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
