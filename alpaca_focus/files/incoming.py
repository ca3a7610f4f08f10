"""Watches the imaging program's folder in a thread: reports new light frames at once, and again when measured."""

import math
import os
import sys
import threading
import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from queue import SimpleQueue

import structlog

from alpaca_focus.core.errors import FileUnreadable
from alpaca_focus.core.metrics import METRICS, STAR_SIZE
from alpaca_focus.files.fits_file import FileFrame, read_frame
from alpaca_focus.files.folder_watch import FolderListing, FolderWatch, file_stamp, tree_snapshot
from alpaca_focus.files.measuring import MeasureOptions, measure_frame

SETTLE_S = 1.0
POLL_S = 1.0
PAUSE_OVER_POLL = 9.0
"""The pause after a poll is at least so many times as long as the poll itself."""
NICENESS = 10
LOCAL_TIME = timedelta(hours=14)
"""Some programs write local time, which is at most this far from UTC."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingFrame:
    """A new light frame; reported when it is complete, and again when it is measured.

    Attributes:
        ended_at: End of its exposure, UTC; `None` if unknown.
        is_named_light: Whether its header names it a light frame; headers without a frame type are accepted too.
        hfd_px: Size of its stars in unbinned pixels; `None` if not measured yet.
    """

    path: Path
    ended_at: datetime | None
    is_named_light: bool
    hfd_px: float | None = None


class IncomingFrames:
    """Watches a folder and its subfolders.

    The frames of the first poll do not count, nor does a frame whose file is copied, renamed or rewritten. The folder
    may be absent for a time.

    Args:
        least_s: Shortest exposure to accept; shorter ones are test shots.
        since: Start of the watch, UTC; far older frames belong to another night.
        settle_s: Time without changes after which a file is complete.
    """

    def __init__(
        self, folder: Path, pattern: str, *, least_s: float, since: datetime, settle_s: float = SETTLE_S
    ) -> None:
        self._folder, self._pattern = folder, pattern
        self._least_s, self._since = least_s, since
        self._files = FolderWatch(settle_s=settle_s)
        self._reported: set[tuple[datetime, str]] = set()
        self._was_present: bool | None = None
        self._is_first = True
        self._queue: SimpleQueue[IncomingFrame] = SimpleQueue()
        self._stopping = threading.Event()
        # A daemon thread: measuring a frame must not delay the end of the program.
        self._thread = threading.Thread(target=self._run, name="incoming frames", daemon=True)

    def start(self) -> None:
        """Start the watch."""
        self._thread.start()

    def stop(self, within_s: float) -> None:
        """Stop the watch; block until its thread has ended, or for `within_s` at most."""
        self._stopping.set()
        self._thread.join(within_s)

    def taken(self) -> list[IncomingFrame]:
        """Return the frames reported since the last call, in order, without waiting."""
        # This is the only reader of the queue, so it holds at least as many frames as it reports.
        return [self._queue.get_nowait() for _ in range(self._queue.qsize())]

    def _run(self) -> None:
        if sys.platform == "linux":
            # Threads have a niceness of their own there.
            thread = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, thread, max(NICENESS, os.getpriority(os.PRIO_PROCESS, thread)))
        while not self._stopping.is_set():
            began_s = time.monotonic()
            snapshot = tree_snapshot(self._folder, self._pattern)
            pause_s = max(POLL_S, PAUSE_OVER_POLL * (time.monotonic() - began_s))
            self._log_presence(is_present=snapshot is not None)
            if snapshot is not None:
                self._read_new(snapshot)
            self._stopping.wait(pause_s)

    def _read_new(self, snapshot: FolderListing) -> None:
        if self._is_first:
            self._files.ignore(snapshot, time.monotonic())
            self._is_first = False
        for name in self._files.poll(snapshot, time.monotonic()):
            if self._stopping.is_set():
                return
            try:
                self._take(name, snapshot)
            except Exception as error:  # noqa: BLE001 - the watch goes on with the next file; the log has the details
                _log.exception("Frame skipped: internal error of the program", file=name, why=str(error))
                self._files.outcome(name, time.monotonic(), complete=True)

    def _log_presence(self, *, is_present: bool) -> None:
        if is_present == self._was_present:
            return
        if not is_present:
            _log.warning("imaging.folder does not exist or does not answer. Retrying.", folder=str(self._folder))
        elif self._was_present is not None:
            _log.info("imaging.folder is back", folder=str(self._folder))
        self._was_present = is_present

    def _take(self, name: str, snapshot: FolderListing) -> None:
        path = self._folder / name
        try:
            file = read_frame(path)
        except FileUnreadable as error:
            if file_stamp(path) == snapshot[name] and self._files.outcome(name, time.monotonic(), complete=False):
                _log.warning("Frame skipped: file unreadable", why=str(error))
            return
        if file_stamp(path) != snapshot[name]:
            # Changed or removed while it was read: the next poll handles it.
            return
        self._files.outcome(name, time.monotonic(), complete=True)
        if not self._counts(file, name):
            return
        frame = IncomingFrame(path=path, ended_at=_ended_at(file), is_named_light=bool(file.image_type))
        self._queue.put(frame)
        if (hfd_px := _hfd_px(file)) is not None:
            self._queue.put(replace(frame, hfd_px=hfd_px))

    def _counts(self, file: FileFrame, name: str) -> bool:
        ended_at = _ended_at(file)
        key = (file.frame.started_at, name if ended_at is None else "")
        is_light = not file.image_type or file.image_type.upper().startswith("LIGHT")
        is_short = file.frame.exposure_s < self._least_s
        is_old = ended_at is not None and ended_at < self._since - LOCAL_TIME
        if not is_light or is_short or is_old or key in self._reported:
            return False
        self._reported.add(key)
        return True


def _ended_at(file: FileFrame) -> datetime | None:
    """Return the end of the exposure; `None` if the header has a date without a time."""
    started_at, exposure_s = file.frame.started_at, file.frame.exposure_s
    if started_at.time() == datetime.min.time():
        return None
    return started_at + timedelta(seconds=exposure_s if math.isfinite(exposure_s) else 0.0)


def _hfd_px(file: FileFrame) -> float | None:
    """Return the size of the stars in unbinned pixels; `None` if there are none."""
    row = METRICS[STAR_SIZE]
    report = measure_frame(file, MeasureOptions(metric=row.measured_as))
    hfd_px = report.number(row.column) if report.usable else math.nan
    return hfd_px * file.frame.binning if math.isfinite(hfd_px) else None
