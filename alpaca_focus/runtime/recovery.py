"""After a start: returns the focuser to where it belongs and resumes the night that was cut off."""

from dataclasses import dataclass

import structlog

from alpaca_focus.core.errors import DeviceError, StorageTrouble
from alpaca_focus.core.values import Outcome, Position
from alpaca_focus.ports import Clock
from alpaca_focus.runtime.compensator import Compensator
from alpaca_focus.runtime.dependencies import Dependencies
from alpaca_focus.runtime.state_store import StateStore
from alpaca_focus.runtime.store import KeptRun

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What a killed program had left.

    Attributes:
        returned_to: Where the focuser was returned to after a run that was cut off; `None`: there was none.
        unrecorded: A good run that was saved just before the end, and not yet recorded in the state.
    """

    returned_to: Position | None
    unrecorded: KeptRun | None


class Recovery:
    """Finishes what a killed program has left, once, as soon as the focuser answers.

    Args:
        dependencies: The focuser, the mark of where it belongs, the saved runs and the clock.
        compensator: Makes the moves.
        store: Holds the night's state.
    """

    def __init__(self, dependencies: Dependencies, compensator: Compensator, store: StateStore) -> None:
        self._dependencies = dependencies
        self._compensator = compensator
        self._store = store
        self._trouble = ""

    async def recover(self, *, compensates: bool) -> Recovered | None:
        """Return the focuser and finish what was begun; `None`: not yet possible.

        Args:
            compensates: Whether this program follows the temperature, so that the focuser itself must not.
        """
        try:
            returned_to = await self._return_from_a_cut_run()
            if compensates:
                await self._compensator.disable_device_compensation()
            move = self._store.state.unfinished_move
            if move is not None:
                _log.warning("A small move was cut off and is finished now", position=move.target)
                await self._compensator.finish(move)
        except DeviceError as error:
            if str(error) != self._trouble:
                _log.warning("The focuser cannot be looked after yet", why=str(error))
            self._trouble = str(error)
            return None
        return Recovered(returned_to=returned_to, unrecorded=self._unrecorded())

    async def _return_from_a_cut_run(self) -> Position | None:
        mark = self._dependencies.home_mark
        home = mark.left_by_a_cut_run()
        if home is None:
            return None
        here = await self._dependencies.focuser.position()
        await self._compensator.go(here, home, slack_taken_up=False)
        mark.clear()
        _log.warning("A focus run was cut off: the focuser is back where it belongs", found_at=here, position=home)
        return home

    def _unrecorded(self) -> KeptRun | None:
        store, history = self._dependencies.store, self._store.state.history
        if store is None:
            return None
        try:
            newest = store.runs(last=1)
        except StorageTrouble as error:
            _log.error(str(error))
            return None
        if not newest or newest[0].result.outcome is not Outcome.FOCUSED:
            return None
        kept = newest[0]
        age_s = _age_s(kept, self._dependencies.clock)
        is_newer = history.baseline is None or kept.result.started_at > history.baseline.at
        # An older run than the counts is of another night, or its baseline has been replaced since.
        return kept if is_newer and 0 <= age_s < history.since_s + kept.result.duration_s else None


def seconds_since_end(kept: KeptRun, clock: Clock) -> float:
    """Return the seconds since a saved run ended."""
    return max(0.0, _age_s(kept, clock) - kept.result.duration_s)


def _age_s(kept: KeptRun, clock: Clock) -> float:
    return (clock.wall() - kept.result.started_at).total_seconds()
