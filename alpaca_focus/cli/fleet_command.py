"""`alpaca-focus fleet`: several telescopes at a glance, over the MQTT broker that their daemons tell of themselves."""

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
from alpaca_focus.cli.terminal import for_people
from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.notify.fleet import FAILED_OUTCOMES, Health, TelescopeRow, rows
from alpaca_focus.notify.fleet_listener import FleetListener
from alpaca_focus.notify.mqtt_client import MqttSettings
from alpaca_focus.notify.notification_settings import broker_settings
from alpaca_focus.settings.interface_models import MqttAlone, MqttSection
from alpaca_focus.settings.loader import load_yaml

EXIT_TROUBLE = 1
REDRAWN_EVERY_S = 0.5
MISTAKES = {"prefix": "write the beginning of topics, without spaces, # and +, and no / or $ first"}
PAPER_WIDTH = 120
"""Columns where nothing tells how wide the reader's page is."""
TROUBLE, LOOK, OK = "TROUBLE", "look", "ok"
STYLES = {TROUBLE: "bold red", LOOK: "yellow", OK: "green"}
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
        typer.Option("--config", "-c", metavar="FILE", help="Settings of a telescope: their section mqtt counts."),
    ] = None,
    broker: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="The MQTT broker, in place of --config.")
    ] = None,
    prefix: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Beginning of all topics; alpaca-focus unless it is given.")
    ] = None,
    user: Annotated[str | None, typer.Option(metavar="NAME", help="User name at the broker.")] = None,
    password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File whose first line is the password.")
    ] = None,
    tls: Annotated[bool, typer.Option("--tls", help="Encrypt the connection.")] = False,
    once: Annotated[bool, typer.Option("--once", help="Print the table once, also on a terminal.")] = False,
    json: JsonOption = False,
) -> None:
    """Show all telescopes of a broker, those in trouble first; on a terminal it goes on until `q` or Ctrl-C.

    Printed once: exit code 0 when all is well, 1 when a telescope is offline or its last run failed, 2 when the broker
    cannot be reached or nobody has told it anything.
    """
    options = {"broker": broker, "prefix": prefix, "user": user, "password_file": password_file, "tls": tls or None}
    settings = _settings(config, {name: str(value) for name, value in options.items() if value is not None})
    if json or once or not sys.stdout.isatty():
        _print_once(settings, json=json)
    else:
        _follow(settings)


def _settings(config: Path | None, options: dict[str, str]) -> MqttSettings:
    if config is not None:
        if options:
            names = ", ".join(f"--{name.replace('_', '-')}" for name in options)
            raise ConfigurationError(f"With --config the file says where the broker is: leave {names} out.")
        wanted = load_yaml(config, MqttAlone).mqtt
        if wanted is None:
            raise ConfigurationError(f"{config} has no section mqtt: give --broker HOST:PORT instead.")
        return broker_settings(wanted)
    if "broker" not in options:
        raise ConfigurationError("Where is the MQTT broker? Give --broker HOST:PORT, or --config FILE of a telescope.")
    if "password_file" in options and "user" not in options:
        raise ConfigurationError("--password-file needs a --user.")
    try:
        wanted = MqttSection.model_validate({**options, "tls": "tls" in options})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        why = first["ctx"]["error"] if name == "broker" else MISTAKES.get(name, "nothing is given")
        raise ConfigurationError(f"--{name.replace('_', '-')}: {why}.") from None
    return broker_settings(wanted, named="--password-file")


def _print_once(settings: MqttSettings, *, json: bool) -> None:
    with FleetListener(settings) as listener:
        fleet = listener.read_retained()
    now = datetime.now(UTC)
    found = rows(fleet, now)
    if json:
        typer.echo(json_format.dumps(_told(settings, found, now), allow_nan=False))
    elif found:
        console = for_people()
        if not console.is_terminal and "COLUMNS" not in os.environ:
            console.width = PAPER_WIDTH
        console.print(table(found))
        for line in remarks(found):
            console.print(line, soft_wrap=True)
    if not found:
        raise ConfigurationError(
            f"Nobody tells the MQTT broker {settings.broker} anything under {settings.prefix}/: look whether the "
            "daemons have the same mqtt.broker and mqtt.prefix."
        )
    if any(row.health.is_urgent for row in found):
        raise typer.Exit(EXIT_TROUBLE)


def _told(settings: MqttSettings, found: tuple[TelescopeRow, ...], now: datetime) -> dict[str, object]:
    return {
        "broker": settings.broker,
        "prefix": settings.prefix,
        "at": now.isoformat(timespec="seconds"),
        "all_well": bool(found) and not any(row.health.is_urgent for row in found),
        "telescopes": [row.as_dict() for row in found],
    }


def _follow(settings: MqttSettings) -> None:
    console = for_people()
    with (
        EndRequest() as end,
        FleetListener(settings) as listener,
        Live(console=console, auto_refresh=False, redirect_stderr=False) as live,
    ):
        listener.start()
        while not end.wait(REDRAWN_EVERY_S):
            now = datetime.now(UTC)
            found = rows(listener.fleet, now)
            trouble = trouble_line(*listener.problem, now)
            where = f"{settings.broker}, {settings.prefix}/"
            state = "" if listener.is_listening or trouble else " (connecting)"
            heading = f"{where}{state}: {summary(found)}; {end.how} ends it."
            live.update(page(found, heading, trouble), refresh=True)


def page(found: Sequence[TelescopeRow], heading: str, trouble: str = "") -> RenderableType:
    """Return the page of a terminal.

    Args:
        found: The telescopes.
        heading: The line above all.
        trouble: What is wrong with the broker; empty: nothing is.
    """
    above = [Text(trouble, style=STYLES[TROUBLE])] if trouble else []
    below = [table(found), *remarks(found)] if found else [Text("No telescope has told anything yet.")]
    return Group(*above, Text(heading), *below)


def table(found: Sequence[TelescopeRow]) -> Table:
    """Return a line a telescope."""
    shown = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    shown.add_column("", no_wrap=True)
    shown.add_column("telescope", overflow="fold", min_width=10, max_width=24)
    shown.add_column("state", overflow="fold", min_width=9, max_width=16)
    for name in ("position", "HFD px", "deg C", "focused"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("last run", overflow="fold", min_width=6, max_width=10)
    for row in found:
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


def remarks(found: Sequence[TelescopeRow]) -> list[Text]:
    """Return what there is to say beside the numbers, a line each, in the order of the table."""
    return [
        Text.assemble((f"{row.name}: ", "bold" if row.health.is_urgent else ""), note)
        for row in found
        for note in _notes(row)
    ]


def word_of(health: Health) -> str:
    """Return the one word that says whether somebody has to look."""
    return TROUBLE if health.is_urgent else LOOK if health.needs_attention else OK


def _notes(row: TelescopeRow) -> list[str]:
    told = []
    if row.health is Health.STRANDED:
        told.append(f"the focuser could not be brought back. {row.last.reason}")
    if not row.is_online:
        told.append("its daemon is gone" + (f"; the last it told: {row.last.state}." if row.last.state else "."))
    if row.last.result in FAILED_OUTCOMES:
        told.append(f"the last run failed. {row.last.reason}")
    if row.last.silent:
        told.append(f"no answer from {', '.join(row.last.silent)}.")
    if row.last.waits_for:
        told.append(f"waits for its devices. {row.last.waits_for}")
    if row.last.paused and row.health is not Health.PAUSED:
        told.append("paused.")
    if row.last.due:
        waits = f"; it waits for: {', '.join(row.last.blocked_by)}" if row.last.blocked_by else ""
        told.append(f"a refocus is due: {row.last.due}{waits}.")
    return told


def summary(found: Sequence[TelescopeRow]) -> str:
    """Return how many telescopes there are, and how many of them are in trouble."""
    count = f"{len(found)} telescope{'' if len(found) == 1 else 's'}"
    bad = sum(row.health.is_urgent for row in found)
    return f"{count}, {bad} in trouble" if bad else f"{count}, none in trouble"


def trouble_line(trouble: str, since: datetime, now: datetime) -> str:
    """Return what is wrong with the broker, and for how long; empty: nothing is."""
    if not trouble:
        return ""
    minutes = max(0, int((now - since).total_seconds() // 60))
    lasted = f" For {_age(minutes)}." if minutes else ""
    return f"{trouble}{lasted} It is tried again and again; what stands below is what was heard before."


def _age(minutes: int) -> str:
    """Return an age in the largest unit that still says enough."""
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} d"
