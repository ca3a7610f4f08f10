"""Slack, filter offsets and temperature from several runs: the truth is found within honest errors."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from alpaca_focus.core.calibration import (
    Estimate,
    Place,
    backlash_steps,
    filter_offsets,
    mean,
    temperature_coefficient,
)
from alpaca_focus.core.errors import RunFailed

EVENING = datetime(2026, 1, 15, 20, tzinfo=UTC)
ERROR = 3.0


def place(position: float, *, minutes: float = 0.0, name: str = "L", temperature_c: float = 5.0) -> Place:
    at = EVENING + timedelta(minutes=minutes)
    return Place(position=position, stderr=ERROR, at=at, filter_name=name, temperature_c=temperature_c)


def coverage(estimates: list[Estimate], truth: float) -> float:
    return float(np.mean([abs(each.value - truth) < 1.96 * each.stderr for each in estimates]))


def test_the_slack_is_what_both_directions_differ_by(rng: np.random.Generator) -> None:
    def drawn() -> Estimate:
        pairs = [
            (place(24920 + rng.normal(0, ERROR)), place(25000 + rng.normal(0, ERROR)))
            for _ in range(rng.integers(1, 5))
        ]
        return backlash_steps(pairs)

    found = [drawn() for _ in range(400)]
    assert 0.92 < coverage(found, 80.0) <= 1.0
    assert np.mean([each.value for each in found]) == pytest.approx(80.0, abs=1.0)


def test_one_bad_pair_among_three_does_not_count() -> None:
    pairs = [(place(24920), place(25000)), (place(24921), place(25002)), (place(24919), place(25300))]
    assert backlash_steps(pairs).value == pytest.approx(80.5, abs=2)


def test_a_focuser_without_slack_is_told_as_such() -> None:
    assert backlash_steps([(place(25001), place(25000)), (place(24999), place(25001))]).is_zero


def test_offsets_of_filters_are_free_of_a_steady_drift(rng: np.random.Generator) -> None:
    """Focus wanders by 2 steps a minute, and the reference is focused before, between and after."""
    truth = {"R": 12.0, "Ha": 25.0}
    found: dict[str, list[Estimate]] = {name: [] for name in truth}
    for _ in range(200):
        sequence = ["L", "R", "Ha", "L", "R", "Ha", "L", "R", "Ha", "L"]
        places = [
            place(25000 + 2 * 3 * k + truth.get(name, 0.0) + rng.normal(0, ERROR), minutes=3 * k, name=name)
            for k, name in enumerate(sequence)
        ]
        for name, estimate in filter_offsets(places, "L").items():
            found[name].append(estimate)
    for name, offset in truth.items():
        assert np.mean([each.value for each in found[name]]) == pytest.approx(offset, abs=1.0)
        assert coverage(found[name], offset) > 0.9


def test_offsets_need_the_reference() -> None:
    with pytest.raises(RunFailed, match="reference filter L"):
        filter_offsets([place(1.0, name="R")], "L")


def cooling(rng: np.random.Generator, *, nights: int = 2, runs: int = 8, slope: float = -30.0) -> list[Place]:
    """Nights with two filters, between which the camera was taken off."""
    places = []
    for night in range(nights):
        level = rng.uniform(-500, 500)
        for k in range(runs):
            temperature_c = 10.0 - 0.8 * k + rng.normal(0, 0.1)
            name = ("L", "Ha")[k % 2]
            offset = 25.0 if name == "Ha" else 0.0
            position = 25000 + level + offset + slope * temperature_c + rng.normal(0, ERROR)
            places.append(
                place(position, minutes=1440 * night + 30 * k, name=name, temperature_c=round(temperature_c, 2))
            )
    return places


def test_the_temperature_coefficient_is_found_over_nights_and_filters(rng: np.random.Generator) -> None:
    found = [temperature_coefficient(cooling(rng, slope=-30.0)) for _ in range(200)]
    assert np.mean([each.value for each in found]) == pytest.approx(-30.0, abs=0.3)
    assert coverage(found, -30.0) > 0.9
    assert np.median([each.stderr for each in found]) < 1.0


def test_one_wrong_run_does_not_tilt_the_line(rng: np.random.Generator) -> None:
    places = cooling(rng)
    places[5] = Place(position=25900, stderr=ERROR, at=places[5].at, filter_name="Ha", temperature_c=4.0)
    assert temperature_coefficient(places).value == pytest.approx(-30.0, abs=2.0)


def test_an_even_night_says_nothing_of_temperature(rng: np.random.Generator) -> None:
    places = [place(25000 + rng.normal(), minutes=20 * k, temperature_c=5 + 0.02 * k) for k in range(8)]
    with pytest.raises(RunFailed, match=r"within 0\.\d degrees of one another"):
        temperature_coefficient(places)


def test_a_few_runs_say_nothing_of_temperature() -> None:
    with pytest.raises(RunFailed, match="at least 4 good runs through one filter in one night, and the history has 2"):
        temperature_coefficient([place(25000, temperature_c=10), place(25100, minutes=30, temperature_c=5)])
    with pytest.raises(RunFailed, match="the history has 0"):
        temperature_coefficient([])


def test_a_mean_says_when_its_values_disagree() -> None:
    assert mean([10.0, 12.0], [1.0, 1.0]) == Estimate(value=11.0, stderr=pytest.approx(1.0), count=2)
    assert mean([10.0, 30.0], [1.0, 1.0]).stderr == pytest.approx(10.0)
    assert mean([7.0], [2.0]) == Estimate(value=7.0, stderr=2.0, count=1)
