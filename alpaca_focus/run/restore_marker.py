"""The restore marker: a file with the position to restore after a crash in the middle of a run."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from alpaca_focus.core.values import Position
from alpaca_focus.run.marker_file import write_durably

FILE_NAME = "focuser-belongs-at.json"

OLDEST_S = 86_400.0
"""Older markers are ignored: by then the focuser has most likely been moved by other means."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Note:
    position: Position
    reach: Sequence[Position] | None

    def explains(self, here: Position) -> bool:
        return self.reach is None or is_within_reach(here, self.reach)


def is_within_reach(position: Position, reach: Sequence[Position]) -> bool:
    """Return whether a run between two positions, the lowest and the highest, can have left the focuser at a position.

    As far beyond them as they are apart, so that the marker is not written anew at every move.
    """
    low, high = reach
    return low - (high - low) <= position <= high + (high - low)


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

    @property
    def is_left(self) -> bool:
        """Whether an earlier run was interrupted; during a run it is that run's own marker."""
        return self._read() is not None

    def left_by_interrupted_run(self, here: Position | None = None) -> Position | None:
        """Return the position to restore if an earlier run was interrupted, else `None`.

        A focuser that is now where the run cannot have left it (`here`; `None`: not known) has lost its zero, or was
        moved by others: the position is logged, and not returned.
        """
        note = self._read()
        if note is None or here is None or note.explains(here):
            return None if note is None else note.position
        _log.warning(
            f"The focuser is at {here}, where the focus run that began at {note.position} cannot have left it: it may "
            "have lost its zero. It is not moved back; refocus, or set its position in its own program."
        )
        return None

    def _read(self) -> "_Note | None":
        if self._path is None:
            return None
        try:
            if time.time() - self._path.stat().st_mtime > OLDEST_S:
                return None
            note = json.loads(self._path.read_text(encoding="utf-8"))
            found = _Note(position=note["position"], reach=note.get("reach"))
            device, numbers = note["device"], (found.position, *(found.reach or ()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            _log.warning(f"The restore marker {self._path} cannot be read ({error}) and is ignored.")
            return None
        if device != self._device or not all(type(each) is int for each in numbers) or len(numbers) not in {1, 3}:
            return None
        return found

    def set(self, position: Position, *, reach: tuple[Position, Position] | None = None) -> None:
        """Write the restore position; it is on the disk, not only in the cache, when this returns.

        `reach` has the lowest and the highest position of the run so far; `None`: not known.
        """
        if self._path is None:
            return
        try:
            write_durably(
                self._path, json.dumps({"device": self._device, "position": position, "reach": reach}).encode()
            )
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
