"""The daemon on the clock of a simulator: a process of its own, to be killed."""

import asyncio
import logging
import signal
import sys
from datetime import datetime
from pathlib import Path

import requests

from alpaca_focus import app
from alpaca_focus.daemon import Daemon
from alpaca_focus.devices.clock import ScaledClock
from alpaca_focus.runtime.telemetry import configure_logging


async def keep(config: Path, address: str) -> None:
    clock = requests.get(f"http://{address}/simulator/v1/clock", timeout=5).json()
    factor = float(clock["time_factor"])
    scaled = ScaledClock(factor, start=datetime.fromisoformat(clock["utc"]))
    daemon = Daemon(lambda: app.load_settings(config), scaled, clock_rate=factor)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, daemon.stop)
    await daemon.run()


if __name__ == "__main__":
    configure_logging(level=logging.INFO)
    asyncio.run(keep(Path(sys.argv[1]), sys.argv[2]))
