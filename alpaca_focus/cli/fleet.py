"""`alpaca-focus fleet`: several telescopes at a glance, over the MQTT broker that their daemons tell of themselves."""

import json as json_format
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.live import Live

from alpaca_focus.addressees import broker_settings
from alpaca_focus.cli.fleet_page import page, remarks, summary, table, trouble_line
from alpaca_focus.cli.keys import EndRequest
from alpaca_focus.cli.options import JsonOption
from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.notify.fleet import Row, rows
from alpaca_focus.notify.fleet_listener import FleetListener
from alpaca_focus.notify.mqtt_client import MqttSettings
from alpaca_focus.settings.interface_models import Mqtt, MqttAlone
from alpaca_focus.settings.loader import load_yaml
from alpaca_focus.terminal import for_people

EXIT_TROUBLE = 1
REDRAWN_EVERY_S = 0.5
MISTAKES = {"prefix": "write the beginning of topics, without spaces, # and +, and no / or $ first"}
PAPER_WIDTH = 120
"""Columns where nothing tells how wide the reader's page is."""


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
        wanted = Mqtt.model_validate({**options, "tls": "tls" in options})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        why = first["ctx"]["error"] if name == "broker" else MISTAKES.get(name, "nothing is given")
        raise ConfigurationError(f"--{name.replace('_', '-')}: {why}.") from None
    return broker_settings(wanted, named="--password-file")


def _print_once(settings: MqttSettings, *, json: bool) -> None:
    with FleetListener(settings) as listener:
        fleet = listener.hear_all()
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
    if any(row.standing.is_trouble for row in found):
        raise typer.Exit(EXIT_TROUBLE)


def _told(settings: MqttSettings, found: tuple[Row, ...], now: datetime) -> dict[str, object]:
    return {
        "broker": settings.broker,
        "prefix": settings.prefix,
        "at": now.isoformat(timespec="seconds"),
        "all_well": bool(found) and not any(row.standing.is_trouble for row in found),
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
            trouble = trouble_line(*listener.trouble, now)
            where = f"{settings.broker}, {settings.prefix}/"
            state = "" if listener.is_listening or trouble else " (connecting)"
            heading = f"{where}{state}: {summary(found)}; {end.how} ends it."
            live.update(page(found, heading, trouble), refresh=True)
