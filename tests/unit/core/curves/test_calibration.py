"""Slack and filter offsets from several runs: the truth is found within honest errors."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from alpaca_focus.core.curves.calibration import Estimate, FocusPosition, backlash_steps, filter_offsets, mean
from alpaca_focus.core.errors import RunFailed

EVENING = datetime(2026, 1, 15, 20, tzinfo=UTC)
ERROR = 3.0


def focus_position(position: float, *, minutes: float = 0.0, name: str = "L") -> FocusPosition:
    at = EVENING + timedelta(minutes=minutes)
    return FocusPosition(position=position, stderr=ERROR, at=at, filter_name=name)


def coverage(estimates: list[Estimate], truth: float) -> float:
    return float(np.mean([abs(each.value - truth) < 1.96 * each.stderr for each in estimates]))


def test_the_backlash_is_the_difference_of_both_directions(rng: np.random.Generator) -> None:
    def drawn() -> Estimate:
        pairs = [
            (focus_position(24920 + rng.normal(0, ERROR)), focus_position(25000 + rng.normal(0, ERROR)))
            for _ in range(rng.integers(1, 5))
        ]
        return backlash_steps(pairs)

    found = [drawn() for _ in range(400)]
    assert 0.92 < coverage(found, 80.0) <= 1.0
    assert np.mean([each.value for each in found]) == pytest.approx(80.0, abs=1.0)


def test_one_bad_pair_among_three_does_not_count() -> None:
    pairs = [
        (focus_position(24920), focus_position(25000)),
        (focus_position(24921), focus_position(25002)),
        (focus_position(24919), focus_position(25300)),
    ]
    assert backlash_steps(pairs).value == pytest.approx(80.5, abs=2)


def test_a_focuser_without_backlash_has_zero_backlash() -> None:
    assert backlash_steps(
        [(focus_position(25001), focus_position(25000)), (focus_position(24999), focus_position(25001))]
    ).is_zero


def test_offsets_of_filters_are_free_of_a_steady_drift(rng: np.random.Generator) -> None:
    """Focus wanders by 2 steps a minute, and the reference is focused before, between and after."""
    truth = {"R": 12.0, "Ha": 25.0}
    found: dict[str, list[Estimate]] = {name: [] for name in truth}
    for _ in range(200):
        sequence = ["L", "R", "Ha", "L", "R", "Ha", "L", "R", "Ha", "L"]
        places = [
            focus_position(25000 + 2 * 3 * k + truth.get(name, 0.0) + rng.normal(0, ERROR), minutes=3 * k, name=name)
            for k, name in enumerate(sequence)
        ]
        for name, estimate in filter_offsets(places, "L").items():
            found[name].append(estimate)
    for name, offset in truth.items():
        assert np.mean([each.value for each in found[name]]) == pytest.approx(offset, abs=1.0)
        assert coverage(found[name], offset) > 0.9


def test_offsets_need_the_reference() -> None:
    with pytest.raises(RunFailed, match="reference filter L"):
        filter_offsets([focus_position(1.0, name="R")], "L")


def test_disagreeing_values_raise_the_error_of_their_mean() -> None:
    assert mean([10.0, 12.0], [1.0, 1.0]) == Estimate(value=11.0, stderr=pytest.approx(1.0), count=2)
    assert mean([10.0, 30.0], [1.0, 1.0]).stderr == pytest.approx(10.0)
    assert mean([7.0], [2.0]) == Estimate(value=7.0, stderr=2.0, count=1)
