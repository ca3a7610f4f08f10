"""Sky and noise of a frame, robust against stars, hot pixels, and pixels clipped at the bias."""

from typing import TypeVar

import numpy as np
import sep
from numpy.typing import NDArray

Image = NDArray[np.float32]
ScalarT = TypeVar("ScalarT", bound=np.generic)

CELLS_ACROSS = 5
"""Cells of the sky's map on the shorter side: few, so that a ring of a tenth of the frame is no sky."""
SMALLEST_CELL_PX = 8
MAD_TO_SIGMA = 1.4826
STRIP_ROWS = 64
"""Rows worked on at a time, few enough to stay in the processor's cache."""
NOISE_SAMPLE = 200_000
"""Differences that the noise is taken from: more would not make it better."""


def search_map(pixels: NDArray[np.generic], factor: int) -> Image:
    """Return the frame in bins of `factor` x `factor` pixels, without single pixels that stand out.

    Each pixel is first brought down to the second highest of its four neighbours, which takes away hot pixels, pairs
    of them and most cosmic rays, and little of any star. Pixels without a value become the median of the frame. Meant
    for finding, never for measuring. It works in strips, so that the memory it needs beside the map is small.

    Args:
        pixels: Shape (rows, columns), C order; read only.
        factor: Pixels to a side of a bin.

    Returns:
        The mean of each bin, shape (rows // factor, columns // factor).
    """
    rows, columns = (size // factor * factor for size in pixels.shape)
    result = np.empty((rows // factor, columns // factor), dtype=np.float32)
    fill = filling(pixels)
    step = max(STRIP_ROWS // factor, 1) * factor
    for top in range(0, rows, step):
        bottom = min(top + step, rows)
        # One row more on each side, so that the strips' edges have their neighbours too.
        strip = native(pixels[max(top - 1, 0) : bottom + 1, :columns])
        if fill is not None:
            strip = np.where(np.isfinite(strip), strip, fill)
        calm = np.minimum(strip, second_highest_neighbour(strip))[min(top, 1) :][: bottom - top]
        result[top // factor : bottom // factor] = binned(calm, factor)
    return result


def filling(pixels: NDArray[np.generic]) -> np.float32 | None:
    """Return what to put where a floating-point frame has no finite value; `None` where every value is finite."""
    if pixels.dtype.kind != "f" or bool(np.isfinite(pixels).all()):
        return None
    sample = pixels[:: max(1, pixels.shape[0] // 256), :: max(1, pixels.shape[1] // 256)]
    finite = sample[np.isfinite(sample)]
    return np.float32(np.median(finite)) if finite.size else np.float32(0)


def native(pixels: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return numbers in the byte order of this machine, float64 as float32 (ADU need no more)."""
    if pixels.dtype.kind == "f" and pixels.dtype.itemsize > 4:
        return pixels.astype(np.float32)
    return pixels if pixels.dtype.isnative else pixels.astype(pixels.dtype.newbyteorder("="))


def second_highest_neighbour(pixels: NDArray[ScalarT]) -> NDArray[ScalarT]:
    """Return for each pixel the second highest of its four neighbours, which a pair of hot pixels does not raise.

    Args:
        pixels: Shape (..., rows, columns), at least two of each; at the edges the pixel itself stands for what is
            missing.
    """
    left, right = np.empty_like(pixels), np.empty_like(pixels)
    left[..., 1:], left[..., 0] = pixels[..., :-1], pixels[..., 0]
    right[..., :-1], right[..., -1] = pixels[..., 1:], pixels[..., -1]
    high, low = np.maximum(left, right), np.minimum(left, right, out=left)
    above, below = right, np.empty_like(pixels)
    above[..., 1:, :], above[..., 0, :] = pixels[..., :-1, :], pixels[..., 0, :]
    below[..., :-1, :], below[..., -1, :] = pixels[..., 1:, :], pixels[..., -1, :]
    np.maximum(low, np.minimum(above, below), out=low)
    np.minimum(high, np.maximum(above, below), out=high)
    return np.maximum(high, low, out=high)


def binned(pixels: NDArray[np.generic], factor: int) -> Image:
    """Return the mean of blocks of `factor` x `factor` pixels as a C-contiguous image; a rest at the edge is cut."""
    rows, columns = (size // factor * factor for size in pixels.shape)
    blocks = pixels[:rows, :columns].reshape(rows // factor, factor, columns)
    lines = blocks[:, 0].astype(np.float32)
    for row in range(1, factor):
        np.add(lines, blocks[:, row], out=lines, dtype=np.float32, casting="unsafe")
    result = np.ascontiguousarray(lines[:, ::factor])
    for column in range(1, factor):
        result += lines[:, column::factor]
    result /= np.float32(factor * factor)
    return result


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
    every = max(1, image.size // NOISE_SAMPLE)
    rows = image[::every] if image.shape[0] >= 64 * every else image
    differences = np.abs(rows[:, 1:] - rows[:, :-1]).ravel()
    noise = MAD_TO_SIGMA * float(np.median(differences)) / np.sqrt(2)
    if noise > 0:
        return float(noise)
    changing = differences[differences != 0]
    return MAD_TO_SIGMA * float(np.median(changing)) / float(np.sqrt(2)) if changing.size else 0.0
