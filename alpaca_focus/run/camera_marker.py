"""The camera marker: how the camera was before a focus run, on disk so that the next start can restore it."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import structlog
from pydantic import TypeAdapter, ValidationError

from alpaca_focus.core.camera_record import CameraRecord, CameraValues
from alpaca_focus.core.values import ExposureSettings
from alpaca_focus.ports import Camera, CameraMarker
from alpaca_focus.run.device_adapters import address_of
from alpaca_focus.run.marker_file import write_durably
from alpaca_focus.run.restore_marker import OLDEST_S
from alpaca_focus.settings.models import Settings

FILE_NAME = "camera-as-it-was.json"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Content:
    device: str
    record: CameraRecord


_CONTENT = TypeAdapter(_Content)


class CameraMarkerFile:
    """The marker of one camera; implements `ports.CameraMarker`.

    Args:
        directory: Folder of the marker; `None`: no marker is written.
        device: Identifies the camera; the marker of another one is ignored.
    """

    def __init__(self, directory: Path | None, device: str) -> None:
        self._path = None if directory is None else directory / FILE_NAME
        self._device = device

    def read(self) -> CameraRecord | None:
        """Return what a killed program has left; `None` if there is nothing, or it cannot be read.

        Settings of a marker older than `OLDEST_S` are not restored: the camera has most likely been used since.
        """
        if self._path is None:
            return None
        try:
            age_s = time.time() - self._path.stat().st_mtime
            content = _CONTENT.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            why = f"{error.error_count()} errors" if isinstance(error, ValidationError) else error.strerror
            _log.warning(f"The camera marker {self._path} cannot be read ({why}) and is ignored.")
            return None
        if content.device != self._device:
            return None
        return replace(content.record, is_changed=content.record.is_changed and age_s <= OLDEST_S)

    def write(self, record: CameraRecord) -> None:
        """Write the record, or delete it if it is empty; it is on the disk when this returns."""
        if self._path is None:
            return
        try:
            if record.is_empty:
                self._path.unlink(missing_ok=True)
            else:
                write_durably(self._path, _CONTENT.dump_json(_Content(device=self._device, record=record)))
        except OSError as error:
            _log.warning(
                f"The camera marker {self._path} cannot be written ({error.strerror}). The night continues; after a "
                "kill or a power cut check the camera's binning, gain and subframe."
            )


def camera_marker(settings: Settings) -> CameraMarkerFile:
    """Return the marker of the camera of the settings."""
    address = address_of(settings.camera, settings)
    device = f"camera {address.unique_id or address.device_number} at {address.authority}"
    return CameraMarkerFile(settings.storage.folder, device)


def used_settings(exposure: ExposureSettings) -> CameraValues:
    """Return the camera settings of an exposure; the subframe follows from the binning with many cameras."""
    levels = {"Gain": exposure.gain, "Offset": exposure.offset}
    return {"BinX": exposure.binning, "BinY": exposure.binning} | {
        member: value for member, value in levels.items() if value is not None
    }


async def restore_left_settings(camera: Camera, marker: CameraMarker) -> None:
    """Restore the settings that a killed program has left changed, and log it; does nothing if it has left none.

    Raises:
        DeviceError: The camera does not answer, exposes for another program, or does not accept the settings.
    """
    left = marker.read()
    if left is None or left.settings is None or not left.is_changed:
        return
    await camera.until_idle()
    found = await camera.settings()
    before = {**left.settings, **left.changes}
    wanted = {member: before[member] for member in found if member in before}
    if left.is_set_by_others(found):
        _log.warning("The camera's settings were changed after a run was cut off; they stay", settings=dict(found))
    elif wanted != found:
        await camera.restore_settings(wanted)
        _log.warning("A focus run was cut off: the camera has its own settings again", found=dict(found), now=wanted)
    marker.write(replace(left, is_changed=False))


class CameraSettingsGuard:
    """Saves the camera's settings before they are changed, and restores them; also at the next start after a kill.

    Args:
        marker: `None`: another part writes it.
        used: Settings that will be used.
    """

    def __init__(self, camera: Camera, marker: CameraMarker | None, used: CameraValues) -> None:
        self._camera = camera
        self._marker = marker
        self._used = used
        self._saved: CameraValues = {}
        self._left: CameraRecord | None = None

    async def save(self) -> None:
        """Restore what a killed program has left, then save the settings.

        Raises:
            DeviceError: The camera does not answer, or cannot be restored.
        """
        if self._marker is not None:
            await restore_left_settings(self._camera, self._marker)
            self._left = self._marker.read()
        self._saved = await self._camera.settings()
        self._write(is_changed=True)

    async def restore(self) -> None:
        """Restore the saved settings.

        Raises:
            DeviceError: They could not be restored; another call, or the next start, tries again.
        """
        await self._camera.restore_settings(self._saved)
        self._write(is_changed=False)

    def _write(self, *, is_changed: bool) -> None:
        if self._marker is None:
            return
        record = CameraRecord(settings=self._saved, used=self._used, is_changed=is_changed)
        if self._left is not None:
            # The imaging program's exposure may still wait: its camera then has to hide this run's frames, too.
            record = replace(record, exposure=self._left.exposure, last_exposure=self._left.last_exposure)
        elif not is_changed:
            record = CameraRecord()
        self._marker.write(record)
