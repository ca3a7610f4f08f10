"""The focus model: where best focus is by temperatures, altitude and filter, with standard errors."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from alpaca_focus.core.curves.calibration import Estimate
from alpaca_focus.core.curves.learned_curve import LearnedCurve
from alpaca_focus.core.night.compensation import Compensated
from alpaca_focus.core.night.state import History

AVERAGE = "average"
"""Name of the temperature that the night uses: the average of the chosen thermometer."""
RUN = "run"
"""Name of the temperature that a run is saved with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What best focus depends on, at one moment.

    Attributes:
        temperatures_c: By the name of the sensor, for example "focuser", "air", "tube" or "mirror".
        altitude_deg: `None`: not known.
        filter_name: Empty: not known.
    """

    at: datetime
    temperatures_c: Mapping[str, float]
    altitude_deg: float | None = None
    filter_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation(Conditions):
    """The best position that one run measured, and the conditions.

    Attributes:
        stderr: Standard error of the position, in steps.
        is_anew: Whether earlier positions may count from another zero.
    """

    position: float
    stderr: float
    is_anew: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """By how many steps best focus has moved outward, with the standard error."""

    steps: float
    stderr_steps: float

    def probable_defocus_steps(self, moved_steps: float) -> float:
        """Return the root mean square distance from best focus after the focuser has moved by `moved_steps`."""
        return math.hypot(self.steps - moved_steps, self.stderr_steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class FocusModel:
    """What moves best focus.

    Attributes:
        steps_per_c: Coefficients by the name of the sensor; their effects add up.
        steps_per_sin_altitude: Steps from the horizon to the zenith, by the sine of the altitude; `None`: no effect.
        filter_offsets_steps: From best focus through the reference filter, by name, the reference left out.
        reference_filter: Name of the filter with the most runs.
        scatter_steps: Standard deviation of the random walk of best focus after `gap_s`.
        gap_s: Typical time between two runs, in seconds.
        covariance: Of the coefficients, the altitude term if there is one, and the offsets, in the order above.
        count: Number of runs used.
    """

    steps_per_c: Mapping[str, Estimate]
    steps_per_sin_altitude: Estimate | None
    filter_offsets_steps: Mapping[str, Estimate]
    reference_filter: str
    scatter_steps: float
    gap_s: float
    covariance: tuple[tuple[float, ...], ...]
    count: int

    def shift(self, before: Conditions, now: Conditions, *, verified_stderr_steps: float = 0.0) -> Prediction | None:
        """Predict by how much best focus has moved; valid as long as the camera is not taken off.

        The variance of the random walk grows in proportion to the time (decision 0017).

        Args:
            before: When focus was verified.
            now: Of the prediction.
            verified_stderr_steps: Standard error of the focus verified then.

        Returns:
            `None` when a temperature or an altitude of the model is missing at either moment, or the offset of a filter
            is not known: the change could be of any size.
        """
        changes = self._changes(before, now)
        if not all(math.isfinite(each) for each in changes):
            return None
        terms = [*self.steps_per_c.values(), *self.filter_offsets_steps.values()]
        if self.steps_per_sin_altitude is not None:
            terms.insert(len(self.steps_per_c), self.steps_per_sin_altitude)
        change = np.array(changes)
        gaps = abs((now.at - before.at).total_seconds()) / self.gap_s
        variance = float(change @ np.array(self.covariance) @ change) + gaps * self.scatter_steps**2
        return Prediction(
            steps=math.fsum(term.value * each for term, each in zip(terms, changes, strict=True)),
            stderr_steps=math.hypot(math.sqrt(max(variance, 0.0)), verified_stderr_steps),
        )

    def _changes(self, before: Conditions, now: Conditions) -> list[float]:
        """Return the changes of what the model depends on, in the order of the covariance; NaN where not known."""
        changes = [
            now.temperatures_c.get(name, math.nan) - before.temperatures_c.get(name, math.nan)
            for name in self.steps_per_c
        ]
        if self.steps_per_sin_altitude is not None:
            changes.append(sin_altitude(now.altitude_deg) - sin_altitude(before.altitude_deg))
        known = {self.reference_filter, *self.filter_offsets_steps}
        if now.filter_name != before.filter_name and not {now.filter_name, before.filter_name} <= known:
            return [math.nan]
        changes += [
            float(name == now.filter_name) - float(name == before.filter_name) for name in self.filter_offsets_steps
        ]
        return changes


def sin_altitude(altitude_deg: float | None) -> float:
    """Return the sine of an altitude, the share of the weight that pulls along the tube; NaN where it is not known."""
    if altitude_deg is None or not -90 <= altitude_deg <= 90:
        return math.nan
    return math.sin(math.radians(altitude_deg))


def defocus_by_now_steps(model: FocusModel, history: History, compensated: Compensated) -> float | None:
    """Return how far out of focus the telescope probably is, by a model of temperatures named `AVERAGE`."""
    prediction = _moved_by_now(model, history)
    return None if prediction is None else prediction.probable_defocus_steps(compensated.moved_steps)


def focus_by_now(model: FocusModel, history: History) -> float | None:
    """Return where best focus probably is by now, by a model of temperatures named `AVERAGE`; `None`: not known."""
    prediction, baseline = _moved_by_now(model, history), history.baseline
    return None if prediction is None or baseline is None else baseline.position + prediction.steps


def _moved_by_now(model: FocusModel, history: History) -> Prediction | None:
    baseline = history.baseline
    if baseline is None or baseline.temperature_c is None or history.followed.latest_c is None:
        return None
    before = Conditions(
        at=baseline.at,
        temperatures_c={AVERAGE: baseline.temperature_c},
        altitude_deg=baseline.altitude_deg,
        filter_name=baseline.filter_name or "",
    )
    # A filter's offset is not part of the drift: the compensator applies it.
    now = replace(
        before,
        at=baseline.at + timedelta(seconds=history.since_s),
        temperatures_c={AVERAGE: history.followed.latest_c},
        altitude_deg=history.altitude_deg,
    )
    return model.shift(before, now, verified_stderr_steps=baseline.stderr_steps)


def expected_position(model: FocusModel | None, profile: LearnedCurve, now: Conditions) -> float:
    """Return where a run should search for focus first, by a model and a present temperature named `RUN`."""
    if model is None or profile.temperature_c is None:
        return profile.best_position
    before = Conditions(at=profile.learned_at, temperatures_c={RUN: profile.temperature_c}, filter_name=now.filter_name)
    prediction = model.shift(before, now)
    # A prediction whose error exceeds the movement is worse than the last position.
    if prediction is None or prediction.stderr_steps > max(abs(prediction.steps), 1.0):
        return profile.best_position
    return profile.best_position + prediction.steps
