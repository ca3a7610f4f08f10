"""Focus by one frame of rings: two exposures where it goes well, a pair where it does not."""

from dataclasses import replace

import numpy as np
import pytest

from alpaca_focus.core.curves.hyperbola import fit_hyperbola
from alpaca_focus.core.curves.known_curve import RingOffset
from alpaca_focus.core.curves.ring_mode import FEWEST_SWEEPS, is_calibrated, learn_ring_offset
from alpaca_focus.core.sweep.plan import SweepSettings
from alpaca_focus.core.values import Measurement
from tests.fakes import SETTINGS, FakeFocuser, FakeSky, known_curve, walk_through

ZONE = SETTINGS.critical_focus_zone_steps
OFFSET = RingOffset(steps=0.0, variance=4.0, sweeps=3)


@pytest.fixture
def focuser() -> FakeFocuser:
    return FakeFocuser()


@pytest.fixture
def sky(focuser: FakeFocuser, rng: np.random.Generator) -> FakeSky:
    return with_rings(FakeSky(focuser, rng))


def with_rings(sky: FakeSky, *, wrong_by: float = 0.0, from_frame: int = 1) -> FakeSky:
    """Let the frames tell their distance from focus, but for a constant."""
    real = sky.measurement

    def measurement() -> Measurement:
        measured = real()
        away = abs(sky.focuser.tube - sky.best_tube) - wrong_by + sky.rng.normal(0, 1.0)
        details = {"ring_defocus_steps": away, "ring_stderr_steps": 1.0}
        return replace(measured, details=details) if sky.frames >= from_frame else measured

    sky.measurement = measurement  # type: ignore[method-assign]
    return sky


def by_rings(sky: FakeSky, *, off: float = 0.0, offset: RingOffset | None = OFFSET) -> SweepSettings:
    return replace(SETTINGS, by_rings=True, known=replace(known_curve(sky, off=off), ring_in=offset, ring_out=offset))


@pytest.mark.parametrize("off", [-40.0, 0.0, 100.0])
def test_two_exposures_do(focuser: FakeFocuser, sky: FakeSky, off: float) -> None:
    walked = walk_through(focuser, sky, by_rings(sky, off=off))
    assert [sample.purpose for sample in walked.result.samples] == ["ring", "verify"]
    assert abs(focuser.tube - sky.best_tube) < 0.1 * ZONE
    assert walked.result.fit.best_position_stderr == pytest.approx(np.hypot(1, 2))


def test_the_constant_is_added(focuser: FakeFocuser, rng: np.random.Generator) -> None:
    sky = with_rings(FakeSky(focuser, rng), wrong_by=15.0)
    walk_through(focuser, sky, by_rings(sky, offset=replace(OFFSET, steps=15.0)))
    assert abs(focuser.tube - sky.best_tube) < 0.1 * ZONE


@pytest.mark.parametrize("offset", [None, replace(OFFSET, sweeps=FEWEST_SWEEPS - 1), replace(OFFSET, variance=400.0)])
def test_without_a_good_calibration_a_pair_is_taken(
    focuser: FakeFocuser, sky: FakeSky, offset: RingOffset | None
) -> None:
    walked = walk_through(focuser, sky, by_rings(sky, offset=offset))
    assert "pair" in [sample.purpose for sample in walked.result.samples]
    assert abs(focuser.tube - sky.best_tube) < 0.3 * ZONE


def test_a_frame_without_usable_rings_is_followed_by_a_pair(focuser: FakeFocuser, rng: np.random.Generator) -> None:
    sky = with_rings(FakeSky(focuser, rng), from_frame=2)
    walked = walk_through(focuser, sky, by_rings(sky))
    assert [sample.purpose for sample in walked.result.samples[:3]] == ["ring", "pair", "pair"]
    assert abs(focuser.tube - sky.best_tube) < 0.3 * ZONE


@pytest.mark.parametrize("wrong_by", [-120.0, 120.0])
def test_rings_that_contradict_the_sizes_are_not_believed(
    focuser: FakeFocuser, rng: np.random.Generator, wrong_by: float
) -> None:
    sky = with_rings(FakeSky(focuser, rng), wrong_by=wrong_by)
    walked = walk_through(focuser, sky, by_rings(sky))
    assert abs(focuser.tube - sky.best_tube) < 0.4 * ZONE
    assert len(walked.result.samples) > 2


def test_it_is_not_the_default(focuser: FakeFocuser, sky: FakeSky) -> None:
    walked = walk_through(focuser, sky, replace(by_rings(sky), by_rings=False))
    assert walked.result.samples[0].purpose == "pair"


def test_sweeps_teach_the_constant_of_each_side(focuser: FakeFocuser, rng: np.random.Generator) -> None:
    offset = None
    for _ in range(FEWEST_SWEEPS):
        assert not is_calibrated(offset)
        focuser.motor, focuser.tube = focuser.start, float(focuser.start)
        sky = with_rings(FakeSky(focuser, rng), wrong_by=20.0)
        samples = walk_through(focuser, sky).result.samples
        offset = learn_ring_offset(offset, samples, fit_hyperbola(samples), 1)
    assert is_calibrated(offset)
    assert offset is not None
    assert offset.steps == pytest.approx(20.0, abs=5 * offset.variance**0.5 + 1)
    assert learn_ring_offset(offset, (), fit_hyperbola(samples), 1) is offset
