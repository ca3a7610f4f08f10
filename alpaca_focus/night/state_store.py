"""The one writer of the night's state: applies transitions and saves the result, so that a killed daemon can resume."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass, replace
from datetime import datetime
from typing import Any, Concatenate, ParamSpec, get_args

import structlog
from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from alpaca_focus.core.errors import StorageError
from alpaca_focus.core.night.save_marks import must_save
from alpaca_focus.core.night.state import NightState
from alpaca_focus.core.night.transitions import after_absence
from alpaca_focus.core.values import Light
from alpaca_focus.ports import Clock
from alpaca_focus.store.run_store import RunStore

SAVE_EVERY_S = 60.0
"""Interval of writes while no marked field changes; after a crash the elapsed time follows from the clock."""
RENAMED_FIELDS = {
    "sieve": "outliers",
    "squeeze": "gaps",
    "told_s": "advised_s",
    "told_filter": "reported_filter",
    "intention": "unfinished_move",
    "trouble": "rejection",
}
"""Names of fields in states saved by earlier versions."""

P = ParamSpec("P")

_STATE = TypeAdapter(NightState)
_log = structlog.get_logger(__name__)


class StateStore:
    """Holds the night's state; a `store` of `None` saves nothing."""

    def __init__(self, store: RunStore | None, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        # Loaded before anything can overwrite it.
        self._state = self._loaded()
        self._must_save = False
        self._saved_s = -SAVE_EVERY_S
        self._last_error = ""

    @property
    def state(self) -> NightState:
        """The state of the night: frozen, so any thread may read it."""
        return self._state

    def apply(
        self, transition: Callable[Concatenate[NightState, P], NightState], *args: P.args, **kwargs: P.kwargs
    ) -> NightState:
        """Apply a transition, called with the state and the other arguments, and return the next state."""
        before, self._state = self._state, transition(self._state, *args, **kwargs)
        # A marked change is on disk before the caller acts on it, so a program killed in the act knows that it had
        # begun (decision 0015). A failed write is tried again with the next transition.
        self._must_save = self._must_save or must_save(before, self._state)
        if self._must_save or self._clock.monotonic() - self._saved_s >= SAVE_EVERY_S:
            self.save()
        return self._state

    def save(self) -> None:
        """Save the state; a failure is logged once, and the night continues."""
        store = self._store
        if store is not None and self._stored(lambda: save_state(store, self._state, self._clock.wall())):
            self._last_error, self._must_save, self._saved_s = "", False, self._clock.monotonic()

    def save_light(self, light: Light) -> None:
        """Add a light frame to the history; a failure is logged once, and the night continues."""
        store = self._store
        if store is not None:
            self._stored(lambda: store.save_light(light))

    def shift_learned_focus(self, steps: int, *, learned_before: datetime) -> None:
        """Shift the focus of the curves learned before a time; a failure is logged once, and the night continues."""
        store = self._store
        if store is not None:
            self._stored(lambda: store.shift_profiles(steps, learned_before=learned_before))

    def _stored(self, write: Callable[[], None]) -> bool:
        try:
            write()
        except StorageError as error:
            if str(error) != self._last_error:
                _log.error(str(error))
            self._last_error = str(error)
            return False
        return True

    def _loaded(self) -> NightState:
        try:
            return NightState() if self._store is None else load_state(self._store, self._clock.wall())
        except StorageError as error:
            _log.error(f"{error} A new night is started.")
            return NightState()


def load_state(store: RunStore, now: datetime) -> NightState:
    """Return the saved state as of now; a new one if none of this night was saved.

    Raises:
        StorageError: The store cannot be read.
    """
    if (text := store.night()) is None:
        return NightState()
    state, lost = _readable(text)
    if lost:
        _log.warning("Parts of the saved night cannot be read and begin anew", fields=", ".join(lost))
    # If the clock was set back while the daemon was down, the elapsed time is not known.
    absent_s = 0.0 if state.saved_at is None else max(0.0, (now - state.saved_at).total_seconds())
    return after_absence(state, absent_s)


def _readable(text: str) -> tuple[NightState, list[str]]:
    """Return the state with every field that can be read, and the names of those that cannot."""
    lost: list[str] = []
    try:
        saved = json.loads(text, object_pairs_hook=_renamed)
    except ValueError:
        return NightState(), ["all"]
    try:
        return _STATE.validate_python(saved), lost
    except ValidationError:
        # Another version wrote it, or the disk has spoiled a value: a pause or an unfinished move must not go with it.
        return (_salvaged(NightState, saved, lost), lost) if isinstance(saved, dict) else (NightState(), ["all"])


def _salvaged(kind: Any, saved: Mapping[str, object], lost: list[str], within: str = "") -> Any:
    """Return a dataclass from the fields that can be read, with defaults for others, whose names are added to `lost`.

    `None`: a field without a default cannot be read.
    """
    values: dict[str, object] = {}
    for each in fields(kind):
        if each.name not in saved:
            continue
        value, name = saved[each.name], f"{within}{each.name}"
        try:
            values[each.name] = TypeAdapter(each.type).validate_python(value)  # type: ignore[arg-type]
        except ValidationError:
            inner = next(filter(is_dataclass, _kinds(each.type)), None)
            part = _salvaged(inner, value, lost, f"{name}.") if inner and isinstance(value, dict) else None
            if part is None:
                lost.append(name)
            else:
                values[each.name] = part
    needed = {each.name for each in fields(kind) if each.default is MISSING and each.default_factory is MISSING}
    return kind(**values) if needed <= values.keys() else None


def _kinds(annotation: Any) -> Iterator[Any]:
    """Yield the classes in an annotation."""
    if isinstance(annotation, type):
        yield annotation
    for each in get_args(annotation):
        yield from _kinds(each)


def save_state(store: RunStore, state: NightState, now: datetime) -> None:
    """Write the state; it is on disk when this returns.

    Raises:
        StorageError: The store cannot be written.
    """
    store.save_night(to_json(replace(state, saved_at=now), inf_nan_mode="constants", fallback=dict).decode())


def _renamed(pairs: list[tuple[str, object]]) -> dict[str, object]:
    return {RENAMED_FIELDS.get(name, name): value for name, value in pairs}
