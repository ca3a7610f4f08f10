"""What open dashboards cost a focus run: the installed command, without them and with fifty, in turns."""

import asyncio
import json
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from ruamel.yaml import YAML

from alpaca_focus.simulator.observatory import observatory_process
from alpaca_focus.simulator.settings import ObservatorySettings, SensorSettings
from tests.bench.table import Table

DASHBOARDS = 50
WARM_UPS, PAIRS = 4, 8
TIME_FACTOR = 2.0
PATIENCE_S = 300.0
EVENTS = b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
PICTURE = b"GET /api/v1/frame.png HTTP/1.1\r\nHost: localhost\r\n\r\n"


def run(seed: int) -> Table:
    with (
        tempfile.TemporaryDirectory() as folder,
        observatory_process(
            ObservatorySettings(
                seed=seed, time_factor=TIME_FACTOR, sensor=SensorSettings(width_px=3096, height_px=2080)
            )
        ) as address,
        _daemon(Path(folder), address) as port,
    ):
        for _ in range(WARM_UPS):
            _run(port)
        alone, seen, told = [], [], []
        for number in range(PAIRS):
            # In turns, and each of them first half of the time: what drifts, drifts for both.
            for with_dashboards in (number % 2 == 0, number % 2 == 1):
                if with_dashboards:
                    ended, count = asyncio.run(_run_seen(port))
                    seen.append(ended)
                    told.append(count)
                else:
                    alone.append(_run(port))
    rows = tuple(
        (name, str(len(runs)), f"{_of(runs, 'duration_s'):.2f}", f"{_of(runs, 'exposures'):.0f}")
        for name, runs in (("no dashboard", alone), (f"{DASHBOARDS} dashboards", seen))
    )
    more = _of(seen, "per_exposure_s") / _of(alone, "per_exposure_s") - 1
    return Table(
        title="Dashboards",
        how=(
            f"`alpaca-focus run` and the simulator (6.4 Mpx, {TIME_FACTOR:g} times the pace of time) in processes of"
            f" their own; {DASHBOARDS} dashboards in a third one read all events and fetch each picture of a frame."
            f" {PAIRS} runs of each kind in turns, after {WARM_UPS} that are not counted; medians. With dashboards the"
            f" time of a run, over its exposures, changes by **{100 * more:+.1f} %**; each dashboard got"
            f" {statistics.median(told):.0f} events and pictures a run."
        ),
        headings=("what", "runs", "time of a run, s", "exposures"),
        rows=rows,
    )


def _of(runs: list[dict[str, Any]], name: str) -> float:
    if name == "per_exposure_s":
        return statistics.median(each["duration_s"] / each["exposures"] for each in runs)
    return statistics.median(each[name] for each in runs)


@contextmanager
def _daemon(folder: Path, address: str) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    config = folder / "night.yaml"
    with config.open("w") as file:
        YAML().dump(
            {
                "telescope": {"focal_length_mm": 530, "aperture_mm": 106},
                "alpaca": {"address": address},
                "focuser": {"backlash": {"steps": 120}},
                "storage": {"directory": str(folder / "state")},
                "web": {"port": port},
            },
            file,
        )
    command = [sys.executable, "-m", "alpaca_focus", "run", "--config", str(config)]
    daemon = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        _until(port, "status", lambda told: told.get("looks"))
        yield port
    finally:
        daemon.terminate()
        daemon.wait(20)


def _get(port: int, path: str, body: bytes | None = None) -> Any:
    request = Request(f"http://127.0.0.1:{port}/api/v1/{path}", data=body, headers={"Content-Type": "application/json"})
    with urlopen(request, timeout=30) as reply:  # noqa: S310 - loopback
        return json.load(reply)


def _until(port: int, path: str, is_so: Any) -> Any:
    ends_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends_s:
        try:
            told = _get(port, path)
            if is_so(told):
                return told
        except OSError:
            pass
        time.sleep(0.2)
    raise RuntimeError(f"The daemon did not come to it: {path}.")


def _run(port: int) -> dict[str, Any]:
    before = _get(port, "status")["runs_ended"]
    _get(port, "refocus", b"{}")
    _until(port, "status", lambda told: told["runs_ended"] > before)
    newest: dict[str, Any] = _get(port, "runs?last=1")[0]
    return newest


async def _run_seen(port: int) -> tuple[dict[str, Any], float]:
    """Carry out a run while dashboards look; returns it, and how much each of them got."""
    counts = [0] * DASHBOARDS
    dashboards = [asyncio.create_task(_dashboard(port, counts, number)) for number in range(DASHBOARDS)]
    await asyncio.sleep(2.0)
    begun = list(counts)
    ended = await asyncio.to_thread(_run, port)
    got = [now - before for now, before in zip(counts, begun, strict=True)]
    for each in dashboards:
        each.cancel()
    await asyncio.gather(*dashboards, return_exceptions=True)
    assert min(got) > 0, "a dashboard got nothing"
    return ended, statistics.median(got)


async def _dashboard(port: int, counts: list[int], number: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    pictures = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(EVENTS)
        while line := await reader.readline():
            if line.startswith(b"data: "):
                counts[number] += 1
            elif line == b"event: frame\n":
                await _fetch(*pictures)
                counts[number] += 1
    finally:
        writer.close()
        pictures[1].close()


async def _fetch(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(PICTURE)
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head)
    assert length is not None
    await reader.readexactly(int(length[1]))
