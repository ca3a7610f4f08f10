"""Brings the focuser back after a cut-off run or move, restores the camera, and resumes the night after a start."""

import structlog

from alpaca_focus.core.errors import DeviceError, DeviceUnreachable, StorageError
from alpaca_focus.core.night import transitions
from alpaca_focus.core.night.state import CorrectionMove, Snapshot
from alpaca_focus.core.values import Outcome, Position
from alpaca_focus.night.compensator import Compensator
from alpaca_focus.night.dependencies import Dependencies
from alpaca_focus.night.run_outcomes import RunOutcomes
from alpaca_focus.night.state_store import StateStore

RETURN = "the return of the focuser"

_log = structlog.get_logger(__name__)


class Recovery:
    """Finishes what a killed program, or a focuser that died, has left: at the focuser's first answer."""

    def __init__(
        self, dependencies: Dependencies, compensator: Compensator, outcomes: RunOutcomes, store: StateStore
    ) -> None:
        self._dependencies = dependencies
        self._compensator = compensator
        self._outcomes = outcomes
        self._store = store
        self._last_error = ""
        self._has_failed = False
        self._left_by_previous: CorrectionMove | None = None
        self._verified_at: Position | None = None
        self._is_camera_restored = False

    async def begin(self, *, compensates: bool) -> bool:
        """After a start: record a run that was saved, and return whether that was possible.

        If this program `compensates`, the focuser itself must not.
        """
        try:
            if compensates:
                await self._compensator.disable_device_compensation()
        except DeviceError as error:
            self._log_once(error)
            return False
        self._left_by_previous = self._store.state.unfinished_move
        self._record_saved_run()
        return True

    @property
    def is_needed(self) -> bool:
        """Whether a run or a move has left the focuser away from where it belongs; not to be read while one moves."""
        return self._store.state.unfinished_move is not None or self._dependencies.restore_marker.is_left

    def may_start(self, snapshot: Snapshot, *, rests: bool) -> bool:
        """Return whether to bring the focuser back now; `rests`: a correction move could be made.

        At its first answer, whatever the camera does: its frames are out of focus. A focuser that was there all the
        time, and failed, is tried again later, and between exposures only.
        """
        if snapshot.focuser is None or snapshot.focuser.reconnected:
            self._compensator.release()
            self._has_failed = False
        if snapshot.focuser is None or self._compensator.is_held:
            return False
        return rests or not self._has_failed

    async def recover(self) -> None:
        """Bring the focuser back and finish an unfinished move; after an error it is tried again."""
        # The interrupted run comes first: its restore position is absolute, so a move finished before it would be lost.
        try:
            await self._return_from_interrupted_run()
            if (move := self._store.state.unfinished_move) is not None:
                _log.warning("An interrupted correction move is finished now", position=move.target)
                await self._compensator.finish(move, is_late=move != self._left_by_previous)
        except DeviceUnreachable as error:
            self._log_once(error)
        except DeviceError as error:
            self._has_failed = True
            self._compensator.hold(RETURN, str(error))

    def _log_once(self, error: DeviceError) -> None:
        if str(error) != self._last_error:
            _log.warning("The recovery waits for the focuser", why=str(error))
        self._last_error = str(error)

    async def recover_camera(self) -> None:
        """Restore the camera's settings, once, as soon as it answers and does not expose; nothing waits for that."""
        if self._is_camera_restored:
            return
        try:
            self._is_camera_restored = await self._dependencies.restore_camera()
        except DeviceError as error:
            if str(error) != self._last_error:
                _log.warning("The camera's settings are still those of a focus run that was cut off", why=str(error))
            self._last_error = str(error)

    async def _return_from_interrupted_run(self) -> None:
        marker = self._dependencies.restore_marker
        if not marker.is_left:
            return
        here = await self._dependencies.focuser.position()
        position = marker.left_by_interrupted_run(here)
        if position is not None:
            # A run that was cut off during a camera handover has left the focuser at home, perhaps under an exposure.
            reached = here
            if here != position or not await self._dependencies.poller.is_exposing():
                reached = await self._compensator.go(here, position, backlash_taken_up=False)
            self._store.apply(transitions.returned, reached, is_verified=position == self._verified_at)
            self._outcomes.record_cut_off(position)
            _log.warning(
                "A focus run was cut off: the focuser is back where it belongs", found_at=here, position=reached
            )
        # Only now: a program killed during the move finds the marker again.
        marker.clear()

    def _record_saved_run(self) -> None:
        """Record the newest run if it was good and the program was killed between saving and recording it."""
        store = self._dependencies.store
        try:
            newest = () if store is None else store.runs(last=1)
        except StorageError as error:
            _log.error(str(error))
            return
        if not newest or newest[0].result.outcome is not Outcome.FOCUSED:
            return
        result, history = newest[0].result, self._store.state.history
        ended_s_ago = (self._dependencies.clock.wall() - result.started_at).total_seconds() - result.duration_s
        is_newer = history.baseline is None or result.started_at > history.baseline.at
        # A run that ended before the counting began belongs to another night; one in the future, to another clock.
        if is_newer and -result.duration_s <= ended_s_ago < history.since_s:
            self._outcomes.record_saved(newest[0], max(0.0, ended_s_ago))
            self._verified_at = result.final_position
