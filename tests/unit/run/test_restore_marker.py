"""Where the focuser belongs, on disk from before the first move of a run to its end."""

import asyncio
import logging
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alpaca_focus.core.errors import DeviceUnreachable, RunFailed
from alpaca_focus.core.events import Event, Moved, RunStarted
from alpaca_focus.core.values import FocusResult, Frame, Measurement, Outcome
from alpaca_focus.run.restore_marker import FILE_NAME, RestoreMarker
from alpaca_focus.run.runner import RunConditions, RunDevices, run_focus
from tests.fakes import SETTINGS, FakeCamera, FakeClock, FakeFocuser, FakeSky

FOCUSER = "focuser 0 (fake)"


@pytest.fixture(autouse=True)
def _plain_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alpaca_focus.run.restore_marker._log", logging.getLogger("mark"))


@pytest.fixture
def devices(rng: np.random.Generator, tmp_path: Path) -> RunDevices:
    clock, focuser = FakeClock(), FakeFocuser(start=25600)
    camera = FakeCamera(FakeSky(focuser, rng), clock)
    return RunDevices(
        camera=camera,
        focuser=focuser,
        clock=clock,
        measure=camera.measure,
        restore_marker=RestoreMarker(tmp_path, FOCUSER),
    )


def run(devices: RunDevices, events: list[Event] | None = None) -> FocusResult:
    return asyncio.run(
        run_focus(
            devices,
            SETTINGS,
            conditions=RunConditions(),
            max_duration_s=900.0,
            emit=(events if events is not None else []).append,
        )
    )


def test_it_is_there_while_the_focuser_is_away_and_gone_at_the_end(devices: RunDevices, tmp_path: Path) -> None:
    seen: list[int | None] = []

    def measure(frame: Frame) -> Measurement:
        seen.append(RestoreMarker(tmp_path, FOCUSER).left_by_interrupted_run())
        return devices.measure(frame)

    events: list[Event] = []
    assert run(replace(devices, measure=measure), events).outcome is Outcome.FOCUSED
    assert any(isinstance(event, Moved) for event in events)
    assert set(seen[1:]) == {25600}
    assert list(tmp_path.iterdir()) == []


def test_a_failed_run_after_a_crash_goes_back_to_where_the_cut_run_had_started(
    devices: RunDevices, tmp_path: Path
) -> None:
    RestoreMarker(tmp_path, FOCUSER).set(25111)
    lost = Measurement(metric="hfd", value=float("nan"), stderr=float("nan"), usable=False, reason="no stars found")
    events: list[Event] = []
    result = run(replace(devices, measure=lambda _: lost), events)
    assert result.outcome is Outcome.RESTORED
    assert events[0] == RunStarted(start_position=25600, belongs_at=25111)
    assert "back at position 25111, where an interrupted run had started" in result.reason
    assert asyncio.run(devices.focuser.position()) == 25111
    assert list(tmp_path.iterdir()) == []


def test_it_stays_when_the_focuser_is_stranded(devices: RunDevices, tmp_path: Path) -> None:
    silent = DeviceUnreachable("focuser 0", "Focuser 0 does not answer.")
    assert isinstance(devices.focuser, FakeFocuser)
    devices.focuser.fails = [None, *[silent] * 30]
    assert run(devices).outcome is Outcome.STRANDED
    assert RestoreMarker(tmp_path, FOCUSER).left_by_interrupted_run() == 25600


def test_the_note_of_another_focuser_is_left_alone(tmp_path: Path) -> None:
    RestoreMarker(tmp_path, "focuser 1 (other)").set(1234)
    assert RestoreMarker(tmp_path, FOCUSER).left_by_interrupted_run() is None


def test_an_old_marker_is_ignored(tmp_path: Path) -> None:
    RestoreMarker(tmp_path, FOCUSER).set(1234)
    os.utime(tmp_path / FILE_NAME, (0, 0))
    assert RestoreMarker(tmp_path, FOCUSER).left_by_interrupted_run() is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", '{"device": 1}', '{"device": "focuser 0 (fake)", "position": "x"}']
)
def test_a_torn_note_is_not_followed(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE_NAME).write_text(text)
    assert RestoreMarker(tmp_path, FOCUSER).left_by_interrupted_run() is None


def test_an_unwritable_folder_is_logged_and_the_run_continues(
    devices: RunDevices, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    marked = replace(devices, restore_marker=RestoreMarker(tmp_path / "file" / "below", FOCUSER))
    assert run(marked).outcome is Outcome.FOCUSED
    assert "cannot be written" in caplog.text


def test_without_a_folder_nothing_is_noted(devices: RunDevices, tmp_path: Path) -> None:
    assert run(replace(devices, restore_marker=RestoreMarker(None, FOCUSER))).outcome is Outcome.FOCUSED
    assert list(tmp_path.iterdir()) == []


def test_a_focuser_where_the_run_cannot_have_left_it_is_not_sent_back(devices: RunDevices, tmp_path: Path) -> None:
    silent = DeviceUnreachable("focuser 0", "Focuser 0 does not answer.")
    assert isinstance(devices.focuser, FakeFocuser)
    devices.focuser.fails = [None, None, *[silent] * 30]
    assert run(devices).outcome is Outcome.STRANDED
    marker = RestoreMarker(tmp_path, FOCUSER)
    assert marker.is_left
    assert marker.left_by_interrupted_run(devices.focuser.motor) == 25600
    assert marker.left_by_interrupted_run(0) is None


def test_a_run_that_begins_while_somebody_moves_the_focuser_waits_for_the_end(devices: RunDevices) -> None:
    focuser = devices.focuser
    assert isinstance(focuser, FakeFocuser)
    position, places = focuser.position, iter((25100, 25300, 25500))

    async def moving() -> int:
        focuser.motor = next(places, focuser.motor)
        return await position()

    focuser.position = moving  # type: ignore[method-assign]
    assert run(devices).start_position == 25500


def test_a_run_does_not_begin_while_the_focuser_never_stands_still(devices: RunDevices) -> None:
    focuser = devices.focuser
    assert isinstance(focuser, FakeFocuser)
    position = focuser.position

    async def moving() -> int:
        focuser.motor += 7
        return await position()

    focuser.position = moving  # type: ignore[method-assign]
    with pytest.raises(RunFailed, match="still being moved by others"):
        run(devices)
    assert focuser.moves == []


def test_a_focuser_that_always_reports_a_move_is_not_waited_for_for_ever(devices: RunDevices) -> None:
    assert isinstance(devices.focuser, FakeFocuser)

    async def always() -> bool:
        return True

    devices.focuser.is_moving = always  # type: ignore[method-assign]
    assert run(devices).outcome is Outcome.FOCUSED
