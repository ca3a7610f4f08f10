"""Whatever the truth, the focus model finds it within its errors, and what must not matter does not."""

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alpaca_focus.core.curves.calibration import Estimate
from alpaca_focus.core.night.focus_learning import learned_model
from alpaca_focus.core.night.focus_model import FocusModel
from tests.drawn_focus import ERROR_STEPS, FocusTruth, conditions, draw_nights, observations_of

DRAWS = 60
SEEDS = st.integers(0, 2**32 - 1)


def sigmas(estimate: Estimate, truth: float) -> float:
    return abs(estimate.value - truth) / estimate.stderr


def drawn_truth(rng: np.random.Generator, *, outliers: float) -> FocusTruth:
    return FocusTruth(
        steps_per_c={"focuser": rng.choice([-1, 1]) * rng.uniform(15, 60)},
        offsets_steps={"L": 0.0, "R": rng.uniform(-80, 80), "Ha": rng.uniform(-80, 80)},
        altitude_steps=rng.uniform(150, 300),
        walk_steps=rng.uniform(0, 10),
        outliers=outliers,
    )


@pytest.mark.parametrize("outliers", [0.0, 0.1])
def test_a_drawn_truth_is_found_within_its_errors(outliers: float, rng: np.random.Generator) -> None:
    away: list[float] = []
    for _ in range(DRAWS):
        truth = drawn_truth(rng, outliers=outliers)
        model = learned_model(observations_of(draw_nights(rng, truth, nights=5)))
        assert model is not None
        assert model.steps_per_sin_altitude is not None
        assert "focuser" in model.steps_per_c
        if list(model.steps_per_c) == ["focuser"]:
            away.append(sigmas(model.steps_per_c["focuser"], truth.steps_per_c["focuser"]))
        away.append(sigmas(model.steps_per_sin_altitude, truth.altitude_steps))
        reference = truth.offsets_steps[model.reference_filter]
        away += [
            sigmas(found, truth.offsets_steps[name] - reference) for name, found in model.filter_offsets_steps.items()
        ]
    assert len(away) > 3.5 * DRAWS
    assert np.mean(np.array(away) < 1.96) > 0.88
    assert np.mean(np.array(away) < 4.0) > 0.99
    assert max(away) < 7


@pytest.mark.parametrize("walk_steps", [0.0, 5.0, 20.0])
def test_the_scatter_is_that_of_the_truth(walk_steps: float, rng: np.random.Generator) -> None:
    found = []
    for _ in range(DRAWS):
        model = learned_model(observations_of(draw_nights(rng, FocusTruth(walk_steps=walk_steps, outliers=0.1))))
        assert model is not None
        found.append(model.scatter_steps)
    assert np.median(found) == pytest.approx(walk_steps, abs=1.5, rel=0.15)


def test_two_temperatures_are_distinguished(rng: np.random.Generator) -> None:
    away: list[float] = []
    for _ in range(DRAWS):
        truth = FocusTruth(steps_per_c={"focuser": -30.0, "air": 20.0}, outliers=0.05)
        model = learned_model(observations_of(draw_nights(rng, truth, nights=5)))
        assert model is not None
        assert set(model.steps_per_c) == {"focuser", "air"}
        away += [sigmas(model.steps_per_c[name], slope) for name, slope in truth.steps_per_c.items()]
    assert np.mean(np.array(away) < 1.96) > 0.85
    assert np.mean(np.array(away) < 4.0) > 0.98


def test_predictions_cover_the_truth_as_often_as_stated(rng: np.random.Generator) -> None:
    """From a verified focus, whose error is drawn too, to each later run of a night that nothing was learned from."""
    covered: list[bool] = []
    for _ in range(DRAWS):
        truth = drawn_truth(rng, outliers=0.1)
        *earlier, tonight = draw_nights(rng, truth, nights=6)
        model = learned_model(observations_of(earlier))
        assert model is not None
        before = int(rng.integers(0, 5))
        verified = tonight.truth[before] + rng.normal(0, ERROR_STEPS)
        for later in range(before + 1, before + 5):
            found = model.shift(
                conditions(tonight.observations[before]),
                conditions(tonight.observations[later]),
                verified_stderr_steps=ERROR_STEPS,
            )
            assert found is not None
            covered.append(abs(verified + found.steps - tonight.truth[later]) < 1.96 * found.stderr_steps)
    assert 0.90 <= np.mean(covered) <= 0.99


def close(one: FocusModel | None, other: FocusModel | None) -> bool:
    if one is None or other is None:
        return one is other
    assert list(one.steps_per_c) == list(other.steps_per_c)
    assert list(one.filter_offsets_steps) == list(other.filter_offsets_steps)
    assert (one.steps_per_sin_altitude is None) == (other.steps_per_sin_altitude is None)
    assert (one.count, one.reference_filter, one.gap_s) == (other.count, other.reference_filter, other.gap_s)
    pairs = [(one.steps_per_c[name], other.steps_per_c[name]) for name in one.steps_per_c]
    pairs += [(one.filter_offsets_steps[name], other.filter_offsets_steps[name]) for name in one.filter_offsets_steps]
    return (
        all(a.value == pytest.approx(b.value, abs=1e-3 * a.stderr) for a, b in pairs)
        and all(a.stderr == pytest.approx(b.stderr, rel=1e-3) for a, b in pairs)
        and one.scatter_steps == pytest.approx(other.scatter_steps, rel=1e-3, abs=1e-3)
    )


@settings(max_examples=20)
@given(seed=SEEDS, nights=st.integers(1, 4), runs=st.integers(4, 12), constant=st.integers(-5000, 5000))
def test_the_level_of_a_night_and_the_order_do_not_matter(seed: int, nights: int, runs: int, constant: int) -> None:
    drawn = draw_nights(np.random.default_rng(seed), FocusTruth(outliers=0.1), nights=nights, runs=runs)
    model = learned_model(observations_of(drawn))
    first = [replace(each, position=each.position + constant) for each in drawn[0].observations]
    others = observations_of(drawn[1:])
    assert close(model, learned_model([*first, *others]))
    shuffled = observations_of(drawn)
    random.Random(seed).shuffle(shuffled)
    assert close(model, learned_model(shuffled))


@settings(max_examples=30)
@given(seed=SEEDS, nonsense=st.sampled_from([float("nan"), float("inf"), float("-inf"), -300.0, 1e9]))
def test_nonsense_among_the_readings_never_ends_in_an_error(seed: int, nonsense: float) -> None:
    rng = np.random.default_rng(seed)
    some = observations_of(draw_nights(rng, FocusTruth(), nights=2, runs=8))
    for index in rng.integers(0, len(some), size=6):
        change = int(rng.integers(0, 4))
        each = some[index]
        some[index] = (
            replace(each, position=nonsense),
            replace(each, stderr=nonsense),
            replace(each, temperatures_c={**each.temperatures_c, "focuser": nonsense}),
            replace(each, altitude_deg=nonsense),
        )[change]
    model = learned_model(some)
    assert model is None or all(np.isfinite(each.value) for each in model.steps_per_c.values())
