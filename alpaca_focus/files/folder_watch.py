"""Decides when a new file in a folder is complete, from listings of the folder and the times they were taken at.

A capture program writes a frame over seconds, under its final name or under a temporary one. Kernel notifications do
not cover files that another computer writes to a network share, so the folder is polled, and a file is taken when its
size and time have not changed for a moment and it can be read to its end.
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
"""An unreadable file is reported so many settling times after its last change."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """Size and modification time of a file. A share has its own clock, so times are compared with each other only."""

    size_bytes: int
    changed_ns: int


FolderListing: TypeAlias = Mapping[str, Stamp]
"""The files of a folder by name."""


@dataclass(frozen=True, slots=True)
class _Known:
    """The last stamp of a file, since when it has had it, and whether the file is dealt with."""

    stamp: Stamp
    since_s: float
    settled: bool = False
    next_try_s: float = 0.0


class FolderWatch:
    """Decides which files are ready. It has no clock and touches no disk.

    Call `poll` with each listing, try to read the files it returns, and report each result to `outcome`. A file that
    was dealt with is remembered while it is away, so that the files of a returning share are not new ones.
    """

    def __init__(self, *, settle_s: float) -> None:
        self._settle_s = settle_s
        self._known: dict[str, _Known] = {}

    def ignore(self, listing: FolderListing, now_s: float) -> None:
        """Mark the files present now as dealt with; one that changes later counts as new."""
        self._known |= {name: _Known(stamp, now_s, settled=True) for name, stamp in listing.items()}

    def poll(self, listing: FolderListing, now_s: float) -> list[str]:
        """Return the names of the files that are ready to be read, oldest first; `now_s` is monotonic time."""
        self._known = {name: known for name, known in self._known.items() if known.settled or name in listing}
        ready = []
        for name, stamp in listing.items():
            if name not in self._known or self._known[name].stamp != stamp:
                self._known[name] = _Known(stamp, now_s, next_try_s=now_s + self._settle_s)
            if not self._known[name].settled and now_s >= self._known[name].next_try_s:
                ready.append(name)
        return sorted(ready, key=lambda name: (listing[name].changed_ns, name))

    def outcome(self, name: str, now_s: float, *, complete: bool) -> bool:
        """Record whether a file could be read to its end, and return whether to report it.

        An unreadable file is reported once it has been unchanged for so long that nobody seems to be writing it; then
        it is left alone until it changes.
        """
        known = self._known[name]
        settled = complete or now_s - known.since_s >= PATIENCE * self._settle_s
        self._known[name] = replace(known, settled=settled, next_try_s=now_s + self._settle_s)
        return settled


def is_frame_name(name: str) -> bool:
    """Return whether a name is that of a finished FITS file: no `.tmp`, no `.part`, no `~`, no dotfile."""
    return name.lower().endswith(SUFFIXES) and not name.startswith(TEMPORARY_STARTS)


def folder_snapshot(folder: Path) -> FolderListing | None:
    """Return a folder's FITS files; `None` when the folder does not exist or does not answer."""
    try:
        with os.scandir(folder) as entries:
            return dict(_stamps(entries))
    except OSError:
        return None


def tree_snapshot(folder: Path, pattern: str = "*") -> FolderListing | None:
    """Return the FITS files of a folder and its subfolders, by their relative paths.

    Links to folders and hidden folders are left out. `pattern` is matched against the names alone, in any case. `None`
    when the folder does not exist or does not answer.
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
            # Deleted or renamed since it was listed.
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
    """Return the stamp of one file; `None` when it does not exist."""
    try:
        status = path.stat()
    except OSError:
        return None
    return Stamp(status.st_size, status.st_mtime_ns)


def _stamps(entries: Iterable["os.DirEntry[str]"]) -> Iterator[tuple[str, Stamp]]:
    for entry in entries:
        try:
            if is_frame_name(entry.name) and entry.is_file():
                status = entry.stat()
                yield entry.name, Stamp(status.st_size, status.st_mtime_ns)
        except OSError:
            # Deleted or renamed since it was listed.
            continue
