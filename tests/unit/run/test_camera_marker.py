"""The camera's settings from before a run, on disk until they are restored."""

import asyncio
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from alpaca_focus.core.camera_record import CameraRecord, CameraValues, PendingExposure
from alpaca_focus.core.errors import CameraTaken, DeviceUnreachable
from alpaca_focus.core.values import ExposureSettings, Outcome
from alpaca_focus.run.camera_marker import (
    FILE_NAME,
    CameraMarkerFile,
    CameraSettingsGuard,
    camera_marker,
    restore_left_settings,
    used_settings,
)
from alpaca_focus.run.runner import RunConditions, RunDevices, run_focus
from alpaca_focus.settings.models import Settings
from tests.fakes import SETTINGS, FakeCamera, FakeCameraMarker, FakeClock, FakeFocuser, FakeSky

pytestmark = pytest.mark.unit

CAMERA = "camera 0 at here"
OWN: CameraValues = {"BinX": 1, "BinY": 1, "Gain": 100}
RUNS: CameraValues = {"BinX": 2, "BinY": 2, "Gain": 120}
WAITS = PendingExposure(exposure_s=12.5, light=True, at=datetime(2026, 1, 1, 22, tzinfo=UTC))
WHOLE = CameraRecord(
    settings=OWN | {"FastReadout": True},
    last_exposure={"LastExposureDuration": 5.0, "LastExposureStartTime": "2026-01-01T21:00:00"},
    changes={"Gain": 7},
    used=RUNS,
    is_changed=True,
    exposure=replace(WAITS, sent_at=WAITS.at, last_start="then", is_accepted=False),
)


@pytest.fixture
def camera(rng: np.random.Generator) -> FakeCamera:
    return FakeCamera(FakeSky(FakeFocuser(start=25600), rng), FakeClock())


@pytest.mark.parametrize("record", [WHOLE, CameraRecord(exposure=WAITS), CameraRecord(settings=OWN)])
def test_it_is_read_as_it_was_written(tmp_path: Path, record: CameraRecord) -> None:
    CameraMarkerFile(tmp_path / "new", CAMERA).write(record)
    assert CameraMarkerFile(tmp_path / "new", CAMERA).read() == record
    assert CameraMarkerFile(tmp_path / "new", "camera 1 at here").read() is None
    CameraMarkerFile(tmp_path / "new", CAMERA).write(CameraRecord())
    assert CameraMarkerFile(tmp_path / "new", CAMERA).read() is None
    assert list((tmp_path / "new").iterdir()) == []


def test_old_settings_are_not_restored_but_frames_stay_hidden(tmp_path: Path) -> None:
    CameraMarkerFile(tmp_path, CAMERA).write(WHOLE)
    os.utime(tmp_path / FILE_NAME, (0, 0))
    assert CameraMarkerFile(tmp_path, CAMERA).read() == replace(WHOLE, is_changed=False)


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '{"device": 1}', '{"device": "camera 0 at here", "record": []}'])
def test_a_torn_file_is_ignored(tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / FILE_NAME).write_text(text)
    assert CameraMarkerFile(tmp_path, CAMERA).read() is None
    assert "cannot be read" in capsys.readouterr().out


def test_an_unwritable_folder_is_logged_and_without_a_folder_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    CameraMarkerFile(tmp_path / "file" / "below", CAMERA).write(WHOLE)
    assert "cannot be written" in capsys.readouterr().out
    nowhere = CameraMarkerFile(None, CAMERA)
    nowhere.write(WHOLE)
    assert nowhere.read() is None


def test_the_camera_is_known_by_its_address_and_number_or_unique_id(tmp_path: Path) -> None:
    def marker(**camera: object) -> CameraMarkerFile:
        storage = {"directory": str(tmp_path)}
        telescope = {"focal_length_mm": 530, "aperture_mm": 106}
        return camera_marker(Settings.model_validate({"telescope": telescope, "camera": camera, "storage": storage}))

    marker(device_number=1).write(WHOLE)
    assert marker(device_number=1).read() == WHOLE
    assert marker().read() is None
    marker(device_number=1, unique_id="abc").write(WHOLE)
    assert marker(device_number=2, unique_id="abc").read() == WHOLE


def test_the_settings_of_an_exposure_are_those_that_it_sets() -> None:
    assert used_settings(ExposureSettings(exposure_s=1, binning=2, gain=120)) == RUNS
    assert used_settings(ExposureSettings(exposure_s=1, offset=3)) == {"BinX": 1, "BinY": 1, "Offset": 3}


def test_settings_that_a_kill_has_left_are_restored_once_and_logged(
    camera: FakeCamera, capsys: pytest.CaptureFixture[str]
) -> None:
    marker = FakeCameraMarker(CameraRecord(settings=OWN | {"ReadoutMode": 1}, used=RUNS, is_changed=True))
    camera.values = RUNS
    asyncio.run(restore_left_settings(camera, marker))
    assert camera.values == OWN
    assert "cut off: the camera has its own settings again" in capsys.readouterr().out
    camera.values = RUNS
    asyncio.run(restore_left_settings(camera, marker))
    assert camera.values == RUNS


def test_settings_that_another_program_has_set_since_stay(
    camera: FakeCamera, capsys: pytest.CaptureFixture[str]
) -> None:
    marker = FakeCameraMarker(CameraRecord(settings=OWN, used=RUNS, is_changed=True))
    camera.values = theirs = RUNS | {"Gain": 55}
    asyncio.run(restore_left_settings(camera, marker))
    assert camera.values == theirs
    assert "they stay" in capsys.readouterr().out


def test_a_camera_that_exposes_is_left_alone_and_restored_later(camera: FakeCamera) -> None:
    marker = FakeCameraMarker(CameraRecord(settings=OWN, used=RUNS, is_changed=True))
    camera.values = RUNS

    async def taken() -> None:
        raise CameraTaken("camera 0", "It exposes.")

    idle, camera.until_idle = camera.until_idle, taken  # type: ignore[method-assign]
    with pytest.raises(CameraTaken):
        asyncio.run(restore_left_settings(camera, marker))
    assert camera.values == RUNS
    camera.until_idle = idle  # type: ignore[method-assign]
    asyncio.run(restore_left_settings(camera, marker))
    assert camera.values == OWN


def test_a_run_has_the_record_on_disk_before_it_exposes_and_none_at_its_end(camera: FakeCamera, tmp_path: Path) -> None:
    seen: list[CameraRecord | None] = []
    expose, marker = camera.expose, CameraMarkerFile(tmp_path, CAMERA)

    async def noted(settings: ExposureSettings) -> None:
        seen.append(CameraMarkerFile(tmp_path, CAMERA).read())
        await expose(settings)

    camera.expose = noted  # type: ignore[method-assign]
    focuser = camera.sky.focuser
    devices = RunDevices(
        camera=camera, focuser=focuser, clock=camera.clock, measure=camera.measure, camera_marker=marker
    )
    result = asyncio.run(
        run_focus(devices, SETTINGS, conditions=RunConditions(), max_duration_s=900.0, emit=lambda _: None)
    )
    assert result.outcome is Outcome.FOCUSED
    assert set(map(str, seen)) == {
        str(CameraRecord(settings=OWN, used=used_settings(SETTINGS.exposure), is_changed=True))
    }
    assert marker.read() is None


def test_the_next_run_restores_the_camera_before_it_saves_its_settings(camera: FakeCamera) -> None:
    marker = FakeCameraMarker(CameraRecord(settings=OWN, used=RUNS, is_changed=True))
    camera.values = RUNS
    guard = CameraSettingsGuard(camera, marker, RUNS)
    asyncio.run(guard.save())
    assert marker.record == CameraRecord(settings=OWN, used=RUNS, is_changed=True)
    camera.values = RUNS
    asyncio.run(guard.restore())
    assert camera.values == OWN
    assert marker.record is not None
    assert not marker.record.is_changed


def test_a_record_stays_while_the_settings_cannot_be_restored(camera: FakeCamera) -> None:
    marker = FakeCameraMarker()
    guard = CameraSettingsGuard(camera, marker, RUNS)
    asyncio.run(guard.save())

    async def fail(_settings: CameraValues) -> None:
        raise DeviceUnreachable("camera 0", "No answer.")

    camera.restore_settings = fail  # type: ignore[method-assign]
    with pytest.raises(DeviceUnreachable):
        asyncio.run(guard.restore())
    assert marker.record is not None
    assert marker.record.is_changed


def test_an_exposure_that_waits_at_the_gateway_outlasts_a_run_without_it(camera: FakeCamera) -> None:
    marker = FakeCameraMarker(CameraRecord(exposure=WAITS))
    guard = CameraSettingsGuard(camera, marker, RUNS)
    asyncio.run(guard.save())
    asyncio.run(guard.restore())
    # With the settings its camera hides the frames of the run as well.
    assert marker.record == CameraRecord(settings=OWN, used=RUNS, exposure=WAITS)
