"""The daemon on the clock of a simulator: a process of its own, to be killed."""

import asyncio
import logging
import signal
import sys
from datetime import datetime
from pathlib import Path

import requests

from alpaca_focus.daemon.daemon import Daemon
from alpaca_focus.devices.clock import ScaledClock
from alpaca_focus.service.log_output import configure_logging
from alpaca_focus.settings.loader import load_yaml
from alpaca_focus.settings.models import Settings


def clock_of(address: str) -> tuple[ScaledClock, float]:
    told = requests.get(f"http://{address}/simulator/v1/clock", timeout=5).json()
    factor = float(told["time_factor"])
    return ScaledClock(factor, start=datetime.fromisoformat(told["utc"])), factor


async def keep(config: Path, clock: ScaledClock, factor: float) -> None:
    daemon = Daemon(lambda: load_yaml(config, Settings), clock, clock_rate=factor)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, daemon.stop)
    await daemon.run()


def run(config: Path, address: str) -> None:
    configure_logging(level=logging.INFO)
    asyncio.run(keep(config, *clock_of(address)))


if __name__ == "__main__":
    run(Path(sys.argv[1]), sys.argv[2])
