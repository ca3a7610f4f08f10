"""Stretches a frame for a screen: binned to its width, the sky dark grey, faint light raised, 8 bit."""

import numpy as np
from numpy.typing import NDArray

from alpaca_focus.core.robust import MAD_TO_SIGMA
from alpaca_focus.core.values import Pixels

MOST_COLUMNS = 1600
BLACK_SIGMAS = 2.5
"""Level of black below the sky, in sigmas of the sky's noise."""
SKY_SHADE = 0.13
"""Shade of the sky between black and white."""
WHITE_SHARE = 0.999
SAMPLES = 1_000_000


def bin_factor(pixels: Pixels, most_columns: int = MOST_COLUMNS) -> int:
    """Return the block size that bins a frame to at most so many columns."""
    columns: int = pixels.shape[1]
    return max(1, -(-columns // most_columns))


def screen_stretch(pixels: Pixels, most_columns: int = MOST_COLUMNS) -> NDArray[np.uint8]:
    """Return a picture of a frame, shape (rows, columns) over `bin_factor`, from black 0 to white 255.

    The sky's median and noise set black and the curve: brightness rises with the inverse hyperbolic sine, which is
    linear for faint and logarithmic for bright pixels. Pixels without a value are black.

    Args:
        pixels: ADU, shape (rows, columns), any number type; not written to.
        most_columns: Largest width of the picture.
    """
    image = _block_means(pixels, bin_factor(pixels, most_columns))
    step = max(1, image.size // SAMPLES)
    sample = image.reshape(-1)[::step]
    sample = sample[np.isfinite(sample)]
    if sample.size == 0:
        return np.zeros(image.shape, np.uint8)
    sky = float(np.median(sample))
    noise = MAD_TO_SIGMA * float(np.median(np.abs(sample - sky)))
    black = sky - BLACK_SIGMAS * noise
    white = max(float(np.quantile(sample, WHITE_SHARE)), sky + 10 * noise)
    if not white > black:
        return np.full(image.shape, round(255 * SKY_SHADE), np.uint8)
    share = np.clip((image - black) / (white - black), 0, 1)
    curve = _curvature((sky - black) / (white - black))
    shade = np.arcsinh(share * curve) / np.arcsinh(curve)
    picture: NDArray[np.uint8] = np.nan_to_num(255 * shade).round().astype(np.uint8)
    return picture


def _block_means(pixels: Pixels, factor: int) -> NDArray[np.float32]:
    """Return the means of blocks; missing pixels affect only their block."""
    rows, columns = (size // factor * factor for size in pixels.shape)
    blocks = pixels[:rows, :columns].reshape(rows // factor, factor, columns // factor, factor)
    means: NDArray[np.float32] = blocks.mean(axis=(1, 3), dtype=np.float32)
    return means


def _curvature(sky_share: float) -> float:
    """Return the strength of the curve that lifts the sky from its share of the range to its shade, by bisection."""
    low, high = 1e-3, 1e6
    for _ in range(60):
        middle = float(np.sqrt(low * high))
        if np.arcsinh(sky_share * middle) / np.arcsinh(middle) < SKY_SHADE:
            low = middle
        else:
            high = middle
    return float(np.sqrt(low * high))
