"""What `alpaca-focus status` prints."""

from dataclasses import replace

import pytest

from alpaca_focus.cli.daemon_commands import status_lines
from alpaca_focus.core.status import CompensationStatus, GatewayStatus, LastRun, Verdict, Waiting
from tests.statuses import LAST_FOCUS, NOTHING_YET, a_status


def test_while_it_waits_for_the_devices_there_is_one_line_with_the_reason() -> None:
    waiting = Waiting(why="nothing answers at 127.0.0.1:1.")
    assert status_lines(waiting) == ["waiting for the devices: nothing answers at 127.0.0.1:1."]


def test_before_the_first_focus() -> None:
    assert status_lines(NOTHING_YET) == [
        "watching; the plan takes: unknown",
        "last focus: none yet",
        "now: no temperature",
        "compensation: +0 steps moved since then, +0.00 carried",
    ]


def test_everything_at_once() -> None:
    status = a_status(
        state="a focus run",
        paused=True,
        plan="light",
        due=("30 images since the last refocus", "a refocus was requested"),
        blocked_by=("paused", "exposure running"),
        triggers=(
            Verdict(trigger="asap", due=True, state="[!]", reason="a refocus was requested"),
            Verdict(trigger="temperature", due=False, state="[-0.4 #01*]"),
        ),
        temperature_c=3.87,
        temperature_trouble="the temperature jumped from 3.9 to 85.0 degrees",
        filter="Ha",
        altitude_deg=60.6,
        sun_altitude_deg=-33.4,
        last_focus=LAST_FOCUS,
        since_s=3630.0,
        compensation=CompensationStatus(
            moved_steps=-12,
            carried_steps=0.456,
            stopped="It has come to most_steps.",
            enabled=False,
            switched_off=True,
        ),
        advice="The imaging program leaves no gap.",
        failures=2,
        hold_s=1199.6,
        ignored={"exposure running": 3, "not safe": 1},
        runs_ended=4,
        last_run=LastRun(outcome="restored", reason="The stars are gone."),
    )
    assert status_lines(status) == [
        "a focus run, paused; the plan takes: light",
        "last focus: 2026-01-15 22:41 UTC (60 min ago), position 24987, HFD 2.47, filter Ha, 4.2 deg C, why: images",
        "due: 30 images since the last refocus; a refocus was requested",
        "waits for: paused, exposure running",
        "  asap         [!]",
        "  temperature  [-0.4 #01*]",
        "now: 3.9 deg C, filter Ha, altitude 61 deg, sun at -33 deg, the temperature jumped from 3.9 to 85.0 degrees",
        "compensation: -12 steps moved since then, +0.46 carried",
        "  switched off until `alpaca-focus compensation on`",
        "  It has come to most_steps.",
        "failed runs in a row: 2; the triggers wait for 1200 s more",
        "The imaging program leaves no gap.",
        "waited this night, by reason: exposure running 3, not safe 1",
        "last run: The stars are gone.",
    ]


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ({}, "12 light frames have passed"),
        ({"interrupted": True}, "12 light frames have passed; a focus run waits for the next gap"),
        ({"taken": True}, "a focus run has the camera"),
        ({"taken": True, "waits": True}, "an exposure waits for the focus run"),
    ],
)
def test_the_gateway_has_a_line(state: dict[str, bool], text: str) -> None:
    gateway = GatewayStatus(address="127.0.0.1:11112", waits=False, taken=False, interrupted=False, images=12)
    lines = status_lines(a_status(gateway=replace(gateway, **state)))
    assert lines[-1] == f"gateway: 127.0.0.1:11112, {text}"


def test_what_is_wrong_comes_first_and_old_readings_have_their_age() -> None:
    ages_s = {"position": 35.4, "altitude_deg": 130.0}
    headline = "Focus is not kept: no device of Alpaca server 10.0.0.1:11111 answers"
    status = a_status(position=25000, altitude_deg=61.0, ages_s=ages_s, headline=headline)
    first, *rest = status_lines(status)
    assert first == f"{headline}."
    assert "now: focuser at 25000 (35 s old), no temperature, altitude 61 deg (130 s old)" in rest


def test_a_last_focus_with_unknown_values() -> None:
    little = replace(LAST_FOCUS, value=None, filter_name=None, temperature_c=None, trigger="")
    lines = status_lines(a_status(last_focus=little, since_s=59.0))
    assert lines[1] == "last focus: 2026-01-15 22:41 UTC (1 min ago), position 24987"


def test_a_hold_off_without_a_failed_run_is_shown_too() -> None:
    """After an abort nothing has failed, and the triggers wait nevertheless."""
    lines = status_lines(a_status(hold_s=300.0))
    assert "the triggers wait for 300 s more" in lines
