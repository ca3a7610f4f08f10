"""What runs teach about the V-curve, against the curve they were drawn from."""

import math
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from alpaca_focus.core.curves.hyperbola import fit_hyperbola
from alpaca_focus.core.curves.learned_curve import LearnedCurve, learn_curve, move_learned_focus
from alpaca_focus.core.errors import RunFailed
from alpaca_focus.core.values import Measurement, Sample

NIGHT = datetime(2026, 1, 1, 22, tzinfo=UTC)


def run_of(
    rng: np.random.Generator, *, slope_in: float, slope_out: float, least: float = 3.0, vertex: float = 5000.0
) -> list[Sample]:
    samples = []
    for position in np.linspace(vertex - 220, vertex + 220, 9):
        slope = slope_in if position < vertex else slope_out
        value = math.hypot(least * (1 + 0.05 * rng.normal()), slope * (position - vertex)) * (1 + 0.01 * rng.normal())
        measurement = Measurement(metric="hfd", value=value, stderr=0.01 * value, star_count=30)
        samples.append(Sample(position=round(position), measurement=measurement, purpose="sweep"))
    return samples


def learn(samples: list[Sample], before: LearnedCurve | None = None) -> LearnedCurve:
    return learn_curve(samples, fit_hyperbola(samples), before=before, temperature_c=7.5, learned_at=NIGHT)


def test_one_run_teaches_slopes_minimum_and_position(rng: np.random.Generator) -> None:
    profile = learn(run_of(rng, slope_in=0.05, slope_out=0.05))
    assert profile.slope_in == pytest.approx(0.05, rel=0.08)
    assert profile.slope_out == pytest.approx(0.05, rel=0.08)
    assert profile.least == pytest.approx(3.0, rel=0.18)
    assert profile.best_position == pytest.approx(5000, abs=10)
    assert (profile.runs, profile.temperature_c, profile.learned_at) == (1, 7.5, NIGHT)


def test_different_arms_in_one_run_have_little_weight(rng: np.random.Generator) -> None:
    """The vertex and the ratio of the slopes are poorly separated by one curve, and a wrong ratio moves later runs."""
    ratios = []
    for _ in range(20):
        profile = learn(run_of(rng, slope_in=0.05, slope_out=0.05))
        ratios.append(profile.slope_out / profile.slope_in)
    assert float(np.std(ratios)) < 0.01
    profile = learn(run_of(rng, slope_in=0.05, slope_out=0.058))
    assert 1.0 < profile.slope_out / profile.slope_in < 1.16


def test_the_error_of_the_slopes_is_honest_and_falls_with_the_runs(rng: np.random.Generator) -> None:
    once = [learn(run_of(rng, slope_in=0.05, slope_out=0.05)) for _ in range(60)]
    off = np.array([profile.slope_in / 0.05 - 1 for profile in once])
    claimed = float(np.mean([profile.slope_error for profile in once]))
    # The claim allows for seeing that scatters twice as much as it does here.
    assert 0.2 < float(off.std()) / claimed < 1.3
    profile = once[0]
    for _ in range(20):
        profile = learn(run_of(rng, slope_in=0.05, slope_out=0.05), profile)
    assert profile.slope_error < once[0].slope_error
    assert profile.slope_error >= 0.01
    assert profile.slope_in == pytest.approx(0.05, rel=0.03)


def test_the_position_is_the_latest_one(rng: np.random.Generator) -> None:
    before = learn(run_of(rng, slope_in=0.05, slope_out=0.05))
    after = learn(run_of(rng, slope_in=0.05, slope_out=0.05, vertex=5300.0), before)
    assert after.best_position == pytest.approx(5300, abs=10)
    fit = replace(fit_hyperbola(run_of(rng, slope_in=0.05, slope_out=0.05)), best_position=4321.0)
    again = move_learned_focus(after, (), fit, temperature_c=1.0, learned_at=NIGHT)
    assert (again.best_position, again.temperature_c) == (4321.0, 1.0)
    assert (again.slope_in, again.runs) == (after.slope_in, after.runs)


def test_one_arm_teaches_nothing(rng: np.random.Generator) -> None:
    samples = run_of(rng, slope_in=0.05, slope_out=0.05)
    fit = fit_hyperbola(samples)
    with pytest.raises(RunFailed, match="arm"):
        learn_curve(samples[:5], fit, before=None, temperature_c=None, learned_at=NIGHT)


def test_a_sweep_gets_what_it_needs() -> None:
    profile = LearnedCurve(
        slope_in=0.05,
        slope_out=0.06,
        slope_error=0.02,
        least=3.0,
        best_position=5000.0,
        temperature_c=None,
        learned_at=NIGHT,
        runs=3,
    )
    assert profile.known_curve().expected_position == 5000.0
    assert profile.known_curve(expected_position=5100.0).expected_position == 5100.0
    assert profile.known_curve().slope_out == 0.06
