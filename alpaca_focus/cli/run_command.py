"""`alpaca-focus run`, the daemon, and `alpaca-focus notify-test`, which tests its messages."""

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

import typer

from alpaca_focus.cli.common import ConfigOption
from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.daemon.daemon import Daemon
from alpaca_focus.devices.clock import SystemClock
from alpaca_focus.notify.messages import Message
from alpaca_focus.notify.notification_settings import services_of
from alpaca_focus.service.log_output import configure_logging
from alpaca_focus.settings.loader import load_yaml
from alpaca_focus.settings.models import Settings

EXIT_UNSENT = 1
EXIT_UNFINISHED = 3


def run(config: ConfigOption) -> None:
    """Keep the telescope in focus, night after night. SIGTERM ends it; SIGHUP reloads the settings."""
    configure_logging(level=logging.INFO)
    asyncio.run(_until_signalled(config))


async def _until_signalled(config: Path) -> None:
    daemon = Daemon(lambda: load_yaml(config, Settings), SystemClock())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, daemon.stop)
    loop.add_signal_handler(signal.SIGHUP, daemon.reload)
    if not await daemon.run():
        # A call still hangs on a device that does not answer. asyncio would cancel it and wait for it, so the process
        # exits here; the restore marker on disk brings the focuser back at the next start.
        sys.stderr.flush()
        os._exit(EXIT_UNFINISHED)


def notify_test(config: ConfigOption) -> None:
    """Send a test message through each configured service. Exit code 1 if one fails."""
    settings = load_yaml(config, Settings)
    services = () if settings.messages is None else services_of(settings.messages)
    if not services:
        raise ConfigurationError(f"{config} names no services. Set messages.services or messages.services_file.")
    message = Message(
        title=f"{settings.telescope.name}: a test",
        text="This is a test by `alpaca-focus notify-test`. Nothing has happened.",
    )
    failed = False
    for each in services:
        problem = each.send(message, None)
        failed |= bool(problem)
        typer.echo(f"{each.name}: {problem or 'sent.'}")
    if failed:
        raise typer.Exit(EXIT_UNSENT)
