"""Learns the focus model from the history: which temperatures, the altitude and the filters move best focus."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from alpaca_focus.core.curves.calibration import Estimate
from alpaca_focus.core.night.drift_fit import DriftFit, Nights, fit_drift
from alpaca_focus.core.night.focus_model import FocusModel, Observation, sin_altitude

Array = NDArray[np.float64]

NIGHT_APART = timedelta(hours=8)
"""Runs further apart in time belong to different nights, between which the camera may have been taken off."""
FEWEST_RUNS = 4
FEWEST_OF_A_FILTER = 2
"""A single one may be an outlier."""
LEAST_FREEDOM = 5
"""Degrees of freedom for more than one term besides the filters."""
LEAST_RANGE_C = 2.0
LEAST_RANGE_DEG = 15.0
SIGNIFICANT_SIGMAS = 2.5
SHARE_WITH_READING = 2 / 3
"""A further sensor, or the altitude, is used if so many of the runs have its reading."""
LEAST_STDERR_STEPS = 0.1
"""Floor of the standard error of a run: a fit to few frames may report next to nothing."""
LEAST_GAP_S = 60.0
"""Floor of the time between two runs, for a clock that was set back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Terms:
    """The independent variables besides night and filter."""

    temperatures: tuple[str, ...] = ()
    altitude: bool = False

    def of(self, observation: Observation) -> list[float]:
        values = [observation.temperatures_c.get(name, math.nan) for name in self.temperatures]
        return [*values, sin_altitude(observation.altitude_deg)] if self.altitude else values

    def in_all(self, observations: Sequence[Observation]) -> list[Observation]:
        """Return the observations in which all terms are known."""
        return [each for each in observations if all(math.isfinite(value) for value in self.of(each))]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Learned:
    """A fit with its terms, which have the first coefficients.

    Attributes:
        filters: The first is the reference; the others have the coefficients after the terms.
        runs: For each coefficient, how many runs it comes from.
        gap_s: Typical time between two runs.
    """

    terms: _Terms
    filters: tuple[str, ...]
    runs: tuple[int, ...]
    gap_s: float
    fit: DriftFit

    def estimate(self, index: int) -> Estimate:
        return Estimate(
            value=float(self.fit.values[index]),
            stderr=math.sqrt(max(float(self.fit.covariance[index, index]), 0.0)),
            count=int(self.fit.used.sum()),
        )

    def sigmas(self, index: int) -> float:
        """Return the significance of a coefficient."""
        estimate = self.estimate(index)
        return abs(estimate.value) / estimate.stderr if self.fit.known[index] and estimate.stderr > 0 else 0.0


def learned_model(observations: Sequence[Observation]) -> FocusModel | None:
    """Return the focus model; `None` if the observations are too few, or no temperature varies enough.

    Each night has a free level, as the camera may have been taken off in between; the offsets of the filters are the
    same in all nights. The temperature that explains most is used if it varies by `LEAST_RANGE_C` within the nights.
    Any further one must vary by as much independently of the others, and its coefficient must be significant; so
    must that of the altitude, if it varies by more than `LEAST_RANGE_DEG`. Outliers and values that are not numbers
    are left out (decision 0017).
    """
    usable = [each for each in observations if math.isfinite(each.position) and 0 <= each.stderr < math.inf]
    usable.sort(key=lambda each: (each.at, each.filter_name, each.position))
    learned = _best_terms(usable, altitude=True) if _altitudes_vary(usable) else None
    # An altitude that matters distorts the temperature coefficients unless it is fitted; any other costs accuracy.
    if learned is None or learned.sigmas(len(learned.terms.temperatures)) < SIGNIFICANT_SIGMAS:
        learned = _best_terms(usable, altitude=False)
    return None if learned is None else _model(learned)


def _sensors_read(observations: Sequence[Observation]) -> tuple[str, ...]:
    """Return the sensor read most often, and further ones as long as enough runs have read all of them."""
    counts = Counter(
        name for each in observations for name, value in each.temperatures_c.items() if math.isfinite(value)
    )
    sensors: tuple[str, ...] = ()
    left = list(observations)
    for name in sorted(counts, key=lambda name: (-counts[name], name)):
        with_all = _Terms(temperatures=(*sensors, name)).in_all(left)
        if not sensors or len(with_all) >= SHARE_WITH_READING * len(left):
            sensors, left = (*sensors, name), with_all
    return sensors


def _best_terms(observations: Sequence[Observation], *, altitude: bool) -> _Learned | None:
    """Fit one temperature after the other, the most significant first, as long as a further one is significant."""
    sensors = _sensors_read(observations)
    common = _Terms(temperatures=sensors, altitude=altitude).in_all(observations)
    chosen = _Terms(altitude=altitude)
    while True:
        index = len(chosen.temperatures)
        wider = [
            replace(chosen, temperatures=(*chosen.temperatures, name))
            for name in sensors
            if name not in chosen.temperatures and _own_range_c(common, name, chosen) >= LEAST_RANGE_C
        ]
        fits = [learned for terms in wider if (learned := _learned(common, terms)) and learned.fit.known[index]]
        best = max(fits, key=lambda each: each.sigmas(index), default=None)
        if best is None or (index > 0 and best.sigmas(index) < SIGNIFICANT_SIGMAS):
            return _learned(observations, chosen) if chosen.temperatures else None
        chosen = best.terms


def _own_range_c(observations: Sequence[Observation], name: str, chosen: _Terms) -> float:
    """Return by how much a temperature varies within the nights, independently of the chosen terms."""
    known = chosen.in_all(observations)
    if not known:
        return 0.0
    nights = _night_numbers(known)
    others = np.array([chosen.of(each) for each in known]).reshape(len(known), -1)
    values = np.column_stack([[each.temperatures_c[name] for each in known], others])
    for night in range(nights[-1] + 1):
        values[nights == night] -= values[nights == night].mean(axis=0)
    explained = values[:, 1:] @ np.linalg.lstsq(values[:, 1:], values[:, 0], rcond=None)[0]
    return float(np.ptp(values[:, 0] - explained))


def _altitudes_vary(observations: Sequence[Observation]) -> bool:
    known = _Terms(altitude=True).in_all(observations)
    if not known or len(known) < SHARE_WITH_READING * len(observations):
        return False
    altitudes_deg = [each.altitude_deg for each in known if each.altitude_deg is not None]
    return max(altitudes_deg) - min(altitudes_deg) > LEAST_RANGE_DEG


def _night_numbers(observations: Sequence[Observation]) -> NDArray[np.int_]:
    """Number the nights of observations in the order of time; a focuser that lost its zero begins another one."""
    times_s = np.array([each.at.timestamp() for each in observations])
    is_anew = np.array([each.is_anew for each in observations])
    return np.concatenate([[0], np.cumsum((np.diff(times_s) > NIGHT_APART.total_seconds()) | is_anew[1:])])


def _learned(observations: Sequence[Observation], terms: _Terms) -> _Learned | None:
    """Fit the terms and the filters' offsets to the observations in which the terms are known."""
    known = terms.in_all(observations)
    if len(known) < FEWEST_RUNS:
        return None
    numbers = _night_numbers(known)
    gaps_s = np.maximum(np.diff([each.at.timestamp() for each in known]), LEAST_GAP_S)
    within = gaps_s[np.diff(numbers) == 0]
    if not len(within):
        return None
    gap_s = float(np.median(within))
    counts = Counter(each.filter_name for each in known)
    filters = tuple(sorted(counts, key=lambda name: (-counts[name], name)))
    rows = [[*terms.of(each), *(float(each.filter_name == name) for name in filters[1:])] for each in known]
    times = np.concatenate([[0.0], np.cumsum(gaps_s)]) / gap_s
    nights = _by_night(known, numbers, np.array(rows), times)
    fit = fit_drift(nights)
    if fit is None or fit.freedom < (FEWEST_RUNS - 2 if len(terms.of(known[0])) == 1 else LEAST_FREEDOM):
        return None
    runs = np.count_nonzero(nights.terms[fit.used], axis=0)
    return _Learned(terms=terms, filters=filters, gap_s=gap_s, fit=fit, runs=tuple(runs.tolist()))


def _by_night(known: Sequence[Observation], numbers: NDArray[np.int_], rows: Array, times: Array) -> Nights:
    """Arrange the observations by night."""
    starts = np.searchsorted(numbers, np.arange(numbers[-1] + 1))
    at = (numbers, np.arange(len(known)) - starts[numbers])
    shape = (len(starts), int(at[1].max()) + 1)
    terms = np.zeros((*shape, rows.shape[1]))
    positions, variances, since, counts = np.zeros(shape), np.ones(shape), np.zeros(shape), np.zeros(shape, dtype=bool)
    terms[at] = rows
    positions[at] = [each.position for each in known]
    variances[at] = [max(each.stderr, LEAST_STDERR_STEPS) ** 2 for each in known]
    since[at] = times - times[starts][numbers]
    counts[at] = True
    return Nights(terms, positions, variances, since, counts)


def _model(learned: _Learned) -> FocusModel:
    terms = len(learned.terms.temperatures) + int(learned.terms.altitude)
    offsets = [
        index
        for index in range(terms, len(learned.runs))
        if learned.fit.known[index] and learned.runs[index] >= FEWEST_OF_A_FILTER
    ]
    order = [*range(terms), *offsets]
    return FocusModel(
        steps_per_c=MappingProxyType(dict(zip(learned.terms.temperatures, map(learned.estimate, order), strict=False))),
        steps_per_sin_altitude=learned.estimate(terms - 1) if learned.terms.altitude else None,
        filter_offsets_steps=MappingProxyType(
            {learned.filters[index - terms + 1]: learned.estimate(index) for index in offsets}
        ),
        reference_filter=learned.filters[0],
        scatter_steps=learned.fit.walk_steps,
        gap_s=learned.gap_s,
        covariance=tuple(tuple(map(float, row)) for row in learned.fit.covariance[np.ix_(order, order)]),
        count=int(learned.fit.used.sum()),
    )
