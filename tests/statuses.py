"""A status of the daemon for tests."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from alpaca_focus.core.status import CompensationStatus, LastFocus, Status

COMPENSATION = CompensationStatus(moved_steps=0, carried_steps=0.0, stopped="", enabled=False, switched_off=False)
LAST_FOCUS = LastFocus(
    at=datetime(2026, 1, 15, 22, 41, 7, 250000, tzinfo=UTC),
    position=24987,
    trigger="images",
    metric="hfd",
    value=2.468,
    temperature_c=4.25,
    altitude_deg=61.0,
    filter_name="Ha",
    stderr_steps=3.1,
)
NOTHING_YET = Status(
    state="watching",
    looks=1,
    paused=False,
    plan="unknown",
    due=(),
    blocked_by=(),
    triggers=(),
    exposing=False,
    silent=(),
    position=None,
    temperature_c=None,
    temperature_trouble="",
    filter=None,
    altitude_deg=None,
    sun_altitude_deg=None,
    last_focus=None,
    since_s=0.0,
    images=0,
    compensation=COMPENSATION,
    gateway=None,
    advice="",
    failures=0,
    hold_s=0.0,
    ignored={},
    runs_ended=0,
    last_run=None,
)


def a_status(**changes: Any) -> Status:
    """Return the status of a night that has just begun, with changes."""
    return replace(NOTHING_YET, **changes)
