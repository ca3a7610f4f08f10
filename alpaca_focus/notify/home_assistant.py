"""What Home Assistant is told so that it finds the telescope by itself, and what the state is made of. Pure."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from alpaca_focus.core.metrics import STAR_SIZE

DISCOVERY = "homeassistant"
"""Home Assistant's own usual prefix."""
BIRTH_TOPIC = f"{DISCOVERY}/status"
ONLINE, OFFLINE = "online", "offline"
ON, OFF, PRESS = "ON", "OFF", "PRESS"
LONGEST_STATE = 255
"""Home Assistant takes no longer ones."""
NOTHING = "nothing"

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


def state_of(status: Mapping[str, object], hfd_px: float | None, *, telescope: str) -> Payload:
    """Return the state that is published whenever it has changed; nothing in it changes with every second.

    Args:
        status: As the daemon tells it.
        hfd_px: Size of the stars on the last light frame; `None`: there was none.
        telescope: Its name.
    """
    last_focus, last_run = _section(status, "last_focus"), _section(status, "last_run")
    compensation = _section(status, "compensation")
    position, moved = last_focus.get("position"), compensation.get("moved_steps", 0)
    if isinstance(position, int) and isinstance(moved, int):
        position += moved
    if hfd_px is None and last_focus.get("metric") == STAR_SIZE:
        hfd_px = _number(last_focus.get("value"))
    since_s = _number(status.get("since_s")) if last_focus else None
    due = status.get("due")
    due_text = "; ".join(str(each) for each in due) if isinstance(due, list) else ""
    return {
        "telescope": telescope,
        "state": status.get("state", ""),
        "temperature": _rounded(_number(status.get("temperature_c")), 2),
        "position": status.get("position", position),
        "hfd": _rounded(hfd_px, 2),
        "minutes": None if since_s is None else math.floor(since_s / 60),
        "focused_at": last_focus.get("at"),
        "due": (due_text or NOTHING)[:LONGEST_STATE],
        # What would hold up a refocus comes and goes with every exposure; it matters while one is due.
        "blocked_by": status.get("blocked_by", []) if due_text else [],
        "waits_for": status.get("why", ""),
        "silent": status.get("silent", []),
        "result": last_run.get("outcome", NOTHING),
        "reason": last_run.get("reason", ""),
        "paused": status.get("paused") is True,
        "compensation": compensation.get("enabled") is True,
    }


def _section(status: Mapping[str, object], name: str) -> Mapping[str, object]:
    section = status.get(name)
    return section if isinstance(section, Mapping) else {}


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
