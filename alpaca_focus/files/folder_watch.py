"""When a new file in a folder is complete: a pure decider, fed with what the folder looked like and when.

A capture program writes a frame over seconds, under its final name or under a temporary one. A notification of the
kernel says nothing about files that another computer writes to a network share, so the folder is looked at again and
again, and a file is taken when its size and time have not changed for a moment and it can be read to its end.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeAlias

SUFFIXES = (".fits", ".fit", ".fts", ".fits.gz", ".fit.gz", ".fts.gz", ".fits.fz", ".fit.fz", ".fz")
TEMPORARY_STARTS = (".", "~")
PATIENCE = 5.0
"""A file that still cannot be read so many times the settling time after its last change is spoken of."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """Size and time of last change of a file. The time is compared with itself only: a share has its own clock."""

    size_bytes: int
    changed_ns: int


Snapshot: TypeAlias = Mapping[str, Stamp]
"""The files of a folder by name."""


@dataclass(frozen=True, slots=True)
class _Known:
    """A file as last seen: its stamp, since when it is so, and whether there is nothing more to do about it."""

    stamp: Stamp
    since_s: float
    settled: bool = False
    next_try_s: float = 0.0


class FolderWatch:
    """Decides which files are ready. It has no clock and touches no disk.

    Call `look` with each snapshot, try to read what it returns, and tell `outcome` how that went. A file that was dealt
    with is remembered even while it is away, so that a share that returns does not bring all its files as new ones.
    """

    def __init__(self, *, settle_s: float) -> None:
        self._settle_s = settle_s
        self._patience_s = PATIENCE * settle_s
        self._known: dict[str, _Known] = {}

    def ignore(self, snapshot: Snapshot, now_s: float) -> None:
        """Take the files there now as dealt with; one that changes later counts as new."""
        for name, stamp in snapshot.items():
            self._known[name] = _Known(stamp, now_s, settled=True)

    def look(self, snapshot: Snapshot, now_s: float) -> list[str]:
        """Return the names of files that are ready to be read, oldest first.

        Args:
            snapshot: The folder now.
            now_s: Monotonic time in seconds.
        """
        for name, known in list(self._known.items()):
            if name not in snapshot and not known.settled:
                del self._known[name]
        ready = []
        for name, stamp in snapshot.items():
            if name not in self._known or self._known[name].stamp != stamp:
                self._known[name] = _Known(stamp, now_s, next_try_s=now_s + self._settle_s)
            if not self._known[name].settled and now_s >= self._known[name].next_try_s:
                ready.append(name)
        return sorted(ready, key=lambda name: (snapshot[name].changed_ns, name))

    def outcome(self, name: str, now_s: float, *, complete: bool) -> bool:
        """Take note of whether a file could be read to its end.

        Returns:
            Whether to tell what came of it. A file that cannot be read is told of when it has been as it is for so
            long that nobody seems to be writing it; then it is left alone until it changes.
        """
        known = self._known[name]
        settled = complete or now_s - known.since_s >= self._patience_s
        self._known[name] = replace(known, settled=settled, next_try_s=now_s + self._settle_s)
        return settled


def is_frame_name(name: str) -> bool:
    """Tell whether a name is that of a finished FITS file: no `.tmp`, no `.part`, no `~`, no dotfile."""
    return name.lower().endswith(SUFFIXES) and not name.startswith(TEMPORARY_STARTS)


def folder_snapshot(folder: Path) -> Snapshot | None:
    """Look at a folder's FITS files; `None` when the folder is not there or does not answer."""
    try:
        with os.scandir(folder) as entries:
            return dict(_stamps(entries))
    except OSError:
        return None


def tree_snapshot(folder: Path, pattern: str = "*") -> Snapshot | None:
    """Look at the FITS files of a folder and of those below it; `None` when it is not there or does not answer.

    Links to folders and hidden folders are left out.

    Args:
        folder: Where to look.
        pattern: Which files, by their names alone, in capital or small letters.

    Returns:
        The files by their paths below the folder.
    """
    found: dict[str, Stamp] = {}
    below = [Path()]
    while below:
        part = below.pop()
        try:
            with os.scandir(folder / part) as entries:
                listed = list(entries)
        except OSError:
            if part == Path():
                return None
            # Deleted or renamed since it was listed: it is not there.
            continue
        below += [part / each.name for each in listed if _is_open_folder(each)]
        wanted = (each for each in listed if fnmatchcase(each.name.lower(), pattern.lower()))
        found |= {str(part / name): stamp for name, stamp in _stamps(wanted)}
    return found


def _is_open_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir(follow_symlinks=False) and not entry.name.startswith(TEMPORARY_STARTS)
    except OSError:
        return False


def file_stamp(path: Path) -> Stamp | None:
    """Look at one file; `None` when it is not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return Stamp(status.st_size, status.st_mtime_ns)


def _stamps(entries: Iterable["os.DirEntry[str]"]) -> Iterator[tuple[str, Stamp]]:
    for entry in entries:
        if not is_frame_name(entry.name):
            continue
        try:
            status = entry.stat()
            regular = entry.is_file()
        except OSError:
            # Deleted or renamed since it was listed: it is not there.
            continue
        if regular:
            yield entry.name, Stamp(status.st_size, status.st_mtime_ns)
