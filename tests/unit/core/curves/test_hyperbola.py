import math

import numpy as np
import pytest

from alpaca_focus.core.curves.hyperbola import fit_hyperbola
from alpaca_focus.core.errors import RunFailed
from alpaca_focus.core.values import Measurement, Sample


def sample(position: float, value: float, stderr: float = 0.02, *, usable: bool = True) -> Sample:
    measurement = Measurement(metric="hfd", value=value, stderr=stderr, usable=usable)
    return Sample(position=round(position), measurement=measurement, purpose="sweep")


def curve(vertex: float, *, least: float = 2.5, slope: float = 0.04, positions: list[int]) -> list[Sample]:
    return [sample(x, math.hypot(least, slope * (x - vertex))) for x in positions]


def test_a_clean_curve_gives_its_own_parameters() -> None:
    fit = fit_hyperbola(curve(25013.4, positions=list(range(24800, 25250, 50))))
    assert fit.best_position == pytest.approx(25013.4, abs=0.01)
    assert fit.best_value == pytest.approx(2.5, abs=0.001)
    assert fit.parameters["slope"] == pytest.approx(0.04, abs=1e-5)
    assert fit.r_squared > 0.9999
    assert fit.rejected == ()


@pytest.mark.parametrize("bad", range(9))
@pytest.mark.parametrize("factor", [0.5, 1.35, 3.0])
def test_one_bad_frame_does_not_move_the_result(bad: int, factor: float) -> None:
    samples = curve(25013.4, positions=list(range(24800, 25250, 50)))
    clean = fit_hyperbola(samples)
    samples[bad] = sample(samples[bad].position, samples[bad].measurement.value * factor)
    fit = fit_hyperbola(samples)
    assert fit.best_position == pytest.approx(clean.best_position, abs=8)


def test_an_outlier_is_named_and_an_unusable_frame_is_not_counted() -> None:
    samples = curve(25013.4, positions=list(range(24800, 25250, 50)))
    samples.insert(0, sample(24750, math.nan, math.nan, usable=False))
    samples[3] = sample(samples[3].position, samples[3].measurement.value * 2)
    fit = fit_hyperbola(samples)
    assert fit.rejected == (3,)
    assert math.isnan(fit.residuals[0])
    assert fit.residuals[3] == pytest.approx(samples[3].measurement.value / 2, rel=0.01)


def test_points_very_far_from_focus_take_no_part() -> None:
    near = curve(25000, positions=list(range(24800, 25250, 50)))
    far = sample(26500, 40.0)
    assert fit_hyperbola([*near, far]).best_position == pytest.approx(fit_hyperbola(near).best_position, abs=0.01)
    assert fit_hyperbola([*near, far]).rejected == (len(near),)


def test_a_vertex_outside_the_points_is_still_found_with_a_larger_error() -> None:
    fit = fit_hyperbola(curve(25400, positions=list(range(24800, 25250, 50))))
    inside = fit_hyperbola(curve(25013, positions=list(range(24800, 25250, 50))))
    assert fit.best_position == pytest.approx(25400, abs=20)
    assert fit.best_position_stderr > inside.best_position_stderr


def test_standard_error_covers_the_truth(rng: np.random.Generator) -> None:
    """Frames with the scatter that the weights assume: about 68 % of the truths lie within one standard error."""
    within, runs = 0, 150
    for _ in range(runs):
        samples = []
        for x in range(24800, 25250, 50):
            seeing = 2.5 * (1 + 0.10 * rng.normal())
            value = math.hypot(seeing, 0.04 * (x - 25013.4)) * (1 + 0.0224 * rng.normal())
            samples.append(sample(x, value, 0.02 * value))
        fit = fit_hyperbola(samples)
        within += abs(fit.best_position - 25013.4) < fit.best_position_stderr
    assert 0.55 < within / runs < 0.90


def test_too_few_positions_are_refused_in_a_sentence() -> None:
    with pytest.raises(RunFailed, match="at least 4 positions with a usable frame, and there are 3"):
        fit_hyperbola(curve(25000, positions=[24900, 25000, 25100, 25100]))


def test_a_hill_is_not_a_v() -> None:
    hill = [sample(x, 10 - math.hypot(2.5, 0.04 * (x - 25000))) for x in range(24800, 25250, 50)]
    with pytest.raises(RunFailed, match="do not form a V"):
        fit_hyperbola(hill)


@pytest.mark.parametrize(
    "values", [(96, 93, 99, 102, 106, 101), (95, 108, 101, 91, 100, 94), (99, 99, 105, 94, 104, 95)]
)
def test_a_fit_through_a_flat_row_does_not_pretend_to_know_the_position(values: tuple[float, ...]) -> None:
    # The standard error was 1e-11 steps, or the root of a negative variance.
    samples = [sample(20000 + 300 * index, value, 3.0) for index, value in enumerate(values)]
    assert fit_hyperbola(samples).best_position_stderr > 5000
