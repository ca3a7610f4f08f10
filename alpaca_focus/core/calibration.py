"""What several runs say of the focuser and the telescope: slack, filter offsets, temperature. With standard errors."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from alpaca_focus.core.errors import RunFailed

Array = NDArray[np.float64]

NIGHT_APART = timedelta(hours=8)
"""Runs further apart in time belong to different nights, between which the camera may have been taken off."""
FEWEST_RUNS = 4
LEAST_RANGE_C = 2.0
OUTLIER_SIGMAS = 4.0
MOST_ROUNDS = 5
MAD_TO_SIGMA = 1.4826


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
        temperature_c: At which temperature; NaN where nobody knows.
    """

    position: float
    stderr: float
    at: datetime
    filter_name: str = ""
    temperature_c: float = math.nan


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


def temperature_coefficient(places: Sequence[Place]) -> Estimate:
    """Return by how many steps focus moves for each degree that it becomes warmer.

    A weighted straight line of the best position against temperature, with the same slope for all filters and nights
    and a free level for each filter in each night. Runs far from the line are left out; the standard error is scaled
    up when the runs scatter more than their errors say.

    Raises:
        RunFailed: There are too few runs, or their temperatures are too much alike.
    """
    usable = [each for each in places if math.isfinite(each.temperature_c) and math.isfinite(each.stderr)]
    groups = _groups(usable)
    keep = np.ones(len(usable), dtype=bool)
    line = _line(usable, groups, keep)
    for _ in range(MOST_ROUNDS):
        better = np.abs(line.away) <= OUTLIER_SIGMAS * max(
            1.0, MAD_TO_SIGMA * float(np.median(np.abs(line.away[keep])))
        )
        if np.array_equal(better, keep):
            break
        keep = better
        line = _line(usable, groups, keep)
    freedom = int(keep.sum()) - len(set(groups[keep])) - 1
    excess = max(1.0, float(np.sum(line.away[keep] ** 2)) / max(freedom, 1))
    return Estimate(value=line.slope, stderr=line.stderr * math.sqrt(excess), count=int(keep.sum()))


@dataclass(frozen=True, slots=True)
class _Line:
    """The common slope of all groups, its standard error, and how far each run is from the line in sigmas."""

    slope: float
    stderr: float
    away: Array


def _line(places: Sequence[Place], groups: NDArray[np.int_], keep: NDArray[np.bool_]) -> _Line:
    if int(keep.sum()) - len(set(groups[keep])) < FEWEST_RUNS - 1:
        raise RunFailed(
            f"The temperature coefficient needs at least {FEWEST_RUNS} good runs through one filter in one night, and "
            f"the history has {_most_in_a_group(groups[keep])}. Focus now and then while it cools."
        )
    t, y, sigma = _within_groups(places, groups, keep)
    span_c = float(np.ptp(t[keep]))
    if span_c < LEAST_RANGE_C:
        raise RunFailed(
            f"The temperatures of the runs are within {span_c:.1f} degrees of one another in each night, and "
            f"{LEAST_RANGE_C:g} are needed. Focus again when it has become colder."
        )
    weights = keep / sigma**2
    variance = 1 / float(np.sum(weights * t**2))
    slope = float(np.sum(weights * t * y)) * variance
    return _Line(slope, math.sqrt(variance), np.asarray((y - slope * t) / sigma))


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


def _groups(places: Sequence[Place]) -> NDArray[np.int_]:
    """Number the filters and nights that the runs belong to."""
    order = sorted(range(len(places)), key=lambda index: places[index].at)
    night, before = 0, None
    names: dict[tuple[int, str], int] = {}
    groups = np.zeros(len(places), dtype=int)
    for index in order:
        if before is not None and places[index].at - before > NIGHT_APART:
            night += 1
        before = places[index].at
        groups[index] = names.setdefault((night, places[index].filter_name), len(names))
    return groups


def _within_groups(
    places: Sequence[Place], groups: NDArray[np.int_], kept: NDArray[np.bool_]
) -> tuple[Array, Array, Array]:
    """Return temperatures and positions less the weighted means of their groups, and the errors."""
    t = np.array([each.temperature_c for each in places])
    y = np.array([each.position for each in places])
    sigma = np.array([max(each.stderr, 1e-6) for each in places])
    for group in set(groups):
        inside = groups == group
        weights = np.where(kept[inside], 1 / sigma[inside] ** 2, 0.0)
        if weights.sum() > 0:
            t[inside] -= np.average(t[inside], weights=weights)
            y[inside] -= np.average(y[inside], weights=weights)
    return t, y, sigma


def _most_in_a_group(groups: NDArray[np.int_]) -> int:
    return int(np.bincount(groups).max()) if len(groups) else 0
