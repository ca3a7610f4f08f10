"""Home Assistant's discovery of the telescope, and the state that is published by MQTT. Pure."""

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Annotated

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from alpaca_focus.core.metrics import STAR_SIZE
from alpaca_focus.core.status import Status, Waiting

DISCOVERY = "homeassistant"
"""Home Assistant's own usual prefix."""
BIRTH_TOPIC = f"{DISCOVERY}/status"
ONLINE, OFFLINE = "online", "offline"
ON, OFF, PRESS = "ON", "OFF", "PRESS"
LONGEST_STATE = 255
"""Home Assistant takes no longer ones."""
NOTHING = "nothing"
LONGEST_PAYLOAD_BYTES = 16_384
LONGEST_NAME, LONGEST_TEXT = 60, 400
MOST_NAMES = 20

Payload = dict[str, object]


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one telescope.

    Attributes:
        prefix: Beginning of all of them.
        telescope: Its name.
    """

    prefix: str
    telescope: str

    @property
    def node(self) -> str:
        """The telescope's name as Home Assistant bears it."""
        return re.sub(r"[^a-z0-9]+", "_", f"{self.prefix} {self.telescope}".lower()).strip("_")

    @property
    def base(self) -> str:
        """What all topics but Home Assistant's begin with."""
        return f"{self.prefix}/{re.sub(r'[^A-Za-z0-9]+', '-', self.telescope).strip('-').lower() or 'telescope'}"

    @property
    def availability(self) -> str:
        """Whether the program runs."""
        return f"{self.base}/availability"

    @property
    def state(self) -> str:
        """The state as JSON."""
        return f"{self.base}/state"

    @property
    def said(self) -> str:
        """What a command was answered."""
        return f"{self.base}/said"

    @property
    def commands(self) -> str:
        """All commands."""
        return f"{self.base}/command/+"

    def command(self, name: str) -> str:
        """One command."""
        return f"{self.base}/command/{name}"


def printable(value: object, longest: int = LONGEST_TEXT) -> str:
    """Return text on one line, without characters that steer a terminal or turn the direction of writing round."""
    if not isinstance(value, str):
        return ""
    words = "".join(sign if sign.isprintable() else " " for sign in value[: 4 * longest]).split()
    text = " ".join(words)
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def _names(value: object) -> tuple[str, ...]:
    found = [printable(each, LONGEST_NAME) for each in value[:MOST_NAMES]] if isinstance(value, list) else []
    return tuple(text for text in found if text)


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
        minutes: Minutes since the last good focus when this was sent.
        focused_at: When that was, UTC.
        due: Why a refocus is due; "nothing": none is.
        blocked_by: Why it has to wait then.
        waits_for: Why the devices are not connected; empty: they are.
        result: How the last run ended; "nothing": there was none.
        daemon: A mark of the daemon, by which it knows its own messages.
    """

    telescope: _Name = ""
    state: _Name = ""
    temperature: _Number = None
    position: _Whole = None
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
    """Return what to publish where, so that Home Assistant shows the telescope."""
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

    def sensor(key: str, name: str, template: str = "", **more: object) -> tuple[str, Payload]:
        template = template or f"value_json.{key}"
        own = {"name": name, "state_topic": topics.state, "value_template": f"{{{{ {template} }}}}", **more}
        return f"{DISCOVERY}/sensor/{topics.node}/{key}/config", own

    def button(key: str, name: str, icon: str) -> tuple[str, Payload]:
        own: Payload = {"name": name, "command_topic": topics.command(key), "payload_press": PRESS, "icon": icon}
        return f"{DISCOVERY}/button/{topics.node}/{key}/config", own

    def switch(key: str, name: str, state: str, icon: str) -> tuple[str, Payload]:
        own: Payload = {
            "name": name,
            "command_topic": topics.command(key),
            "payload_on": ON,
            "payload_off": OFF,
            "state_topic": topics.state,
            "value_template": f"{{{{ '{ON}' if value_json.{state} else '{OFF}' }}}}",
            "icon": icon,
        }
        return f"{DISCOVERY}/switch/{topics.node}/{key}/config", own

    measured = {"state_class": "measurement"}
    found = [
        sensor("state", "State", icon="mdi:telescope"),
        sensor("temperature", "Temperature", unit_of_measurement="\u00b0C", device_class="temperature", **measured),
        sensor("position", "Focuser position", unit_of_measurement="steps", icon="mdi:arrow-left-right", **measured),
        sensor("hfd", "Last HFD", unit_of_measurement="px", icon="mdi:star-four-points", **measured),
        sensor("minutes", "Since the last refocus", unit_of_measurement="min", device_class="duration", **measured),
        sensor("due", "Due", icon="mdi:clock-alert-outline"),
        sensor("result", "Last result", icon="mdi:check-decagram-outline"),
        button("refocus", "Refocus", "mdi:image-filter-center-focus"),
        button("abort", "Abort", "mdi:stop-circle-outline"),
        switch("pause", "Pause", "paused", "mdi:pause"),
        switch("compensation", "Compensation", "compensation", "mdi:thermometer-lines"),
    ]
    return {topic: {**own, "unique_id": "_".join(topic.split("/")[2:4]), **common} for topic, own in found}


def state_of(status: Status | Waiting, hfd_px: float | None, *, telescope: str, daemon: str = "") -> TelescopeState:
    """Return the state that is published whenever it has changed; nothing in it changes with every second.

    Args:
        status: The daemon's status.
        hfd_px: Size of the stars on the last light frame; `None`: there was none.
        telescope: Its name.
        daemon: A mark of this daemon, by which it knows its own messages.
    """
    if isinstance(status, Waiting):
        return TelescopeState(
            telescope=telescope, state=status.state, hfd=_rounded(hfd_px), waits_for=status.why, daemon=daemon
        )
    last_focus, last_run = status.last_focus, status.last_run
    if hfd_px is None and last_focus is not None and last_focus.metric == STAR_SIZE:
        hfd_px = last_focus.value
    due = "; ".join(status.due)
    return TelescopeState(
        telescope=telescope,
        state=status.state,
        temperature=_rounded(status.temperature_c),
        position=status.position,
        hfd=_rounded(hfd_px),
        minutes=None if last_focus is None else math.floor(status.since_s / 60),
        focused_at=None if last_focus is None else last_focus.at,
        due=(due or NOTHING)[:LONGEST_STATE],
        # What would hold up a refocus comes and goes with every exposure; it matters while one is due.
        blocked_by=status.blocked_by if due else (),
        silent=status.silent,
        result=NOTHING if last_run is None else last_run.outcome,
        reason="" if last_run is None else last_run.reason,
        paused=status.paused,
        compensation=status.compensation.enabled,
        daemon=daemon,
    )


def _rounded(value: float | None) -> float | None:
    return round(value, 2) if value is not None and math.isfinite(value) else None


def state_in(payload: bytes) -> TelescopeState | None:
    """Return the state in a message; `None`: it is not a JSON object.

    Anybody may write to a broker: a field that is malformed is as good as left out, and no character reaches a
    terminal that is not printable.
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
