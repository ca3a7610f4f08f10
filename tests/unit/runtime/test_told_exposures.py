"""Exposures that are told: they keep the camera until their end, and no longer than a dead script may."""

from dataclasses import replace

import pytest
import structlog
from structlog.testing import capture_logs

from alpaca_focus.runtime import told_exposures
from alpaca_focus.runtime.told_exposures import LONGEST_UNTOLD_S, SPARE_S, ToldCameraWatch, ToldExposure, ToldExposures
from tests.fakes import FakeClock
from tests.night_scene import FakeCameraWatch, played


@pytest.fixture(autouse=True)
def _fresh_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(told_exposures, "_log", structlog.get_logger())


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def told(clock: FakeClock) -> ToldExposures:
    return ToldExposures(clock)


def test_an_exposure_has_the_camera_until_its_end(told: ToldExposures) -> None:
    assert not told.busy
    exposure = ToldExposure(seconds=60.0, dark=True)
    told.begin(exposure, download_s=30.0)
    assert told.busy
    assert told.end() == exposure
    assert not told.busy


def test_an_end_without_a_begin_is_a_light_frame(told: ToldExposures) -> None:
    assert told.end() == ToldExposure(seconds=None, dark=False)


@pytest.mark.parametrize(("seconds", "lasts_s"), [(300.0, 300.0 + 30.0 + SPARE_S), (None, LONGEST_UNTOLD_S)])
def test_a_script_that_died_is_told_once(
    told: ToldExposures, clock: FakeClock, seconds: float | None, lasts_s: float
) -> None:
    exposure = ToldExposure(seconds=seconds)
    told.begin(exposure, download_s=30.0)
    with capture_logs() as log:
        clock.now_s = lasts_s - 1
        assert told.busy
        clock.now_s = lasts_s
        assert [told.busy for _ in range(3)] == [False] * 3
        assert told.end() == exposure
    assert [line["log_level"] for line in log] == ["warning"]
    told.begin(exposure, download_s=30.0)
    assert told.busy


def test_the_watch_goes_by_both_and_counts_no_images(told: ToldExposures) -> None:
    camera = FakeCameraWatch()
    watch = ToldCameraWatch(camera, told)

    async def look() -> None:
        assert not (await watch.activity()).busy
        told.begin(ToldExposure(), download_s=30.0)
        activity = await watch.activity()
        assert (activity.busy, activity.images, activity.free) == (True, 0, True)
        told.end()
        camera.shown = replace(camera.shown, busy=True, exposure_started="22:01", exposure_s=60.0)
        activity = await watch.activity()
        assert (activity.busy, activity.images) == (True, 0)
        assert watch.name == camera.name

    played(look)
