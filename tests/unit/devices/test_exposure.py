from collections.abc import Callable

import pytest
from alpaca.camera import CameraStates

from alpaca_focus.devices.exposure import ExposureProgress, ExposureRules, ExposureWatch

RULES = ExposureRules()
IDLE, EXPOSING = CameraStates.cameraIdle, CameraStates.cameraExposing
DOWNLOAD, ERROR = CameraStates.cameraDownload, CameraStates.cameraError


def follow(
    exposure_s: float,
    is_ready: Callable[[float], bool],
    state: Callable[[float], CameraStates | None] = lambda _: IDLE,
    *,
    was_ready_before: bool = False,
) -> tuple[ExposureProgress, float]:
    watch = ExposureWatch(exposure_s, 0.0, RULES, was_ready_before=was_ready_before)
    now_s = 0.0
    while now_s < 1000.0:
        now_s += watch.next_poll_in_s(now_s)
        verdict = watch.update(state(now_s), now_s, is_ready=is_ready(now_s))
        if verdict is not ExposureProgress.UNDER_WAY:
            return verdict, now_s
    raise AssertionError("the exposure was never judged")


def test_a_frame_is_ready_when_the_camera_reports_it_after_the_exposure() -> None:
    verdict, now_s = follow(10.0, lambda t: t > 10.3)
    assert verdict is ExposureProgress.READY
    assert now_s == pytest.approx(10.3, abs=0.15)


def test_a_stale_ready_is_not_believed_during_the_exposure() -> None:
    verdict, now_s = follow(10.0, lambda t: t < 1.0 or t > 12.0, was_ready_before=True)
    assert verdict is ExposureProgress.READY
    assert now_s > 12.0


def test_a_stale_ready_is_not_believed_after_a_very_short_exposure() -> None:
    verdict, now_s = follow(0.01, lambda t: t < 0.2 or t > 1.0, was_ready_before=True)
    assert verdict is ExposureProgress.READY
    assert now_s > 1.0


def test_a_camera_that_is_always_ready_is_believed_in_the_end() -> None:
    verdict, now_s = follow(1.0, lambda _: True, was_ready_before=True)
    assert verdict is ExposureProgress.READY
    assert now_s == pytest.approx(1.0 + RULES.stale_s, abs=0.15)


def test_a_state_that_stays_at_download_does_no_harm() -> None:
    assert follow(2.0, lambda t: t > 2.5, lambda _: DOWNLOAD)[0] is ExposureProgress.READY


def test_a_state_that_makes_no_sense_does_no_harm() -> None:
    assert follow(2.0, lambda t: t > 2.5, lambda _: None)[0] is ExposureProgress.READY


def test_idle_without_a_frame_is_waited_for() -> None:
    assert follow(2.0, lambda t: t > 3.4)[0] is ExposureProgress.READY


def test_idle_without_a_frame_for_long_is_a_lost_exposure() -> None:
    verdict, now_s = follow(2.0, lambda _: False)
    assert verdict is ExposureProgress.LOST
    assert now_s == pytest.approx(2.0 + RULES.idle_timeout_s, abs=0.2)


def test_a_large_frame_on_a_slow_computer_is_waited_for() -> None:
    assert follow(2.0, lambda t: t > 16.0)[0] is ExposureProgress.READY


def test_the_idle_time_counts_from_the_first_such_reading() -> None:
    verdict, now_s = follow(2.0, lambda _: False, lambda t: IDLE if t < 1.0 or t > 20.0 else EXPOSING)
    assert verdict is ExposureProgress.LOST
    assert now_s == pytest.approx(20.0 + RULES.idle_timeout_s, abs=0.3)


def test_whether_image_ready_was_false_is_remembered() -> None:
    watch = ExposureWatch(1.0, 0.0, RULES, was_ready_before=True)
    watch.update(IDLE, 0.1, is_ready=True)
    assert not watch.was_unready
    watch.update(IDLE, 0.2, is_ready=False)
    watch.update(IDLE, 1.2, is_ready=True)
    assert watch.was_unready
    assert ExposureWatch(1.0, 0.0, RULES, was_ready_before=False).was_unready


def test_an_error_that_stays_is_a_failure() -> None:
    assert follow(2.0, lambda _: False, lambda t: ERROR if t > 1.0 else EXPOSING)[0] is ExposureProgress.FAILED


def test_one_stale_error_is_not() -> None:
    assert follow(2.0, lambda t: t > 2.0, lambda t: ERROR if t < 1.5 else IDLE)[0] is ExposureProgress.READY


def test_a_frame_that_never_comes_is_overdue() -> None:
    verdict, now_s = follow(2.0, lambda _: False, lambda _: EXPOSING)
    assert verdict is ExposureProgress.OVERDUE
    assert now_s == pytest.approx(2.0 + RULES.readout_timeout_s, abs=0.15)
