"""Several telescopes by what their daemons publish through a broker: messages in, rows out, trouble first. Pure."""

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
"""More topics than that are somebody's mistake."""
FAILED_OUTCOMES = frozenset({Outcome.RESTORED.value, "failed"})


class Standing(IntEnum):
    """How a telescope is; the smaller, the sooner a person has to look."""

    STRANDED = 0
    """Its focuser could not be brought back."""
    OFFLINE = 1
    """Its daemon is gone."""
    FAILED = 2
    """Its last focus run failed."""
    UNCLEAR = 3
    """What it tells cannot be understood, or it has told nothing yet."""
    SILENT = 4
    """Devices do not answer."""
    WAITING = 5
    """The daemon waits for the devices."""
    PAUSED = 6
    HELD = 7
    """A refocus is due and waits."""
    WELL = 8

    @property
    def is_trouble(self) -> bool:
        """Whether somebody is to be woken."""
        return self <= Standing.FAILED

    @property
    def needs_look(self) -> bool:
        """Whether somebody should look, sooner or later."""
        return self <= Standing.PAUSED


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard of one telescope.

    Attributes:
        is_online: Whether its daemon is connected; `None`: nothing tells.
        state: What it sent last; `None`: nothing, or nothing that can be understood.
        is_unclear: Whether something came that cannot be understood.
    """

    is_online: bool | None = None
    state: TelescopeState | None = None
    is_unclear: bool = False


@dataclass(frozen=True, slots=True)
class Fleet:
    """What was heard of all telescopes.

    Attributes:
        prefix: Beginning of their topics.
        telescopes: By the part of the topic that is theirs.
    """

    prefix: str
    telescopes: Mapping[str, Heard] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def topics(self) -> tuple[str, str]:
        """What to subscribe to."""
        return f"{self.prefix}/+/{AVAILABILITY}", f"{self.prefix}/+/{STATE}"

    def with_message(self, topic: str, payload: bytes) -> "Fleet":
        """Return the fleet after one message more; an empty one takes back what was told."""
        name, _, kind = topic.removeprefix(f"{self.prefix}/").partition("/")
        is_known = name in self.telescopes
        if not topic.startswith(f"{self.prefix}/") or not name or kind not in {AVAILABILITY, STATE}:
            return self
        if not is_known and (not payload or len(self.telescopes) >= MOST_TELESCOPES):
            return self
        before = self.telescopes.get(name, Heard())
        if kind == AVAILABILITY:
            heard = replace(before, is_online=payload == ONLINE.encode() if payload else None)
        else:
            state = state_in(payload)
            heard = replace(before, state=state, is_unclear=bool(payload) and state is None)
        others = {each: known for each, known in self.telescopes.items() if each != name}
        return replace(self, telescopes=others if heard == Heard() else {**others, name: heard})

    def with_nobody_online(self) -> "Fleet":
        """Return the fleet as it is known before the broker has told who is connected."""
        return replace(self, telescopes={name: replace(each, is_online=None) for name, each in self.telescopes.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One telescope, as it is shown.

    Attributes:
        name: What people call it.
        topic: Its part of the topics.
        standing: How it is.
        is_online: Whether its daemon is connected.
        minutes: Minutes since the last good focus.
        last: What it sent last, with "nothing" as empty text.
    """

    name: str
    topic: str
    standing: Standing
    is_online: bool
    minutes: int | None
    last: TelescopeState

    def as_dict(self) -> dict[str, object]:
        """Return what a machine is told; `None` for what is not known."""
        return {
            "telescope": self.name,
            "topic": self.topic,
            "standing": self.standing.name.lower(),
            "trouble": self.standing.is_trouble,
            "online": self.is_online,
            "state": self.last.state,
            "paused": self.last.paused,
            "position": self.last.position,
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


def rows(fleet: Fleet, now: datetime) -> tuple[Row, ...]:
    """Return a row a telescope: those in trouble first, and of the same standing by name.

    Args:
        fleet: What was heard.
        now: Time of day, UTC, that ages are counted to.
    """
    found = [_row(topic, heard, now) for topic, heard in fleet.telescopes.items()]
    names = [row.name for row in found]
    # Whoever writes to a broker can call a telescope by the name of another one; its topic is its own.
    told_apart = [replace(row, name=f"{row.name} ({row.topic})") if names.count(row.name) > 1 else row for row in found]
    return tuple(sorted(told_apart, key=lambda row: (row.standing, row.name.casefold(), row.topic)))


def _row(topic: str, heard: Heard, now: datetime) -> Row:
    sent = heard.state or TelescopeState()
    row = Row(
        name=sent.telescope or printable(topic, LONGEST_NAME) or "?",
        topic=printable(topic, LONGEST_NAME),
        standing=Standing.WELL,
        is_online=heard.is_online is True,
        minutes=_minutes(sent, now),
        last=replace(
            sent,
            due="" if sent.due == NOTHING else sent.due,
            result="" if sent.result == NOTHING else sent.result,
        ),
    )
    return replace(row, standing=_standing(row))


def _standing(row: Row) -> Standing:
    holds = {
        Standing.STRANDED: row.last.result == Outcome.STRANDED,
        Standing.OFFLINE: not row.is_online,
        Standing.FAILED: row.last.result in FAILED_OUTCOMES,
        Standing.UNCLEAR: not row.last.state,
        Standing.SILENT: bool(row.last.silent),
        Standing.WAITING: bool(row.last.waits_for),
        Standing.PAUSED: row.last.paused,
        Standing.HELD: bool(row.last.due and row.last.blocked_by),
        Standing.WELL: True,
    }
    return min(standing for standing, is_so in holds.items() if is_so)


def _minutes(state: TelescopeState, now: datetime) -> int | None:
    """Return the age of the last focus; of a daemon that sends no time, its age when it was sent."""
    if state.focused_at is not None:
        # The clocks of two computers differ.
        with contextlib.suppress(OverflowError):
            return max(0, math.floor((now - state.focused_at).total_seconds() / 60))
    return state.minutes
