"""Detects stars at any defocus, at the scale of the frame itself, so that one ring is one star.

The image is searched in a pyramid of coarser and coarser maps, each smoothed by a small kernel. A star or a ring is
most significant where it is about as large as the kernel: on finer maps a ring is many faint pieces, on coarser ones it
is lost in the sky's noise. The scale of the frame is the level at which its brightest objects are most significant.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from alpaca_focus.imaging.sky_background import Image, binned, robust_noise

DETECT_SIGMA = 6.0
BRIGHTEST = 6
"""Number of objects whose significance decides the scale."""
APART, SCORED_APART = 3, 10
"""Cells to each side among which only the highest counts: for detection, and for the choice of the scale, where the
pieces of one large ring must not count as many objects."""
MOST_DETECTIONS = 3000
MIN_MAP_CELLS = 24
COARSER_MUST_EARN = 1.03
KERNEL_CELLS = 3
CROWDING_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Detection:
    """The detections at one scale, most significant first.

    Attributes:
        x_px: Columns of the centres, in pixels of the searched image.
        y_px: Rows of the centres.
        significance: Height above the sky, in sigma of the map at this scale.
        scale_px: Size of the objects searched for.
    """

    x_px: NDArray[np.float64]
    y_px: NDArray[np.float64]
    significance: NDArray[np.float64]
    scale_px: float

    def __len__(self) -> int:
        return len(self.x_px)


def detect(image: Image) -> tuple[Detection, ...]:
    """Return the significant objects of a sky-subtracted image at each scale that has any.

    The scale at which the brightest objects are most significant is first.

    Args:
        image: Shape (rows, columns), the sky subtracted; read only.
    """
    scored: list[tuple[float, Detection]] = []
    level, factor = image, 1
    while min(level.shape) >= MIN_MAP_CELLS:
        detection = _peaks(level, factor)
        if len(detection):
            score = float(np.mean(detection.significance[_apart(detection, SCORED_APART * factor, BRIGHTEST)]))
            # A coarser map must be clearly better: noise of the score alone must not change the scale.
            scored.append((score / COARSER_MUST_EARN ** len(scored), detection))
        level, factor = binned(level, 2), 2 * factor
    return tuple(detection for _, detection in sorted(scored, key=lambda pair: pair[0], reverse=True))


def _peaks(level: Image, factor: int) -> Detection:
    smooth = _smoothed(level)
    noise = robust_noise(smooth[::KERNEL_CELLS, ::KERNEL_CELLS])
    above = np.flatnonzero(smooth > DETECT_SIGMA * noise) if noise > 0 else np.empty(0, dtype=np.intp)
    rows, columns = np.divmod(above, smooth.shape[1])
    # The nearest neighbours first: they leave few cells for the wider comparison, which is slow.
    for reach in (1, APART):
        highest = _highest_near(smooth, rows, columns, reach)
        peaks = smooth[rows, columns] >= highest
        rows, columns = rows[peaks], columns[peaks]
    values = smooth[rows, columns]
    order = np.argsort(values)[::-1][:MOST_DETECTIONS]
    rows, columns = rows[order], columns[order]
    shift_y, shift_x = _light_centre(smooth, rows, columns)
    centre = (factor - 1) / 2
    return Detection(
        x_px=(columns + shift_x) * factor + centre,
        y_px=(rows + shift_y) * factor + centre,
        significance=values[order].astype(np.float64) / noise if noise > 0 else np.empty(0),
        scale_px=float(KERNEL_CELLS * factor),
    )


def _smoothed(level: Image) -> Image:
    """Return the means of 3 x 3 cells; the rim has those of the nearest inner cells."""
    lines = level[:, :-2] + level[:, 1:-1]
    lines += level[:, 2:]
    smooth = np.empty_like(level)
    inner = smooth[1:-1, 1:-1]
    np.add(lines[:-2], lines[1:-1], out=inner)
    inner += lines[2:]
    inner /= np.float32(KERNEL_CELLS**2)
    smooth[0], smooth[-1] = smooth[1], smooth[-2]
    smooth[:, 0], smooth[:, -1] = smooth[:, 1], smooth[:, -2]
    smooth[[0, 0, -1, -1], [0, -1, 0, -1]] = smooth[[1, 1, -2, -2], [1, -2, 1, -2]]
    return smooth


def _highest_near(smooth: Image, rows: NDArray[np.intp], columns: NDArray[np.intp], reach: int) -> NDArray[np.float32]:
    highest = np.full(len(rows), -np.inf, dtype=np.float32)
    last_row, last_column = smooth.shape[0] - 1, smooth.shape[1] - 1
    for dy in range(-reach, reach + 1):
        near_rows = np.clip(rows + dy, 0, last_row)
        for dx in range(-reach, reach + 1):
            np.maximum(highest, smooth[near_rows, np.clip(columns + dx, 0, last_column)], out=highest)
    return highest


def _light_centre(
    smooth: Image, rows: NDArray[np.intp], columns: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the centre of the light in 3 x 3 cells around each cell, relative to it."""
    total, by_row, by_column = (np.zeros(len(rows)) for _ in range(3))
    for dy in (-1, 0, 1):
        near_rows = np.clip(rows + dy, 0, smooth.shape[0] - 1)
        for dx in (-1, 0, 1):
            light = np.maximum(smooth[near_rows, np.clip(columns + dx, 0, smooth.shape[1] - 1)], 0)
            total += light
            by_row += dy * light
            by_column += dx * light
    return by_row / total, by_column / total


def thinned(detection: Detection, apart_px: float) -> Detection:
    """Return the detections without those near to a more significant one."""
    apart = _apart(detection, apart_px, len(detection))
    return replace(
        detection, x_px=detection.x_px[apart], y_px=detection.y_px[apart], significance=detection.significance[apart]
    )


def _apart(detection: Detection, apart_px: float, most: int) -> list[int]:
    """Return the indices of the most significant detections that are not near to a more significant one."""
    apart: list[int] = []
    near = np.zeros(len(detection), dtype=bool)
    for index in range(len(detection)):
        if near[index]:
            continue
        apart.append(index)
        if len(apart) == most:
            break
        distance = np.hypot(detection.x_px - detection.x_px[index], detection.y_px - detection.y_px[index])
        near |= distance <= apart_px
    return apart


def alone(detection: Detection, diameter_px: float) -> NDArray[np.bool_]:
    """Return for each detection whether no other with a tenth of its light is nearer than a diameter."""
    lonely = np.ones(len(detection), dtype=bool)
    if len(detection) > 1:
        tree = KDTree(np.column_stack([detection.x_px, detection.y_px]))
        first, second = tree.query_pairs(diameter_px, output_type="ndarray").T
        for one, other in ((first, second), (second, first)):
            lonely[one[detection.significance[other] > CROWDING_SHARE * detection.significance[one]]] = False
    return lonely
