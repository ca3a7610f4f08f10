"""Reported exposures keep the camera until their end, and no longer than a dead script may."""

import pytest
import structlog
from structlog.testing import capture_logs

from alpaca_focus.night import reported_exposures
from alpaca_focus.night.reported_exposures import LONGEST_UNKNOWN_S, SPARE_S, ReportedExposure, ReportedExposures
from tests.fakes import FakeClock


@pytest.fixture(autouse=True)
def _fresh_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reported_exposures, "_log", structlog.get_logger())


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def reported(clock: FakeClock) -> ReportedExposures:
    return ReportedExposures(clock)


def test_an_exposure_has_the_camera_until_its_end(reported: ReportedExposures) -> None:
    assert not reported.busy
    exposure = ReportedExposure(seconds=60.0, dark=True)
    reported.begin(exposure, download_s=30.0)
    assert reported.busy
    assert reported.end() == exposure
    assert not reported.busy


def test_an_end_without_a_begin_is_a_light_frame(reported: ReportedExposures) -> None:
    assert reported.end() == ReportedExposure(seconds=None, dark=False)


@pytest.mark.parametrize(("seconds", "lasts_s"), [(300.0, 300.0 + 30.0 + SPARE_S), (None, LONGEST_UNKNOWN_S)])
def test_a_script_that_died_is_logged_once(
    reported: ReportedExposures, clock: FakeClock, seconds: float | None, lasts_s: float
) -> None:
    exposure = ReportedExposure(seconds=seconds)
    reported.begin(exposure, download_s=30.0)
    with capture_logs() as log:
        clock.now_s = lasts_s - 1
        assert reported.busy
        clock.now_s = lasts_s
        assert [reported.busy for _ in range(3)] == [False] * 3
        assert reported.end() == exposure
    assert [line["log_level"] for line in log] == ["warning"]
    reported.begin(exposure, download_s=30.0)
    assert reported.busy
