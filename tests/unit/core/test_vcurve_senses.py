"""Curves of metrics that are no widths: NSIG, better when higher, and InvPower, which goes as an area."""

import math
from dataclasses import replace

import numpy as np
import pytest

from alpaca_focus.core.curves.curve_models import curve_value
from alpaca_focus.core.curves.hyperbola import fit_hyperbola
from alpaca_focus.core.errors import RunFailed
from alpaca_focus.core.values import Measurement, Sample

POSITIONS = tuple(range(9300, 9620, 30))


def nsig(position: float) -> float:
    return 1600 / math.hypot(4, 0.05 * (position - 9458))


def sample(position: int, value: float, stderr: float = 4.0) -> Sample:
    measurement = Measurement(metric="nsig", value=value, stderr=stderr, unit="", lower_is_better=False)
    return Sample(position=position, measurement=measurement, purpose="sweep")


def test_a_signal_comes_back_in_its_own_values() -> None:
    fit = fit_hyperbola([sample(x, nsig(x)) for x in POSITIONS])
    assert fit.best_position == pytest.approx(9458, abs=0.01)
    assert fit.best_value == pytest.approx(400, rel=1e-3)
    assert fit.model == "hyperbola of the reciprocal"
    assert curve_value(9300, fit) == pytest.approx(nsig(9300), rel=1e-3)
    assert fit.residuals == pytest.approx([0] * len(POSITIONS), abs=0.5)
    assert fit.r_squared > 0.999


def test_residuals_of_a_signal_are_measured_minus_fitted() -> None:
    samples = [sample(x, nsig(x)) for x in POSITIONS]
    samples[3] = sample(POSITIONS[3], nsig(POSITIONS[3]) * 0.6)
    fit = fit_hyperbola(samples)
    assert fit.rejected == (3,)
    assert fit.residuals[3] == pytest.approx(-0.4 * nsig(POSITIONS[3]), rel=0.02)
    assert fit.best_position == pytest.approx(9458, abs=2)


@pytest.mark.parametrize("lost", [0.0, -12.0, 1.0])
def test_a_signal_lost_in_the_sky_is_left_out(lost: float) -> None:
    samples = [sample(x, nsig(x)) for x in POSITIONS]
    samples[0] = sample(POSITIONS[0], lost)
    fit = fit_hyperbola(samples)
    assert fit.rejected == (0,)
    assert math.isnan(fit.residuals[0])
    assert fit.best_position == pytest.approx(9458, abs=0.1)


def test_no_signal_at_all_is_no_curve() -> None:
    with pytest.raises(RunFailed, match="there are 0"):
        fit_hyperbola([sample(x, 0.0) for x in POSITIONS])


def test_a_signal_that_is_least_in_the_middle_has_no_best() -> None:
    with pytest.raises(RunFailed, match="do not form a V"):
        fit_hyperbola([sample(x, math.hypot(4, 0.05 * (x - 9458))) for x in POSITIONS])


def test_errors_are_propagated_so_that_the_unit_does_not_matter(rng: np.random.Generator) -> None:
    samples = [sample(x, nsig(x) * (1 + 0.02 * rng.normal()), 0.02 * nsig(x)) for x in POSITIONS]
    widths = [
        replace(
            each,
            measurement=Measurement(
                metric="width",
                value=1600 / each.measurement.value,
                stderr=1600 * each.measurement.stderr / each.measurement.value**2,
            ),
        )
        for each in samples
    ]
    signal, width = fit_hyperbola(samples), fit_hyperbola(widths)
    assert signal.best_position == pytest.approx(width.best_position, abs=0.05)
    assert signal.best_position_stderr == pytest.approx(width.best_position_stderr, rel=0.01)
    assert signal.best_value == pytest.approx(1600 / width.best_value, rel=1e-3)


def test_inverse_power_is_a_parabola() -> None:
    def area(position: float) -> float:
        return 1e-9 * (16 + (0.05 * (position - 9430)) ** 2)

    samples = [
        replace(each, measurement=Measurement(metric="invpower", value=area(each.position), stderr=1e-11, unit=""))
        for each in (sample(x, 1.0) for x in POSITIONS)
    ]
    fit = fit_hyperbola(samples)
    assert fit.model == "hyperbola of the square root"
    assert fit.best_position == pytest.approx(9430, abs=0.01)
    assert fit.best_value == pytest.approx(1.6e-8, rel=1e-3)
    assert curve_value(9300, fit) == pytest.approx(area(9300), rel=1e-3)


def test_one_bad_point_in_a_hundred_is_rejected() -> None:
    samples = [sample(x, nsig(x)) for x in range(9300, 9620, 3)]
    samples[40] = sample(samples[40].position, samples[40].measurement.value * 0.5)
    assert fit_hyperbola(samples).rejected == (40,)
