"""The polls of a folder of new frames, to wait for instead of a time."""

import time
from pathlib import Path

import pytest

from alpaca_focus.files import incoming
from alpaca_focus.files.folder_watch import FolderListing, tree_snapshot

POLL_S = 0.05
PATIENCE_S = 30.0


class FolderPolls:
    """Quick polls, counted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._begun = 0
        monkeypatch.setattr(incoming, "POLL_S", POLL_S)
        monkeypatch.setattr(incoming, "tree_snapshot", self._poll)

    def _poll(self, folder: Path, pattern: str) -> FolderListing | None:
        self._begun += 1
        return tree_snapshot(folder, pattern)

    def wait(self) -> None:
        """Wait until a poll has ended that begins after this call."""
        wanted, ends_s = self._begun + 2, time.monotonic() + PATIENCE_S
        while self._begun < wanted:
            assert time.monotonic() < ends_s, "the folder is not polled"
            time.sleep(0.01)
