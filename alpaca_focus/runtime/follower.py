"""Which small move is due between two refocuses: after the temperature, by a filter's offset, or one that was begun."""

from dataclasses import replace
from functools import partial

import structlog

from alpaca_focus.core.compensation import Compensated, correction_steps, followed, stopped, trouble
from alpaca_focus.core.night import History, Snapshot
from alpaca_focus.ports import Clock
from alpaca_focus.runtime.night_book import NightBook
from alpaca_focus.runtime.night_settings import NightSettings
from alpaca_focus.runtime.one_job import Work
from alpaca_focus.runtime.small_moves import SmallMoves

REST_S = 120.0
"""Seconds until a small move that failed is tried again."""

_log = structlog.get_logger(__name__)


class Follower:
    """Says which small move is to be made; it makes none itself.

    Args:
        moves: Make them.
        book: The night so far.
        settings: How the temperature is followed, and the filters' offsets.
        clock: Time.
    """

    def __init__(self, moves: SmallMoves, book: NightBook, settings: NightSettings, clock: Clock) -> None:
        self._moves = moves
        self._book = book
        self._settings = settings
        self._clock = clock
        self._rests_until_s = 0.0

    @property
    def rests(self) -> bool:
        """Whether a small move has failed just now."""
        return self._clock.monotonic() < self._rests_until_s

    @property
    def wants_to_move(self) -> bool:
        """Whether a small move waits for the camera to rest; may be read in any thread."""
        if self.rests:
            return False
        follows = self._settings.between_exposures and self._correction_steps() != 0
        return follows or self._book.state.intention is not None or self._offset_steps() is not None

    def rest(self, what: str, why: str) -> None:
        """Let the small moves wait after one that did not work."""
        self._rests_until_s = self._clock.monotonic() + REST_S
        _log.error("Failed", what=what, why=why, next_try_in_s=REST_S)

    def followed(self, history: History, snapshot: Snapshot) -> Compensated:
        """Return what has been followed, with what a look has shown."""
        state = self._book.state
        if self._settings.compensation is None:
            return state.compensated
        return followed(
            state.compensated,
            self._settings.compensation,
            temperature_c=history.followed.mean_c if state.follows else None,
            altitude_deg=snapshot.altitude_deg if state.follows else None,
            filter_name=history.filter_name,
            passed_s=snapshot.passed_s,
        )

    def due_before_a_refocus(self) -> tuple[str, Work] | None:
        """Return the name of a move that nothing else may come before, and how it is made; `None`: there is none."""
        intention, offset_steps = self._book.state.intention, self._offset_steps()
        if intention is not None:
            # It failed on the way: the focuser stands anywhere.
            return "a small move", partial(self._moves.finish, intention)
        if offset_steps is not None:
            # The filter is in the light already: before any refocus, the focuser follows it.
            return "a move by a filter's offset", partial(self._moves.shift, offset_steps, "offset")
        return None

    def due_after_the_temperature(self) -> tuple[str, Work] | None:
        """Return the name of a move that follows the temperature, and how it is made; `None`: there is none.

        Where following makes no sense any more it is stopped, and the log says why.
        """
        state, settings, steps = self._book.state, self._settings.compensation, self._correction_steps()
        if settings is None or steps == 0:
            return None
        sentence = trouble(state.compensated, settings, steps)
        if sentence:
            _log.error(sentence, wanted_steps=round(state.compensated.wanted_steps, 1))
            self._book.state = replace(state, compensated=stopped(state.compensated, sentence))
            return None
        return "a move after the temperature", partial(self._moves.shift, steps, "compensation")

    def _correction_steps(self) -> int:
        settings, state = self._settings.compensation, self._book.state
        if settings is None or not state.follows:
            return 0
        return correction_steps(state.compensated, settings)

    def _offset_steps(self) -> int | None:
        """Return the offset to move by; `None` where no filter has changed, or its offset is not known."""
        history, offsets = self._book.state.history, self._settings.offsets_steps
        focused_through = None if history.baseline is None else history.baseline.filter_name
        if not history.filter_changed or history.by_hand or focused_through is None or history.filter_name is None:
            return None
        if focused_through not in offsets or history.filter_name not in offsets:
            return None
        return offsets[history.filter_name] - offsets[focused_through]
