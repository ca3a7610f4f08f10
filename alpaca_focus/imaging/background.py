"""Sky and noise of a frame, robust against stars and against pixels clipped at the bias."""

import numpy as np
import sep
from numpy.typing import NDArray

Image = NDArray[np.float32]

CELLS_ACROSS = 5
"""Cells of the sky's map on the shorter side: few, so that a ring of a tenth of the frame is no sky."""
SMALLEST_CELL_PX = 8
MAD_TO_SIGMA = 1.4826


def binned(pixels: NDArray[np.generic], factor: int) -> Image:
    """Return the mean of blocks of `factor` x `factor` pixels as a C-contiguous image; a rest at the edge is cut."""
    rows, columns = (size // factor * factor for size in pixels.shape)
    total = np.zeros((rows // factor, columns // factor), dtype=np.float32)
    for y in range(factor):
        for x in range(factor):
            total += pixels[y:rows:factor, x:columns:factor]
    total /= np.float32(factor * factor)
    return total


def without_sky(image: Image) -> tuple[Image, float]:
    """Subtract the sky as it varies over the frame.

    Returns:
        The image less its sky, and the sky's global level in ADU.
    """
    cell = max(SMALLEST_CELL_PX, min(image.shape) // CELLS_ACROSS)
    sky = sep.Background(image, bw=cell, bh=cell)
    return image - sky.back(dtype=np.float32), float(sky.globalback)


def robust_noise(image: NDArray[np.floating]) -> float:
    """Return the standard deviation of the sky's noise in a sky-subtracted image.

    Differences of neighbours see no gradients and few stars. Where more than half of the pixels are equal, clipped at
    the bias for example, the median says nothing, and the differences that are not zero are taken instead.
    """
    differences = (image[:, 1:] - image[:, :-1]).ravel()
    differences = differences[:: max(1, differences.size // 200_000)]
    noise = MAD_TO_SIGMA * float(np.median(np.abs(differences))) / np.sqrt(2)
    if noise > 0:
        return float(noise)
    changing = np.abs(differences[differences != 0])
    return MAD_TO_SIGMA * float(np.median(changing)) / float(np.sqrt(2)) if changing.size else 0.0
