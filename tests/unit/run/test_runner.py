"""The runner on fake devices: it ends at a verified focus, or back where it started."""

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from alpaca_focus.core.errors import CameraTaken, DeviceMisbehaved, DeviceUnreachable
from alpaca_focus.core.events import CurveFitted, Event, FrameMeasured, Moved, RestoreStarted, RunEnded, RunStarted
from alpaca_focus.core.values import FocusResult, Frame, Measurement, Outcome, Position
from alpaca_focus.run import paused_guider
from alpaca_focus.run.restore_marker import RestoreMarker
from alpaca_focus.run.restore_path import AT_REST_S
from alpaca_focus.run.runner import RunConditions, RunDevices, run_focus
from tests.fakes import SETTINGS, FakeCamera, FakeClock, FakeFocuser, FakeSky
from tests.night_scene import FakeGuider

SILENT = DeviceUnreachable("focuser 0", "Focuser 0 does not answer.")
STALLED = DeviceMisbehaved("focuser 0", "Focuser 0 stopped on its way.")


@dataclass
class Observatory:
    clock: FakeClock
    focuser: FakeFocuser
    sky: FakeSky
    camera: FakeCamera
    events: list[Event]

    @property
    def devices(self) -> RunDevices:
        return RunDevices(camera=self.camera, focuser=self.focuser, clock=self.clock, measure=self.camera.measure)

    async def run(self, *, max_duration_s: float = 900.0) -> FocusResult:
        return await run_focus(
            self.devices,
            SETTINGS,
            conditions=RunConditions(
                temperature_c=4.5, filter_name="L", altitude_deg=61.0, temperatures_c={"focuser": 4.5, "air": 2.0}
            ),
            max_duration_s=max_duration_s,
            emit=self.events.append,
        )


@pytest.fixture
def observatory(rng: np.random.Generator) -> Observatory:
    clock, focuser = FakeClock(), FakeFocuser(start=25600)
    sky = FakeSky(focuser, rng)
    return Observatory(clock, focuser, sky, FakeCamera(sky, clock), [])


def test_a_good_run_ends_in_focus_and_publishes_its_events(observatory: Observatory) -> None:
    result = asyncio.run(observatory.run())
    assert result.outcome is Outcome.FOCUSED
    assert abs(observatory.focuser.tube - observatory.sky.best_tube) < 33
    assert result.final_position == observatory.focuser.motor
    assert result.verification is result.samples[-1]
    assert (result.temperature_c, result.filter_name) == (4.5, "L")
    assert (result.altitude_deg, result.temperatures_c) == (61.0, {"focuser": 4.5, "air": 2.0})
    assert result.exposures == len(result.samples) == observatory.sky.frames
    assert result.duration_s == pytest.approx(observatory.clock.now_s - AT_REST_S)
    assert isinstance(observatory.events[0], RunStarted)
    assert observatory.events[-1] == RunEnded(result=result)
    told = [event.sample for event in observatory.events if isinstance(event, FrameMeasured)]
    assert tuple(told) == result.samples
    assert [event.fit for event in observatory.events if isinstance(event, CurveFitted)][-1] is result.fit
    assert sum(isinstance(event, Moved) for event in observatory.events) == len(observatory.focuser.moves)


def test_the_camera_is_given_back_as_it_was(observatory: Observatory) -> None:
    asyncio.run(observatory.run())
    assert (observatory.camera.remembered, observatory.camera.restored) == (1, 1)


def test_the_devices_own_compensation_is_off_during_a_run_and_on_again_after(observatory: Observatory) -> None:
    observatory.focuser.compensating = True
    during: list[bool] = []
    devices = replace(observatory.devices, measure=lambda frame: _spy(frame, observatory, during))
    asyncio.run(
        run_focus(
            devices,
            SETTINGS,
            conditions=RunConditions(),
            max_duration_s=900,
            emit=observatory.events.append,
        )
    )
    assert set(during) == {False}
    assert observatory.focuser.compensating


def _spy(frame: Frame, observatory: Observatory, during: list[bool]) -> Measurement:
    during.append(observatory.focuser.compensating)
    return observatory.camera.measure(frame)


@pytest.mark.parametrize("short_steps", [2, 3])
def test_a_focuser_that_stops_short_counts_where_it_stands(observatory: Observatory, short_steps: int) -> None:
    observatory.focuser.stops_short_steps = short_steps
    result = asyncio.run(observatory.run())
    assert result.outcome is Outcome.FOCUSED
    assert result.final_position == observatory.focuser.motor == result.samples[-1].position
    assert set(observatory.focuser.moves) & {sample.position for sample in result.samples} == set()
    assert abs(observatory.focuser.tube - observatory.sky.best_tube) < 33


def test_a_focuser_that_stops_short_does_not_creep_away_with_failed_runs(observatory: Observatory) -> None:
    observatory.focuser.stops_short_steps = 2
    for _ in range(5):
        observatory.sky.clouds_from_frame = observatory.sky.frames + 4
        assert asyncio.run(observatory.run()).outcome is Outcome.RESTORED
    assert abs(observatory.focuser.motor - 25600) <= 2


@pytest.mark.parametrize("lost", range(1, 9))
def test_a_lost_frame_is_taken_again_where_it_was_taken(rng: np.random.Generator, lost: int) -> None:
    def run(lost_frames: set[int]) -> FocusResult:
        clock, focuser = FakeClock(), FakeFocuser(start=25600)
        sky = FakeSky(focuser, rng, error=1e-9, seeing_scatter=0.0)
        camera = FakeCamera(sky, clock)
        camera.lost_frames = lost_frames
        return asyncio.run(Observatory(clock, focuser, sky, camera, []).run())

    without, again = run(set()), run({lost})
    assert again.outcome is Outcome.FOCUSED, again.reason
    assert "A frame was taken again: Camera 0 sent the frame of an earlier exposure." in again.reason
    assert again.exposures == without.exposures + 1
    for one, other in zip(without.samples, again.samples, strict=True):
        assert one.position == other.position
        assert other.measurement.value == pytest.approx(one.measurement.value, rel=1e-4)


def test_a_frame_that_is_lost_twice_ends_the_run(observatory: Observatory) -> None:
    observatory.camera.lost_frames = {4, 5}
    result = asyncio.run(observatory.run())
    assert result.outcome is Outcome.RESTORED
    assert observatory.focuser.motor == 25600


def test_clouds_end_with_the_focuser_restored(observatory: Observatory) -> None:
    observatory.sky.clouds_from_frame = 5
    result = asyncio.run(observatory.run())
    assert result.outcome is Outcome.RESTORED
    assert observatory.focuser.motor == result.final_position == 25600
    assert "back at position 25600, where it started" in result.reason
    assert any(isinstance(event, RestoreStarted) for event in observatory.events)


@pytest.mark.parametrize("failing_move", range(9))
def test_a_failed_move_ends_with_the_focuser_restored(observatory: Observatory, failing_move: int) -> None:
    observatory.focuser.fails = [None] * failing_move + [STALLED]
    result = asyncio.run(observatory.run())
    assert result.outcome is Outcome.RESTORED
    assert result.reason.startswith("Focuser 0 stopped on its way.")
    assert observatory.focuser.motor == 25600


def test_a_camera_that_fails_ends_with_the_focuser_restored(observatory: Observatory) -> None:
    observatory.camera.fails = [None, None, None, DeviceUnreachable("camera 0", "Camera 0 does not answer.")]
    result = asyncio.run(observatory.run())
    assert result.outcome is Outcome.RESTORED
    assert result.reason.startswith("Camera 0 does not answer.")
    assert observatory.camera.aborted == 1
    assert observatory.focuser.motor == 25600


def test_a_focuser_that_answers_again_later_is_restored(observatory: Observatory) -> None:
    observatory.focuser.fails = [None, None, None, SILENT, SILENT, SILENT]
    result = asyncio.run(observatory.run())
    assert result.outcome is Outcome.RESTORED
    assert observatory.focuser.motor == 25600


def test_a_focuser_that_stays_away_is_reported_with_what_to_do(observatory: Observatory) -> None:
    observatory.focuser.fails = [None, None, None, *[SILENT] * 20]
    result = asyncio.run(observatory.run())
    assert result.outcome is Outcome.STRANDED
    assert "could not be brought back to position 25600" in result.reason
    assert "Move it there by hand" in result.reason


def test_a_run_that_takes_too_long_is_restored(observatory: Observatory) -> None:
    result = asyncio.run(observatory.run(max_duration_s=10.0))
    assert result.outcome is Outcome.RESTORED
    assert "longer than the 10 s allowed by focus.max_duration_s" in result.reason
    assert observatory.focuser.motor == 25600


@pytest.mark.parametrize("cancels", [1, 3])
def test_an_aborted_run_restores_the_focuser_however_often_it_is_cancelled(
    observatory: Observatory, cancels: int
) -> None:
    async def scenario() -> None:
        task = asyncio.create_task(observatory.run())
        while observatory.sky.frames < 4:  # noqa: ASYNC110 - the fake sky counts frames, it tells nobody
            await asyncio.sleep(0)
        for _ in range(cancels):
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())
    assert observatory.focuser.motor == 25600
    ended = observatory.events[-1]
    assert isinstance(ended, RunEnded)
    assert ended.result.outcome is Outcome.RESTORED
    assert ended.result.reason.startswith("The run was aborted.")


def test_an_internal_error_restores_the_focuser_and_is_raised(observatory: Observatory) -> None:
    def broken(frame: Frame) -> Measurement:
        if observatory.sky.frames == 4:
            raise ZeroDivisionError("division by zero")
        return observatory.camera.measure(frame)

    devices = replace(observatory.devices, measure=broken)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(
            run_focus(
                devices,
                SETTINGS,
                conditions=RunConditions(),
                max_duration_s=900,
                emit=observatory.events.append,
            )
        )
    assert observatory.focuser.motor == 25600
    assert isinstance(observatory.events[-1], RunEnded)


def test_a_device_that_fails_before_the_first_move_is_an_error_not_a_result(observatory: Observatory) -> None:
    async def silent() -> int:
        raise SILENT

    observatory.focuser.position = silent  # type: ignore[method-assign]
    with pytest.raises(DeviceUnreachable):
        asyncio.run(observatory.run())
    assert observatory.focuser.moves == []


class NotedGuider(FakeGuider):
    """A guider that records its calls."""

    def __init__(self, *, refuses: str = "") -> None:
        super().__init__()
        self.told: list[str] = []
        self._refuses = refuses

    async def pause(self) -> None:
        self._note("pause")

    async def resume(self) -> None:
        self._note("resume")

    def _note(self, what: str) -> None:
        self.told.append(what)
        if what == self._refuses:
            raise DeviceUnreachable("guider", "The guider does not answer.")


@pytest.mark.parametrize("clouds", [False, True])
def test_guiding_rests_during_the_run_and_goes_on_after_it(observatory: Observatory, clouds: bool) -> None:
    observatory.sky.clouds_from_frame = 1 if clouds else None
    guider = NotedGuider()
    result = asyncio.run(
        run_focus(
            replace(observatory.devices, guider=guider),
            SETTINGS,
            conditions=RunConditions(),
            max_duration_s=900,
            emit=observatory.events.append,
        )
    )
    assert (result.outcome is Outcome.FOCUSED) is not clouds
    assert guider.told == ["pause", "resume"]


@pytest.mark.parametrize("refuses", ["pause", "resume"])
def test_a_guider_that_does_not_answer_is_reported_and_ends_nothing(observatory: Observatory, refuses: str) -> None:
    guider = NotedGuider(refuses=refuses)
    result = asyncio.run(
        run_focus(
            replace(observatory.devices, guider=guider),
            SETTINGS,
            conditions=RunConditions(),
            max_duration_s=900,
            emit=observatory.events.append,
        )
    )
    assert result.outcome is Outcome.FOCUSED
    assert f"Guiding could not be {refuses}d: The guider does not answer." in result.reason
    assert guider.told == ["pause", "resume"]


class SlowGuider(NotedGuider):
    """A guider whose star takes its time, or that never guides again."""

    def __init__(self, settles_after_s: float) -> None:
        super().__init__()
        self.settles_after_s = settles_after_s
        self.resuming = asyncio.Event()

    async def resume(self) -> None:
        self._note("resume")
        self.resuming.set()
        await asyncio.sleep(self.settles_after_s)
        self._note("steady")


@pytest.mark.parametrize("settles_after_s", [0.05, 60.0])
def test_after_an_abort_a_steady_star_is_not_waited_for_for_long(
    settles_after_s: float, observatory: Observatory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paused_guider, "RESUME_WITHIN_S", 0.5)
    guider = SlowGuider(settles_after_s)

    async def abort_while_resuming() -> None:
        running = asyncio.create_task(
            run_focus(
                replace(observatory.devices, guider=guider),
                SETTINGS,
                conditions=RunConditions(),
                max_duration_s=900,
                emit=observatory.events.append,
            )
        )
        await guider.resuming.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(abort_while_resuming())
    ended = observatory.events[-1]
    assert isinstance(ended, RunEnded)
    assert ended.result.outcome is Outcome.FOCUSED
    in_vain = settles_after_s > 1
    assert guider.told == ["pause", "resume"] + ([] if in_vain else ["steady"])
    assert (
        "guider was resumed without waiting until it settled: the run was aborted." in ended.result.reason
    ) is in_vain


def test_the_new_focus_is_where_the_focuser_belongs_before_the_star_is_waited_for(
    observatory: Observatory, tmp_path: Path
) -> None:
    guider = SlowGuider(0.05)
    mark = RestoreMarker(tmp_path, "focuser 0")

    async def position_on_disk_while_resuming() -> Position | None:
        running = asyncio.create_task(
            run_focus(
                replace(observatory.devices, guider=guider, restore_marker=mark),
                SETTINGS,
                conditions=RunConditions(),
                max_duration_s=900,
                emit=observatory.events.append,
            )
        )
        await guider.resuming.wait()
        noted = mark.left_by_interrupted_run()
        await running
        return noted

    assert asyncio.run(position_on_disk_while_resuming()) == observatory.focuser.motor


@pytest.mark.parametrize("offset", [-40, 35])
def test_the_offset_of_another_filter_is_added_in_the_end(observatory: Observatory, offset: int) -> None:
    result = asyncio.run(
        run_focus(
            observatory.devices,
            SETTINGS,
            conditions=RunConditions(filter_name="L", offset_steps=offset),
            max_duration_s=900,
            emit=observatory.events.append,
        )
    )
    assert result.verification is not None
    assert result.final_position == result.verification.position + offset == observatory.focuser.motor
    # The slack is on the same side as it was when the focus was verified.
    assert observatory.focuser.tube == observatory.focuser.motor + observatory.focuser.backlash
    assert f"{offset:+d} steps from the best focus of L" in result.reason


def test_an_offset_that_cannot_be_added_ends_at_the_start(observatory: Observatory) -> None:
    moves = len(_moves_of_a_good_run(observatory))
    observatory.focuser.fails = [None] * moves + [STALLED]
    result = asyncio.run(
        run_focus(
            observatory.devices,
            SETTINGS,
            conditions=RunConditions(offset_steps=35),
            max_duration_s=900,
            emit=observatory.events.append,
        )
    )
    assert result.outcome is Outcome.RESTORED
    assert observatory.focuser.motor == observatory.focuser.start


def _moves_of_a_good_run(observatory: Observatory) -> list[int]:
    """Run once with everything the same, and put everything back."""
    observatory.sky.seeing_scatter, observatory.sky.error = 0.0, 1e-6
    asyncio.run(observatory.run())
    moves, observatory.focuser.moves = observatory.focuser.moves, []
    observatory.focuser.motor, observatory.focuser.tube = observatory.focuser.start, float(observatory.focuser.start)
    return moves


def test_an_exposure_of_another_program_is_left_alone(observatory: Observatory) -> None:
    taken = CameraTaken("camera 0", "Camera 0 is busy.", number=0x40B)
    observatory.camera.fails = [taken]
    result = asyncio.run(observatory.run())
    assert (result.outcome, result.camera_taken, result.samples) == (Outcome.RESTORED, True, ())
    assert observatory.camera.aborted == 0
    assert observatory.focuser.motor == 25600
    assert not asyncio.run(observatory.run()).camera_taken
