"""Home Assistant's discovery messages, and the state as it is published by MQTT. Pure."""

import math
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import Annotated

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from alpaca_focus.core.metrics import STAR_SIZE
from alpaca_focus.core.status import Status, Waiting

DISCOVERY = "homeassistant"
"""Home Assistant's default prefix."""
BIRTH_TOPIC = f"{DISCOVERY}/status"
ONLINE, OFFLINE = "online", "offline"
ON, OFF, PRESS = "ON", "OFF", "PRESS"
LONGEST_STATE = 255
"""Home Assistant rejects longer states."""
NOTHING = "nothing"
LONGEST_PAYLOAD_BYTES = 16_384
LONGEST_NAME, LONGEST_TEXT = 60, 400
MOST_NAMES = 20

Payload = dict[str, object]


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one telescope, all under one prefix."""

    prefix: str
    telescope: str

    @property
    def node(self) -> str:
        """The telescope's name with the characters that Home Assistant allows in a node ID."""
        return re.sub(r"[^a-z0-9]+", "_", f"{self.prefix} {self.telescope}".lower()).strip("_")

    @property
    def base(self) -> str:
        """The beginning of all topics but Home Assistant's."""
        return f"{self.prefix}/{re.sub(r'[^A-Za-z0-9]+', '-', self.telescope).strip('-').lower() or 'telescope'}"

    @property
    def availability(self) -> str:
        """The topic of whether the daemon runs."""
        return f"{self.base}/availability"

    @property
    def state(self) -> str:
        """The topic of the state as JSON."""
        return f"{self.base}/state"

    @property
    def reply(self) -> str:
        """The topic of replies to commands."""
        return f"{self.base}/said"

    def command(self, name: str) -> str:
        """Return the topic of one command; that of all commands for the name "+"."""
        return f"{self.base}/command/{name}"


def printable(value: object, longest: int = LONGEST_TEXT) -> str:
    """Return text on one line, without control characters of terminals or marks that reverse the writing direction."""
    if not isinstance(value, str):
        return ""
    text = " ".join("".join(sign if sign.isprintable() else " " for sign in value[: 4 * longest]).split())
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def _names(value: object) -> tuple[str, ...]:
    texts = (printable(each, LONGEST_NAME) for each in (value[:MOST_NAMES] if isinstance(value, list) else ()))
    return tuple(text for text in texts if text)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e6 else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31 else None


def _time(value: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at


_Text = Annotated[str, BeforeValidator(printable)]
_Name = Annotated[str, BeforeValidator(lambda value: printable(value, LONGEST_NAME))]
_Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
_Number = Annotated[float | None, BeforeValidator(_number)]
_Whole = Annotated[int | None, BeforeValidator(_whole)]
_Time = Annotated[datetime | None, BeforeValidator(_time)]
_Flag = Annotated[bool, BeforeValidator(lambda value: value is True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class TelescopeState:
    """The state as it is published by MQTT; the field names are those of the JSON.

    Attributes:
        headline: What is wrong, the state first; empty: nothing is.
        position: As the focuser reports it.
        expected_position: Where it was moved to, if that differs.
        minutes: Minutes since the last good focus when this was sent.
        focused_at: Time of the last good focus, UTC.
        due: Why a refocus is due; "nothing" if none is.
        blocked_by: Why the due refocus waits.
        waits_for: Why the devices are not connected; empty if they are.
        result: Outcome of the last run; "nothing" if there was none.
        daemon: ID of the daemon, by which it recognises its own messages.
    """

    telescope: _Name = ""
    state: _Name = ""
    headline: _Text = ""
    temperature: _Number = None
    position: _Whole = None
    expected_position: _Whole = None
    hfd: _Number = None
    minutes: _Whole = None
    focused_at: _Time = None
    due: _Text = NOTHING
    blocked_by: _Names = ()
    waits_for: _Text = ""
    silent: _Names = ()
    result: _Name = NOTHING
    reason: _Text = ""
    paused: _Flag = False
    compensation: _Flag = False
    daemon: _Name = ""


def discovery(topics: Topics, version: str) -> dict[str, Payload]:
    """Return the discovery messages by topic, which make Home Assistant show the telescope."""
    common: Payload = {
        "availability_topic": topics.availability,
        "device": {
            "identifiers": [topics.node],
            "name": topics.telescope,
            "manufacturer": "alpaca-focus",
            "model": "autofocus",
            "sw_version": version,
        },
        "origin": {"name": "alpaca-focus", "sw_version": version},
    }

    def entity(kind: str, key: str, **own: object) -> tuple[str, Payload]:
        return f"{DISCOVERY}/{kind}/{topics.node}/{key}/config", own

    def sensor(key: str, name: str, **more: object) -> tuple[str, Payload]:
        template = f"{{{{ value_json.{key} }}}}"
        return entity("sensor", key, name=name, state_topic=topics.state, value_template=template, **more)

    def button(key: str, name: str, icon: str) -> tuple[str, Payload]:
        return entity("button", key, name=name, command_topic=topics.command(key), payload_press=PRESS, icon=icon)

    def switch(key: str, name: str, state: str, icon: str) -> tuple[str, Payload]:
        command = {"command_topic": topics.command(key), "payload_on": ON, "payload_off": OFF}
        template = f"{{{{ '{ON}' if value_json.{state} else '{OFF}' }}}}"
        shown = {"state_topic": topics.state, "value_template": template, "icon": icon}
        return entity("switch", key, name=name, **command, **shown)

    measured = {"state_class": "measurement"}
    entities = [
        sensor("state", "State", icon="mdi:telescope"),
        sensor("temperature", "Temperature", unit_of_measurement="\u00b0C", device_class="temperature", **measured),
        sensor("position", "Focuser position", unit_of_measurement="steps", icon="mdi:arrow-left-right", **measured),
        sensor("hfd", "Last HFD", unit_of_measurement="px", icon="mdi:star-four-points", **measured),
        sensor("minutes", "Time since last refocus", unit_of_measurement="min", device_class="duration", **measured),
        sensor("due", "Refocus due", icon="mdi:clock-alert-outline"),
        sensor("result", "Last result", icon="mdi:check-decagram-outline"),
        button("refocus", "Refocus", "mdi:image-filter-center-focus"),
        button("abort", "Abort", "mdi:stop-circle-outline"),
        switch("pause", "Pause", "paused", "mdi:pause"),
        switch("compensation", "Compensation", "compensation", "mdi:thermometer-lines"),
    ]
    return {topic: {**own, "unique_id": "_".join(topic.split("/")[2:4]), **common} for topic, own in entities}


def state_of(status: Status | Waiting, hfd_px: float | None, *, telescope: str, daemon: str = "") -> TelescopeState:
    """Return the state to publish when it has changed; so nothing in it may change with every second.

    `hfd_px` is the size of the stars on the last light frame; `None` if there was none. `daemon` is this daemon's ID.
    """
    common = TelescopeState(telescope=telescope, state=status.state, hfd=_rounded(hfd_px), daemon=daemon)
    if isinstance(status, Waiting):
        return replace(common, waits_for=status.why)
    last_focus, last_run = status.last_focus, status.last_run
    if hfd_px is None and last_focus is not None and last_focus.metric == STAR_SIZE:
        hfd_px = last_focus.value
    due = "; ".join(status.due)
    return replace(
        common,
        headline=status.headline,
        temperature=_rounded(status.temperature_c),
        position=status.position,
        expected_position=status.expected_position,
        hfd=_rounded(hfd_px),
        minutes=None if last_focus is None else math.floor(status.since_s / 60),
        focused_at=None if last_focus is None else last_focus.at,
        due=(due or NOTHING)[:LONGEST_STATE],
        # Inhibitors come and go with every exposure; they matter only while a refocus is due.
        blocked_by=status.blocked_by if due else (),
        silent=status.silent,
        result=NOTHING if last_run is None else last_run.outcome,
        reason="" if last_run is None else last_run.reason,
        paused=status.paused,
        compensation=status.compensation.enabled,
    )


def _rounded(value: float | None) -> float | None:
    return round(value, 2) if value is not None and math.isfinite(value) else None


def state_in(payload: bytes) -> TelescopeState | None:
    """Return the state in a message; `None` if it is not a JSON object.

    Anybody may publish to a broker, so malformed fields get their defaults, and unprintable characters are removed.
    """
    if len(payload) > LONGEST_PAYLOAD_BYTES:
        return None
    try:
        return _state_type().validate_json(payload)
    except ValidationError:
        return None


@cache
def _state_type() -> TypeAdapter[TelescopeState]:
    return TypeAdapter(TelescopeState)
