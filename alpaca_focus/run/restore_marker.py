"""The restore marker: a file with the position to restore after a crash in the middle of a run."""

import json
import time
from pathlib import Path

import structlog

from alpaca_focus.core.values import Position
from alpaca_focus.run.marker_file import write_durably

FILE_NAME = "focuser-belongs-at.json"

OLDEST_S = 86_400.0
"""Older markers are ignored: by then the focuser has most likely been moved by other means."""

_log = structlog.get_logger(__name__)


def is_set(directory: Path | None) -> bool:
    """Return whether there is a marker of any focuser in a folder."""
    return directory is not None and (directory / FILE_NAME).exists()


class RestoreMarker:
    """The marker of one focuser, on disk from before the first move of a run to its end (decision 0015).

    Args:
        directory: Folder of the marker; `None`: no marker is written.
        device: Name of the focuser; the marker of another one is ignored.
    """

    def __init__(self, directory: Path | None, device: str) -> None:
        self._path = None if directory is None else directory / FILE_NAME
        self._device = device

    def left_by_interrupted_run(self) -> Position | None:
        """Return the position to restore if an earlier run was interrupted by a crash, else `None`."""
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
            _log.warning(f"The restore marker {self._path} cannot be read ({error}) and is ignored.")
            return None
        if device != self._device or isinstance(position, bool) or not isinstance(position, int):
            return None
        return position

    def set(self, position: Position) -> None:
        """Write the restore position; it is on the disk, not only in the cache, when this returns."""
        if self._path is None:
            return
        try:
            write_durably(self._path, json.dumps({"device": self._device, "position": position}).encode())
        except OSError as error:
            _log.warning(
                f"The restore marker {self._path} cannot be written ({error.strerror}). The run continues; after a "
                f"power cut the focuser has to be moved to {position} by hand."
            )

    def clear(self) -> None:
        """Delete the marker: the focuser is where it belongs."""
        if self._path is None:
            return
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            _log.warning(f"The restore marker {self._path} cannot be deleted ({error.strerror}). Delete it by hand.")
