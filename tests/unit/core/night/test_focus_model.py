"""The focus model on a small scale: what it predicts, what it refuses, and which terms it takes."""

import math
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType

import numpy as np
import pytest

from alpaca_focus.core.curves.calibration import Estimate
from alpaca_focus.core.night.focus_learning import learned_model
from alpaca_focus.core.night.focus_model import Conditions, FocusModel, Observation, Prediction
from tests.drawn_focus import EVENING, FocusTruth, draw_nights, observations_of

MODEL = FocusModel(
    steps_per_c=MappingProxyType({"focuser": Estimate(value=-30.0, stderr=2.0, count=20)}),
    steps_per_sin_altitude=Estimate(value=100.0, stderr=8.0, count=20),
    filter_offsets_steps=MappingProxyType({"R": Estimate(value=-40.0, stderr=3.0, count=20)}),
    reference_filter="L",
    scatter_steps=6.0,
    gap_s=1800.0,
    covariance=((4.0, 0.0, 0.0), (0.0, 64.0, 0.0), (0.0, 0.0, 9.0)),
    count=20,
)
BEFORE = Conditions(at=EVENING, temperatures_c={"focuser": 10.0, "air": 8.0}, altitude_deg=30.0, filter_name="L")


def shifted(**changes: object) -> Prediction | None:
    return MODEL.shift(BEFORE, replace(BEFORE, **changes))  # type: ignore[arg-type]


def known(prediction: Prediction | None) -> tuple[float, float]:
    assert prediction is not None
    return prediction.steps, prediction.stderr_steps


def test_nothing_has_changed() -> None:
    assert known(shifted()) == (0.0, 0.0)
    assert known(MODEL.shift(BEFORE, BEFORE, verified_stderr_steps=5.0)) == (0.0, 5.0)


def test_each_change_moves_focus_by_its_own_term() -> None:
    assert known(shifted(temperatures_c={"focuser": 5.0})) == pytest.approx((150.0, 10.0))
    assert known(shifted(altitude_deg=90.0)) == pytest.approx((50.0, 4.0))
    assert known(shifted(filter_name="R")) == pytest.approx((-40.0, 3.0))


def test_from_one_filter_to_another_and_back_the_offset_has_the_other_sign() -> None:
    back = MODEL.shift(replace(BEFORE, filter_name="R"), BEFORE)
    assert known(back) == pytest.approx((40.0, 3.0))


def test_what_is_not_known_grows_with_the_root_of_the_time() -> None:
    assert known(shifted(at=EVENING + timedelta(minutes=30))) == pytest.approx((0.0, 6.0))
    assert known(shifted(at=EVENING + timedelta(minutes=120))) == pytest.approx((0.0, 12.0))
    assert known(shifted(at=EVENING - timedelta(minutes=120))) == pytest.approx((0.0, 12.0))


def test_errors_of_terms_that_hang_together_cancel_or_add() -> None:
    covariance = ((4.0, 12.0, 0.0), (12.0, 64.0, 0.0), (0.0, 0.0, 9.0))
    model = replace(MODEL, covariance=covariance)
    now = replace(BEFORE, temperatures_c={"focuser": 9.0}, altitude_deg=90.0)
    # 4 - 2 x 12 / 2 + 64 / 4
    assert known(model.shift(BEFORE, now)) == pytest.approx((80.0, math.sqrt(8.0)))


@pytest.mark.parametrize(
    "changes",
    [
        {"temperatures_c": {}},
        {"temperatures_c": {"focuser": math.nan}},
        {"temperatures_c": {"focuser": math.inf}},
        {"altitude_deg": None},
        {"altitude_deg": math.nan},
        {"filter_name": "Ha"},
        {"filter_name": ""},
    ],
)
def test_without_what_counts_nothing_is_predicted(changes: dict[str, object]) -> None:
    assert shifted(**changes) is None


def test_what_does_not_count_may_be_missing() -> None:
    no_altitude = replace(MODEL, steps_per_sin_altitude=None, covariance=((4.0, 0.0), (0.0, 9.0)))
    unknown = Conditions(at=EVENING, temperatures_c={"focuser": 8.0}, filter_name="Ha")
    before = replace(BEFORE, filter_name="Ha")
    assert known(no_altitude.shift(before, unknown)) == pytest.approx((60.0, 4.0))


def test_the_probable_defocus_is_what_was_not_followed_and_what_is_not_known() -> None:
    assert Prediction(steps=50.0, stderr_steps=12.0).probable_defocus_steps(45.0) == pytest.approx(13.0)


def test_few_runs_teach_nothing(rng: np.random.Generator) -> None:
    assert learned_model([]) is None
    assert learned_model(observations_of(draw_nights(rng, FocusTruth(), nights=1, runs=3))) is None
    # Each night has a level of its own: one run in each determines nothing.
    assert learned_model(observations_of(draw_nights(rng, FocusTruth(), nights=12, runs=1))) is None


def test_an_even_night_teaches_nothing(rng: np.random.Generator) -> None:
    some = observations_of(draw_nights(rng, FocusTruth()))
    even = [replace(each, temperatures_c={"focuser": 5.0 + rng.normal(0, 0.1)}) for each in some]
    assert learned_model(even) is None


def observation(number: int, position: float, **changes: object) -> Observation:
    plain = Observation(
        position=position,
        stderr=3.0,
        at=EVENING + timedelta(minutes=20 * number),
        filter_name="L",
        temperatures_c={"focuser": 10.0 - number},
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_four_runs_of_one_cooling_night_are_enough() -> None:
    model = learned_model([observation(k, 25000 + 30 * k) for k in range(4)])
    assert model is not None
    assert model.steps_per_c["focuser"].value == pytest.approx(-30.0)
    assert (model.count, model.gap_s, model.scatter_steps) == (4, 1200.0, 0.0)
    assert model.steps_per_sin_altitude is None
    assert model.filter_offsets_steps == {}
    # sigma / sqrt(5) where the errors are all that is known, widened for two degrees of freedom.
    assert 3 / math.sqrt(5) < model.steps_per_c["focuser"].stderr < 2.5 * 3 / math.sqrt(5)


def test_one_wrong_run_is_left_out(rng: np.random.Generator) -> None:
    runs = [observation(k, 25000 + 30 * k + rng.normal(0, 3.0)) for k in range(10)]
    runs[4] = replace(runs[4], position=25900.0)
    model = learned_model(runs)
    assert model is not None
    assert model.count == 9
    assert model.steps_per_c["focuser"].value == pytest.approx(-30.0, abs=2.5)


def test_of_two_sensors_with_the_same_readings_one_is_used(rng: np.random.Generator) -> None:
    some = observations_of(draw_nights(rng, FocusTruth()))
    twice = [
        replace(
            each,
            temperatures_c={
                "focuser": each.temperatures_c["focuser"],
                "tube": 1.1 * each.temperatures_c["focuser"] + rng.normal(0, 0.05),
            },
        )
        for each in some
    ]
    model = learned_model(twice)
    assert model is not None
    assert len(model.steps_per_c) == 1


def test_an_altitude_that_hardly_changes_has_no_term(rng: np.random.Generator) -> None:
    some = observations_of(draw_nights(rng, FocusTruth(altitude_steps=0.0)))
    model = learned_model([replace(each, altitude_deg=50 + rng.uniform(0, 14)) for each in some])
    assert model is not None
    assert model.steps_per_sin_altitude is None


def test_a_sensor_that_most_runs_did_not_read_does_no_harm(rng: np.random.Generator) -> None:
    some = observations_of(draw_nights(rng, FocusTruth()))
    old = [replace(each, temperatures_c={"focuser": each.temperatures_c["focuser"]}) for each in some[:30]]
    model = learned_model([*old, *some[30:]])
    assert model is not None
    assert list(model.steps_per_c) == ["focuser"]
    assert model.count > 30


def test_runs_without_any_temperature_do_no_harm(rng: np.random.Generator) -> None:
    nights = draw_nights(rng, FocusTruth())
    without = [replace(each, temperatures_c={}) for each in observations_of(nights[:2])]
    model = learned_model([*without, *observations_of(nights[2:])])
    assert model is not None
    assert 15 < model.count <= 20


def test_a_filter_with_a_single_run_or_without_a_night_in_common_has_no_offset(rng: np.random.Generator) -> None:
    first = [observation(k, 25000 + 30 * k + rng.normal(0, 3.0)) for k in range(8)]
    first[3] = replace(first[3], filter_name="OIII")
    second = [
        replace(each, at=each.at + timedelta(days=1), filter_name="Ha", position=each.position + 500)
        for each in first[:6]
    ]
    model = learned_model([*first, *second])
    assert model is not None
    assert model.reference_filter == "L"
    assert dict(model.filter_offsets_steps) == {}
    assert model.steps_per_c["focuser"].value == pytest.approx(-30.0, abs=2.5)


def test_a_zero_that_was_lost_in_the_night_does_not_spoil_the_coefficient(rng: np.random.Generator) -> None:
    before = [observation(k, 25000 + 30 * k + rng.normal(0, 3.0)) for k in range(5)]
    after = [observation(k, 30 * k + rng.normal(0, 3.0)) for k in range(5, 10)]
    model = learned_model([*before, replace(after[0], is_anew=True), *after[1:]])
    assert model is not None
    assert model.count == 10
    assert model.steps_per_c["focuser"].value == pytest.approx(-30.0, abs=4.0)
