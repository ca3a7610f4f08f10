"""`alpaca-focus report-night` and `alpaca-focus notify-test`: what people are told of a night."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from alpaca_focus.addressees import services_of
from alpaca_focus.cli.options import ConfigOption
from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.files.whole import check_folder
from alpaca_focus.night.report import last_night, reviewed, summary, write_report
from alpaca_focus.notify.messages import Message
from alpaca_focus.settings.loader import load_yaml
from alpaca_focus.settings.models import Settings

EXIT_FAILED = 1


def report_night(
    config: ConfigOption,
    *,
    out: Annotated[Path, typer.Option(metavar="OUT.html", help="The page to write.")],
    evening: Annotated[
        datetime | None,
        typer.Option("--date", formats=["%Y-%m-%d"], help="Of the night's evening; left out: the last night."),
    ] = None,
) -> None:
    """Write the report of a night as one page: what fired, the V-curves, the drift, and what could be better."""
    check_folder(out, "report")
    settings, now = load_yaml(config, Settings), datetime.now(UTC)
    night = reviewed(settings, last_night(settings, now) if evening is None else evening.date(), now)
    write_report(out, night, now)
    typer.echo(f"The night of {night.date}: {summary(night)} The report: {out}")


def notify_test(config: ConfigOption) -> None:
    """Send a test message by each service of messages, and say whether it went; exit code 1 if one did not."""
    settings = load_yaml(config, Settings)
    services = () if settings.messages is None else services_of(settings.messages)
    if not services:
        raise ConfigurationError(f"{config} names no services: set messages.services or messages.services_file.")
    message = Message(
        title=f"{settings.telescope.name}: a test",
        text="This is a test by `alpaca-focus notify-test`. Nothing has happened.",
    )
    failed = False
    for each in services:
        why = each.send(message, None)
        failed |= bool(why)
        typer.echo(f"{each.name}: {why or 'it went.'}")
    if failed:
        raise typer.Exit(EXIT_FAILED)
