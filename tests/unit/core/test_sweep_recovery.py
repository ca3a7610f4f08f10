"""A sweep whose settings or knowledge are wrong: a ruined frame, lost steps, clouds, unknown optics."""

import contextlib
import math
from dataclasses import replace

import numpy as np
import pytest

from alpaca_focus.core.errors import RunFailed
from alpaca_focus.core.sweep.backlash import Backlash, Direction
from alpaca_focus.core.sweep.generator import sweep
from alpaca_focus.core.sweep.plan import SweepProgress, SweepSettings
from alpaca_focus.core.values import Measurement, Subframe
from tests.fakes import SETTINGS, FakeFocuser, FakeSky, Walked, known_curve, walk_through

ZONE = SETTINGS.critical_focus_zone_steps


@pytest.fixture
def focuser() -> FakeFocuser:
    return FakeFocuser()


@pytest.fixture
def sky(focuser: FakeFocuser, rng: np.random.Generator) -> FakeSky:
    return FakeSky(focuser, rng)


def spoil(sky: FakeSky, frame: int, factor: float) -> None:
    """Make the stars of one frame larger."""
    real = sky.measurement

    def measurement() -> Measurement:
        measured = real()
        return replace(measured, value=factor * measured.value) if sky.frames == frame else measured

    sky.measurement = measurement  # type: ignore[method-assign]


@pytest.mark.parametrize("frame", [1, 2, 3])
def test_one_ruined_frame_of_a_pair_is_detected(focuser: FakeFocuser, sky: FakeSky, frame: int) -> None:
    spoil(sky, frame, 1.6)
    walked = walk_through(focuser, sky, replace(SETTINGS, known=known_curve(sky)))
    assert abs(focuser.tube - sky.best_tube) < 0.3 * ZONE
    assert len(walked.result.samples) <= 14


@pytest.mark.parametrize("frame", range(2, 8))
def test_one_ruined_frame_of_a_full_curve_does_no_harm(focuser: FakeFocuser, sky: FakeSky, frame: int) -> None:
    spoil(sky, frame, 1.35)
    walk_through(focuser, sky)
    assert abs(focuser.tube - sky.best_tube) < 0.4 * ZONE


@pytest.mark.parametrize("arrive", Direction)
def test_lost_steps_are_detected_corrected_and_noted(focuser: FakeFocuser, sky: FakeSky, arrive: Direction) -> None:
    focuser.backlash = 400
    sky.best_tube = focuser.start + 500.0
    settings = replace(SETTINGS, backlash=Backlash(steps=100, arrive=arrive), retries=1)
    walked = walk_through(focuser, sky, settings)
    assert abs(focuser.tube - sky.best_tube) < ZONE
    notes = [note for note in walked.progress.notes if "steps at a reversal" in note]
    assert bool(notes) <= walked.result.doubtful


def test_the_backlash_is_estimated_from_the_frame_that_missed(focuser: FakeFocuser, sky: FakeSky) -> None:
    focuser.backlash = 300
    sky.seeing_scatter, sky.error = 0.0, 0.002
    sky.best_tube = focuser.start + 400.0
    walked = walk_through(focuser, sky, replace(SETTINGS, backlash=Backlash(steps=75, arrive=Direction.OUT)))
    assert abs(focuser.tube - sky.best_tube) < ZONE / 4
    assert walked.result.doubtful
    (note,) = walked.progress.notes
    assert 250 < float(note.split("lose ")[1].split()[0]) < 350


def test_a_bad_curve_is_tried_again_from_the_start(focuser: FakeFocuser, sky: FakeSky) -> None:
    real = sky.measurement

    def measurement() -> Measurement:
        measured = real()
        clouded = sky.frames <= 5
        return replace(measured, usable=False, value=math.nan, reason="no stars found") if clouded else measured

    sky.measurement = measurement  # type: ignore[method-assign]
    with pytest.raises(RunFailed, match="No frame could be used"):
        walk_through(focuser, sky)
    focuser.motor, focuser.tube, sky.frames = focuser.start, float(focuser.start), 0
    walked = walk_through(focuser, sky, replace(SETTINGS, retries=1))
    assert abs(focuser.tube - sky.best_tube) < ZONE / 2
    assert walked.progress.notes[0].startswith("Attempt 1 of 2 failed: No frame could be used")
    # Between the attempts the focuser was where it had started.
    assert focuser.start in walked.moves


def test_used_up_exposures_are_not_tried_again(focuser: FakeFocuser, sky: FakeSky) -> None:
    with pytest.raises(RunFailed, match="gave up after 7 exposures"):
        walk_through(focuser, sky, replace(SETTINGS, retries=2, max_exposures=7))
    assert sky.frames == 7


@pytest.mark.parametrize("offset", [-2600, -900, -150, 0, 80, 400, 1700])
@pytest.mark.parametrize("reciprocal", [False, True])
def test_focus_is_found_with_unknown_optics(focuser: FakeFocuser, sky: FakeSky, offset: int, reciprocal: bool) -> None:
    sky.best_tube = focuser.start + offset
    real = sky.measurement

    def signal() -> Measurement:
        width = real()
        error = width.stderr / width.value
        value = 900.0 / width.value
        return replace(width, metric="nsig", value=value, stderr=error * value, lower_is_better=False, unit="ADU/s")

    if reciprocal:
        sky.measurement = signal  # type: ignore[method-assign]
    walked = walk_through(focuser, sky, replace(SETTINGS, slope_per_step=None, least=None))
    assert abs(focuser.tube - sky.best_tube) < ZONE / 2
    assert len(walked.result.samples) <= 24
    assert walked.result.fit.model == ("hyperbola of the reciprocal" if reciprocal else "hyperbola")


def test_a_dark_camera_ends_the_search_without_optics(focuser: FakeFocuser, sky: FakeSky) -> None:
    sky.clouds_from_frame = 1
    with pytest.raises(RunFailed):
        walk_through(focuser, sky, replace(SETTINGS, slope_per_step=None, least=None))


def exposures(walked: Walked) -> list[float]:
    return [settings.exposure_s for settings in walked.exposures]


def few_stars(sky: FakeSky, flag: str) -> None:
    real = sky.measurement

    def measurement() -> Measurement:
        measured = real()
        return replace(measured, star_count=2, stderr=0.1 * measured.value, flags={flag: 9})

    sky.measurement = measurement  # type: ignore[method-assign]


@pytest.mark.parametrize(("flag", "expected_s"), [("saturated", 0.5), ("faint", 6.0), ("blended", 2.0)])
def test_the_exposure_is_changed_once_for_few_stars(
    focuser: FakeFocuser, sky: FakeSky, flag: str, expected_s: float
) -> None:
    few_stars(sky, flag)
    walked = Walked()
    with contextlib.suppress(RunFailed):
        walk_through(focuser, sky, walked=walked)
    assert exposures(walked)[0] == 2.0
    assert set(exposures(walked)[1:]) == {expected_s}


def test_an_exposure_stays_within_what_the_camera_takes(focuser: FakeFocuser, sky: FakeSky) -> None:
    few_stars(sky, "faint")
    walked = Walked()
    with contextlib.suppress(RunFailed):
        walk_through(focuser, sky, replace(SETTINGS, exposure_limits_s=(0.1, 2.0)), walked=walked)
    assert set(exposures(walked)) == {2.0}


def test_after_the_first_frame_only_its_good_part_is_read_if_that_is_wanted(focuser: FakeFocuser, sky: FakeSky) -> None:
    part = Subframe(x=10, y=20, width=300, height=200)
    real = sky.measurement
    sky.measurement = lambda: replace(real(), region=part)  # type: ignore[method-assign]
    whole = walk_through(focuser, sky)
    assert {settings.subframe for settings in whole.exposures} == {None}
    focuser.motor, focuser.tube = focuser.start, float(focuser.start)
    partly = walk_through(focuser, sky, replace(SETTINGS, subframe=True))
    assert [settings.subframe for settings in partly.exposures] == [None] + [part] * (len(partly.exposures) - 1)


def test_clouds_are_spoken_of_when_the_stars_lose_their_light(focuser: FakeFocuser, sky: FakeSky) -> None:
    real = sky.measurement
    sky.measurement = lambda: replace(  # type: ignore[method-assign]
        real(), details={"transmission": 0.2 if sky.frames == 4 else 1.0}
    )
    walked = walk_through(focuser, sky)
    assert walked.progress.notes == ["Clouds: the stars lost up to 80 % of their light."]


def test_the_next_move_begins_before_the_frame_is_measured(focuser: FakeFocuser, sky: FakeSky) -> None:
    settings: SweepSettings = replace(SETTINGS, known=known_curve(sky))
    walked = walk_through(focuser, sky, settings)
    assert walked.early_moves >= 2
    assert len(walked.result.samples) <= 5


def test_a_closed_plan_yields_nothing_more(focuser: FakeFocuser) -> None:
    plan = sweep(SETTINGS, focuser.start, SweepProgress())
    plan.send(None)
    plan.close()
