"""Recognises a spectrum: one narrow trace over most of the width or height of a frame, and no field of stars."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from alpaca_focus.core.robust import MAD_TO_SIGMA
from alpaca_focus.core.values import Pixels
from alpaca_focus.imaging.sky_background import frame_problem
from alpaca_focus.imaging.stars import measure_stars

SEGMENTS, LINES_TO_A_SEGMENT = 16, 24
LEAST_SHARE = 0.5
"""Share of the segments that must show the trace, whose ends are faint."""
PEAK_SIGMAS = 5.0
LARGEST_SLANT = 0.1
NEAR_PX = 4.0
NARROW_SHARE = 8
"""Structures wider than one part in so many of the frame are background."""
MANY_STARS = 8


def looks_like_spectrum(pixels: Pixels) -> bool:
    """Return whether a frame, ADU of any number type, shows a spectrum along its rows or its columns."""
    if frame_problem(pixels) or not (_has_trace(pixels) or _has_trace(pixels.T)):
        return False
    # A satellite's trail runs over the whole frame too, but between stars.
    return measure_stars(pixels, saturation_adu=np.inf).star_count < MANY_STARS


def _has_trace(pixels: Pixels) -> bool:
    """Return whether a trace runs along the rows: a peak near one straight line in most segments of the columns."""
    columns = np.linspace(0, pixels.shape[1] - 1, SEGMENTS * LINES_TO_A_SEGMENT).round().astype(int)
    lines = pixels[:, np.unique(columns)].astype(np.float32)
    lines[~np.isfinite(lines)] = np.nanmedian(lines[np.isfinite(lines)])
    # Lines of the night sky run across a spectrum over the whole slit.
    lines -= np.median(lines, axis=0)
    parts = np.array_split(lines, SEGMENTS, axis=1)
    peaks = [_peak(np.median(part, axis=1)) for part in parts]
    detected = [(index, row) for index, row in enumerate(peaks) if row is not None]
    if len(detected) < LEAST_SHARE * SEGMENTS:
        return False
    segments, rows = np.array(detected, dtype=float).T
    slope, level = _line(segments, rows)
    near = np.abs(rows - level - slope * segments) <= NEAR_PX
    slant = abs(slope) * SEGMENTS / pixels.shape[1]
    return bool(np.count_nonzero(near) >= LEAST_SHARE * SEGMENTS and slant <= LARGEST_SLANT)


def _peak(profile: NDArray[np.float32]) -> int | None:
    """Return the row of a profile's narrow peak above the noise, if there is one; a median removes single bad rows."""
    width = max(9, len(profile) // NARROW_SHARE) | 1
    narrow = median_filter(profile, 3) - median_filter(profile, width)
    noise = MAD_TO_SIGMA * float(np.median(np.abs(narrow)))
    row = int(np.argmax(narrow))
    return row if narrow[row] > PEAK_SIGMAS * noise else None


def _line(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """Return slope and level of a straight line through most points (Theil, 1950; Sen, 1968: medians of the pairs)."""
    first, second = np.triu_indices(len(x), 1)
    slope = float(np.median((y[second] - y[first]) / (x[second] - x[first])))
    return slope, float(np.median(y - slope * x))
