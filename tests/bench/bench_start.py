"""How long the installed daemon takes to start, and how large the wheel is."""

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from alpaca_focus.simulator.observatory import observatory_process
from alpaca_focus.simulator.settings import ObservatorySettings
from tests.bench.bench_idle import night_file
from tests.bench.table import Table

STARTS = 10
PATIENCE_S = 60.0
MB = 1e6


def run(seed: int) -> Table:
    with tempfile.TemporaryDirectory() as text, observatory_process(ObservatorySettings(seed=seed)) as address:
        folder = Path(text)
        config = night_file(folder, address, folder / "state")
        command = [str(Path(sys.executable).parent / "alpaca-focus"), "run", "--config", str(config)]
        ready_s, connected_s = zip(*(_started(command, folder) for _ in range(STARTS)), strict=True)
        wheel_mb = _wheel_mb(folder)
    return Table(
        title="The start",
        how=f"`alpaca-focus run` of the installed command, {STARTS} times, from its call until it sends READY to "
        "systemd, and until all devices of a simulated observatory are connected. The wheel is the one of `make "
        "wheel`.",
        headings=("", "median", "largest"),
        rows=(
            ("start to ready, s", f"{statistics.median(ready_s):.2f}", f"{max(ready_s):.2f}"),
            ("start to all devices connected, s", f"{statistics.median(connected_s):.2f}", f"{max(connected_s):.2f}"),
            ("the wheel, MB", f"{wheel_mb:.2f}", ""),
        ),
    )


def _started(command: list[str], folder: Path) -> tuple[float, float]:
    """Start the daemon and end it; the times until it is ready and until it has its devices."""
    place = folder / "notify"
    place.unlink(missing_ok=True)
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as systemd:
        systemd.bind(str(place))
        systemd.settimeout(PATIENCE_S)
        began_s = time.monotonic()
        daemon = subprocess.Popen(
            command, env=os.environ | {"NOTIFY_SOCKET": str(place)}, stderr=subprocess.PIPE, text=True
        )
        try:
            while systemd.recv(1000) != b"READY=1":
                pass
            ready_s = time.monotonic() - began_s
            assert daemon.stderr is not None
            for line in daemon.stderr:
                if "All devices are connected" in line:
                    return ready_s, time.monotonic() - began_s
        finally:
            daemon.terminate()
            daemon.communicate(timeout=PATIENCE_S)
    raise RuntimeError("The daemon ended before it had its devices.")


def _wheel_mb(folder: Path) -> float:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "dist")],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    (wheel,) = (folder / "dist").glob("*.whl")
    return wheel.stat().st_size / MB
