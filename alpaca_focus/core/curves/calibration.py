"""What several runs say of the focuser and the telescope: slack and filter offsets, with standard errors."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from alpaca_focus.core.errors import RunFailed
from alpaca_focus.core.robust import MAD_TO_SIGMA

OUTLIER_SIGMAS = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean and its standard error.

    Attributes:
        value: The mean.
        stderr: Its standard error.
        count: Values it comes from.
    """

    value: float
    stderr: float
    count: int

    @property
    def is_zero(self) -> bool:
        """Whether it may as well be nothing."""
        return abs(self.value) < 2 * self.stderr


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one run found focus.

    Attributes:
        position: Best position in steps.
        stderr: Its standard error.
        at: When.
        filter_name: Through which filter.
    """

    position: float
    stderr: float
    at: datetime
    filter_name: str = ""


def backlash_steps(pairs: Sequence[tuple[Place, Place]]) -> Estimate:
    """Return the slack from pairs of runs that arrived in both directions.

    Arriving inward the tube is behind the motor by the whole slack, arriving outward by nothing: the best positions
    differ by it.

    Args:
        pairs: For each the run arriving inward and the one arriving outward.
    """
    return mean(
        [outward.position - inward.position for inward, outward in pairs],
        [math.hypot(inward.stderr, outward.stderr) for inward, outward in pairs],
    )


def filter_offsets(places: Sequence[Place], reference: str) -> dict[str, Estimate]:
    """Return how far focus through each filter is from that through a reference filter.

    Each run is compared with where the reference was in focus at that very time, on the straight line between the
    runs through it before and after, so that a steady drift takes no part.

    Args:
        places: Runs through all of the filters, in any order.
        reference: Name of the filter that all others are compared with.

    Raises:
        RunFailed: There is no run through the reference.
    """
    through_reference = sorted((each for each in places if each.filter_name == reference), key=lambda each: each.at)
    if not through_reference:
        raise RunFailed(f"No run through the reference filter {reference} succeeded.")
    times = np.array([each.at.timestamp() for each in through_reference])
    positions = np.array([each.position for each in through_reference])
    errors = np.array([each.stderr for each in through_reference])
    found: dict[str, Estimate] = {}
    for name in dict.fromkeys(each.filter_name for each in places if each.filter_name != reference):
        some = [each for each in places if each.filter_name == name]
        at = np.array([each.at.timestamp() for each in some])
        away = np.array([each.position for each in some]) - np.interp(at, times, positions)
        error = np.hypot([each.stderr for each in some], np.interp(at, times, errors))
        found[name] = mean(away.tolist(), error.tolist())
    return found


def mean(values: Sequence[float], errors: Sequence[float]) -> Estimate:
    """Return a mean weighted by the errors; from three on, a value far from the others is left out.

    The standard error is scaled up when the values scatter more than their errors say, never down.
    """
    value, error = np.array(values), np.array(errors)
    if len(value) > 2:
        away = np.abs(value - np.median(value))
        spread = np.hypot(error, MAD_TO_SIGMA * np.median(away))
        kept = away <= OUTLIER_SIGMAS * spread
        value, error = value[kept], error[kept]
    weights = 1 / error**2
    middle = float(np.average(value, weights=weights))
    freedom = len(value) - 1
    excess = max(1.0, float(np.sum(weights * (value - middle) ** 2)) / freedom) if freedom else 1.0
    return Estimate(value=middle, stderr=math.sqrt(excess / float(np.sum(weights))), count=len(value))
