"""The small moves between two refocuses: after the temperature, and by the offset of another filter."""

from dataclasses import replace

import structlog

from alpaca_focus.core.backlash import Backlash, Limits, Method, approach
from alpaca_focus.core.compensation import moved, stopped
from alpaca_focus.core.errors import DeviceError
from alpaca_focus.core.night import declined, offset_applied
from alpaca_focus.core.values import Position
from alpaca_focus.ports import Focuser, Guider
from alpaca_focus.runtime.night_book import NightBook
from alpaca_focus.runtime.night_state import Intention, SmallMove

_log = structlog.get_logger(__name__)


class SmallMoves:
    """Moves the focuser a little, each time exactly once: what was begun is on disk before its first leg.

    Args:
        focuser: Is moved.
        book: Where it is noted.
        backlash: How targets are approached.
        limits: Where the focuser may go.
        guider: Is waited for after each move, which shifts its star; `None`: there is none.
    """

    def __init__(
        self, focuser: Focuser, book: NightBook, *, backlash: Backlash, limits: Limits, guider: Guider | None = None
    ) -> None:
        self._focuser = focuser
        self._book = book
        self._backlash = backlash
        self._limits = limits
        self._guider = guider

    async def shift(self, steps: int, what: SmallMove) -> None:
        """Move by so many steps from where the focuser stands.

        Raises:
            DeviceError: It failed on the way, and is to be finished.
        """
        here = await self._focuser.position()
        target = self._limits.clamp(here + steps)
        if target != here + steps:
            self._refuse(here, steps, what)
            return
        intention = Intention(target=target, steps=steps, what=what)
        self._book.state = replace(self._book.state, intention=intention)
        self._book.save()
        await self._fulfil(intention, here)

    async def finish(self, intention: Intention) -> None:
        """Make a move that was begun.

        Raises:
            DeviceError: It failed again.
        """
        # Nobody knows in which direction it went last.
        await self._fulfil(intention, await self._focuser.position(), slack_taken_up=False)

    async def go(self, here: Position, target: Position, *, slack_taken_up: bool) -> None:
        """Go somewhere, always arriving from the side that focus was found from."""
        legs = approach(
            here,
            target,
            backlash=replace(self._backlash, method=Method.OVERSHOOT),
            limits=self._limits,
            slack_taken_up=slack_taken_up,
        )
        for leg in legs:
            await self._focuser.move_to(leg)

    async def follow_alone(self) -> None:
        """Switch the focuser's own compensation off."""
        focuser = self._focuser
        if focuser.info.has_temperature_compensation and await focuser.temperature_compensation():
            _log.warning("The focuser's own temperature compensation is switched off: two would follow at once")
            await focuser.set_temperature_compensation(enabled=False)

    async def _fulfil(self, intention: Intention, here: Position, *, slack_taken_up: bool = True) -> None:
        """Make a small move to its end; it is noted as made in the same breath as what counts it."""
        await self.follow_alone()
        await self.go(here, intention.target, slack_taken_up=slack_taken_up)
        book = self._book
        state = replace(book.state, intention=None)
        if intention.what == "compensation":
            state = replace(state, compensated=moved(state.compensated, intention.steps))
        else:
            state = state.with_history(offset_applied(state.history, intention.steps))
        book.state = state
        book.save()
        _log.info(
            "The focuser follows",
            what=intention.what,
            steps=intention.steps,
            position=intention.target,
            carried_steps=round(state.compensated.carried_steps, 2),
        )
        await self._wait_for_guider()

    async def _wait_for_guider(self) -> None:
        if self._guider is None:
            return
        try:
            await self._guider.after_move()
        except DeviceError as error:
            _log.warning("The guider is not steady after a move of the focuser", why=str(error))

    def _refuse(self, here: Position, steps: int, what: SmallMove) -> None:
        sentence = (
            f"The focuser cannot follow by {steps:+d} steps from {here}: its limits are "
            f"{self._limits.lowest} and {self._limits.highest}. Look at the limits, or refocus."
        )
        _log.error(sentence)
        book = self._book
        book.state = replace(book.state, compensated=stopped(book.state.compensated, sentence))
        if what == "offset":
            book.set_history(declined(book.state.history))
