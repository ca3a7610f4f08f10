"""Photon and read-out noise, fast enough for tens of megapixels.

Numpy's Poisson generator needs some 70 ns a pixel, five seconds for a full-frame camera. Here a mean of 32 electrons or
more gets a normal deviate of the same variance (skewness below 0.18). A smaller mean looks its deviate up in a table of
Poisson quantiles and scales it, so that mean and variance are right for any mean; the skewness is, to within the
spacing of the table.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

FAINT_E = 32.0
"""Means below this come from the table, electrons."""

_LEVELS = 256
_QUANTILES = 65536
_LARGEST_COUNT = 96


@cache
def _poisson_table() -> NDArray[np.uint8]:
    """Poisson quantiles, flat: for level i of mean (i / 255)^2 FAINT_E, 65536 counts in rising order."""
    table = np.empty((_LEVELS, _QUANTILES), dtype=np.uint8)
    counts = np.arange(_LARGEST_COUNT)
    for row, root in zip(table, _level_roots(), strict=True):
        cumulative = special.pdtr(counts, float(root) ** 2)
        edges = np.rint(cumulative * _QUANTILES).astype(np.int64)
        edges[-1] = _QUANTILES
        row[:] = np.repeat(counts, np.diff(edges, prepend=0))
    return table.reshape(-1)


@cache
def _level_roots() -> NDArray[np.float32]:
    return np.linspace(0.0, np.sqrt(FAINT_E), _LEVELS).astype(np.float32)


def add_noise(mean_e: NDArray[np.float32], read_noise_e: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Electrons read from pixels: photon noise about the mean, and read-out noise.

    Args:
        mean_e: Expected electrons, 0 or more, any shape.
        read_noise_e: Read-out noise, electrons rms.
        rng: Source of randomness.

    Returns:
        Electrons, same shape; whole numbers only by chance, and negative where the read-out noise says so.
    """
    faint = mean_e < FAINT_E
    all_faint = bool(faint.all())
    electrons = rng.standard_normal(mean_e.shape, dtype=np.float32)
    if all_faint:
        electrons *= np.float32(read_noise_e)
    else:
        variance = np.where(faint, np.float32(0.0), mean_e)
        variance += np.float32(read_noise_e**2)
        electrons *= np.sqrt(variance, out=variance)
    electrons += mean_e
    if faint.any():
        deviate = _faint_deviate(mean_e, rng)
        if not all_faint:
            deviate *= faint
        electrons += deviate
    return electrons


def _faint_deviate(mean_e: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Photon noise of mean 0 from the table; nothing meaningful where the mean is above `FAINT_E`."""
    roots = _level_roots()
    root = np.sqrt(mean_e)
    spacing = float(roots[1])
    level = (root * np.float32(1.0 / spacing) + np.float32(0.5)).astype(np.uint32)
    np.minimum(level, _LEVELS - 1, out=level)
    index = rng.integers(0, _QUANTILES, mean_e.shape, dtype=np.uint16) + (level << np.uint32(16))
    deviate = _poisson_table().take(index).astype(np.float32)
    level_root = roots.take(level)
    deviate -= level_root * level_root
    # The deviate of a level has the level's variance; this gives it the pixel's.
    scale = np.zeros_like(root)
    np.divide(root, level_root, out=scale, where=level > 0)
    deviate *= scale
    return deviate
