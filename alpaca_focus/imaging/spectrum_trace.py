"""Detects the trace of a star in a 2D slit spectrum: a peak narrow across the dispersion that runs along it.

The dispersion is along the columns' axis throughout; a vertical trace is searched for in the transposed frame.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from alpaca_focus.imaging.sky_background import Image, robust_noise, without_lone_maxima

Floats = NDArray[np.float64]

SLANT_STEP_PX = 1.5
"""Difference of two slants, over the whole frame."""
BLOCKS = 24
"""Parts along the dispersion; within one the slant is negligible."""
STEEPEST_SLANT = 0.06
"""Rows per column; 3.4 degrees."""
SIGMAS = (0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 11.3, 16.0, 22.6, 32.0)
"""Widths searched for, as sigma of a Gaussian in rows."""
SURROUNDING = 2.5
"""Width of the surroundings that a peak is compared with, in the peak's sigma."""
DETECT_SIGMA = 7.0
EDGE_WEIGHT = 0.6
LARGEST_BLOCK_SHARE = 0.5
"""Largest share of the signal in one block: more is a star's image or a cosmic ray, not a spectrum."""
OTHERS_SHARE = 0.1
"""Least height of another peak that counts, as a share of the highest."""


@dataclass(frozen=True, slots=True)
class Trace:
    """The course of a trace, with the dispersion along the columns' axis.

    Attributes:
        row: Row in the middle column.
        slant: Rows per column.
        sigma: Approximate width in rows.
        significance: Height in sigma of the noise.
        others: Rows of other peaks of the same kind, the highest first.
    """

    row: float
    slant: float
    sigma: float
    significance: float
    others: tuple[float, ...]


def find_trace(image: Image) -> Trace | None:
    """Return the most significant trace, if there is one.

    Sky lines fill the slit and form no peak across it; each column's median, which is their level, is subtracted first.

    Args:
        image: Shape (rows, columns), dispersion along the columns' axis; finite.
    """
    calm = without_lone_maxima(image)
    calm -= np.median(calm, axis=0).astype(np.float32)
    noise = robust_noise(calm)
    if noise <= 0:
        return None
    blocks = _block_means(calm)
    width = image.shape[1] / blocks.shape[1]
    block_noise = noise / math.sqrt(width)
    middles = (np.arange(blocks.shape[1]) + 0.5) * width - image.shape[1] / 2
    steps = max(4, math.ceil(2 * STEEPEST_SLANT * image.shape[1] / SLANT_STEP_PX))
    slants = np.linspace(-STEEPEST_SLANT, STEEPEST_SLANT, steps | 1)
    profiles = np.stack([_straight(blocks, slant * middles).mean(axis=1) for slant in slants])
    # Sky lines are noisier than the sky between them, so the noise of the profiles themselves counts.
    profile_noise = max(block_noise / math.sqrt(blocks.shape[1]), robust_noise(profiles))
    best: tuple[float, int, int, float] | None = None
    for sigma in SIGMAS:
        if 6 * sigma > image.shape[0]:
            break
        responses = _response(profiles, sigma) / (profile_noise * _response_noise(sigma))
        # Of two equally significant slants the flatter one is preferred.
        responses *= 1 - 0.2 * np.abs(slants)[:, None]
        # At the edges the means have half of the rows, and the noise is higher.
        edge = min(math.ceil(2 * SURROUNDING * sigma), responses.shape[1])
        responses[:, :edge] *= EDGE_WEIGHT
        responses[:, -edge:] *= EDGE_WEIGHT
        number, row = np.unravel_index(int(np.argmax(responses)), responses.shape)
        significance = float(responses[number, row])
        if best is None or significance > best[0]:
            best = significance, int(number), int(row), sigma
    if best is None or best[0] < DETECT_SIGMA:
        return None
    significance, chosen, at_row, sigma = best
    slant = float(slants[chosen])
    if not _runs_along(_straight(blocks, slant * middles), at_row, sigma):
        return None
    return Trace(float(at_row), slant, sigma, significance, _others(profiles[chosen], at_row, sigma, profile_noise))


def _block_means(image: Image) -> Floats:
    """Return means over blocks of columns, shape (rows, blocks); a few columns at the end may be left out."""
    count = min(BLOCKS, max(4, image.shape[1] // 8))
    size = image.shape[1] // count
    used = image[:, : size * count].reshape(image.shape[0], count, size)
    return np.asarray(used.mean(axis=2), dtype=float)


def _straight(blocks: Floats, shifts: Floats) -> Floats:
    """Shift each block's profile by whole rows to straighten a slanted trace; zero, the sky, beyond the ends."""
    last = blocks.shape[0] - 1
    rows = np.arange(last + 1)[:, None] + np.round(shifts).astype(int)
    shifted = np.take_along_axis(blocks, np.clip(rows, 0, last), axis=0)
    return np.where((rows >= 0) & (rows <= last), shifted, 0.0)


def _response(profile: Floats, sigma: float) -> Floats:
    """Return the height of peaks of this width above its surroundings, a difference of means, along the last axis."""
    narrow = gaussian_filter1d(profile, sigma, mode="nearest")
    wide = gaussian_filter1d(profile, SURROUNDING * sigma, mode="nearest")
    return np.asarray(narrow - wide)


def _response_noise(sigma: float) -> float:
    """Return the standard deviation of the response to white noise of one."""
    size = 2 * math.ceil(4 * SURROUNDING * sigma) + 1
    pulse = np.zeros(size)
    pulse[size // 2] = 1.0
    return float(np.sqrt(np.sum(_response(pulse, sigma) ** 2)))


def _runs_along(straight: Floats, row: int, sigma: float) -> bool:
    """Return whether a peak is present in many blocks, not only in one or two."""
    heights = _response(straight.T, sigma)[:, row]
    total = float(heights.sum())
    return total > 0 and float(heights.max()) < LARGEST_BLOCK_SHARE * total


def _others(profile: Floats, row: int, sigma: float, profile_noise: float) -> tuple[float, ...]:
    """Return the rows of other peaks of the same kind, the highest first."""
    response = _response(profile, sigma)
    rows = np.arange(len(profile))
    apart = np.abs(rows - row) > 5 * sigma + 2
    if not apart.any():
        return ()
    limit = max(OTHERS_SHARE * float(response[row]), DETECT_SIGMA * profile_noise * _response_noise(sigma))
    reach = max(1, math.ceil(2 * sigma))
    highest = response == maximum_filter1d(response, 2 * reach + 1)
    inside = (rows > 2 * sigma) & (rows < len(profile) - 1 - 2 * sigma)
    others = rows[apart & highest & inside & (response > limit)]
    return tuple(float(other) for other in others[np.argsort(-response[others])])
