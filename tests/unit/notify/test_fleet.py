"""Several telescopes out of what was told of them."""

import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from alpaca_focus.cli.fleet_command import _settings, page, problem_line, summary
from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.core.status import LastRun, Waiting, as_json
from alpaca_focus.notify.fleet import MOST_TELESCOPES, Fleet, Health, TelescopeRow, rows
from alpaca_focus.notify.home_assistant import LONGEST_PAYLOAD_BYTES, state_of
from tests.statuses import LAST_FOCUS, a_status

NOW = datetime(2026, 11, 21, 22, 0, tzinfo=UTC)
STATUS = a_status(
    blocked_by=("exposure running",),
    position=25412,
    temperature_c=4.126,
    since_s=754.0,
    last_focus=replace(LAST_FOCUS, at=datetime(2026, 11, 21, 21, 23, 30, tzinfo=UTC), value=2.514),
    last_run=LastRun(outcome="focused", reason="Focused."),
)


def ended(outcome: str, reason: str) -> dict[str, LastRun]:
    return {"last_run": LastRun(outcome=outcome, reason=reason)}


def told(fleet: Fleet, name: str, available: str = "online", **changes: Any) -> Fleet:
    state = state_of(replace(STATUS, **changes), None, telescope=name.title())
    fleet = fleet.with_message(f"alpaca-focus/{name}/state", json.dumps(as_json(state)).encode())
    return fleet.with_message(f"alpaca-focus/{name}/availability", available.encode())


def only(**changes: Any) -> TelescopeRow:
    (row,) = rows(told(Fleet("alpaca-focus"), "east", **changes), NOW)
    return row


def shown(*found: TelescopeRow, width: int = 100) -> str:
    screen = io.StringIO()
    Console(file=screen, width=width, highlight=False).print(page(found, summary(found)))
    return screen.getvalue()


def test_a_state_becomes_a_row() -> None:
    row = only()
    assert row.as_dict() == {
        "telescope": "East",
        "topic": "east",
        "standing": "well",
        "trouble": False,
        "online": True,
        "state": "watching",
        "paused": False,
        "position": 25412,
        "expected_position": None,
        "hfd_px": 2.51,
        "temperature_c": 4.13,
        "minutes": 36,
        "due": "",
        "blocked_by": [],
        "waits_for": "",
        "silent": [],
        "result": "focused",
        "reason": "Focused.",
    }


@pytest.mark.parametrize(
    ("changes", "health", "words"),
    [
        (ended("stranded", "It does not move."), Health.STRANDED, "STRANDED"),
        ({"available": "offline"}, Health.OFFLINE, "OFFLINE"),
        (ended("restored", "Clouds."), Health.FAILED, "the last run failed. Clouds."),
        (ended("failed", "Clouds."), Health.FAILED, "FAILED"),
        (ended("aborted", "Aborted."), Health.WELL, "aborted"),
        ({"silent": ("focuser", "mount")}, Health.SILENT, "no answer from focuser, mount."),
        ({"paused": True}, Health.PAUSED, "paused"),
        ({"due": ("it is colder",)}, Health.HELD, "due: it is colder; waiting for: exposure running."),
        ({"due": ("it is colder",), "blocked_by": ()}, Health.WELL, "due: it is colder."),
    ],
)
def test_the_most_urgent_condition_is_the_health_and_is_shown_in_words(
    changes: dict[str, Any], health: Health, words: str
) -> None:
    row = only(**changes)
    assert row.health is health
    assert words in shown(row)


def test_a_waiting_daemon_is_shown_with_the_reason() -> None:
    state = state_of(Waiting(why="The server does not answer."), None, telescope="East")
    fleet = Fleet("a").with_message("a/east/state", json.dumps(as_json(state)).encode())
    (row,) = rows(fleet.with_message("a/east/availability", b"online"), NOW)
    assert (row.health, row.last.waits_for) == (Health.WAITING, "The server does not answer.")
    assert (row.last.position, row.last.hfd, row.minutes, row.last.result) == (None, None, None, "")


def test_urgent_telescopes_come_first_and_the_others_by_name() -> None:
    fleet = Fleet("alpaca-focus")
    fleet = told(fleet, "delta")
    fleet = told(fleet, "alpha", paused=True)
    fleet = told(fleet, "charlie", **ended("restored", ""))
    fleet = told(fleet, "bravo")
    fleet = told(fleet, "zulu", available="offline")
    found = rows(fleet, NOW)
    assert [row.name for row in found] == ["Zulu", "Charlie", "Alpha", "Bravo", "Delta"]
    assert summary(found) == "5 telescopes, 2 in trouble"
    lines = shown(*found).splitlines()
    assert [line.split()[0] for line in lines[2:7]] == ["TROUBLE", "TROUBLE", "look", "ok", "ok"]


def test_an_age_grows_without_a_new_message_and_is_never_negative() -> None:
    fleet = told(Fleet("alpaca-focus"), "east")
    ages = [rows(fleet, NOW + timedelta(minutes=minutes))[0].minutes for minutes in (-60, 0, 1, 200, 10_000)]
    assert ages == [0, 36, 37, 236, 10_036]
    told_ages = [shown(rows(fleet, NOW + timedelta(minutes=minutes))[0]) for minutes in (0, 200, 10_000)]
    assert [words in text for words, text in zip(("36 min", "3 h", "6 d"), told_ages, strict=True)] == [True] * 3


def test_a_daemon_of_an_older_version_is_understood() -> None:
    fleet = Fleet("p/q").with_message("p/q/big-dob/state", b'{"state": "watching", "minutes": 12, "due": "nothing"}')
    (row,) = rows(fleet.with_message("p/q/big-dob/availability", b"online"), NOW)
    assert (row.name, row.minutes, row.last.due, row.health) == ("big-dob", 12, "", Health.WELL)


@pytest.mark.parametrize(
    "payload",
    [b"", b"{", b"[1]", b"null", b"\xff\xfe", b"[" * 100_000, b'{"a": "%s"}' % (b"x" * LONGEST_PAYLOAD_BYTES)],
)
def test_a_malformed_state_is_shown_as_unclear(payload: bytes) -> None:
    fleet = Fleet("a").with_message("a/east/availability", b"online").with_message("a/east/state", payload)
    (row,) = rows(fleet, NOW)
    assert (row.name, row.health) == ("east", Health.UNCLEAR)


def test_a_withdrawn_telescope_is_removed() -> None:
    fleet = told(told(Fleet("alpaca-focus"), "east"), "west")
    fleet = fleet.with_message("alpaca-focus/east/state", b"")
    assert len(rows(fleet, NOW)) == 2
    fleet = fleet.with_message("alpaca-focus/east/availability", b"")
    assert [row.name for row in rows(fleet, NOW)] == ["West"]


def test_after_a_reconnection_nobody_is_online_until_a_message_arrives() -> None:
    fleet = told(Fleet("alpaca-focus"), "east").with_unknown_availability()
    assert rows(fleet, NOW)[0].health is Health.OFFLINE
    fleet = fleet.with_message("alpaca-focus/east/availability", b"online")
    assert rows(fleet, NOW)[0].health is Health.WELL


@pytest.mark.parametrize("topic", ["b/east/state", "a/east/other", "a/east/state/more", "a//state", "a", "a/state", ""])
def test_other_topics_are_ignored(topic: str) -> None:
    assert Fleet("a").with_message(topic, b'{"state": "watching"}').telescopes == {}


def test_the_number_of_telescopes_is_bounded() -> None:
    fleet = Fleet("a")
    for number in range(MOST_TELESCOPES + 5):
        fleet = fleet.with_message(f"a/{number}/availability", b"online")
    assert len(fleet.telescopes) == MOST_TELESCOPES


def test_two_telescopes_of_one_name_show_their_topics() -> None:
    fleet = Fleet("a")
    for topic in ("east", "spoof"):
        fleet = fleet.with_message(f"a/{topic}/state", b'{"telescope": "East", "state": "watching"}')
    assert [row.name for row in rows(fleet, NOW)] == ["East (east)", "East (spoof)"]


def test_markup_and_escapes_reach_no_screen() -> None:
    name = "[bold red]East[/] \x1b[31m\x07\u202enight\r\nTROUBLE"
    state = json.dumps({"telescope": name, "state": "watching\x1b]0;x\x07"}).encode()
    fleet = Fleet("a").with_message("a/e/state", state).with_message("a/e/availability", b"online")
    text = shown(*rows(fleet, NOW), width=160)
    assert "[bold red]East[/] [31m" in text
    assert not set("\x1b\x07\u202e\r") & set(text)
    assert len(text.splitlines()) == 4


def test_a_lost_broker_is_shown_with_the_time_since() -> None:
    assert problem_line("", NOW, NOW) == ""
    line = problem_line("The MQTT broker has gone.", NOW - timedelta(minutes=3), NOW)
    assert line.startswith("The MQTT broker has gone. For 3 min. Retrying")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "No MQTT broker is given"),
        ({"broker": "here"}, "--broker: 'here' has no port"),
        ({"broker": "h:1", "prefix": "a b"}, "--prefix: write the beginning"),
        ({"broker": "h:1", "user": ""}, "--user: nothing is given"),
        ({"broker": "h:1", "password_file": "f"}, "--password-file needs a --user"),
        ({"broker": "h:1", "user": "u", "password_file": "/nowhere/f"}, "--password-file: /nowhere/f cannot be read"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        _settings(None, options)
    assert words in str(caught.value)


def test_of_the_settings_of_a_telescope_only_the_broker_counts(tmp_path: Path) -> None:
    config, secret = tmp_path / "east.yaml", tmp_path / "secret"
    secret.write_text("hunter2\n")
    config.write_text(
        "telescope: {nonsense: 1}\n"
        f"mqtt: {{broker: 'hub:8883', user: dob, password_file: '{secret}', prefix: astro/north, tls: true}}\n"
    )
    wanted = _settings(config, {})
    assert (wanted.broker, wanted.user, wanted.password, wanted.prefix, wanted.tls) == (
        "hub:8883",
        "dob",
        "hunter2",
        "astro/north",
        True,
    )
    with pytest.raises(ConfigurationError, match="leave --broker, --user out"):
        _settings(config, {"broker": "h:1", "user": "x"})
    config.write_text("mqtt: {borker: 'hub:8883'}\n")
    with pytest.raises(ConfigurationError, match=r"east.yaml:1:8: mqtt.borker: there is no such setting. Did you mean"):
        _settings(config, {})
    config.write_text("telescope: {focal_length_mm: 500}\n")
    with pytest.raises(ConfigurationError, match="has no section mqtt"):
        _settings(config, {})
