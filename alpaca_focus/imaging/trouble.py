"""What makes a frame impossible to measure, whatever is looked for in it."""

import numpy as np

from alpaca_focus.core.values import Pixels

SMALLEST_FRAME_PX = 32


def trouble_with(pixels: Pixels) -> str:
    """Say why a frame cannot be measured at all; empty when it may."""
    if pixels.ndim != 2:
        return f"the frame has {pixels.ndim} axes where an image has 2"
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
