"""The overview of several telescopes, made from what their daemons publish through an MQTT broker. Pure."""

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import IntEnum
from types import MappingProxyType

from alpaca_focus.core.values import Outcome
from alpaca_focus.notify.home_assistant import LONGEST_NAME, NOTHING, ONLINE, TelescopeState, printable, state_in

AVAILABILITY, STATE = "availability", "state"
MOST_TELESCOPES = 200
"""More are ignored: somebody publishes wrong topics."""
FAILED_OUTCOMES = frozenset({Outcome.RESTORED.value, "failed"})


class Health(IntEnum):
    """The condition of a telescope, the most urgent first."""

    STRANDED = 0
    """The focuser could not be moved back."""
    OFFLINE = 1
    """The daemon has gone."""
    FAILED = 2
    """The last focus run failed."""
    UNCLEAR = 3
    """No state was received, or it is malformed."""
    SILENT = 4
    """Devices do not answer."""
    WAITING = 5
    """The daemon waits for the devices."""
    PAUSED = 6
    HELD = 7
    """A refocus is due and waits."""
    WELL = 8

    @property
    def is_urgent(self) -> bool:
        """Whether to wake somebody."""
        return self <= Health.FAILED

    @property
    def needs_attention(self) -> bool:
        """Whether somebody should check it, sooner or later."""
        return self <= Health.PAUSED


@dataclass(frozen=True, slots=True)
class TelescopeMessages:
    """The latest messages of one telescope.

    Attributes:
        is_online: Whether its daemon is connected; `None` if unknown.
        state: The latest state; `None` if there is none, or it is malformed.
        is_malformed: Whether the latest state is malformed.
    """

    is_online: bool | None = None
    state: TelescopeState | None = None
    is_malformed: bool = False


@dataclass(frozen=True, slots=True)
class Fleet:
    """The latest messages of all telescopes, by the telescope's part of the topics, which begin with the prefix."""

    prefix: str
    telescopes: Mapping[str, TelescopeMessages] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def topics(self) -> tuple[str, str]:
        """The topics to subscribe to."""
        return f"{self.prefix}/+/{AVAILABILITY}", f"{self.prefix}/+/{STATE}"

    def with_message(self, topic: str, payload: bytes) -> "Fleet":
        """Return the fleet after one more message; an empty payload withdraws the message before it."""
        name, _, kind = topic.removeprefix(f"{self.prefix}/").partition("/")
        if not topic.startswith(f"{self.prefix}/") or not name or kind not in {AVAILABILITY, STATE}:
            return self
        if name not in self.telescopes and (not payload or len(self.telescopes) >= MOST_TELESCOPES):
            return self
        messages = self.telescopes.get(name, TelescopeMessages())
        if kind == AVAILABILITY:
            messages = replace(messages, is_online=payload == ONLINE.encode() if payload else None)
        else:
            state = state_in(payload)
            messages = replace(messages, state=state, is_malformed=bool(payload) and state is None)
        telescopes = {**self.telescopes, name: messages}
        if messages == TelescopeMessages():
            del telescopes[name]
        return replace(self, telescopes=telescopes)

    def with_unknown_availability(self) -> "Fleet":
        """Return the fleet as it is known after a reconnection, before the broker sends who is connected."""
        return replace(self, telescopes={name: replace(each, is_online=None) for name, each in self.telescopes.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class TelescopeRow:
    """One telescope of the overview.

    Attributes:
        topic: Its part of the topics.
        is_online: Whether its daemon is connected.
        minutes: Minutes since the last good focus.
        last: The latest state, with empty texts in place of "nothing".
    """

    name: str
    topic: str
    health: Health
    is_online: bool
    minutes: int | None
    last: TelescopeState

    def as_dict(self) -> dict[str, object]:
        """Return the row for JSON; `None` stands for unknown values."""
        return {
            "telescope": self.name,
            "topic": self.topic,
            "standing": self.health.name.lower(),
            "trouble": self.health.is_urgent,
            "online": self.is_online,
            "state": self.last.state,
            "paused": self.last.paused,
            "position": self.last.position,
            "expected_position": self.last.expected_position,
            "hfd_px": self.last.hfd,
            "temperature_c": self.last.temperature,
            "minutes": self.minutes,
            "due": self.last.due,
            "blocked_by": list(self.last.blocked_by),
            "waits_for": self.last.waits_for,
            "silent": list(self.last.silent),
            "result": self.last.result,
            "reason": self.last.reason,
        }


def rows(fleet: Fleet, now: datetime) -> tuple[TelescopeRow, ...]:
    """Return a row for each telescope with its age at `now`, UTC; the most urgent first, then by name."""
    listed = [_row(topic, messages, now) for topic, messages in fleet.telescopes.items()]
    names = [row.name for row in listed]
    # The state holds the name, so two telescopes can have the same one; a topic belongs to one telescope.
    unique = [replace(row, name=f"{row.name} ({row.topic})") if names.count(row.name) > 1 else row for row in listed]
    return tuple(sorted(unique, key=lambda row: (row.health, row.name.casefold(), row.topic)))


def _row(topic: str, messages: TelescopeMessages, now: datetime) -> TelescopeRow:
    state = messages.state or TelescopeState()
    due, result = ("" if text == NOTHING else text for text in (state.due, state.result))
    last = replace(state, due=due, result=result)
    topic = printable(topic, LONGEST_NAME)
    is_online = messages.is_online is True
    return TelescopeRow(
        name=state.telescope or topic or "?",
        topic=topic,
        health=_health(last, is_online=is_online),
        is_online=is_online,
        minutes=_minutes(state, now),
        last=last,
    )


def _health(last: TelescopeState, *, is_online: bool) -> Health:
    holds = {
        Health.STRANDED: last.result == Outcome.STRANDED,
        Health.OFFLINE: not is_online,
        Health.FAILED: last.result in FAILED_OUTCOMES,
        Health.UNCLEAR: not last.state,
        Health.SILENT: bool(last.silent),
        Health.WAITING: bool(last.waits_for),
        Health.PAUSED: last.paused,
        Health.HELD: bool(last.due and last.blocked_by),
    }
    return min((health for health, is_so in holds.items() if is_so), default=Health.WELL)


def _minutes(state: TelescopeState, now: datetime) -> int | None:
    """Return the age of the last focus now; for a state without that time, the age when it was sent."""
    if state.focused_at is not None:
        # The clocks of two computers differ, so the age can be negative.
        with contextlib.suppress(OverflowError):
            return max(0, math.floor((now - state.focused_at).total_seconds() / 60))
    return state.minutes
