"""New light frames as an imaging program saves them: counted at once, measured at leisure, in a thread of its own."""

import math
import os
import sys
import threading
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from queue import Empty, SimpleQueue

import structlog

from alpaca_focus.core.errors import FileUnreadable
from alpaca_focus.core.metrics import METRICS, STAR_SIZE
from alpaca_focus.files.fits_file import FileFrame, read_frame
from alpaca_focus.files.measuring import MeasureOptions, measure_frame
from alpaca_focus.files.watching import FolderWatch, Snapshot, file_stamp, tree_snapshot

SETTLE_S = 1.0
LOOK_S = 1.0
REST_OF_LOOKS = 9.0
"""A look at a large or slow folder is followed by a rest so many times as long."""
NICENESS = 10
LOCAL_TIME = timedelta(hours=14)
"""Some programs write local time, and no zone is farther from UTC."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingFrame:
    """What has become known of a new light frame; each one is told when it counts, and again when it is measured.

    Attributes:
        path: Its file.
        ended_at: End of its exposure, UTC; `None`: its header does not say.
        is_named_light: Whether its header says that it is a light frame, and not nothing.
        hfd_px: Size of its stars in unbinned pixels; `None`: it counts, and is not measured yet.
    """

    path: Path
    ended_at: datetime | None
    is_named_light: bool
    hfd_px: float | None = None


class IncomingFrames:
    """Watches a folder and those below it.

    Frames that are there at the first look do not count, nor does a frame whose file is copied, renamed or written
    again. The folder may come and go.

    Args:
        folder: Where they are saved.
        pattern: Which names count.
        least_s: Shorter exposures are test shots and do not count.
        since: When the watch begins, UTC; what is far older belongs to another night.
        settle_s: A file is complete when it has not changed for so many seconds.
    """

    def __init__(
        self, folder: Path, pattern: str, *, least_s: float, since: datetime, settle_s: float = SETTLE_S
    ) -> None:
        self._folder = folder
        self._pattern = pattern
        self._least_s = least_s
        self._since = since
        self._files = FolderWatch(settle_s=settle_s)
        self._seen: set[tuple[datetime, str]] = set()
        self._is_there: bool | None = None
        self._is_first = True
        self._found: SimpleQueue[IncomingFrame] = SimpleQueue()
        self._stopping = threading.Event()
        # A daemon, because a frame that is being measured must not hold up the end of the program.
        self._thread = threading.Thread(target=self._run, name="incoming frames", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self, within_s: float) -> None:
        """End the watch, and wait for that no longer than told; blocks meanwhile."""
        self._stopping.set()
        self._thread.join(within_s)

    def taken(self) -> list[IncomingFrame]:
        """Return what has become known since the last call, in order; never waits."""
        frames = []
        while True:
            try:
                frames.append(self._found.get_nowait())
            except Empty:
                return frames

    def _run(self) -> None:
        _go_easy()
        while not self._stopping.is_set():
            began_s = time.monotonic()
            snapshot = tree_snapshot(self._folder, self._pattern)
            rest_s = max(LOOK_S, REST_OF_LOOKS * (time.monotonic() - began_s))
            self._tell_presence(is_there=snapshot is not None)
            if snapshot is not None:
                self._look(snapshot)
            self._stopping.wait(rest_s)

    def _look(self, snapshot: Snapshot) -> None:
        if self._is_first:
            self._files.ignore(snapshot, time.monotonic())
            self._is_first = False
        for name in self._files.look(snapshot, time.monotonic()):
            if self._stopping.is_set():
                return
            try:
                self._take(name, snapshot)
            except Exception as error:  # noqa: BLE001 - the watch goes on with the next file; the log has it whole
                _log.exception("A frame was left out: the program itself failed on it", file=name, why=str(error))
                self._files.outcome(name, time.monotonic(), complete=True)

    def _tell_presence(self, *, is_there: bool) -> None:
        if is_there == self._is_there:
            return
        if not is_there:
            _log.warning("imaging.folder is not there or does not answer; it is waited for", folder=str(self._folder))
        elif self._is_there is not None:
            _log.info("imaging.folder is there again", folder=str(self._folder))
        self._is_there = is_there

    def _take(self, name: str, snapshot: Snapshot) -> None:
        path = self._folder / name
        try:
            file = read_frame(path)
        except FileUnreadable as error:
            if file_stamp(path) == snapshot[name] and self._files.outcome(name, time.monotonic(), complete=False):
                _log.warning("A frame cannot be read and is left out", why=str(error))
            return
        if file_stamp(path) != snapshot[name]:
            # Somebody wrote on or took it away while it was read: the next look sees what became of it.
            return
        self._files.outcome(name, time.monotonic(), complete=True)
        if not self._counts(file, name):
            return
        frame = IncomingFrame(path=path, ended_at=_ended_at(file), is_named_light=bool(file.image_type))
        self._found.put(frame)
        hfd_px = _hfd_px(file)
        if hfd_px is not None:
            self._found.put(replace(frame, hfd_px=hfd_px))

    def _counts(self, file: FileFrame, name: str) -> bool:
        ended_at = _ended_at(file)
        key = (file.frame.started_at, name if ended_at is None else "")
        is_light = not file.image_type or file.image_type.upper().startswith("LIGHT")
        is_short = file.frame.exposure_s < self._least_s
        is_old = ended_at is not None and ended_at < self._since - LOCAL_TIME
        if not is_light or is_short or is_old or key in self._seen:
            return False
        self._seen.add(key)
        return True


def _ended_at(file: FileFrame) -> datetime | None:
    """Return the end of the exposure; `None` where the header has a date without a time."""
    started_at, exposure_s = file.frame.started_at, file.frame.exposure_s
    if (started_at.hour, started_at.minute, started_at.second, started_at.microsecond) == (0, 0, 0, 0):
        return None
    return started_at + timedelta(seconds=exposure_s if math.isfinite(exposure_s) else 0.0)


def _hfd_px(file: FileFrame) -> float | None:
    """Return the size of the stars in unbinned pixels; `None`: there are none."""
    row = METRICS[STAR_SIZE]
    report = measure_frame(file, MeasureOptions(metric=row.measured_as))
    hfd_px = report.number(row.column) if report.usable else math.nan
    return hfd_px * file.frame.binning if math.isfinite(hfd_px) else None


def _go_easy() -> None:
    """Let this thread, on systems where a thread has a niceness of its own, give way to the night's work."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, max(NICENESS, os.getpriority(os.PRIO_PROCESS, thread)))
