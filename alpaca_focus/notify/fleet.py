"""Several telescopes out of what their daemons tell a broker: messages in, rows out, trouble first. Pure.

Anybody may write to a broker. Whatever comes is taken for what it can be, and no sign of it reaches a terminal that is
not printable.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import IntEnum
from types import MappingProxyType

from alpaca_focus.core.values import Outcome
from alpaca_focus.notify.home_assistant import NOTHING, ONLINE

AVAILABILITY, STATE = "availability", "state"
MOST_TELESCOPES = 200
"""More topics than that are somebody's mistake."""
LONGEST_PAYLOAD_BYTES = 16_384
LONGEST_NAME, LONGEST_TEXT = 60, 400
MOST_DEVICES = 20
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
        state: What it told, as it came; `None`: nothing, or nothing that can be understood.
        is_unclear: Whether something came that cannot be understood.
    """

    is_online: bool | None = None
    state: Mapping[str, object] | None = None
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
            state = _object(payload)
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
        state: What it does, or did when its daemon went.
        is_paused: Whether somebody has paused it.
        position: Where the focuser stands.
        hfd_px: Size of the stars.
        temperature_c: Temperature that counts.
        minutes: Minutes since the last good focus.
        due: Why a refocus is due; empty: none is.
        blocked_by: What it waits for then.
        waits_for: Why the daemon waits for the devices.
        silent: Devices that do not answer.
        result: How the last run ended; empty: there was none.
        reason: The sentence about it.
    """

    name: str
    topic: str
    standing: Standing
    is_online: bool
    state: str = ""
    is_paused: bool = False
    position: int | None = None
    hfd_px: float | None = None
    temperature_c: float | None = None
    minutes: int | None = None
    due: str = ""
    blocked_by: tuple[str, ...] = ()
    waits_for: str = ""
    silent: tuple[str, ...] = ()
    result: str = ""
    reason: str = ""

    def as_dict(self) -> dict[str, object]:
        """Return what a machine is told; `None` for what is not known."""
        return {
            "telescope": self.name,
            "topic": self.topic,
            "standing": self.standing.name.lower(),
            "trouble": self.standing.is_trouble,
            "online": self.is_online,
            "state": self.state,
            "paused": self.is_paused,
            "position": self.position,
            "hfd_px": self.hfd_px,
            "temperature_c": self.temperature_c,
            "minutes": self.minutes,
            "due": self.due,
            "blocked_by": list(self.blocked_by),
            "waits_for": self.waits_for,
            "silent": list(self.silent),
            "result": self.result,
            "reason": self.reason,
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
    told = heard.state or {}
    due = _text(told.get("due"))
    row = Row(
        name=_text(told.get("telescope"), LONGEST_NAME) or _text(topic, LONGEST_NAME) or "?",
        topic=_text(topic, LONGEST_NAME),
        standing=Standing.WELL,
        is_online=heard.is_online is True,
        state=_text(told.get("state"), LONGEST_NAME),
        is_paused=told.get("paused") is True,
        position=_whole(told.get("position")),
        hfd_px=_number(told.get("hfd")),
        temperature_c=_number(told.get("temperature")),
        minutes=_minutes(told, now),
        due="" if due == NOTHING else due,
        blocked_by=_texts(told.get("blocked_by")),
        waits_for=_text(told.get("waits_for")),
        silent=_texts(told.get("silent")),
        result="" if told.get("result") == NOTHING else _text(told.get("result"), LONGEST_NAME),
        reason=_text(told.get("reason")),
    )
    return replace(row, standing=_standing(row))


def _standing(row: Row) -> Standing:
    holds = {
        Standing.STRANDED: row.result == Outcome.STRANDED,
        Standing.OFFLINE: not row.is_online,
        Standing.FAILED: row.result in FAILED_OUTCOMES,
        Standing.UNCLEAR: not row.state,
        Standing.SILENT: bool(row.silent),
        Standing.WAITING: bool(row.waits_for),
        Standing.PAUSED: row.is_paused,
        Standing.HELD: bool(row.due and row.blocked_by),
        Standing.WELL: True,
    }
    return min(standing for standing, is_so in holds.items() if is_so)


def _object(payload: bytes) -> Mapping[str, object] | None:
    """Return the JSON object of a payload; `None`: it is none."""
    if len(payload) > LONGEST_PAYLOAD_BYTES:
        return None
    try:
        told = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def _minutes(told: Mapping[str, object], now: datetime) -> int | None:
    """Return the age of the last focus; of a daemon that tells no time, its age when it told it."""
    focused_at = told.get("focused_at")
    if isinstance(focused_at, str):
        try:
            at = datetime.fromisoformat(focused_at)
            at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
            # The clocks of two computers differ.
            return max(0, math.floor((now - at).total_seconds() / 60))
        except (ValueError, OverflowError):
            pass
    return _whole(told.get("minutes"))


def _text(value: object, longest: int = LONGEST_TEXT) -> str:
    """Return text on one line, without signs that steer a terminal or turn the direction of writing round."""
    if not isinstance(value, str):
        return ""
    words = "".join(sign if sign.isprintable() else " " for sign in value[: 4 * longest]).split()
    text = " ".join(words)
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def _texts(value: object) -> tuple[str, ...]:
    found = [_text(each, LONGEST_NAME) for each in value[:MOST_DEVICES]] if isinstance(value, list) else []
    return tuple(text for text in found if text)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e6 else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31 else None
