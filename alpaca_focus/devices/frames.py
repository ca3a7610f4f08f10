"""Detects a frame that was sent before, and finds the saturation level. Pure."""

import hashlib
import math
from dataclasses import dataclass
from enum import Enum

import numpy as np

from alpaca_focus.core.values import Pixels

_LINES_HASHED = 256


@dataclass(frozen=True, slots=True)
class FrameMark:
    """Distinguishes one frame from another.

    Attributes:
        digest: Hash of the shape and a sample of the pixels: noise makes it different for each frame.
        is_flat: Whether all pixels of the sample are equal, as in a frame that is clipped all over; then the digest
            distinguishes nothing.
        start_time: The camera's LastExposureStartTime, empty if it has none.
    """

    digest: bytes
    is_flat: bool
    start_time: str


def one_plane(pixels: Pixels) -> Pixels:
    """Return the frame, or the green plane of a colour image: the middle one, whether a server sends RGB or BGR."""
    return pixels[:, :, pixels.shape[2] // 2] if pixels.ndim == 3 else pixels


def mark_frame(pixels: Pixels, start_time: str) -> FrameMark:
    """Return the mark of a frame, from at most 256 of its rows or columns."""
    lines = pixels if pixels.flags.c_contiguous else pixels.T  # as they lie in memory
    sample = np.ascontiguousarray(lines[:: max(1, math.ceil(lines.shape[0] / _LINES_HASHED))])
    digest = hashlib.blake2b(repr((pixels.shape, pixels.dtype)).encode())
    digest.update(sample.tobytes())
    return FrameMark(digest.digest(), bool(np.all(sample == sample.flat[0])), start_time)


class Freshness(Enum):
    """Whether a downloaded frame is that of the new exposure."""

    NEW = "new"
    IDENTICAL = "identical"
    """The camera has reported a new frame, and its pixels are those of the frame before."""
    OLD = "old"


def freshness(mark: FrameMark, previous: FrameMark | None, *, was_unready: bool) -> Freshness:
    """Return whether a frame is newer than the frame before.

    Different pixels are a new frame. Equal ones are a new frame of a server without noise, or a cached frame, if
    ImageReady `was_unready` after the start of the exposure, or if the start time is new (decision 0030).
    """
    if previous is None or mark.digest != previous.digest:
        return Freshness.NEW
    if was_unready or (mark.start_time and mark.start_time != previous.start_time):
        # A flat frame that is not new has the same measurement as the new one: none.
        return Freshness.NEW if mark.is_flat else Freshness.IDENTICAL
    return Freshness.OLD


def saturation_adu(max_adu: int, pixels: Pixels) -> float:
    """Return the value at which a pixel of this frame is saturated.

    It is the camera's MaxADU, unless the frame contradicts it: 8 bit pixels do not reach 65535, and with pixels
    brighter than MaxADU it belongs to another read-out mode. Then it is the full scale of the pixels' type, or the
    smallest power of two above the brightest pixel.
    """
    brightest = float(pixels.max(initial=0))
    full_scale = float(np.iinfo(pixels.dtype.str).max) if pixels.dtype.kind in "iu" else math.inf
    limit = min(float(max_adu), full_scale) if max_adu > 1 else full_scale
    if math.isfinite(limit) and brightest <= limit and limit < 2**31 - 1:
        return limit
    return min(full_scale, max(2.0 ** math.ceil(math.log2(max(brightest, 1.0) + 1)) - 1, 65535.0))
