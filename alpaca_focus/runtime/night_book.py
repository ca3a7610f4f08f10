"""The state of the night, in memory and on disk: what counts is written at once, time and averages now and then."""

import structlog

from alpaca_focus.core.errors import StorageTrouble
from alpaca_focus.core.night import History
from alpaca_focus.core.values import Light
from alpaca_focus.ports import Clock
from alpaca_focus.runtime.night_state import NightState, load_state, save_state
from alpaca_focus.runtime.store import RunStore

SAVE_EVERY_S = 60.0
"""Seconds between two writes when nothing has happened: time itself is read off the clock after a crash."""

_log = structlog.get_logger(__name__)


class NightBook:
    """Keeps the state of the night.

    What is on disk is read here, before anything can be written over it.

    Attributes:
        state: The night so far; to be replaced as a whole.
        store: Where it is kept; `None`: nowhere.
    """

    def __init__(self, store: RunStore | None, clock: Clock) -> None:
        self.store = store
        self._clock = clock
        self.state = self._loaded()
        self._saved = self.state
        self._saved_s = -SAVE_EVERY_S
        self._trouble = ""

    def set_history(self, history: History) -> None:
        """Replace the history, and write it down."""
        self.state = self.state.with_history(history)
        self.save()

    def save_what_counts(self) -> None:
        """Write the state if something in it has changed that must survive, or some time has passed."""
        now_s = self._clock.monotonic()
        if _lasting(self.state) != _lasting(self._saved) or now_s - self._saved_s >= SAVE_EVERY_S:
            self.save()

    def keep_light(self, light: Light) -> None:
        """Keep what a light frame has said; trouble with that is told once."""
        if self.store is None:
            return
        try:
            self.store.save_light(light)
        except StorageTrouble as error:
            self._tell(error)

    def save(self) -> None:
        """Write the state; trouble with that is told once, and the night goes on."""
        if self.store is None:
            return
        try:
            save_state(self.store, self.state, self._clock.wall())
        except StorageTrouble as error:
            self._tell(error)
            return
        self._trouble = ""
        self._saved, self._saved_s = self.state, self._clock.monotonic()

    def _tell(self, error: StorageTrouble) -> None:
        if str(error) != self._trouble:
            _log.error(str(error))
        self._trouble = str(error)

    def _loaded(self) -> NightState:
        if self.store is None:
            return NightState()
        try:
            return load_state(self.store, self._clock.wall())
        except StorageTrouble as error:
            _log.error(f"{error} The night begins anew.")
            return NightState()


def _lasting(state: NightState) -> tuple[object, ...]:
    """Return what must be on disk at once when it changes; the rest is time and averages."""
    history = state.history
    return (
        history.images,
        history.filter_name,
        history.filter_changed,
        history.pier_side,
        history.flipped,
        history.asap,
        history.failures,
        history.ignored,
        history.window.filled,
        history.squeeze.images,
        history.squeeze.lost_gaps,
        history.squeeze.is_told,
        state.compensated.moved_steps,
        state.compensated.stopped,
    )
