"""What the focus model predicts for tonight."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from alpaca_focus.core.curves.calibration import Estimate
from alpaca_focus.core.curves.learned_curve import LearnedCurve
from alpaca_focus.core.night.compensation import Compensated
from alpaca_focus.core.night.focus_model import (
    AVERAGE,
    RUN,
    Conditions,
    FocusModel,
    defocus_by_now_steps,
    expected_position,
)
from alpaca_focus.core.night.outlier_filter import Window
from alpaca_focus.core.night.state import Baseline, History

EVENING = datetime(2026, 1, 15, 20, tzinfo=UTC)


def model(sensor: str, *, per_c: float = -30.0, error: float = 0.5, scatter_steps: float = 5.0) -> FocusModel:
    return FocusModel(
        steps_per_c={sensor: Estimate(value=per_c, stderr=error, count=20)},
        steps_per_sin_altitude=None,
        filter_offsets_steps={},
        reference_filter="",
        scatter_steps=scatter_steps,
        gap_s=3600.0,
        covariance=((error**2,),),
        count=20,
    )


def night(*, before_c: float | None, now_c: float | None, since_s: float = 0.0) -> History:
    baseline = Baseline(at=EVENING, position=25000, temperature_c=before_c, stderr_steps=4.0)
    return History(baseline=baseline, followed=Window(mean_c=now_c, filled=1), since_s=since_s)


def test_what_was_followed_is_not_out_of_focus() -> None:
    history = night(before_c=5.0, now_c=3.0)
    assert defocus_by_now_steps(model(AVERAGE), history, Compensated()) == pytest.approx(60.0, abs=1)
    followed = defocus_by_now_steps(model(AVERAGE), history, Compensated(moved_steps=60))
    assert followed == pytest.approx((4.0**2 + 1.0**2) ** 0.5)


def test_uncertainty_grows_with_time() -> None:
    found = [
        defocus_by_now_steps(model(AVERAGE), night(before_c=5.0, now_c=5.0, since_s=hours * 3600), Compensated())
        for hours in (0, 1, 9)
    ]
    assert found == [pytest.approx(each) for each in (4.0, (16 + 25) ** 0.5, (16 + 225) ** 0.5)]


def test_what_nobody_knows_is_not_guessed() -> None:
    assert defocus_by_now_steps(model(AVERAGE), History(), Compensated()) is None
    assert defocus_by_now_steps(model(AVERAGE), night(before_c=None, now_c=3.0), Compensated()) is None
    assert defocus_by_now_steps(model("tube"), night(before_c=5.0, now_c=3.0), Compensated()) is None


PROFILE = LearnedCurve(
    slope_in=0.04,
    slope_out=0.04,
    slope_error=0.02,
    least=2.3,
    best_position=25000.0,
    temperature_c=5.0,
    learned_at=EVENING,
    runs=3,
)


def test_a_run_begins_where_focus_has_moved_to() -> None:
    now = Conditions(at=EVENING + timedelta(hours=2), temperatures_c={RUN: 2.0})
    assert expected_position(model(RUN), PROFILE, now) == pytest.approx(25090.0)
    assert expected_position(None, PROFILE, now) == 25000.0
    assert expected_position(model(RUN), replace(PROFILE, temperature_c=None), now) == 25000.0


def test_a_prediction_that_knows_nothing_is_not_followed() -> None:
    next_year = Conditions(at=EVENING + timedelta(days=365), temperatures_c={RUN: 3.0})
    assert expected_position(model(RUN, scatter_steps=20.0), PROFILE, next_year) == 25000.0
