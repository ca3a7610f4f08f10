"""Deviations in the pixels of a frame, and the order in which the wire wants them. Pure."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Adu: TypeAlias = NDArray[np.unsignedinteger[Any]]


def prepared_frame(frame: Adu, quirks: frozenset[str], *, bit_depth: int, fast_readout: bool) -> Adu:
    """Return a frame as a camera with these deviations hands it out.

    Args:
        frame: ADU, shape (rows, columns).
        quirks: Names of the deviations.
        bit_depth: Bits of the camera's converter.
        fast_readout: Whether the fast read-out mode was chosen.

    Returns:
        Shape (rows, columns), or with a third axis for frames with planes; the memory is in the order of the wire,
        columns one after the other, so that no download copies it.
    """
    if "readout-mode-changes-size" in quirks and fast_readout:
        frame = frame[::2, ::2]
    if "clipped-at-bias" in quirks:
        frame = np.maximum(frame, np.median(frame).astype(frame.dtype))
    if "byte-frames" in quirks and frame.dtype != np.uint8:
        frame = (frame >> (bit_depth - 8)).astype(np.uint8)
    if "planes-in-wrong-order" in quirks:
        # The server takes these axes for (rows, columns, planes), and so sends (planes, columns, rows).
        frame = np.stack([frame.T] * 3, axis=1)
    elif "three-planes" in quirks:
        frame = np.stack([frame] * 3, axis=2)
    return np.ascontiguousarray(frame.swapaxes(0, 1)).swapaxes(0, 1)
