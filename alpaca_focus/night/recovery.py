"""After a start: returns the focuser to where it belongs, restores the camera, and resumes the interrupted night."""

import structlog

from alpaca_focus.core.errors import DeviceError, StorageError
from alpaca_focus.core.values import Outcome
from alpaca_focus.night.compensator import Compensator
from alpaca_focus.night.dependencies import Dependencies
from alpaca_focus.night.run_outcomes import RunOutcomes
from alpaca_focus.night.state_store import StateStore

_log = structlog.get_logger(__name__)


class Recovery:
    """Finishes what a killed program has left, once, as soon as the focuser answers."""

    def __init__(
        self, dependencies: Dependencies, compensator: Compensator, outcomes: RunOutcomes, store: StateStore
    ) -> None:
        self._dependencies = dependencies
        self._compensator = compensator
        self._outcomes = outcomes
        self._store = store
        self._last_error = ""
        self._is_camera_restored = False

    async def recover(self, *, compensates: bool) -> bool:
        """Return the focuser, finish an unfinished move and record a saved run; return whether that was possible.

        If this program `compensates`, the focuser itself must not.
        """
        # The interrupted run comes first: its restore position is absolute, so a move finished before it would be lost.
        try:
            await self._return_from_interrupted_run()
            if compensates:
                await self._compensator.disable_device_compensation()
            if (move := self._store.state.unfinished_move) is not None:
                _log.warning("An interrupted correction move is finished now", position=move.target)
                await self._compensator.finish(move)
        except DeviceError as error:
            if str(error) != self._last_error:
                _log.warning("The recovery after the start waits for the focuser", why=str(error))
            self._last_error = str(error)
            return False
        self._record_saved_run()
        return True

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
        if (position := marker.left_by_interrupted_run()) is None:
            return
        here = await self._dependencies.focuser.position()
        # A run that was cut off during a camera handover has left the focuser at home, perhaps under an exposure.
        if here != position or not await self._dependencies.poller.is_exposing():
            await self._compensator.go(here, position, backlash_taken_up=False)
        # Only now: a program killed during the move finds the marker again.
        marker.clear()
        self._outcomes.record_cut_off(position)
        _log.warning("A focus run was cut off: the focuser is back where it belongs", found_at=here, position=position)

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
