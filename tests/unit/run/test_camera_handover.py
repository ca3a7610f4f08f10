"""Focus runs that are interrupted for an imaging program, and go on at the next gap."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alpaca_focus.core.camera_record import CameraValues
from alpaca_focus.core.errors import DeviceUnreachable
from alpaca_focus.core.events import CameraHandover, Event, Moved, RestoreStarted, Resumed, RunEnded
from alpaca_focus.core.sweep.backlash import ApproachMethod
from alpaca_focus.core.sweep.plan import SweepSettings
from alpaca_focus.core.values import ExposureSettings, FocusResult, Outcome
from alpaca_focus.run.camera_handover import MOST_LATE_GAPS
from alpaca_focus.run.restore_marker import RestoreMarker
from alpaca_focus.run.runner import RunConditions, RunDevices, run_focus
from tests.fakes import SETTINGS
from tests.imaging_program import ITS_SETTINGS, START, Pausable, SharedObservatory, measure_at_once

PATIENT = 1e6


class Session:
    """One run on a shared camera, and what it told."""

    def __init__(self, rng: np.random.Generator, **program: Any) -> None:
        self.at = SharedObservatory(rng, **program)
        self.events: list[Event] = []
        self.settings: SweepSettings = SETTINGS
        self.devices = RunDevices(
            camera=self.at.camera,
            focuser=self.at.focuser,
            clock=self.at.clock,
            measure=self.at.camera.measure,
            guider=self.at.guider,
            sharing=self.at.program,
        )

    async def run(self, *, max_duration_s: float = 900.0) -> FocusResult:
        return await run_focus(
            self.devices,
            self.settings,
            conditions=RunConditions(),
            max_duration_s=max_duration_s,
            emit=self.events.append,
        )

    def published(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    measure_at_once(monkeypatch)


@pytest.fixture
def session_with(rng: np.random.Generator) -> Callable[..., Session]:
    def make(**program: Any) -> Session:
        session = Session(rng, **program)
        session.at.sky.error, session.at.sky.seeing_scatter = 1e-6, 0.0
        return session

    return make


def check_given_back(session: Session) -> None:
    at = session.at
    assert at.program.has_it
    assert at.camera.values == ITS_SETTINGS
    assert at.guider.guides
    assert at.camera.busy == 0


def test_without_anybody_waiting_a_run_is_not_interrupted(session_with: Callable[..., Session]) -> None:
    session = session_with(asks_after_s=repeat(math.inf))
    result = asyncio.run(session.run())
    assert result.outcome is Outcome.FOCUSED
    assert session.published(CameraHandover) == []
    assert session.at.program.takes == 1
    assert "interrupted" not in result.reason
    check_given_back(session)


@pytest.mark.parametrize("method", [ApproachMethod.OVERSHOOT, ApproachMethod.ABSOLUTE])
@pytest.mark.parametrize("patience_s", [27.0, 30.0, 33.0, 36.0])
def test_an_interrupted_run_finds_the_same_focus(
    session_with: Callable[..., Session], patience_s: float, method: ApproachMethod
) -> None:
    def focused(patience_s: float) -> tuple[Session, FocusResult]:
        session = session_with(patience_s=patience_s)
        # The absolute method takes the setting for the true slack.
        session.at.focuser.backlash = SETTINGS.backlash.steps
        session.settings = replace(SETTINGS, backlash=replace(SETTINGS.backlash, method=method))
        result = asyncio.run(session.run())
        assert result.outcome is Outcome.FOCUSED, result.reason
        return session, result

    session, result = focused(patience_s)
    _, undisturbed = focused(PATIENT)
    handovers = len(session.published(CameraHandover))
    assert handovers == len(session.published(Resumed)) == session.at.program.takes - 1 > 0
    times = {1: "once", 2: "twice"}.get(handovers, f"{handovers} times")
    assert f"The run was interrupted {times} for the imaging program." in result.reason
    assert session.at.program.places == [START] * handovers + [result.final_position]
    assert result.final_position == undisturbed.final_position
    assert [sample.position for sample in result.samples] == [sample.position for sample in undisturbed.samples]
    assert [sample.measurement.value for sample in result.samples] == pytest.approx(
        [sample.measurement.value for sample in undisturbed.samples], rel=1e-4
    )
    assert session.at.program.too_late_s == [0.0] * (handovers + 1)
    assert session.at.camera.remembered == session.at.camera.restored == handovers + 1
    check_given_back(session)


@pytest.mark.parametrize("patience_s", [33.0, 36.0, 45.0, PATIENT])
@pytest.mark.parametrize("lost", range(1, 8))
def test_a_lost_frame_is_taken_again_within_the_patience(
    session_with: Callable[..., Session], patience_s: float, lost: int
) -> None:
    session, undisturbed = session_with(patience_s=patience_s), session_with(patience_s=PATIENT)
    session.at.camera.lost_frames = {lost}
    result, other = asyncio.run(session.run()), asyncio.run(undisturbed.run())
    assert result.outcome is Outcome.FOCUSED, result.reason
    assert result.exposures == other.exposures + 1
    assert [sample.position for sample in result.samples] == [sample.position for sample in other.samples]
    assert [sample.measurement.value for sample in result.samples] == pytest.approx(
        [sample.measurement.value for sample in other.samples], rel=1e-4
    )
    assert set(session.at.program.too_late_s) == {0.0}
    check_given_back(session)


def test_guiding_goes_on_in_each_handover(session_with: Callable[..., Session]) -> None:
    session = session_with(patience_s=33.0)
    guided: list[bool] = []
    session.at.program.on_turn = lambda: guided.append(session.at.guider.guides)
    asyncio.run(session.run())
    assert set(guided) == {True}
    assert [each for each in session.at.guider.log if each != "after move"] == ["pause", "resume"] * len(guided)


@pytest.mark.parametrize("patience_s", [28.0, 33.0, 60.0])
def test_a_guide_star_that_takes_too_long_does_not_keep_the_imaging_program_waiting(
    session_with: Callable[..., Session], monkeypatch: pytest.MonkeyPatch, patience_s: float
) -> None:
    monkeypatch.setattr("alpaca_focus.run.paused_guider.RESUME_WITHIN_S", 0.01)
    session = session_with(patience_s=patience_s)
    session.devices = replace(session.devices, guider=Pausable(session.at.clock, settles_s=math.inf))
    result = asyncio.run(session.run())
    assert result.outcome is Outcome.FOCUSED, result.reason
    assert (
        "guider was resumed without waiting until it settled: the imaging program needed the camera." in result.reason
    )
    assert max(session.at.program.too_late_s) < 0.1


def test_where_guiding_goes_on_the_star_is_waited_for_after_each_move(session_with: Callable[..., Session]) -> None:
    session = session_with(patience_s=50.0)
    guider = Pausable(session.at.clock, pauses=False, settles_s=1.0)
    session.devices = replace(session.devices, guider=guider)
    result = asyncio.run(session.run())
    assert result.outcome is Outcome.FOCUSED
    assert 0 < guider.log.count("after move") <= result.exposures
    assert max(session.at.program.too_late_s) == 0.0


def test_time_without_the_camera_does_not_count(session_with: Callable[..., Session]) -> None:
    session = session_with(patience_s=33.0, exposes_s=repeat(600.0))
    result = asyncio.run(session.run(max_duration_s=400.0))
    assert result.outcome is Outcome.FOCUSED
    assert result.duration_s > 600


def test_time_with_the_camera_counts(session_with: Callable[..., Session]) -> None:
    session = session_with(patience_s=33.0)
    result = asyncio.run(session.run(max_duration_s=40.0))
    assert result.outcome is Outcome.RESTORED
    assert "focus.max_duration_s" in result.reason
    check_given_back(session)


def test_after_a_very_long_handover_the_run_is_given_up_at_the_start(session_with: Callable[..., Session]) -> None:
    session = session_with(patience_s=33.0, exposes_s=repeat(1801.0))
    result = asyncio.run(session.run())
    assert result.outcome is Outcome.RESTORED
    assert "longer than the 30 min for which its frames are valid" in result.reason
    assert "The run was interrupted once for the imaging program." in result.reason
    assert session.at.focuser.motor == START
    assert session.published(Resumed) == []
    check_given_back(session)


def test_a_run_whose_frames_are_no_longer_valid_ends_at_the_start(session_with: Callable[..., Session]) -> None:
    session = session_with(patience_s=33.0)
    session.settings = replace(SETTINGS, exposure=ExposureSettings(exposure_s=6.0))
    answers: Iterator[str] = chain([""], repeat("Another filter is in the light: Ha."))

    async def still_valid() -> str:
        return next(answers)

    session.devices = replace(session.devices, still_valid=still_valid)
    result = asyncio.run(session.run())
    assert result.outcome is Outcome.RESTORED
    assert "could not continue after 2 min of imaging: Another filter is in the light: Ha." in result.reason
    assert (len(session.published(Resumed)), len(session.published(CameraHandover))) == (1, 2)
    assert session.at.focuser.motor == START
    moves_after_home = session.events[session.events.index(session.published(RestoreStarted)[0]) :]
    assert not any(isinstance(event, Moved) for event in moves_after_home)
    check_given_back(session)


@pytest.mark.parametrize("patience_s", [5.0, 15.0])
def test_a_patience_too_short_for_one_exposure_is_reported_with_a_remedy(
    session_with: Callable[..., Session], patience_s: float
) -> None:
    session = session_with(patience_s=patience_s, asks_after_s=repeat(0.0))
    result = asyncio.run(session.run())
    assert result.outcome is Outcome.RESTORED
    assert f"waits only {patience_s:.0f} s for the camera" in result.reason
    assert "Choose a shorter focus.exposure_s, or a greater gateway.patience_s." in result.reason
    assert "The focuser was not moved." in result.reason
    # The first gaps may have been late ones only by chance.
    assert len(session.published(CameraHandover)) == MOST_LATE_GAPS
    check_given_back(session)


def test_a_focuser_that_is_too_slow_for_the_gaps_gives_up_in_time(session_with: Callable[..., Session]) -> None:
    session = session_with(patience_s=36.0)
    session.settings = replace(SETTINGS, exposure=ExposureSettings(exposure_s=6.0))
    session.at.focuser.steps_per_s = 100.0
    result = asyncio.run(session.run())
    assert result.outcome is Outcome.RESTORED
    assert "The imaging program waits only" in result.reason
    assert result.exposures + MOST_LATE_GAPS >= len(session.published(CameraHandover)) > 3
    assert max(session.at.program.too_late_s) == 0.0
    check_given_back(session)


def test_a_camera_that_is_never_free_again_ends_the_run_without_a_touch(session_with: Callable[..., Session]) -> None:
    session = session_with(patience_s=33.0)
    session.at.program.fails_at = 2
    result = asyncio.run(session.run())
    assert result.outcome is Outcome.RESTORED
    assert result.reason.startswith("The camera is never free. The focuser is back at position 25600")
    assert session.published(RestoreStarted) == []
    check_given_back(session)


def test_a_camera_that_is_never_free_at_all_is_an_error(session_with: Callable[..., Session]) -> None:
    session = session_with()
    session.at.program.fails_at = 1
    with pytest.raises(DeviceUnreachable, match="never free"):
        asyncio.run(session.run())
    assert session.at.focuser.moves == []
    check_given_back(session)


def test_an_abort_during_the_handover_touches_nothing(session_with: Callable[..., Session]) -> None:
    session = session_with(patience_s=33.0, exposes_s=repeat(1e9))

    async def abort_in_the_handover() -> None:
        running = asyncio.create_task(session.run())
        session.at.program.on_turn = lambda: asyncio.get_running_loop().call_soon(running.cancel)
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(abort_in_the_handover())
    (ended,) = session.published(RunEnded)
    assert ended.result.outcome is Outcome.RESTORED
    assert session.at.program.places == [START]
    assert session.at.camera.aborted == 0
    check_given_back(session)


def test_the_restore_marker_is_there_during_a_handover(session_with: Callable[..., Session], tmp_path: Path) -> None:
    session = session_with(patience_s=33.0)
    noted: list[int | None] = []
    name = session.at.focuser.name
    session.devices = replace(session.devices, restore_marker=RestoreMarker(tmp_path, name))
    session.at.program.on_turn = lambda: noted.append(RestoreMarker(tmp_path, name).left_by_interrupted_run())
    result = asyncio.run(session.run())
    assert noted == [START] * len(session.published(CameraHandover)) + [result.final_position]
    assert list(tmp_path.iterdir()) == []


def test_after_an_interrupted_run_the_next_waits_at_its_restore_position(
    session_with: Callable[..., Session], tmp_path: Path
) -> None:
    session = session_with(patience_s=33.0)
    name = session.at.focuser.name
    RestoreMarker(tmp_path, name).set(25111)
    session.devices = replace(session.devices, restore_marker=RestoreMarker(tmp_path, name))
    result = asyncio.run(session.run())
    assert result.outcome is Outcome.FOCUSED
    assert set(session.at.program.places[:-1]) == {25111}


def test_a_retry_waits_in_a_handover(session_with: Callable[..., Session]) -> None:
    session = session_with(patience_s=40.0)
    session.settings = replace(SETTINGS, retries=1)
    session.at.sky.clouds_from_frame = 3
    session.at.program.on_turn = lambda: setattr(session.at.sky, "clouds_from_frame", None)
    result = asyncio.run(session.run())
    assert result.outcome is Outcome.FOCUSED, result.reason
    assert max(session.at.program.too_late_s) == 0.0


def test_an_error_in_the_program_itself_gives_the_camera_back(session_with: Callable[..., Session]) -> None:
    session = session_with(patience_s=33.0)

    async def broken() -> str:
        raise ZeroDivisionError("division by zero")

    valid: Callable[[], Awaitable[str]] = broken
    session.devices = replace(session.devices, still_valid=valid)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(session.run())
    assert session.at.focuser.motor == START
    check_given_back(session)


def test_settings_that_cannot_be_put_back_end_the_run_and_are_tried_again(session_with: Callable[..., Session]) -> None:
    session = session_with(patience_s=33.0)
    restore, calls = session.at.camera.restore_settings, []

    async def fails_once(settings: CameraValues) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise DeviceUnreachable("camera", "The camera does not answer.")
        await restore(settings)

    session.at.camera.restore_settings = fails_once  # type: ignore[method-assign]
    result = asyncio.run(session.run())
    assert result.outcome is Outcome.RESTORED
    assert result.reason.startswith("The camera does not answer.")
    assert session.at.program.takes == 1
    check_given_back(session)
