"""What a run takes from earlier ones and leaves for later ones; no run fails because the disk does."""

from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from alpaca_focus.core.curves.hyperbola import KNOWN
from alpaca_focus.core.curves.learned_curve import LearnedCurve, learn_curve, move_learned_focus
from alpaca_focus.core.errors import RunFailed, StorageError
from alpaca_focus.core.values import FocusResult, Outcome
from alpaca_focus.store.run_store import KeptRun, RunStore

_log = structlog.get_logger(__name__)


class Memory:
    """The history of one optical train, if there is one; use it as a context manager.

    Args:
        directory: Folder of the history; `None`: nothing is kept, and nothing is known.
        train: Name of the optical train; what was learned of another one is not used.
    """

    def __init__(self, directory: Path | None, train: str) -> None:
        self._train = train
        self._store: RunStore | None = None
        if directory is None:
            return
        try:
            self._store = RunStore(directory)
        except StorageError as error:
            _log.warning(f"{error} The run goes on without the history.")
            return
        if self._store.notice:
            _log.warning(self._store.notice)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the history."""
        if self._store is not None:
            self._store.__exit__(kind, error, trace)

    def runs(self, *, last: int) -> tuple[KeptRun, ...]:
        """Return the latest runs, the newest first; none where the history cannot be read."""
        if self._store is None:
            return ()
        try:
            return self._store.runs(last=last)
        except StorageError as error:
            _log.warning(f"{error} The run goes on as if nothing were known.")
            return ()

    def remember(self, result: FocusResult, *, trigger: str, learn: bool = True) -> None:
        """Keep a run, and learn from it if it was verified and may be learned from."""
        if self._store is None:
            return
        try:
            self._store.save(result, trigger=trigger)
            profile = self._taught_by(result) if learn else None
            if profile is not None:
                self._store.save_profile(self._train, result.filter_name, profile)
        except StorageError as error:
            _log.warning(f"{error} This run is not in the history.")

    def profile(self, filter_name: str | None) -> LearnedCurve | None:
        """Return what is known of the V-curve through a filter; `None`: nothing."""
        if self._store is None:
            return None
        try:
            return self._store.profile(self._train, filter_name)
        except StorageError as error:
            _log.warning(f"{error} The run goes on as if nothing were known.")
            return None

    def _taught_by(self, result: FocusResult) -> LearnedCurve | None:
        if result.outcome is not Outcome.FOCUSED or result.fit is None or result.doubtful:
            return None
        before = self.profile(result.filter_name)
        if result.fit.model == KNOWN:
            if before is None:
                return None
            return move_learned_focus(
                before,
                result.samples,
                result.fit,
                temperature_c=result.temperature_c,
                learned_at=result.started_at,
            )
        try:
            return learn_curve(
                result.samples,
                result.fit,
                before=before,
                temperature_c=result.temperature_c,
                learned_at=result.started_at,
            )
        except RunFailed:
            # Focused without enough of an arm to learn from: the next run takes a whole curve again.
            return None
