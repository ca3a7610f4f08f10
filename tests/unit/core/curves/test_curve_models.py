"""Curves by name: each finds the vertex with an honest error, and no bad frame moves it far."""

import math
from dataclasses import replace

import numpy as np
import pytest

from alpaca_focus.core.curves.curve_models import CurveModel, curve_value, fit_curve
from alpaca_focus.core.errors import RunFailed
from alpaca_focus.core.values import Fit, Measurement, Sample

VERTEX, LEAST, SLOPE = 8000.0, 2.5, 0.04
WIDTH_STEPS = LEAST / SLOPE
"""Distance at which the blur of defocus is that of the seeing."""
SETTLED = 1e-3


def sample(position: float, value: float, error: float = 0.01, **kind: object) -> Sample:
    measurement = Measurement(metric="hfd", value=value, stderr=error * value, star_count=40)
    return Sample(position=round(position), measurement=replace(measurement, **kind), purpose="sweep")  # type: ignore[arg-type]


def drawn_curve(
    rng: np.random.Generator, *, points: int = 11, scatter: float = 0.10, unequal: float = 1.0, shift: float = 0.0
) -> list[Sample]:
    """A V of that many points, from 3.5 widths inside to 3.5 outside, under seeing that scatters."""
    samples = []
    for position in VERTEX + shift + np.linspace(-3.5, 3.5, points) * WIDTH_STEPS:
        slope = SLOPE * (unequal if position > VERTEX else 1.0)
        width = math.hypot(LEAST * (1 + scatter * rng.normal()), slope * (round(position) - VERTEX))
        samples.append(sample(position, width * (1 + 0.01 * rng.normal())))
    return samples


@pytest.mark.parametrize("model", CurveModel)
def test_each_curve_finds_the_vertex_within_its_error(model: CurveModel, rng: np.random.Generator) -> None:
    away, errors = [], []
    for _ in range(120):
        fit = fit_curve(drawn_curve(rng, shift=rng.uniform(-0.5, 0.5) * WIDTH_STEPS), model)
        away.append(fit.best_position - VERTEX)
        errors.append(fit.best_position_stderr)
    assert abs(np.mean(away)) < 0.03 * WIDTH_STEPS
    assert np.std(away) < 0.12 * WIDTH_STEPS
    covered = np.mean(np.abs(away) < 1.96 * np.array(errors))
    assert covered > 0.85
    # An error bar that always covers is none: it must not be many times too large.
    assert np.median(errors) < 4 * np.std(away)


@pytest.mark.parametrize("model", CurveModel)
@pytest.mark.parametrize("ruined", range(11))
def test_one_bad_frame_does_not_move_the_result(model: CurveModel, ruined: int, rng: np.random.Generator) -> None:
    good = drawn_curve(rng, scatter=0.02)
    measured = good[ruined].measurement
    bad = list(good)
    bad[ruined] = replace(good[ruined], measurement=replace(measured, value=1.6 * measured.value))
    moved = fit_curve(bad, model).best_position - fit_curve(good, model).best_position
    assert abs(moved) < 0.25 * WIDTH_STEPS


def test_unequal_arms_pull_the_equal_hyperbola_and_not_the_unequal_one(rng: np.random.Generator) -> None:
    curves = [drawn_curve(rng, scatter=0.0, unequal=1.15) for _ in range(11)]
    pairs = [(fit_curve(samples), fit_curve(samples, CurveModel.UNEQUAL)) for samples in curves]
    equal_away = np.median([abs(equal.best_position - VERTEX) for equal, _ in pairs])
    unequal_away = np.median([abs(unequal.best_position - VERTEX) for _, unequal in pairs])
    assert unequal_away < 0.1 * WIDTH_STEPS
    assert equal_away > 2 * unequal_away
    ratios = [unequal.parameters["slope_out"] / unequal.parameters["slope_in"] for _, unequal in pairs]
    assert np.median(ratios) == pytest.approx(1.15, rel=0.05)
    assert all(unequal.r_squared > equal.r_squared for equal, unequal in pairs)


@pytest.mark.parametrize("model", [CurveModel.HYPERBOLA, CurveModel.UNEQUAL, CurveModel.MEAN])
def test_a_signal_and_an_area_are_fitted_by_their_widths(model: CurveModel, rng: np.random.Generator) -> None:
    widths = drawn_curve(rng, scatter=0.0)

    def turned(each: Sample, metric: str, power: float, *, lower: bool) -> Sample:
        value = 100 * each.measurement.value**power
        return sample(each.position, value, 0.01 * abs(power), metric=metric, lower_is_better=lower)

    signal = fit_curve([turned(each, "nsig", -1.0, lower=False) for each in widths], model)
    area = fit_curve([turned(each, "invpower", 2.0, lower=True) for each in widths], model)
    assert signal.model == f"{model} of the reciprocal"
    assert area.model == f"{model} of the square root"
    for fit, power in ((signal, -1.0), (area, 2.0)):
        assert abs(fit.best_position - VERTEX) < 0.2 * WIDTH_STEPS
        assert curve_value(VERTEX + 150, fit) == pytest.approx(100 * math.hypot(LEAST, SLOPE * 150) ** power, rel=0.08)


@pytest.mark.parametrize("model", CurveModel)
def test_the_drawn_curve_goes_through_its_residuals(model: CurveModel, rng: np.random.Generator) -> None:
    samples = drawn_curve(rng)
    fit: Fit = fit_curve(samples, model)
    for each, residual in zip(samples, fit.residuals, strict=True):
        assert each.measurement.value - curve_value(each.position, fit) == pytest.approx(residual, abs=SETTLED)
    assert curve_value(fit.best_position, fit) == pytest.approx(fit.best_value)


def test_an_arm_without_points_has_no_trend_line() -> None:
    samples = [sample(VERTEX + k * 30, math.hypot(LEAST, SLOPE * k * 30)) for k in (-1, 0, 1, 2, 3, 4, 5)]
    with pytest.raises(RunFailed, match="arm on the inside has too few frames"):
        fit_curve(samples, CurveModel.TREND_LINES)


def test_too_few_points_for_unequal_arms_are_refused() -> None:
    samples = [sample(VERTEX + k * 60, math.hypot(LEAST, SLOPE * k * 60)) for k in (-2, -1, 1, 2)]
    with pytest.raises(RunFailed, match="at least 5 positions"):
        fit_curve(samples, CurveModel.UNEQUAL)
