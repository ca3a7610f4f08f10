"""The state of the night on disk: what a daemon that was killed goes on with."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from alpaca_focus.core.compensation import Compensated
from alpaca_focus.core.night import History, Plan
from alpaca_focus.core.values import Position
from alpaca_focus.runtime.store import RunStore

SmallMove = Literal["compensation", "offset"]
LONGEST_AWAY = timedelta(hours=12)
"""After that it is another night: nothing of the old one counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intention:
    """A small move that has been begun: on disk before its first leg, so that it is made exactly once.

    Attributes:
        target: Where it ends.
        steps: Its length.
        what: Whether it follows the temperature or another filter.
    """

    target: Position
    steps: int
    what: SmallMove


@dataclass(frozen=True, slots=True, kw_only=True)
class NightState:
    """All that the night knows of itself.

    Attributes:
        history: What the triggers know.
        compensated: What has been followed.
        plan: What the imaging program said that it takes.
        paused: Whether somebody has paused it.
        follows: Whether the focuser follows the temperature, where the settings ask for it.
        told_filter: Filter that a script has told; `None`: none.
        intention: A move that was begun and not yet noted as done.
        saved_at: When it was written, UTC.
    """

    history: History = field(default_factory=History)
    compensated: Compensated = field(default_factory=Compensated)
    plan: Plan = Plan.UNKNOWN
    paused: bool = False
    follows: bool = True
    told_filter: str | None = None
    intention: Intention | None = None
    saved_at: datetime | None = None

    def with_history(self, history: History) -> "NightState":
        """Return the state with another history."""
        return replace(self, history=history)


_STATE = TypeAdapter(NightState)


def load_state(store: RunStore, now: datetime) -> NightState:
    """Return the state as it was, the time since then included; a new one where there is none, or none of tonight.

    Raises:
        StorageTrouble: It cannot be read.
    """
    text = store.night()
    if text is None:
        return NightState()
    try:
        state = _STATE.validate_json(text)
    except ValidationError:
        # Written by another version, perhaps: the night begins anew.
        return NightState()
    # A clock that was put back while nobody looked says nothing of the time that has passed.
    away = timedelta(0) if state.saved_at is None else max(now - state.saved_at, timedelta(0))
    if away > LONGEST_AWAY:
        return NightState(
            intention=state.intention, paused=state.paused, follows=state.follows, told_filter=state.told_filter
        )
    away_s = away.total_seconds()
    history = replace(
        state.history,
        since_s=state.history.since_s + away_s,
        idle_s=state.history.idle_s + away_s,
        hold_s=max(0.0, state.history.hold_s - away_s),
        squeeze=state.history.squeeze.later(away_s),
    )
    return replace(state, history=history)


def save_state(store: RunStore, state: NightState, now: datetime) -> None:
    """Write the state in one transaction, on disk before it returns.

    Raises:
        StorageTrouble: It cannot be written.
    """
    store.save_night(to_json(replace(state, saved_at=now), inf_nan_mode="constants", fallback=dict).decode())
