"""A scheduler through nights of a few numbers, on a clock that only moves on request."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs
from structlog.typing import EventDict

from alpaca_focus.core.errors import ConfigurationError, DeviceMisbehaved, DeviceUnreachable, StorageError
from alpaca_focus.core.night.compensation import CompensationSettings
from alpaca_focus.core.night.state import ADVICE, CorrectionMove, History, PierSide, Plan
from alpaca_focus.core.night.triggers import AfterImages, AfterTime, FilterChange, TemperatureChange, meridian_flip
from alpaca_focus.core.sweep.backlash import Backlash, Direction
from alpaca_focus.core.values import Light, Outcome
from alpaca_focus.night import run_outcomes
from alpaca_focus.night import scheduler as scheduler_module
from alpaca_focus.night.scheduler import RefocusScheduler
from alpaca_focus.night.state_store import save_state
from alpaca_focus.ports import CameraActivity
from alpaca_focus.run.restore_marker import RestoreMarker
from tests.night_scene import CLOUDS, Scene, night_settings, played

FOLLOWING = CompensationSettings(steps_per_c=30.0)


def test_a_refocus_asked_for_comes_after_the_running_exposure() -> None:
    scene = Scene(night_settings())

    async def night() -> None:
        await scene.poll()
        scene.camera.shown = replace(scene.camera.shown, busy=True)
        scene.scheduler.requests.refocus()
        await scene.poll(3)
        assert scene.runs == []
        assert scene.scheduler.decision is not None
        assert scene.scheduler.decision.blocked_by == ("exposure running",)
        scene.camera.shown = replace(scene.camera.shown, busy=False)
        await scene.poll(3)
        assert scene.runs == ["asap"]

    played(night)


def test_images_of_the_plan_count_and_test_shots_do_not() -> None:
    scene = Scene(night_settings(AfterImages(3)))

    async def night() -> None:
        await scene.poll()
        for exposure_s in (60.0, 2.0, 60.0, 5.0):
            await scene.image(exposure_s)
        assert (scene.scheduler.state.history.images, scene.runs) == (2, [])
        scene.scheduler.requests.report_plan(Plan.DARK)
        await scene.image()
        scene.scheduler.requests.report_plan(Plan.LIGHT)
        assert (scene.scheduler.state.history.images, scene.runs) == (2, [])
        await scene.image()
        assert scene.runs == ["images"]
        assert scene.scheduler.state.history.images == 0

    played(night)


def test_a_decision_before_an_exposure_knows_its_images_and_requests_and_polls_no_device() -> None:
    scene = Scene(night_settings(AfterImages(2)))
    scene.program_images = 0
    scheduler = scene.new_scheduler()

    def decided(images: int) -> tuple[int, bool]:
        scene.program_images = images
        scheduler.decide_before_exposure()
        return scheduler.state.history.images, scheduler.wants_gap

    async def night() -> None:
        assert decided(0) == (0, False)
        await scene.poll()
        scene.camera.shown = replace(scene.camera.shown, busy=True)
        await scene.poll()
        scene.camera.is_gone = scene.mount.is_gone = True
        assert [decided(images) for images in (1, 0, 1, 0)] == [(1, False), (1, False), (2, True), (2, True)]
        scene.camera.is_gone = scene.mount.is_gone = False
        scene.camera.shown = replace(scene.camera.shown, busy=False)
        scene.outcomes = [Outcome.FOCUSED]
        await scene.poll()
        assert (scene.runs, decided(0)) == (["images"], (0, False))
        scheduler.requests.refocus()
        assert decided(1) == (1, True)
        scheduler.requests.pause()
        assert decided(1) == (2, False)

    played(night)


def test_reported_images_are_not_counted_twice() -> None:
    scene = Scene(night_settings(AfterImages(9)))

    async def night() -> None:
        await scene.poll()
        for _ in range(3):
            scene.scheduler.requests.report_image(2.5)
            await scene.image()
        assert scene.scheduler.state.history.images == 3
        assert scene.scheduler.state.history.hfds_px == (2.5, 2.5, 2.5)

    played(night)


def test_any_refocus_restarts_all_counts() -> None:
    scene = Scene(night_settings(AfterImages(5), AfterTime(3600.0)))

    async def night() -> None:
        await scene.poll()
        assert scene.runs == ["time"]
        for _ in range(5):
            await scene.image()
        assert scene.runs == ["time", "images"]
        assert scene.scheduler.state.history.since_s < 60

    played(night)


def test_failed_runs_wait_longer_and_longer() -> None:
    scene = Scene(night_settings(AfterTime(3600.0)))
    scene.outcomes = [CLOUDS, Outcome.RESTORED, CLOUDS]

    async def night() -> None:
        await scene.poll()
        begun = [scene.clock.now_s]
        while len(scene.runs) < 4:
            count = len(scene.runs)
            await scene.poll()
            if len(scene.runs) > count:
                begun.append(scene.clock.now_s)
        waits = [after - before for before, after in pairwise(begun)]
        assert waits == [pytest.approx(each, abs=45) for each in (630, 1230, 2430)]
        assert scene.scheduler.state.history.failures == 0

    played(night)


def test_pause_keeps_everything_and_does_nothing() -> None:
    scene = Scene(night_settings(AfterImages(1), compensation=FOLLOWING))

    async def night() -> None:
        scene.scheduler.requests.pause()
        await scene.image()
        await scene.image()
        scene.thermometer.reading_c = 3.0
        await scene.poll(20)
        assert (scene.runs, scene.focuser.moves) == ([], [])
        scene.scheduler.requests.resume()
        await scene.poll()
        assert scene.runs == ["images"]

    played(night)


def test_the_focuser_follows_the_temperature_between_exposures() -> None:
    scene = Scene(night_settings(compensation=FOLLOWING))

    async def night() -> None:
        await scene.poll(6)
        scene.camera.shown = replace(scene.camera.shown, busy=True)
        scene.thermometer.reading_c = 4.0
        await scene.poll(6)
        assert scene.focuser.motor == 25000
        scene.camera.shown = replace(scene.camera.shown, busy=False)
        await scene.poll(6)
        assert scene.focuser.motor == 24970
        scene.thermometer.reading_c = 5.0
        await scene.poll(6)
        # Outward against the direction of arrival: past the place and back, so that the tube stands where it did.
        assert scene.focuser.motor == 25000
        assert scene.focuser.moves[-2:] == [25100, 25000]

    played(night)


def test_no_correction_is_made_while_the_guider_settles_after_a_dither() -> None:
    scene = Scene(night_settings(compensation=FOLLOWING))

    async def play() -> None:
        await scene.poll(6)
        scene.guider.dithering = True
        scene.thermometer.reading_c = 4.0
        await scene.poll(8)
        assert scene.focuser.motor == 25000
        assert scene.scheduler.state.unfinished_move is None
        scene.guider.dithering = False
        await scene.poll(2)
        assert scene.focuser.motor == 24970
        assert scene.guider.moves == 1

    played(play)


def test_compensation_that_is_switched_off_does_not_make_up_for_the_time_without_it(tmp_path: Path) -> None:
    scene = Scene(night_settings(compensation=FOLLOWING), tmp_path)

    async def night() -> None:
        await scene.poll(6)
        scene.thermometer.reading_c = 4.0
        await scene.poll(6)
        assert scene.focuser.motor == 24970
        assert "is off until" in scene.scheduler.requests.switch_compensation(on=False)
        scene.thermometer.reading_c = 2.0
        await scene.poll(6)
        scene.new_scheduler()
        assert not scene.scheduler.state.follows
        scene.thermometer.reading_c = 1.0
        await scene.poll(6)
        assert scene.focuser.motor == 24970
        assert "from the present position" in scene.scheduler.requests.switch_compensation(on=True)
        await scene.poll(6)
        assert scene.focuser.motor == 24970
        scene.thermometer.reading_c = 0.0
        await scene.poll(6)
        assert scene.focuser.motor == 24940
        scene.new_scheduler()
        assert scene.scheduler.state.follows

    played(night)


def test_compensation_stays_off_until_the_next_night_too(tmp_path: Path) -> None:
    scene = Scene(night_settings(compensation=FOLLOWING), tmp_path)

    async def night() -> None:
        await scene.poll()
        scene.scheduler.requests.switch_compensation(on=False)
        scene.clock.now_s += 20 * 3600
        scene.new_scheduler()
        assert not scene.scheduler.state.follows

    played(night)


def test_compensation_that_the_settings_do_not_ask_for_cannot_be_switched_on() -> None:
    scene = Scene(night_settings())

    async def night() -> None:
        await scene.poll()
        assert not scene.scheduler.requests.can_compensate
        assert scene.scheduler.requests.switch_compensation(on=False) == "The compensation is off, by the settings."
        with pytest.raises(ConfigurationError, match=r"Set compensation\.enabled"):
            scene.scheduler.requests.switch_compensation(on=True)
        assert scene.scheduler.state.follows

    played(night)


def test_begin_and_end_of_what_it_does_are_reported_and_light_frames() -> None:
    scene = Scene(night_settings())

    async def night() -> None:
        doing: list[str] = []
        lights: list[Light] = []
        dependencies = replace(
            scene.scheduler._dependencies, changed=lambda: doing.append(scene.scheduler.doing), light=lights.append
        )
        scene.scheduler = RefocusScheduler(dependencies, scene.settings)
        scene.scheduler.requests.refocus()
        await scene.poll()
        assert doing == ["a focus run", ""]
        scene.scheduler.requests.report_hfd(2.5, None)
        assert [(light.hfd_px, light.position) for light in lights] == [(2.5, scene.focuser.motor)]

    played(night)


def test_a_correction_beyond_the_limits_stops_with_the_reason() -> None:
    limited = replace(FOLLOWING, most_steps=50)
    scene = Scene(night_settings(compensation=limited))

    async def night() -> None:
        await scene.poll(6)
        for reading_c in (4.0, 3.0, 2.0, 1.0):
            scene.thermometer.reading_c = reading_c
            await scene.poll(6)
        assert scene.focuser.motor == 24970
        assert "most_steps" in scene.scheduler.state.compensated.stopped
        scene.scheduler.requests.refocus()
        await scene.poll()
        assert scene.scheduler.state.compensated.stopped == ""

    played(night)


def test_the_devices_own_compensation_never_fights_ours() -> None:
    scene = Scene(night_settings(compensation=FOLLOWING))
    scene.focuser.compensating = True

    async def night() -> None:
        await scene.poll(6)
        scene.thermometer.reading_c = 4.0
        await scene.poll(6)
        assert scene.focuser.motor == 24970
        assert not scene.focuser.compensating

    played(night)


def test_a_filter_with_a_known_offset_is_followed_without_a_refocus() -> None:
    scene = Scene(night_settings(FilterChange(), AfterImages(50), offsets_steps={"L": 0, "Ha": 25}))

    async def night() -> None:
        scene.scheduler.requests.refocus()
        await scene.poll()
        await scene.image()
        scene.wheel.now = 1
        await scene.poll(3)
        assert (scene.runs, scene.focuser.motor) == (["asap"], 25025)
        scene.wheel.now = 0
        await scene.poll(3)
        assert (scene.runs, scene.focuser.motor) == (["asap"], 25000)

    played(night)


def test_a_filter_without_a_known_offset_is_refocused() -> None:
    scene = Scene(night_settings(FilterChange(), offsets_steps={"L": 0}))

    async def night() -> None:
        scene.scheduler.requests.refocus()
        await scene.poll()
        await scene.image()
        scene.wheel.now = 1
        await scene.poll(3)
        assert (scene.runs, scene.focuser.motor) == (["asap", "filter"], 25000)

    played(night)


@pytest.mark.parametrize("answer", ["refocus", "abort", None])
def test_a_filter_changed_by_hand_is_asked_about(answer: str | None) -> None:
    scene = Scene(night_settings(FilterChange(ask_s=60.0, by_hand=True)))

    async def night() -> None:
        await scene.poll()
        scene.scheduler.requests.report_plan(Plan.IDLE)
        scene.wheel.now = 1
        await scene.poll(2)
        assert scene.runs == []
        if answer == "refocus":
            scene.scheduler.requests.refocus()
        elif answer == "abort":
            assert "by hand" in scene.scheduler.abort()
        await scene.poll(8)
        assert bool(scene.runs) is (answer != "abort")

    played(night)


def test_a_flip_is_refocused_once() -> None:
    scene = Scene(night_settings(meridian_flip))

    async def night() -> None:
        await scene.poll()
        scene.mount.shown = replace(scene.mount.shown, pier_side=PierSide.WEST, slewing=True)
        await scene.poll(3)
        assert scene.runs == []
        scene.mount.shown = replace(scene.mount.shown, slewing=False)
        await scene.poll(5)
        assert scene.runs == ["flip"]

    played(night)


def test_an_unsafe_or_silent_observatory_waits() -> None:
    scene = Scene(night_settings(AfterTime(600.0)))

    async def night() -> None:
        scene.safety.is_gone = True
        await scene.poll(3)
        scene.safety.is_gone, scene.mount.is_gone = False, True
        await scene.poll(3)
        scene.mount.is_gone, scene.camera.is_gone = False, True
        await scene.poll(3)
        assert scene.runs == []
        assert set(scene.scheduler.state.history.ignored) == {
            "safety unknown: the monitor does not answer",
            "no answer from telescope 0 (fake)",
            "no answer from camera 0 (fake)",
        }
        scene.camera.is_gone = False
        await scene.poll()
        assert scene.runs == ["time"]

    played(night)


def test_an_abort_brings_the_run_to_an_end_and_waits() -> None:
    scene = Scene(night_settings(AfterTime(600.0)))

    async def night() -> None:
        scene.clock.now_s += 10
        await scene.scheduler.tick()
        await asyncio.sleep(0)
        assert scene.scheduler.doing == "a focus run"
        assert "aborted" in scene.scheduler.abort()
        await scene.poll(5)
        assert len(scene.runs) == 1
        assert scene.scheduler.outcomes.last_run is not None
        assert scene.scheduler.outcomes.last_run.outcome == "aborted"
        assert scene.scheduler.abort() == "There is nothing to abort."

    played(night)


def test_a_run_that_is_aborted_before_its_first_step_has_ended_too() -> None:
    scene = Scene(night_settings(AfterTime(600.0)))

    async def night() -> None:
        scene.clock.now_s += 10
        await scene.scheduler.tick()
        assert "aborted" in scene.scheduler.abort()
        assert await scene.scheduler.at_rest(5.0)
        assert scene.scheduler.doing == ""
        assert scene.runs == []
        assert scene.scheduler.outcomes.last_run is not None
        assert scene.scheduler.outcomes.last_run.outcome == "aborted"
        await scene.poll(70)
        assert scene.runs == ["time"]

    played(night)


def test_after_an_internal_error_the_triggers_wait_and_the_night_continues() -> None:
    scene = Scene(night_settings(AfterTime(600.0)))
    scene.outcomes = [ZeroDivisionError("a bug")]

    async def night() -> None:
        await scene.poll(70)
        assert len(scene.runs) == 2
        assert scene.scheduler.outcomes.last_run is not None
        assert scene.scheduler.outcomes.last_run.outcome == "focused"

    played(night)


def test_a_poll_that_no_device_answers_is_no_progress() -> None:
    scene = Scene(night_settings())
    devices = (scene.camera, scene.focuser, scene.mount, scene.wheel, scene.thermometer, scene.safety)

    async def night() -> None:
        await scene.poll(3)
        assert scene.scheduler.progress == 3
        for device in devices:
            device.is_gone = True
        await scene.poll(3)
        assert scene.scheduler.progress == 3
        scene.wheel.is_gone = False
        await scene.poll(3)
        assert scene.scheduler.progress == 6

    played(night)


# Beside an imaging program


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[EventDict]]:
    for module in (scheduler_module, run_outcomes):
        monkeypatch.setattr(module, "_log", structlog.get_logger())
    with capture_logs() as log:
        yield log


async def image_without_a_gap(scene: Scene, number: int) -> None:
    """Let the imaging program go on to its next frame between two polls."""
    scene.camera.shown = CameraActivity(busy=True, preparing=False, exposure_started=f"image {number}", exposure_s=60.0)
    await scene.poll(6)


def test_an_imaging_program_that_leaves_no_gap_is_logged_once_a_night(tmp_path: Path, log: list[EventDict]) -> None:
    scene = Scene(night_settings(AfterTime(3600.0), watches_for_gaps=True), tmp_path)

    def advices() -> int:
        return sum(line["event"] == ADVICE for line in log)

    async def night() -> None:
        for number in range(4):
            assert advices() == 0
            if number == 2:
                scene.new_scheduler()
            await image_without_a_gap(scene, number)
        # One poll of the new scheduler does not know whether the image is another one.
        await image_without_a_gap(scene, 4)
        assert (advices(), scene.runs) == (1, [])
        scene.camera.shown = replace(scene.camera.shown, busy=False)
        await scene.poll(1)
        assert scene.runs == ["time"]
        scene.new_scheduler()
        for number in range(80):
            await image_without_a_gap(scene, 10 + number)
        assert scene.scheduler.decision is not None
        assert scene.scheduler.decision.due
        assert advices() == 1
        assert scene.scheduler.state.history.gaps.is_advised

    played(night)


@pytest.mark.parametrize(("watches", "safe"), [(True, False), (False, True)])
def test_no_gap_is_wanted_where_something_else_holds_it_up_or_the_exposures_are_reported(
    watches: bool, safe: bool, log: list[EventDict]
) -> None:
    scene = Scene(night_settings(AfterTime(3600.0), watches_for_gaps=watches))

    async def night() -> None:
        scene.safety.safe = safe
        for number in range(8):
            await image_without_a_gap(scene, number)
        assert all(line["event"] != ADVICE for line in log)

    played(night)


def test_a_gap_that_was_too_short_is_no_failed_run_but_a_second_one_is(log: list[EventDict]) -> None:
    scene = Scene(night_settings(AfterTime(600.0), watches_for_gaps=True))
    scene.taken_runs = 2

    async def night() -> None:
        await scene.poll()
        history, ended = scene.scheduler.state.history, scene.scheduler.outcomes.runs_ended
        assert (scene.runs, history.failures, history.hold_s, ended) == (["time"], 0, 0.0, 0)
        assert sum(line["event"] == ADVICE for line in log) == 1
        await scene.poll()
        history = scene.scheduler.state.history
        assert (len(scene.runs), history.failures, scene.scheduler.outcomes.runs_ended) == (2, 1, 1)
        await scene.poll(70)
        assert scene.scheduler.state.history.gaps.lost_gaps == 0
        assert sum(line["event"] == ADVICE for line in log) == 1

    played(night)


def test_the_camera_is_lent_after_what_is_due() -> None:
    scene = Scene(night_settings(AfterTime(600.0)))

    def take() -> None:
        scene.camera.shown = replace(scene.camera.shown, busy=True)

    async def night() -> None:
        scene.clock.now_s += 10
        assert await scene.scheduler.lend_camera(take, for_light=False) == ""
        scene.camera.shown = replace(scene.camera.shown, busy=False)
        assert await scene.scheduler.lend_camera(take) == "a focus run"
        assert await scene.scheduler.lend_camera(take, for_light=False) == "a focus run"
        assert await scene.scheduler.lend_camera(take) == "a focus run"
        assert not scene.camera.shown.busy
        await scene.scheduler.at_rest()
        assert await scene.scheduler.lend_camera(take) == ""
        assert scene.camera.shown.busy
        await scene.poll(100)
        assert scene.runs == ["time"]

    played(night)


def test_a_keeper_that_stops_begins_nothing_more() -> None:
    scene = Scene(night_settings(AfterTime(600.0)))

    async def night() -> None:
        await scene.scheduler.stop(1.0)
        assert await scene.scheduler.lend_camera(lambda: None) == ""
        await scene.poll(3)
        assert scene.runs == []

    played(night)


@pytest.mark.parametrize(
    "when_cancelled", [None, Outcome.STRANDED, DeviceUnreachable("focuser", "The focuser does not answer.")]
)
def test_an_orderly_stop_during_a_run_is_no_failure_and_keeps_what_is_due(
    tmp_path: Path, when_cancelled: Outcome | Exception | None
) -> None:
    scene = Scene(night_settings(AfterImages(2)), tmp_path)

    async def night() -> None:
        history = await stopped_during_a_run(scene, when_cancelled)
        assert (history.asap, history.images, history.hold_s, history.failures) == (True, 2, 0.0, 0)
        await scene.poll()
        assert scene.runs == ["asap, images"] * 2
        assert not scene.scheduler.state.history.asap

    played(night)


def test_a_run_that_ends_well_during_the_stop_counts(tmp_path: Path) -> None:
    scene = Scene(night_settings(AfterImages(2)), tmp_path)

    async def night() -> None:
        history = await stopped_during_a_run(scene, Outcome.FOCUSED)
        assert (history.asap, history.images, history.baseline is not None) == (False, 0, True)

    played(night)


async def stopped_during_a_run(scene: Scene, when_cancelled: Outcome | Exception | None) -> History:
    """Stop the scheduler in the middle of a run, and return the history that the next one begins with."""
    await scene.poll()
    for _ in range(2):
        scene.scheduler.requests.report_image(None)
    scene.scheduler.requests.refocus()
    scene.is_hanging, scene.when_cancelled = True, when_cancelled
    await scene.scheduler.tick()
    await asyncio.sleep(0)
    assert scene.scheduler.doing == "a focus run"
    assert await scene.scheduler.stop(8.0)
    scene.is_hanging = False
    return scene.new_scheduler().state.history


def test_a_reported_filter_counts_where_no_wheel_can_be_asked_and_survives_a_crash(tmp_path: Path) -> None:
    scene = Scene(night_settings(FilterChange()), tmp_path)
    scene.has_wheel = False
    scene.new_scheduler()

    async def night() -> None:
        scene.scheduler.requests.report_filter("L")
        scene.scheduler.requests.refocus()
        await scene.poll()
        assert scene.scheduler.state.history.filter_name == "L"
        # Long after the last exposure, and still it is the script that has changed it.
        await scene.poll(120)
        scene.scheduler.requests.report_filter("Ha")
        scene.new_scheduler()
        await scene.poll()
        assert scene.runs == ["asap", "filter"]
        assert scene.scheduler.state.history.filter_name == "Ha"
        scene.has_wheel = True
        scene.new_scheduler()
        await scene.poll()
        assert scene.scheduler.state.history.filter_name == "L"

    played(night)


# Moves of the imaging program, where they are compensated


def moving_scene(directory: Path | None = None, **settings: Any) -> Scene:
    scene = Scene(night_settings(compensates_program=True, **settings), directory)
    scene.focuser.tube = scene.focuser.start + 40.0
    return scene


def test_the_programs_moves_arrive_from_the_side_of_a_run_with_its_overshoot() -> None:
    scene = moving_scene()

    async def night() -> None:
        assert not await scene.scheduler.move_for_program(25100)
        await scene.poll()
        stands = []
        for target in (25100, 25050, 25000, 25060, 25060):
            scene.scheduler.program_moves()
            assert await scene.scheduler.move_for_program(target)
            stands.append(scene.focuser.tube - target)
            scene.scheduler.program_has_moved(target)
        # Always the same slack; without the reversals it is not taken up anew.
        assert set(stands) == {80.0}
        assert scene.focuser.moves == [25300, 25100, 25050, 25000, 25260, 25060]
        baseline = scene.scheduler.state.history.baseline
        assert (baseline and baseline.position, scene.scheduler.state.unfinished_move) == (25060, None)

    played(night)


@pytest.mark.parametrize(("target", "legs"), [(59950, [60000, 59950]), (60001, None)])
def test_the_programs_moves_are_held_to_the_limits(target: int, legs: list[int] | None) -> None:
    scene = moving_scene()

    async def night() -> None:
        await scene.poll()
        assert await scene.scheduler.move_for_program(target) is (legs is not None)
        assert scene.focuser.moves == (legs or [])

    played(night)


@pytest.mark.parametrize(
    "setting", [{"compensates_program": False}, {"backlash": Backlash(steps=0, arrive=Direction.IN)}]
)
def test_without_the_setting_or_a_backlash_the_programs_moves_are_passed_on(setting: dict[str, Any]) -> None:
    scene = Scene(night_settings(**({"compensates_program": True} | setting)))

    async def night() -> None:
        await scene.poll()
        assert (scene.scheduler.compensates_program, await scene.scheduler.move_for_program(25100)) == (False, False)

    played(night)


def test_the_programs_move_that_a_kill_cuts_off_past_its_target_is_finished_by_the_next_start(tmp_path: Path) -> None:
    scene = moving_scene(tmp_path)

    async def night() -> None:
        await scene.poll()
        scene.scheduler.program_moves()
        # Killed after the first leg.
        scene.focuser.fails = [None, SystemExit()]  # type: ignore[list-item]
        with suppress(SystemExit):
            await scene.scheduler._compensator.move_for_program(25100)
        assert scene.focuser.motor == 25300
        scene.new_scheduler()
        assert scene.scheduler.state.unfinished_move == CorrectionMove(target=25100, steps=100, what="program")
        await scene.poll()
        baseline = scene.scheduler.state.history.baseline
        assert (scene.focuser.motor, scene.focuser.tube) == (25100, 25180)
        assert (baseline and baseline.position, scene.scheduler.state.unfinished_move) == (25100, None)

    played(night)


def test_the_programs_move_that_fails_is_finished_after_a_while(tmp_path: Path) -> None:
    scene = moving_scene(tmp_path)

    async def night() -> None:
        await scene.poll()
        scene.scheduler.program_moves()
        scene.focuser.fails = [None, DeviceUnreachable("focuser 0", "No answer.")]
        with pytest.raises(DeviceMisbehaved, match="not completed the imaging program's move to 25100"):
            await scene.scheduler.move_for_program(25100)
        scene.scheduler.program_has_moved(None)
        await scene.poll(3)
        assert scene.focuser.motor == 25300
        await scene.poll(12)
        assert (scene.focuser.motor, scene.scheduler.state.unfinished_move) == (25100, None)

    played(night)


def test_a_halt_stops_all_legs_and_nothing_is_finished_later(tmp_path: Path) -> None:
    scene = moving_scene(tmp_path)

    async def night() -> None:
        await scene.poll()
        scene.scheduler.program_moves()
        begun, move_to = asyncio.Event(), scene.focuser.move_to

        async def hang(target: int) -> int:
            await move_to(target)
            begun.set()
            return await asyncio.get_running_loop().create_future()

        scene.focuser.move_to = hang  # type: ignore[method-assign]
        moving = asyncio.create_task(scene.scheduler.move_for_program(25100))
        await begun.wait()
        assert scene.scheduler.doing == "a move of the imaging program"
        moving.cancel()
        await asyncio.wait({moving})
        await scene.scheduler.at_rest()
        scene.focuser.move_to = move_to  # type: ignore[method-assign]
        scene.scheduler.program_has_moved(25300)
        await scene.poll(20)
        assert scene.focuser.moves == [25300]
        history = scene.new_scheduler().state.history
        assert (history.hold_s, history.baseline and history.baseline.position) == (0.0, 25300)

    played(night)


# After a crash


def test_counters_and_fractions_survive_a_crash(tmp_path: Path) -> None:
    scene = Scene(night_settings(AfterImages(5), compensation=FOLLOWING), tmp_path)

    async def night() -> None:
        scene.scheduler.requests.refocus()
        await scene.poll(6)
        for _ in range(3):
            await scene.image()
        scene.thermometer.reading_c = 4.95
        await scene.poll(12)
        before = scene.scheduler.state
        assert before.compensated.carried_steps == pytest.approx(-0.5, abs=0.01)
        scene.new_scheduler()
        scene.clock.now_s += 300
        await scene.poll()
        after = scene.scheduler.state
        assert after.history.images == 3
        assert after.history.since_s == pytest.approx(before.history.since_s + 310, abs=1)
        assert after.compensated.carried_steps == pytest.approx(before.compensated.carried_steps, abs=1e-9)
        assert after.history.baseline == before.history.baseline
        assert scene.runs == ["asap"]

    played(night)


def test_a_correction_move_that_was_cut_off_is_made_exactly_once(tmp_path: Path) -> None:
    scene = Scene(night_settings(compensation=FOLLOWING), tmp_path)

    async def night() -> None:
        await scene.poll(6)
        assert scene.store is not None
        move = CorrectionMove(target=24970, steps=-30, what="compensation")
        wanted = replace(scene.scheduler.state.compensated, wanted_steps=-30.2)
        state = replace(scene.scheduler.state, compensated=wanted, unfinished_move=move)
        save_state(scene.store, state, scene.clock.wall())
        scene.focuser.motor = 24985
        for _ in range(2):
            scene.new_scheduler()
            await scene.poll()
            assert scene.focuser.motor == 24970
            assert scene.scheduler.state.compensated.moved_steps == -30
            assert scene.scheduler.state.unfinished_move is None

    played(night)


def test_a_focus_run_that_was_cut_off_leaves_the_focuser_where_it_belongs(tmp_path: Path) -> None:
    scene = Scene(night_settings(), tmp_path)

    async def night() -> None:
        RestoreMarker(tmp_path, scene.focuser.name).set(25010)
        scene.focuser.motor = 26500
        scene.focuser.fails = [DeviceUnreachable(scene.focuser.name, "It restarts.")]
        await scene.poll()
        assert scene.focuser.motor == 26500
        await scene.poll()
        assert scene.focuser.motor == 25010
        assert RestoreMarker(tmp_path, scene.focuser.name).left_by_interrupted_run() is None

    played(night)


@pytest.mark.parametrize("exposing", [True, False])
def test_a_run_that_was_cut_off_in_a_handover_has_left_the_focuser_at_home(tmp_path: Path, exposing: bool) -> None:
    scene = Scene(night_settings(), tmp_path)

    async def night() -> None:
        RestoreMarker(tmp_path, scene.focuser.name).set(scene.focuser.motor)
        scene.camera.shown = replace(scene.camera.shown, busy=exposing)
        await scene.poll()
        assert bool(scene.focuser.moves) is not exposing
        assert RestoreMarker(tmp_path, scene.focuser.name).left_by_interrupted_run() is None

    played(night)


def test_a_camera_that_cannot_be_restored_yet_is_tried_again_and_nothing_waits_for_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = Scene(night_settings(), tmp_path)
    silent = DeviceUnreachable("camera 0", "It restarts.")
    scene.camera_restores = [silent, silent, False, True, False]

    async def night() -> None:
        for left in (4, 3, 2, 1, 1):
            await scene.poll()
            assert len(scene.camera_restores) == left
            assert scene.scheduler.decision is not None

    played(night)
    assert capsys.readouterr().out.count("still those of a focus run that was cut off") == 1


def test_a_good_run_that_was_saved_but_not_recorded_counts(tmp_path: Path) -> None:
    scene = Scene(night_settings(AfterImages(5)), tmp_path)

    async def night() -> None:
        await scene.poll()
        for _ in range(4):
            await scene.image()
        # Killed between the end of the run and its record.
        await scene._focus("images")
        scene.new_scheduler()
        await scene.poll()
        assert scene.scheduler.state.history.images == 0
        assert scene.scheduler.state.history.baseline is not None
        assert scene.scheduler.state.history.baseline.trigger == "images"

    played(night)


def test_another_night_begins_anew(tmp_path: Path) -> None:
    scene = Scene(night_settings(AfterImages(5)), tmp_path)

    async def night() -> None:
        await scene.poll()
        await scene.image()
        scene.clock.now_s += 14 * 3600
        scene.new_scheduler()
        await scene.poll()
        assert scene.scheduler.state.history.images == 0
        assert scene.scheduler.state.history.baseline is None

    played(night)


def test_a_move_that_fails_makes_compensation_wait(tmp_path: Path) -> None:
    scene = Scene(night_settings(compensation=FOLLOWING), tmp_path)

    async def night() -> None:
        await scene.poll(6)
        scene.focuser.fails = [DeviceMisbehaved(scene.focuser.name, "It is stuck.")]
        scene.thermometer.reading_c = 4.0
        await scene.poll(6)
        assert scene.focuser.motor == 25000
        await scene.poll(12)
        assert scene.focuser.motor == 24970
        assert scene.scheduler.state.compensated.moved_steps == -30
        assert scene.scheduler.state.history.failures == 0

    played(night)


def test_temperature_and_compensation_together() -> None:
    scene = Scene(night_settings(TemperatureChange(limit_c=1.0, readings=6), compensation=FOLLOWING))

    async def night() -> None:
        scene.scheduler.requests.refocus()
        await scene.poll(12)
        for step in range(1, 13):
            scene.thermometer.reading_c = 5.0 - 0.1 * step
            await scene.poll(6)
        assert scene.runs == ["asap", "temperature"]
        assert scene.focuser.motor == pytest.approx(25000 - 36, abs=2)

    played(night)


def test_the_devices_own_compensation_is_switched_off_before_anything_is_moved() -> None:
    scene = Scene(night_settings(compensation=FOLLOWING))
    idle = Scene(night_settings())
    scene.focuser.compensating = idle.focuser.compensating = True

    async def night() -> None:
        await scene.poll()
        await idle.poll()
        assert (scene.focuser.compensating, idle.focuser.compensating) == (False, True)
        assert scene.focuser.moves == []

    played(night)


def test_a_history_that_cannot_be_read_does_not_keep_the_focuser_from_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(night_settings(AfterTime(600.0)), tmp_path)

    def unreadable(*_: object, **__: object) -> None:
        raise StorageError("The history could not be read.")

    async def night() -> None:
        monkeypatch.setattr(scene.store, "night", unreadable)
        monkeypatch.setattr(scene.store, "runs", unreadable)
        RestoreMarker(tmp_path, scene.focuser.name).set(25010)
        scene.focuser.motor = 26500
        await scene.poll(2)
        assert scene.focuser.moves[-1] == 25010
        assert scene.runs == ["time"]

    played(night)


@pytest.mark.parametrize("answers", [True, False])
def test_a_focuser_that_answers_gets_the_time_to_return(*, answers: bool) -> None:
    scene = Scene(night_settings(AfterImages(50)))

    async def night() -> None:
        async def restore() -> None:
            for _ in range(30):
                scene.focuser.replies += answers
                await asyncio.sleep(0.01)

        scene.scheduler._job.start("a small move", restore)
        assert await scene.scheduler.stop(0.1) is answers
        await scene.scheduler.at_rest()

    played(night)


@pytest.mark.parametrize("asked", ["refocus", "pause", "report_flip", "stop"])
def test_what_is_asked_before_the_first_poll_writes_nothing_over_the_night(tmp_path: Path, asked: str) -> None:
    scene = Scene(night_settings(AfterImages(50), compensation=FOLLOWING), tmp_path)

    async def night() -> None:
        scene.scheduler.requests.refocus()
        await scene.poll(6)
        for _ in range(3):
            await scene.image()
        baseline = scene.scheduler.state.history.baseline
        scheduler = scene.new_scheduler()
        if asked == "stop":
            await scheduler.stop(1.0)
        else:
            getattr(scheduler.requests, asked)()
        after = scene.new_scheduler().state
        assert (after.history.images, after.history.baseline) == (3, baseline)
        assert (after.history.asap, after.paused, after.history.flipped) == (
            asked == "refocus",
            asked == "pause",
            asked == "report_flip",
        )

    played(night)


def test_a_thermometer_that_answers_only_after_the_focus_moves_nothing() -> None:
    scene = Scene(night_settings(compensation=FOLLOWING))

    async def night() -> None:
        scene.thermometer.reading_c = None
        scene.scheduler.requests.refocus()
        await scene.poll()
        assert scene.scheduler.state.history.baseline is not None
        scene.thermometer.reading_c = -8.0
        await scene.poll(12)
        assert scene.focuser.moves == []

    played(night)
