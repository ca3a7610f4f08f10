"""`alpaca-focus run`: the daemon."""

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path

from alpaca_focus.cli.options import ConfigOption
from alpaca_focus.devices.clock import SystemClock
from alpaca_focus.night.daemon import Daemon
from alpaca_focus.runtime.telemetry import configure_logging
from alpaca_focus.settings.loader import load_yaml
from alpaca_focus.settings.models import Settings

EXIT_UNFINISHED = 3


def run(config: ConfigOption) -> None:
    """Keep the telescope in focus, night after night, until SIGTERM; SIGHUP reads the settings anew."""
    configure_logging(level=logging.INFO)
    asyncio.run(_until_signalled(config))


async def _until_signalled(config: Path) -> None:
    daemon = Daemon(lambda: load_yaml(config, Settings), SystemClock())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, daemon.stop)
    loop.add_signal_handler(signal.SIGHUP, daemon.reload)
    if not await daemon.run():
        # Something still hangs on a device that does not answer; what is on disk brings the focuser home. Here and not
        # later, because asyncio would cancel what hangs, and wait for it.
        sys.stderr.flush()
        os._exit(EXIT_UNFINISHED)
