"""Statistics that a few bad values do not move."""

import statistics
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MAD_TO_SIGMA = 1.4826
"""The standard deviation of Gaussian scatter over its median absolute deviation."""


def robust_sigma(values: Sequence[float], middle: float) -> float:
    """Return the standard deviation of values about their middle, by their median absolute deviation."""
    return MAD_TO_SIGMA * statistics.median(abs(each - middle) for each in values)


def weighted_median(values: NDArray[np.floating], weights: NDArray[np.floating]) -> float:
    """Return the value with half of the weight on either side.

    Faint false detections can outnumber the stars; weighted by precision they have no majority.

    Args:
        values: At least one.
        weights: As many, positive.
    """
    order = np.argsort(values)
    growth = np.cumsum(weights[order])
    # The middle of each value's own weight, so that with equal weights it is the usual median.
    return float(np.interp(growth[-1] / 2, growth - weights[order] / 2, values[order]))
