"""What the focus model says of tonight: where focus is by now, and how far from it the telescope probably is."""

from datetime import timedelta

from alpaca_focus.core.compensation import Compensated
from alpaca_focus.core.focus_model import Conditions, FocusModel, Prediction, probable_defocus_steps
from alpaca_focus.core.night import History
from alpaca_focus.core.profile import LearnedProfile

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


def expected_position(model: FocusModel | None, profile: LearnedProfile, now: Conditions) -> float:
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
