"""Where best focus is, against temperatures, altitude and filter: learned from the history, with honest errors."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from alpaca_focus.core.curves.calibration import Estimate
from alpaca_focus.core.curves.learned_curve import LearnedCurve
from alpaca_focus.core.night.compensation import Compensated
from alpaca_focus.core.night.state import History


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What best focus depends on, at one moment.

    Attributes:
        at: When.
        temperatures_c: By the name of the sensor, for example "focuser", "air", "tube" or "mirror".
        altitude_deg: Where the telescope points; `None` where nobody knows.
        filter_name: Filter in the light; empty where nobody knows.
    """

    at: datetime
    temperatures_c: Mapping[str, float]
    altitude_deg: float | None = None
    filter_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Where one run found focus, and under which conditions.

    Attributes:
        position: Best position in steps.
        stderr: Its standard error in steps.
        at: When.
        filter_name: Through which filter; empty where nobody knows.
        temperatures_c: By the name of the sensor.
        altitude_deg: Where the telescope pointed; `None` where nobody knows.
    """

    position: float
    stderr: float
    at: datetime
    filter_name: str
    temperatures_c: Mapping[str, float]
    altitude_deg: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """By how many steps best focus has moved outward, and the standard error of that."""

    steps: float
    stderr_steps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FocusModel:
    """What moves best focus.

    Attributes:
        steps_per_c: Coefficients by the name of the sensor: all of them work together.
        steps_per_sin_altitude: Steps from the horizon to the zenith, by the sine of the altitude; `None`: no matter.
        filter_offsets_steps: From best focus through the reference filter, by name, the reference left out.
        reference_filter: Name of the filter with the most runs.
        scatter_steps: By how much best focus wanders on its own within `gap_s`, as a standard deviation.
        gap_s: Typical time between two of the runs learned from, in seconds.
        covariance: Of the coefficients, the altitude term if there is one, and the offsets, in the order above.
        count: Runs learned from.
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
        """Predict by how much best focus has moved.

        What the model does not know grows as a random walk does, with the root of the time. It holds as long as
        nobody takes the camera off.

        Args:
            before: When focus was verified.
            now: The moment asked for.
            verified_stderr_steps: Standard error of the focus found then.

        Returns:
            The prediction; `None` when a temperature or an altitude that counts is missing at either moment, or the
            offset of a filter that was changed is not known: an unknown change could be of any size.
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


def probable_defocus_steps(prediction: Prediction, moved_steps: float) -> float:
    """Return how far out of focus the telescope probably is: the root mean square over what may have happened.

    Args:
        prediction: Movement of best focus since it was verified.
        moved_steps: How far the focuser has already followed.
    """
    return math.hypot(prediction.steps - moved_steps, prediction.stderr_steps)


def sin_altitude(altitude_deg: float | None) -> float:
    """Return the sine of an altitude, along which gravity pulls on the tube; NaN where it is not known."""
    if altitude_deg is None or not -90 <= altitude_deg <= 90:
        return math.nan
    return math.sin(math.radians(altitude_deg))


AVERAGE = "average"
"""Name of the temperature that the night goes by: the chosen thermometer's, averaged."""
RUN = "run"
"""Name of the temperature that a run was kept with."""


def defocus_by_now_steps(model: FocusModel, history: History, compensated: Compensated) -> float | None:
    """Return how far out of focus the telescope probably is; `None` where too little is known.

    Args:
        model: Learned with temperatures named `AVERAGE`.
        history: The night so far.
        compensated: What has been followed since the last refocus.
    """
    prediction = moved_by_now(model, history)
    return None if prediction is None else probable_defocus_steps(prediction, compensated.moved_steps)


def focus_by_now(model: FocusModel, history: History) -> float | None:
    """Return where best focus probably is by now; `None` where too little is known.

    Args:
        model: Learned with temperatures named `AVERAGE`.
        history: The night so far.
    """
    prediction, baseline = moved_by_now(model, history), history.baseline
    return None if prediction is None or baseline is None else baseline.position + prediction.steps


def moved_by_now(model: FocusModel, history: History) -> Prediction | None:
    """Return by how much best focus has moved since the last refocus; `None` where too little is known.

    Args:
        model: Learned with temperatures named `AVERAGE`.
        history: The night so far.
    """
    baseline = history.baseline
    if baseline is None or baseline.temperature_c is None or history.followed.latest_c is None:
        return None
    filter_name = baseline.filter_name or ""
    before = Conditions(
        at=baseline.at,
        temperatures_c={AVERAGE: baseline.temperature_c},
        altitude_deg=baseline.altitude_deg,
        filter_name=filter_name,
    )
    now = Conditions(
        at=baseline.at + timedelta(seconds=history.since_s),
        temperatures_c={AVERAGE: history.followed.latest_c},
        altitude_deg=history.altitude_deg,
        filter_name=filter_name,
    )
    return model.shift(before, now, verified_stderr_steps=baseline.stderr_steps)


def expected_position(model: FocusModel | None, profile: LearnedCurve, now: Conditions) -> float:
    """Return where a run should look for focus first.

    Args:
        model: Learned with temperatures named `RUN`; `None`: nothing is known of what moves focus.
        profile: What is known of the V-curve, with the place and the temperature of the last run.
        now: The present conditions, with the temperature named so.
    """
    if model is None or profile.temperature_c is None:
        return profile.best_position
    before = Conditions(at=profile.learned_at, temperatures_c={RUN: profile.temperature_c}, filter_name=now.filter_name)
    prediction = model.shift(before, now)
    # A prediction that knows less than "where it was" is none.
    if prediction is None or prediction.stderr_steps > max(abs(prediction.steps), 1.0):
        return profile.best_position
    return profile.best_position + prediction.steps
