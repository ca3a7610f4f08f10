"""The sweep against a formula: a plan's actions are carried out on a fake focuser under a fake sky."""

import contextlib
import math
from dataclasses import replace

import numpy as np
import pytest

from alpaca_focus.core.errors import RunFailed
from alpaca_focus.core.sweep.backlash import ApproachMethod, Backlash, Direction
from alpaca_focus.core.sweep.plan import SweepResult, SweepSettings
from alpaca_focus.core.values import Measurement
from tests.fakes import SETTINGS, FakeFocuser, FakeSky, known_curve, walk_through


def carry_out(focuser: FakeFocuser, sky: FakeSky, settings: SweepSettings = SETTINGS) -> tuple[SweepResult, list[int]]:
    walked = walk_through(focuser, sky, settings)
    return walked.result, walked.moves


@pytest.fixture
def focuser() -> FakeFocuser:
    return FakeFocuser()


@pytest.fixture
def sky(focuser: FakeFocuser, rng: np.random.Generator) -> FakeSky:
    return FakeSky(focuser, rng)


@pytest.mark.parametrize("offset", [-2500, -800, -300, -40, 0, 60, 300, 1500, 2500])
@pytest.mark.parametrize("arrive", Direction)
def test_focus_is_found_from_both_sides_near_and_far(
    focuser: FakeFocuser, sky: FakeSky, offset: int, arrive: Direction
) -> None:
    sky.best_tube = focuser.start + offset
    result, moves = carry_out(focuser, sky, replace(SETTINGS, backlash=Backlash(steps=120, arrive=arrive)))
    assert abs(focuser.tube - sky.best_tube) < SETTINGS.critical_focus_zone_steps / 2
    assert moves[-1] == result.position
    assert len(result.samples) <= 16


def test_every_frame_is_taken_with_the_backlash_on_the_same_side(focuser: FakeFocuser, sky: FakeSky) -> None:
    gaps = set()
    real = sky.measurement

    def watched() -> Measurement:
        gaps.add(focuser.tube - focuser.motor)
        return real()

    sky.measurement = watched  # type: ignore[method-assign]
    carry_out(focuser, sky)
    assert gaps == {focuser.backlash}


def test_the_absolute_method_needs_no_overshoot(focuser: FakeFocuser, sky: FakeSky) -> None:
    focuser.tube = float(focuser.start + focuser.backlash)
    backlash = Backlash(steps=focuser.backlash, arrive=Direction.IN, method=ApproachMethod.ABSOLUTE)
    result, moves = carry_out(focuser, sky, replace(SETTINGS, backlash=backlash))
    assert abs(focuser.tube - sky.best_tube) < SETTINGS.critical_focus_zone_steps / 2
    assert len(moves) <= len(result.samples)


def test_a_wrong_slope_of_the_optics_is_survived(focuser: FakeFocuser, sky: FakeSky) -> None:
    sky.best_tube = focuser.start + 900
    for factor in (0.5, 2.0):
        focuser.motor, focuser.tube = focuser.start, float(focuser.start)
        carry_out(focuser, sky, replace(SETTINGS, slope_per_step=0.0376 * factor))
        assert abs(focuser.tube - sky.best_tube) < SETTINGS.critical_focus_zone_steps


def test_a_start_without_stars_is_left_for_a_position_with_some(focuser: FakeFocuser, sky: FakeSky) -> None:
    real = sky.hfd_px
    sky.best_tube = focuser.start + 2600

    def blind_far_out() -> Measurement:
        value = real()
        if value > 60:
            return Measurement(metric="hfd", value=math.nan, stderr=math.nan, usable=False, reason="no stars found")
        return Measurement(metric="hfd", value=value, stderr=0.01 * value, star_count=30)

    sky.measurement = blind_far_out  # type: ignore[method-assign]
    carry_out(focuser, sky)
    assert abs(focuser.tube - sky.best_tube) < SETTINGS.critical_focus_zone_steps / 2


def test_clouds_from_the_first_frame_are_named(focuser: FakeFocuser, sky: FakeSky) -> None:
    sky.clouds_from_frame = 1
    with pytest.raises(RunFailed, match=r"No frame could be used, neither at the start, position 25000 \(no stars"):
        carry_out(focuser, sky)


def test_clouds_at_the_verification_fail_the_run(focuser: FakeFocuser, sky: FakeSky) -> None:
    result, _ = carry_out(focuser, sky)
    focuser.motor, focuser.tube = focuser.start, float(focuser.start)
    sky.frames, sky.clouds_from_frame = 0, len(result.samples)
    with pytest.raises(RunFailed, match="verification at position"):
        carry_out(focuser, sky)


def test_focus_behind_a_limit_is_refused_in_a_sentence(focuser: FakeFocuser, sky: FakeSky) -> None:
    sky.best_tube = 100.0
    focuser.start = focuser.motor = 400
    focuser.tube = 400.0
    with pytest.raises(RunFailed, match="too close to the limit of the focuser at 0"):
        carry_out(focuser, sky)


def test_exposures_never_pass_the_number_allowed(focuser: FakeFocuser, sky: FakeSky) -> None:
    sky.seeing_scatter = 0.6
    settings = replace(SETTINGS, max_exposures=15)
    with contextlib.suppress(RunFailed):
        carry_out(focuser, sky, settings)
    assert sky.frames <= 15


def test_too_little_backlash_compensation_is_caught_or_harmless(focuser: FakeFocuser, sky: FakeSky) -> None:
    """With an overshoot of half the backlash some moves lose steps; the run ends near focus or fails."""
    focuser.backlash = 300
    sky.best_tube = focuser.start + 900.0
    failure = ""
    try:
        carry_out(focuser, sky, replace(SETTINGS, backlash=Backlash(steps=100, arrive=Direction.IN)))
    except RunFailed as error:
        failure = str(error)
    near = abs(focuser.tube - sky.best_tube) < 2 * SETTINGS.critical_focus_zone_steps
    assert near or "verification" in failure


@pytest.mark.parametrize("arrive", Direction)
@pytest.mark.parametrize("off", [-60.0, 0.0, 60.0])
def test_a_known_curve_needs_a_pair_and_a_frame_to_verify(
    focuser: FakeFocuser, sky: FakeSky, off: float, arrive: Direction
) -> None:
    backlash = Backlash(steps=120, arrive=arrive)
    settings = replace(SETTINGS, backlash=backlash, known=known_curve(sky, off=off))
    result, _ = carry_out(focuser, sky, settings)
    assert [sample.purpose for sample in result.samples[:2]] == ["pair", "pair"]
    assert len(result.samples) <= 5
    assert result.fit.model == "known hyperbola"
    assert abs(focuser.tube - sky.best_tube) < 0.3 * SETTINGS.critical_focus_zone_steps


@pytest.mark.parametrize("off", [-1500.0, -400.0, 400.0, 1500.0])
def test_a_known_curve_far_from_where_it_was_expected_still_comes_home(
    focuser: FakeFocuser, sky: FakeSky, off: float
) -> None:
    result, _ = carry_out(focuser, sky, replace(SETTINGS, known=known_curve(sky, off=off)))
    assert abs(focuser.tube - sky.best_tube) < SETTINGS.critical_focus_zone_steps / 2
    assert len(result.samples) < 20


def test_a_wrong_known_curve_is_detected(focuser: FakeFocuser, sky: FakeSky) -> None:
    """The slopes of another telescope: the curve is taken anew."""
    wrong = replace(known_curve(sky), slope_in=0.09, slope_out=0.02)
    carry_out(focuser, sky, replace(SETTINGS, known=wrong))
    assert abs(focuser.tube - sky.best_tube) < SETTINGS.critical_focus_zone_steps
