"""What a run reads from earlier ones and saves for later ones; no run fails because the disk does."""

from collections.abc import Callable
from pathlib import Path
from typing import Self, TypeVar

import structlog

from alpaca_focus.core.curves.hyperbola import KNOWN
from alpaca_focus.core.curves.learned_curve import LearnedCurve, learn_curve, move_learned_focus
from alpaca_focus.core.errors import RunFailed, StorageError
from alpaca_focus.core.values import FocusResult, Outcome, SavedRun
from alpaca_focus.store.run_store import RunStore

T = TypeVar("T")

_log = structlog.get_logger(__name__)


class Memory:
    """The history of one optical train, if there is one; use it as a context manager.

    Args:
        directory: Folder of the history; `None`: there is none.
        train: Name of the optical train; curves of other trains are not used.
    """

    def __init__(self, directory: Path | None, train: str) -> None:
        self._train = train
        self._store: RunStore | None = None
        if directory is None:
            return
        try:
            self._store = RunStore(directory)
        except StorageError as error:
            _log.warning(f"{error} The run continues without the history.")
            return
        if self._store.notice:
            _log.warning(self._store.notice)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the history."""
        if self._store is not None:
            self._store.close()

    def runs(self, *, last: int) -> tuple[SavedRun, ...]:
        """Return the latest runs, the newest first; none if the history cannot be read."""
        return self._read(lambda store: store.runs(last=last)) or ()

    def remember(self, result: FocusResult, *, trigger: str, learn: bool = True) -> None:
        """Save a run, and with `learn` what it adds to the learned curve."""
        if self._store is None:
            return
        try:
            self._store.save(result, trigger=trigger)
            profile = self._learned_from(result) if learn else None
            if profile is not None:
                self._store.save_profile(self._train, result.filter_name, profile)
        except StorageError as error:
            _log.warning(f"{error} This run is not in the history.")

    def profile(self, filter_name: str | None) -> LearnedCurve | None:
        """Return the learned curve through a filter; `None`: there is none, or it cannot be read."""
        return self._read(lambda store: store.profile(self._train, filter_name))

    def _read(self, read: Callable[[RunStore], T]) -> T | None:
        try:
            return None if self._store is None else read(self._store)
        except StorageError as error:
            _log.warning(f"{error} The run continues without it.")
            return None

    def _learned_from(self, result: FocusResult) -> LearnedCurve | None:
        fit, at, degrees = result.fit, result.started_at, result.temperature_c
        if result.outcome is not Outcome.FOCUSED or fit is None or result.doubtful:
            return None
        before = self.profile(result.filter_name)
        # A pair of frames on a known curve shows where focus is, and not the slopes (decision 0010).
        if fit.model == KNOWN:
            return before and move_learned_focus(before, result.samples, fit, temperature_c=degrees, learned_at=at)
        try:
            return learn_curve(result.samples, fit, before=before, temperature_c=degrees, learned_at=at)
        except RunFailed:
            # Focused without enough of an arm to learn from: the next run takes a whole curve again.
            return None
