"""Focus from few frames on a curve that is known, against the formula it was drawn from."""

import math

import numpy as np
import pytest

from alpaca_focus.core.curves.known_curve import KnownCurve, fit_known_curve
from alpaca_focus.core.errors import RunFailed
from alpaca_focus.core.values import Measurement, Sample

CURVE = KnownCurve(slope_in=0.05, slope_out=0.05, slope_error=0.02, least=3.0, expected_position=5000.0)
BLUR_STEPS = CURVE.least / CURVE.slope_in
"""Defocus whose blur is as large as the seeing's."""
CURVES = 300


def sample(position: float, value: float, stderr: float = 0.01) -> Sample:
    measurement = Measurement(metric="hfd", value=value, stderr=stderr, star_count=20)
    return Sample(position=round(position), measurement=measurement, purpose="pair")


def exact(position: float, vertex: float, *, least: float = 3.0, slope: float = 0.05) -> Sample:
    return sample(position, math.hypot(least, slope * (round(position) - vertex)))


@pytest.mark.parametrize("least", [2.0, 3.0, 5.0])
@pytest.mark.parametrize("vertex", [4960.0, 5000.0, 5071.5])
def test_a_pair_finds_the_vertex_whatever_the_seeing(vertex: float, least: float) -> None:
    fit = fit_known_curve([exact(4820, vertex, least=least), exact(5180, vertex, least=least)], CURVE)
    assert fit.best_position == pytest.approx(vertex, abs=2.0)
    assert abs(fit.best_value - least) < 2 * fit.parameters["least_stderr"] + 0.05


def test_two_frames_on_one_arm_give_the_side_of_focus() -> None:
    fit = fit_known_curve([exact(5400, 5000), exact(5250, 5000)], CURVE)
    assert fit.best_position == pytest.approx(5000, abs=25)
    fit = fit_known_curve([exact(4600, 5000), exact(4750, 5000)], CURVE)
    assert fit.best_position == pytest.approx(5000, abs=25)


def test_arms_of_different_steepness_are_taken_as_they_are() -> None:
    curve = KnownCurve(slope_in=0.05, slope_out=0.06, slope_error=0.02, least=3.0, expected_position=5000.0)
    fit = fit_known_curve([exact(4820, 5020), exact(5200, 5020, slope=0.06)], curve)
    assert fit.best_position == pytest.approx(5020, abs=1.0)


def test_the_standard_error_is_honest(rng: np.random.Generator) -> None:
    sigmas, errors = [], []
    for _ in range(CURVES):
        vertex = 5000 + rng.uniform(-60, 60)
        least = 3.0 * math.exp(rng.normal(0, 0.25))
        slope, ratio = 0.05 * (1 + 0.02 * rng.normal()), math.exp(0.02 * rng.normal())
        frames = []
        for position in (5000 - 3 * BLUR_STEPS, 5000 + 3 * BLUR_STEPS):
            seeing = least * (1 + 0.1 * rng.normal())
            arm = slope * ratio ** (0.5 if position > vertex else -0.5)
            value = math.hypot(seeing, arm * (position - vertex)) * (1 + 0.01 * rng.normal())
            frames.append(sample(position, value, 0.01 * value))
        fit = fit_known_curve(frames, CURVE)
        sigmas.append(abs(fit.best_position - vertex) / fit.best_position_stderr)
        errors.append((fit.best_position - vertex) / BLUR_STEPS)
    print(f"within one sigma {np.mean(np.array(sigmas) < 1):.2f}, rms {np.std(errors):.3f} of the blur's depth")
    assert 0.6 < np.mean(np.array(sigmas) < 1) < 0.9
    assert np.mean(np.array(sigmas) < 2) > 0.92
    assert np.std(errors) < 0.08


def test_one_position_is_not_enough() -> None:
    with pytest.raises(RunFailed, match="two positions"):
        fit_known_curve([exact(5100, 5000), exact(5100, 5000)], CURVE)


def test_frames_that_are_not_usable_take_no_part() -> None:
    lost = Sample(
        position=5050,
        measurement=Measurement(metric="hfd", value=math.nan, stderr=math.nan, usable=False, reason="no stars"),
        purpose="pair",
    )
    fit = fit_known_curve([exact(4820, 5000), lost, exact(5180, 5000)], CURVE)
    assert fit.best_position == pytest.approx(5000, abs=2)
    assert math.isnan(fit.residuals[1])
