"""What the daemon costs while there is nothing to do: memory and processor of the installed command."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from ruamel.yaml import YAML

from alpaca_focus.core.errors import AlpacaFocusError
from alpaca_focus.service.control_client import ask
from alpaca_focus.service.control_wire import socket_path
from alpaca_focus.simulator.observatory import observatory_process
from alpaca_focus.simulator.settings import ObservatorySettings
from tests.bench.table import Table

SETTLE_S, WATCH_S = 30.0, 120.0
TICKS_PER_S = 100.0
"""Of /proc/PID/stat on Linux."""


def run(seed: int) -> Table:
    with tempfile.TemporaryDirectory() as folder, observatory_process(ObservatorySettings(seed=seed)) as address:
        directory = Path(folder) / "state"
        config = night_file(Path(folder), address, directory)
        command = [sys.executable, "-m", "alpaca_focus", "run", "--config", str(config)]
        daemon = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            _wait_for_looks(directory)
            time.sleep(SETTLE_S)
            before_s = _processor_s(daemon.pid)
            time.sleep(WATCH_S)
            share = (_processor_s(daemon.pid) - before_s) / WATCH_S
            memory_mb = _resident_mb(daemon.pid)
        finally:
            daemon.terminate()
            daemon.wait(20)
    return Table(
        title="The daemon at rest",
        how="`alpaca-focus run` with its usual pace: the camera is polled every 2 s, focuser, wheel, mount and "
        f"safety monitor every 10 s, the sun with them; nothing is due. Over {WATCH_S:g} s, after {SETTLE_S:g} s.",
        headings=("resident memory, MB", "share of one core"),
        rows=((f"{memory_mb:.0f}", f"{100 * share:.2f} %"),),
    )


def night_file(folder: Path, address: str, directory: Path) -> Path:
    """Write the settings of a night with every device, in which nothing is due."""
    config = folder / "night.yaml"
    with config.open("w") as file:
        YAML().dump(
            {
                "telescope": {"focal_length_mm": 530, "aperture_mm": 106},
                "alpaca": {"address": address},
                "filter_wheel": {},
                "mount": {},
                "safety_monitor": {},
                "site": {"latitude_deg": 47.0, "longitude_deg": 8.0},
                "storage": {"directory": str(directory)},
                "triggers": {"temperature_c": 5.0, "images": 100, "meridian_flip": True},
            },
            file,
        )
    return config


def _wait_for_looks(directory: Path) -> None:
    ends_s = time.monotonic() + 60
    while time.monotonic() < ends_s:
        try:
            if "looks" in ask(socket_path(directory), "status", {}, timeout_s=5):
                return
        except AlpacaFocusError:
            pass
        time.sleep(0.2)
    raise RuntimeError("The daemon did not begin to look.")


def _processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def _resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (resident,) = (line.split()[1] for line in lines if line.startswith("VmRSS:"))
    return int(resident) / 1024
