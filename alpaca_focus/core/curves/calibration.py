"""Backlash and filter offsets from several runs, with standard errors."""

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
    """The mean of `count` values and its standard error."""

    value: float
    stderr: float
    count: int

    @property
    def is_zero(self) -> bool:
        """Whether it does not differ significantly from zero."""
        return abs(self.value) < 2 * self.stderr


@dataclass(frozen=True, slots=True, kw_only=True)
class FocusPosition:
    """The best position of one run in steps, its standard error, time and filter."""

    position: float
    stderr: float
    at: datetime
    filter_name: str = ""


def backlash_steps(pairs: Sequence[tuple[FocusPosition, FocusPosition]]) -> Estimate:
    """Return the backlash from pairs of runs, one arriving inward and one arriving outward.

    Arriving inward, the tube is behind the motor by the whole backlash, arriving outward by nothing, so that the best
    positions differ by it.
    """
    return mean(
        [outward.position - inward.position for inward, outward in pairs],
        [math.hypot(inward.stderr, outward.stderr) for inward, outward in pairs],
    )


def filter_offsets(positions: Sequence[FocusPosition], reference: str) -> dict[str, Estimate]:
    """Return the distance in steps of each filter's focus from that of a reference filter.

    Each run is compared with the focus of the reference filter at the same time, interpolated between the runs before
    and after, so that a steady drift cancels. The runs may be in any order.

    Raises:
        RunFailed: There is no run through the reference.
    """
    through_reference = sorted((each for each in positions if each.filter_name == reference), key=lambda each: each.at)
    if not through_reference:
        raise RunFailed(f"No run through the reference filter {reference} succeeded.")
    times = np.array([each.at.timestamp() for each in through_reference])
    best = np.array([each.position for each in through_reference])
    errors = np.array([each.stderr for each in through_reference])
    offsets: dict[str, Estimate] = {}
    for name in dict.fromkeys(each.filter_name for each in positions if each.filter_name != reference):
        some = [each for each in positions if each.filter_name == name]
        at = np.array([each.at.timestamp() for each in some])
        away = np.array([each.position for each in some]) - np.interp(at, times, best)
        error = np.hypot([each.stderr for each in some], np.interp(at, times, errors))
        offsets[name] = mean(away.tolist(), error.tolist())
    return offsets


def mean(values: Sequence[float], errors: Sequence[float]) -> Estimate:
    """Return the mean weighted by the errors; of three or more values, those far from the others are left out.

    The standard error is scaled up if the values scatter more than their errors allow, never down.
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
