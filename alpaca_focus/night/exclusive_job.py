"""Runs the exclusive job: the focus run or correction move that owns the optics."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from alpaca_focus.core.errors import AlpacaFocusError

FOCUS_RUN = "a focus run"
PROGRAM_MOVE = "a move of the imaging program"

Work = Callable[[], Coroutine[Any, Any, None]]

_log = structlog.get_logger(__name__)


class ExclusiveJob:
    """Carries out jobs in the background, never two at a time.

    Args:
        failed: Called in the job's task with its name and the reason.
        aborted: Called with the name of a job that was cancelled.
        ended: Called with the name of a job that has ended in any way; nothing owns the optics any more.
    """

    def __init__(
        self, *, failed: Callable[[str, str], None], aborted: Callable[[str], None], ended: Callable[[str], None]
    ) -> None:
        self._failed = failed
        self._aborted = aborted
        self._ended = ended
        self._task: asyncio.Task[None] | None = None
        self._name = ""

    @property
    def doing(self) -> str:
        """The name of the job that owns the optics; empty: none does."""
        return "" if self._task is None else self._name

    def start(self, name: str, work: Work) -> None:
        """Start a job; no other may be running."""
        self._name = name
        self._task = asyncio.create_task(self._carry_out(work))
        # A callback, because a task that is cancelled before its first step never reaches a `finally` of its own.
        self._task.add_done_callback(self._has_ended)

    def cancel(self, name: str) -> bool:
        """Cancel the job if it is of that name; return whether it is. A focus run returns the focuser first."""
        if self._task is None or self._name != name:
            return False
        self._task.cancel()
        return True

    async def at_rest(self, within_s: float | None = None) -> bool:
        """Wait until nothing owns the optics; return False if that took longer than `within_s`."""
        if self._task is None:
            return True
        _, late = await asyncio.wait({self._task}, timeout=within_s)
        return not late

    async def _carry_out(self, work: Work) -> None:
        try:
            await work()
        except AlpacaFocusError as error:
            self._failed(self._name, str(error))
        except Exception as error:  # noqa: BLE001 - the night continues; the log has the traceback
            _log.exception("The program itself failed", what=self._name)
            why = f"The program itself failed ({type(error).__name__}: {error}); the log has the details."
            self._failed(self._name, why)

    def _has_ended(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if task.cancelled():
            self._aborted(self._name)
        self._ended(self._name)
