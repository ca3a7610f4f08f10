"""After a start: brings the focuser to where it belongs and takes up the night that was cut off."""

from dataclasses import dataclass

import structlog

from alpaca_focus.core.errors import DeviceError, StorageTrouble
from alpaca_focus.core.values import Outcome, Position
from alpaca_focus.ports import Clock, Focuser
from alpaca_focus.runtime.night_book import NightBook
from alpaca_focus.runtime.restore_marker import RestoreMarker
from alpaca_focus.runtime.small_moves import SmallMoves
from alpaca_focus.runtime.store import KeptRun

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What was found.

    Attributes:
        returned_to: Where the focuser was brought back to after a run that was cut off; `None`: there was none.
        unnoted: A good run that was kept just before the program was killed, and not noted any more.
    """

    returned_to: Position | None
    unnoted: KeptRun | None


class Recovery:
    """Looks after what a program that was killed has left behind, once, as soon as the focuser answers."""

    def __init__(
        self, focuser: Focuser, moves: SmallMoves, book: NightBook, restore_marker: RestoreMarker, clock: Clock
    ) -> None:
        self._focuser = focuser
        self._moves = moves
        self._book = book
        self._restore_marker = restore_marker
        self._clock = clock
        self._trouble = ""

    async def recover(self, *, compensates: bool) -> Recovered | None:
        """Bring the focuser home and finish what was begun; `None`: not yet possible.

        Args:
            compensates: Whether this program follows the temperature, so that the device must not.
        """
        try:
            returned_to = await self._return_from_a_cut_run()
            if compensates:
                await self._moves.follow_alone()
            intention = self._book.state.intention
            if intention is not None:
                _log.warning("A small move was cut off and is finished now", position=intention.target)
                await self._moves.finish(intention)
        except DeviceError as error:
            if str(error) != self._trouble:
                _log.warning("The focuser cannot be looked after yet", why=str(error))
            self._trouble = str(error)
            return None
        return Recovered(returned_to=returned_to, unnoted=self._unnoted())

    async def _return_from_a_cut_run(self) -> Position | None:
        home = self._restore_marker.left_by_interrupted_run()
        if home is None:
            return None
        here = await self._focuser.position()
        await self._moves.go(here, home, slack_taken_up=False)
        self._restore_marker.clear()
        _log.warning("A focus run was cut off: the focuser is back where it belongs", found_at=here, position=home)
        return home

    def _unnoted(self) -> KeptRun | None:
        store, history = self._book.store, self._book.state.history
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
        age_s = _age_s(kept, self._clock)
        is_newer = history.baseline is None or kept.result.started_at > history.baseline.at
        return kept if is_newer and 0 <= age_s < history.since_s + kept.result.duration_s else None


def since_its_end_s(kept: KeptRun, clock: Clock) -> float:
    """Return the seconds since a kept run ended."""
    return max(0.0, _age_s(kept, clock) - kept.result.duration_s)


def _age_s(kept: KeptRun, clock: Clock) -> float:
    return (clock.wall() - kept.result.started_at).total_seconds()
