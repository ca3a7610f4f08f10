"""Sky and noise of a frame, robust against stars, hot pixels and clipping at the bias; checks of a frame."""

from typing import TypeVar

import numpy as np
import sep
from numpy.typing import NDArray

from alpaca_focus.core.robust import MAD_TO_SIGMA
from alpaca_focus.core.values import Pixels

Image = NDArray[np.float32]
ScalarT = TypeVar("ScalarT", bound=np.generic)

CELLS_ACROSS = 5
"""Cells of the sky's map on the shorter side: few, so that the map does not follow a ring a tenth of the frame wide."""
SMALLEST_CELL_PX = 8
LARGE_MAP_CELLS = 800
SMALLEST_NOISE_CELL, NOISE_CELLS_ACROSS, EVERY_ROW, CHANCE_RATIO = 32, 16, 4, 1.15

SMALLEST_FRAME_PX = 32
TYPICAL_ELECTRONS_PER_ADU = 1.0
"""Gain of an unknown converter."""
STRIP_ROWS = 64
"""Rows processed at a time, few enough for the processor's cache."""
NOISE_SAMPLE = 40_000
"""Differences sampled for the noise: more would not improve the estimate."""


def search_map(pixels: NDArray[np.generic], factor: int) -> Image:
    """Return the means of bins of `factor` x `factor` pixels without lone bright pixels, for detection only.

    Each pixel is first limited to the second highest of its four neighbours, which removes hot pixels, pairs of them
    and most cosmic rays, and little of any star. Missing pixels become the median of the frame. Working in strips
    needs little memory beside the map.

    Args:
        pixels: Shape (rows, columns), C order; read only.
        factor: Pixels to a side of a bin.
    """
    rows, columns = (size // factor * factor for size in pixels.shape)
    result = np.empty((rows // factor, columns // factor), dtype=np.float32)
    fill = filling(pixels)
    step = max(STRIP_ROWS // factor, 1) * factor
    for top in range(0, rows, step):
        bottom = min(top + step, rows)
        # One more row on each side, so that the strips' edges have their neighbours too.
        strip = native(pixels[max(top - 1, 0) : bottom + 1, :columns])
        if fill is not None:
            strip = np.where(np.isfinite(strip), strip, fill)
        calm = without_lone_maxima(strip)[min(top, 1) :][: bottom - top]
        result[top // factor : bottom // factor] = binned(calm, factor)
    return result


def filling(pixels: NDArray[np.generic]) -> np.float32 | None:
    """Return the value that replaces missing ones in a floating-point frame; `None` if every value is finite."""
    if pixels.dtype.kind != "f" or bool(np.isfinite(pixels).all()):
        return None
    sample = pixels[:: max(1, pixels.shape[0] // 256), :: max(1, pixels.shape[1] // 256)]
    finite = sample[np.isfinite(sample)]
    return np.float32(np.median(finite)) if finite.size else np.float32(0)


def native(pixels: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return the pixels in native byte order, float64 as float32 (enough for ADU)."""
    if pixels.dtype.kind == "f" and pixels.dtype.itemsize > 4:
        return pixels.astype(np.float32)
    return pixels if pixels.dtype.isnative else pixels.astype(pixels.dtype.newbyteorder("="))


def without_lone_maxima(pixels: NDArray[ScalarT]) -> NDArray[ScalarT]:
    """Limit each pixel to the second highest of its four neighbours, which a pair of hot pixels does not raise.

    Args:
        pixels: Shape (..., rows, columns); the edges of the last two axes are left unchanged.
    """
    result = pixels.copy()
    inner = result[..., 1:-1, 1:-1]
    np.minimum(inner, second_highest_neighbour(pixels), out=inner)
    return result


def second_highest_neighbour(pixels: NDArray[ScalarT]) -> NDArray[ScalarT]:
    """Return the second highest neighbour of four for each inner pixel, shape (..., rows - 2, columns - 2)."""
    left, right = pixels[..., 1:-1, :-2], pixels[..., 1:-1, 2:]
    above, below = pixels[..., :-2, 1:-1], pixels[..., 2:, 1:-1]
    beside_high: NDArray[ScalarT] = np.maximum(left, right)
    beside_low: NDArray[ScalarT] = np.minimum(left, right)
    over_high, over_low = np.maximum(above, below), np.minimum(above, below)
    np.minimum(beside_high, over_high, out=beside_high)
    np.maximum(beside_low, over_low, out=beside_low)
    np.maximum(beside_high, beside_low, out=beside_high)
    return beside_high


def binned(pixels: NDArray[np.generic], factor: int) -> Image:
    """Return the means of blocks of `factor` x `factor` pixels as a C-contiguous image, without incomplete blocks."""
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
    """Return the image less its sky, which may vary over the frame, and the sky's global level in ADU."""
    # The sky is smooth, so that bins of 4 x 4 are enough for a large map.
    factor = 1 if min(image.shape) < LARGE_MAP_CELLS else 4
    coarse = image if factor == 1 else binned(image, factor)
    cell = max(SMALLEST_CELL_PX, min(coarse.shape) // CELLS_ACROSS)
    sky = sep.Background(coarse, bw=cell, bh=cell)
    level = sky.back(dtype=np.float32)
    if factor > 1:
        level = _enlarged(level, factor, image.shape)
    return image - level, float(sky.globalback)


def _enlarged(coarse: Image, factor: int, shape: tuple[int, ...]) -> Image:
    """Return a map with each cell repeated `factor` times along both axes, its edge extended to the shape."""
    wide = np.repeat(np.repeat(coarse, factor, axis=1), factor, axis=0)
    return np.pad(wide, [(0, whole - part) for whole, part in zip(shape, wide.shape, strict=True)], mode="edge")


def with_even_noise(image: Image) -> Image:
    """Divide a sky-subtracted image by its local noise over the usual one, wherever it is higher.

    Amplifier glow, moonlight in one corner and bright nebulae add noise that would look like stars. It is estimated
    from differences of neighbours, in cells that one ring does not fill.
    """
    cell = max(SMALLEST_NOISE_CELL, min(image.shape) // NOISE_CELLS_ACROSS // EVERY_ROW * EVERY_ROW)
    down, across = (size // cell for size in image.shape)
    if min(down, across) < 2:
        return image
    lines = image[: down * cell : EVERY_ROW, : across * cell]
    differences = np.abs(np.diff(lines, axis=1, append=lines[:, -2:-1]))
    blocks = differences.reshape(down, cell // EVERY_ROW, across, cell).swapaxes(1, 2)
    noise = np.median(blocks.reshape(down, across, -1), axis=2)
    usual = float(np.median(noise))
    if usual <= 0:
        return image
    ratio = np.clip(noise / usual, 1, None).astype(np.float32)
    # Smaller differences between cells are chance.
    ratio[ratio < CHANCE_RATIO] = 1
    if not (ratio > 1).any():
        return image
    return np.asarray(image / _enlarged(ratio, cell, image.shape))


def robust_noise(image: NDArray[np.floating]) -> float:
    """Return the standard deviation of the sky's noise in a sky-subtracted image.

    Differences of neighbours are insensitive to gradients and to most stars. If more than half of the pixels are equal,
    for example clipped at the bias, only the differences that are not zero count.
    """
    every = max(1, image.size // NOISE_SAMPLE)
    rows = image[::every] if image.shape[0] >= 64 * every else image
    differences = np.abs(rows[:, 1:] - rows[:, :-1]).ravel()
    noise = MAD_TO_SIGMA * float(np.median(differences)) / np.sqrt(2)
    if noise > 0:
        return float(noise)
    changing = differences[differences != 0]
    return MAD_TO_SIGMA * float(np.median(changing)) / float(np.sqrt(2)) if changing.size else 0.0


def frame_problem(pixels: Pixels) -> str:
    """Return why a frame cannot be measured at all; empty if it can."""
    if pixels.ndim != 2:
        return f"the frame has {pixels.ndim} axes instead of 2"
    if min(pixels.shape) < SMALLEST_FRAME_PX:
        return f"the frame of {pixels.shape[1]} x {pixels.shape[0]} pixels is too small"
    if pixels.dtype.kind not in "uif":
        return "the frame does not hold numbers"
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).mean() > 0.5:
        return "most pixels have no value"
    sample = pixels[::7, ::7]
    if sample.min() == sample.max() and pixels.min() == pixels.max():
        return "all pixels have the same value"
    return ""
