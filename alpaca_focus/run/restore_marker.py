"""The restore marker: a file that keeps where the focuser belongs during a run, for the start after a crash."""

import json
import os
import time
from pathlib import Path

import structlog

from alpaca_focus.core.values import Position

FILE_NAME = "focuser-belongs-at.json"

OLDEST_S = 86_400.0
"""Older markers are ignored: the focuser has been moved since."""

_log = structlog.get_logger(__name__)


class RestoreMarker:
    """The marker of one focuser, on disk from before the first move of a run to its end.

    Args:
        directory: Folder of the marker; `None`: none is kept.
        device: Name of the focuser; a marker of another one is left alone.
    """

    def __init__(self, directory: Path | None, device: str) -> None:
        self._path = None if directory is None else directory / FILE_NAME
        self._device = device

    def left_by_interrupted_run(self) -> Position | None:
        """Return where the focuser belongs if an earlier run was cut off; `None` if none was."""
        if self._path is None:
            return None
        try:
            if time.time() - self._path.stat().st_mtime > OLDEST_S:
                return None
            note = json.loads(self._path.read_text(encoding="utf-8"))
            device, position = note["device"], note["position"]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning(f"The note {self._path} of an earlier run cannot be read ({error}) and is not followed.")
            return None
        if device != self._device or isinstance(position, bool) or not isinstance(position, int):
            return None
        return position

    def set(self, position: Position) -> None:
        """Write to disk, before returning, where the focuser belongs."""
        if self._path is None:
            return
        new = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with new.open("w", encoding="utf-8") as file:
                json.dump({"device": self._device, "position": position}, file)
                file.flush()
                os.fsync(file.fileno())
            new.replace(self._path)
            _sync_folder(self._path.parent)
        except OSError as error:
            _log.warning(
                f"The place to return to, {position}, could not be noted in {self._path} ({error.strerror}): after a "
                "power cut nobody would know it. The run goes on."
            )

    def clear(self) -> None:
        """Delete the marker: the focuser is where it belongs."""
        if self._path is None:
            return
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            _log.warning(f"The note {self._path} could not be taken away ({error.strerror}). Delete it.")


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
