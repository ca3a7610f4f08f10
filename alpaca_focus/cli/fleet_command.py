"""`alpaca-focus fleet`: shows the state of several telescopes, from the MQTT broker that their daemons publish to."""

import json as json_format
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from alpaca_focus.cli.common import JsonOption
from alpaca_focus.cli.keys import EndRequest
from alpaca_focus.cli.terminal import text_console
from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.notify.fleet import FAILED_OUTCOMES, Health, TelescopeRow, rows
from alpaca_focus.notify.fleet_listener import FleetListener
from alpaca_focus.notify.mqtt_client import MqttSettings
from alpaca_focus.notify.notification_settings import broker_settings
from alpaca_focus.settings.interface_models import MqttAlone, MqttSection
from alpaca_focus.settings.loader import load_yaml

EXIT_URGENT = 1
REDRAW_S = 0.5
PREFIX_RULE = "write the beginning of topics, without spaces, # and +, and no / or $ first"
PAPER_WIDTH = 120
"""Columns if neither a terminal nor COLUMNS sets the width."""
URGENT, ATTENTION, OK = "TROUBLE", "look", "ok"
STYLES = {URGENT: "bold red", ATTENTION: "yellow", OK: "green"}
STATES = {
    Health.STRANDED: "FOCUSER STRANDED",
    Health.OFFLINE: "OFFLINE",
    Health.UNCLEAR: "not understood",
    Health.PAUSED: "paused",
}


def fleet(
    *,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", metavar="FILE", help="Settings of a telescope; only the section mqtt is used."),
    ] = None,
    broker: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="The MQTT broker, instead of --config.")
    ] = None,
    prefix: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Beginning of all topics; alpaca-focus by default.")
    ] = None,
    user: Annotated[str | None, typer.Option(metavar="NAME", help="User name at the broker.")] = None,
    password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File whose first line is the password.")
    ] = None,
    tls: Annotated[bool, typer.Option("--tls", help="Encrypt the connection.")] = False,
    once: Annotated[bool, typer.Option("--once", help="Print the table once, also on a terminal.")] = False,
    json: JsonOption = False,
) -> None:
    """Show all telescopes of an MQTT broker, failed ones first.

    On a terminal the table is live until `q` or Ctrl-C. Printed once: exit code 0 if all is well, 1 if a telescope is
    offline or its last run failed, 2 if the broker cannot be reached or has no telescope.
    """
    options = {"broker": broker, "prefix": prefix, "user": user, "password_file": password_file, "tls": tls or None}
    settings = _settings(config, {name: str(value) for name, value in options.items() if value is not None})
    if json or once or not sys.stdout.isatty():
        _print_once(settings, json=json)
    else:
        _show_live(settings)


def _settings(config: Path | None, options: dict[str, str]) -> MqttSettings:
    if config is not None:
        if options:
            names = ", ".join(f"--{name.replace('_', '-')}" for name in options)
            raise ConfigurationError(f"--config names the broker already: leave {names} out.")
        wanted = load_yaml(config, MqttAlone).mqtt
        if wanted is None:
            raise ConfigurationError(f"{config} has no section mqtt. Give --broker HOST:PORT instead.")
        return broker_settings(wanted)
    if "broker" not in options:
        raise ConfigurationError("No MQTT broker is given. Give --broker HOST:PORT, or --config FILE of a telescope.")
    if "password_file" in options and "user" not in options:
        raise ConfigurationError("--password-file needs a --user.")
    try:
        wanted = MqttSection.model_validate({**options, "tls": "tls" in options})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        problem = first["ctx"]["error"] if name == "broker" else PREFIX_RULE if name == "prefix" else "nothing is given"
        raise ConfigurationError(f"--{name.replace('_', '-')}: {problem}.") from None
    return broker_settings(wanted, named="--password-file")


def _print_once(settings: MqttSettings, *, json: bool) -> None:
    with FleetListener(settings) as listener:
        fleet = listener.read_retained()
    now = datetime.now(UTC)
    telescopes = rows(fleet, now)
    if json:
        typer.echo(json_format.dumps(_as_json(settings, telescopes, now), allow_nan=False))
    elif telescopes:
        console = text_console()
        if not console.is_terminal and "COLUMNS" not in os.environ:
            console.width = PAPER_WIDTH
        console.print(table(telescopes))
        for line in remarks(telescopes):
            console.print(line, soft_wrap=True)
    if not telescopes:
        raise ConfigurationError(
            f"The MQTT broker {settings.broker} has no telescope under {settings.prefix}/. Check that the daemons have "
            "the same mqtt.broker and mqtt.prefix."
        )
    if any(row.health.is_urgent for row in telescopes):
        raise typer.Exit(EXIT_URGENT)


def _as_json(settings: MqttSettings, telescopes: tuple[TelescopeRow, ...], now: datetime) -> dict[str, object]:
    return {
        "broker": settings.broker,
        "prefix": settings.prefix,
        "at": now.isoformat(timespec="seconds"),
        "all_well": bool(telescopes) and not any(row.health.is_urgent for row in telescopes),
        "telescopes": [row.as_dict() for row in telescopes],
    }


def _show_live(settings: MqttSettings) -> None:
    console = text_console()
    with (
        EndRequest() as end,
        FleetListener(settings) as listener,
        Live(console=console, auto_refresh=False, redirect_stderr=False) as live,
    ):
        listener.start()
        while not end.wait(REDRAW_S):
            now = datetime.now(UTC)
            telescopes = rows(listener.fleet, now)
            problem = problem_line(*listener.problem, now)
            where = f"{settings.broker}, {settings.prefix}/"
            state = "" if listener.is_listening or problem else " (connecting)"
            heading = f"{where}{state}: {summary(telescopes)}; {end.how} ends it."
            live.update(page(telescopes, heading, problem), refresh=True)


def page(telescopes: Sequence[TelescopeRow], heading: str, problem: str = "") -> RenderableType:
    """Return the live page; `problem` is what is wrong with the broker."""
    above = [Text(problem, style=STYLES[URGENT])] if problem else []
    below = [table(telescopes), *remarks(telescopes)] if telescopes else [Text("No telescope has reported yet.")]
    return Group(*above, Text(heading), *below)


def table(telescopes: Sequence[TelescopeRow]) -> Table:
    """Return the table, one row per telescope."""
    shown = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    shown.add_column("", no_wrap=True)
    shown.add_column("telescope", overflow="fold", min_width=10, max_width=24)
    shown.add_column("state", overflow="fold", min_width=9, max_width=16)
    for name in ("position", "HFD px", "deg C", "focused"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("last run", overflow="fold", min_width=6, max_width=10)
    for row in telescopes:
        word = word_of(row.health)
        shown.add_row(
            Text(word, style=STYLES[word]),
            Text(row.name),
            Text(STATES.get(row.health, row.last.state), style="bold" if row.health.is_urgent else ""),
            "" if row.last.position is None else f"{row.last.position}",
            "" if row.last.hfd is None else f"{row.last.hfd:.2f}",
            "" if row.last.temperature is None else f"{row.last.temperature:.1f}",
            "" if row.minutes is None else f"{_age(row.minutes)} ago",
            Text("FAILED" if row.last.result in FAILED_OUTCOMES else row.last.result),
        )
    return shown


def remarks(telescopes: Sequence[TelescopeRow]) -> list[Text]:
    """Return the remarks on the telescopes, one line each, in the order of the table."""
    return [
        Text.assemble((f"{row.name}: ", "bold" if row.health.is_urgent else ""), note)
        for row in telescopes
        for note in _notes(row)
    ]


def word_of(health: Health) -> str:
    """Return how urgent a telescope's state is, in one word."""
    return URGENT if health.is_urgent else ATTENTION if health.needs_attention else OK


def _notes(row: TelescopeRow) -> list[str]:
    notes = []
    if row.health is Health.STRANDED:
        notes.append(f"the focuser could not be moved back. {row.last.reason}")
    if not row.is_online:
        notes.append("its daemon is offline" + (f"; last reported state: {row.last.state}." if row.last.state else "."))
    if row.last.result in FAILED_OUTCOMES:
        notes.append(f"the last run failed. {row.last.reason}")
    if row.last.expected_position is not None:
        notes.append(f"the focuser is at {row.last.position} instead of {row.last.expected_position}.")
    if row.last.silent:
        notes.append(f"no answer from {', '.join(row.last.silent)}.")
    if row.last.waits_for:
        notes.append(f"waiting for its devices. {row.last.waits_for}")
    if row.last.paused and row.health is not Health.PAUSED:
        notes.append("paused.")
    if row.last.due:
        waits = f"; waiting for: {', '.join(row.last.blocked_by)}" if row.last.blocked_by else ""
        notes.append(f"a refocus is due: {row.last.due}{waits}.")
    return notes


def summary(telescopes: Sequence[TelescopeRow]) -> str:
    """Return how many telescopes there are, and how many of them are urgent."""
    count = f"{len(telescopes)} telescope{'' if len(telescopes) == 1 else 's'}"
    bad = sum(row.health.is_urgent for row in telescopes)
    return f"{count}, {bad} in trouble" if bad else f"{count}, none in trouble"


def problem_line(problem: str, since: datetime, now: datetime) -> str:
    """Return what is wrong with the broker, and for how long; empty if nothing is."""
    if not problem:
        return ""
    minutes = max(0, int((now - since).total_seconds() // 60))
    lasted = f" For {_age(minutes)}." if minutes else ""
    return f"{problem}{lasted} Retrying; the table shows the last reports."


def _age(minutes: int) -> str:
    """Return an age in minutes, hours or days, at least two units."""
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} d"
