"""Finding stars at any defocus: the scale is taken from the frame itself, so that one ring is one star.

The image is looked at in a pyramid of coarser and coarser maps, each smoothed by a small kernel. A star or a ring
stands out most where it is about as large as the kernel: on finer maps a ring is many faint pieces, on coarser ones
the sky's noise drowns it. The level at which the brightest objects stand out most is the frame's own scale.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from alpaca_focus.imaging.background import Image, binned, robust_noise

DETECT_SIGMA = 6.0
BRIGHTEST = 6
"""Objects whose standing out decides the scale."""
APART_PX, SCORED_APART_PX = 7, 21
"""Width in pixels of a map in which only the highest place counts: for finding, and for deciding the scale, where the
pieces of one large ring must not count as many objects."""
MIN_MAP_PX = 24
COARSER_MUST_EARN = 1.03


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place that stands out: its position in pixels of the image given, and by how many sigma of its map."""

    x_px: float
    y_px: float
    significance: float


@dataclass(frozen=True, slots=True)
class Detection:
    """What was found, brightest first, and the size in pixels of what was looked for."""

    candidates: tuple[Candidate, ...]
    scale_px: float


def detect(image: Image) -> tuple[Detection, ...]:
    """Find what stands out of a sky-subtracted image, at every scale.

    Args:
        image: Shape (rows, columns), the sky subtracted; read only.

    Returns:
        What was found at each scale where anything was, first the scale at which the brightest objects stand out most.
    """
    scored: list[tuple[float, Detection]] = []
    level, factor = image, 1
    while min(level.shape) >= MIN_MAP_PX:
        candidates = _peaks(level, factor, APART_PX)
        if candidates:
            objects = _peaks(level, factor, SCORED_APART_PX)
            score = float(np.mean([each.significance for each in objects[:BRIGHTEST]]))
            # A coarser map must earn its place: noise of the estimate alone must not change the scale.
            scored.append((score / COARSER_MUST_EARN ** len(scored), Detection(candidates, 3.0 * factor)))
        level, factor = binned(level, 2), 2 * factor
    return tuple(detection for _, detection in sorted(scored, key=lambda pair: pair[0], reverse=True))


def _peaks(level: Image, factor: int, apart_px: int) -> tuple[Candidate, ...]:
    smooth = ndimage.uniform_filter(level, 3, mode="nearest")
    noise = robust_noise(smooth[::3, ::3])
    if noise <= 0:
        return ()
    highest = ndimage.maximum_filter(smooth, apart_px, mode="nearest")
    rows, columns = np.nonzero((smooth == highest) & (smooth > DETECT_SIGMA * noise))
    values = smooth[rows, columns] / noise
    order = np.argsort(values)[::-1]
    centre = (factor - 1) / 2
    return tuple(
        Candidate(float(columns[k] * factor + centre), float(rows[k] * factor + centre), float(values[k]))
        for k in order
    )


def isolated(detection: Detection, diameter_px: float) -> tuple[tuple[Candidate, ...], int]:
    """Keep candidates that no other one with a tenth of their light comes near to.

    Returns:
        The lonely ones, brightest first, and how many were left out as blended.
    """
    kept: list[Candidate] = []
    blended = 0
    places = np.array([(each.x_px, each.y_px) for each in detection.candidates]).reshape(-1, 2)
    brightness = np.array([each.significance for each in detection.candidates])
    for index, candidate in enumerate(detection.candidates):
        near = np.hypot(*(places - places[index]).T) < diameter_px
        near[index] = False
        if np.any(brightness[near] > 0.1 * candidate.significance):
            blended += 1
        else:
            kept.append(candidate)
    return tuple(kept), blended


def without_lone_pixels(image: Image) -> Image:
    """Bring single pixels that tower over all their neighbours down to them: hot pixels and most cosmic rays.

    The least light that a neighbour of a star's centre gets is more than a quarter of it, down to 1.2 pixels of FWHM.

    Args:
        image: Shape (rows, columns), the sky subtracted.
    """
    ring = np.ones((3, 3), dtype=bool)
    ring[1, 1] = False
    neighbours = ndimage.maximum_filter(image, footprint=ring, mode="nearest")
    lone = image > np.maximum(4 * neighbours, neighbours + 5 * robust_noise(image))
    return np.where(lone, neighbours, image)
