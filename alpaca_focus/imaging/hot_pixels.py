"""Lone bright pixels: hot pixels and hits of cosmic rays, which no star's light can be."""

import numpy as np
from scipy.ndimage import maximum_filter, median_filter

from alpaca_focus.core.robust import MAD_TO_SIGMA
from alpaca_focus.core.values import Pixels

BRIGHT_SIGMAS, NEIGHBOUR_SIGMAS = 12.0, 4.0
NEIGHBOUR_SHARE = 0.15
"""A star lights the brightest neighbour of its brightest pixel by more than this share, however small it is."""
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
    some = pixels.reshape(-1)[:: max(1, pixels.size // SAMPLES)].astype(np.float64)
    sky = float(np.median(some))
    sigma = max(MAD_TO_SIGMA * float(np.median(np.abs(some - sky))), 1e-9 * max(abs(sky), 1.0))
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
