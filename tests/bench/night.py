"""A whole night over real HTTP: the simulator, the daemon and an imaging program, each on its own.

The imaging program takes its frames through Alpaca, changes filters, and asks the daemon between two exposures whether
it wants the camera. Clouds come, the thermometer fails, and the daemon is killed in the middle of what it does.
"""

import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from ruamel.yaml import YAML

from alpaca_focus.core.errors import AlpacaFocusError
from alpaca_focus.core.values import SavedRun
from alpaca_focus.service.control_client import ask
from alpaca_focus.service.control_wire import socket_path
from alpaca_focus.simulator.observatory import observatory_process
from alpaca_focus.simulator.settings import (
    ClimateSettings,
    FocuserSettings,
    MountSettings,
    ObservatorySettings,
    SensorSettings,
    SkySettings,
)
from alpaca_focus.store.run_store import RunStore

ROOT = Path(__file__).parent.parent.parent
FACTOR = 400.0
EXPOSURE_S = 180.0
BLOCK_IMAGES = 16
ZONE_STEPS = 4.88 * 0.55 * 5.0**2
TRUE_STEPS_PER_C = -30.0
BELIEVED_STEPS_PER_C = -27.0
"""What the daemon is told: ten per cent wrong, as a calibrated one may be."""
LOOKS = 3
"""Looks of the daemon that the imaging program leaves it after each frame."""
PATIENCE_S = 3600.0


@dataclass(frozen=True)
class Image:
    """One frame of the imaging program, and the truth in its middle."""

    at_s: float
    filter_slot: int
    away_zones: float


@dataclass
class NightLog:
    """What became of a night."""

    images: list[Image] = field(default_factory=list)
    runs: tuple[SavedRun, ...] = ()
    kills: list[str] = field(default_factory=list)
    real_s: float = 0.0
    night_s: float = 0.0
    log: str = ""

    def share_within(self, zones: float) -> float:
        return sum(abs(each.away_zones) <= zones for each in self.images) / len(self.images)


def observatory(seed: int) -> ObservatorySettings:
    chance = random.Random(seed)
    return ObservatorySettings(
        seed=seed,
        time_factor=FACTOR,
        sensor=SensorSettings(width_px=640, height_px=512),
        sky=SkySettings(star_count=60, seeing_fwhm_arcsec=chance.uniform(2.0, 3.0)),
        focuser=FocuserSettings(
            start_position=25000 + chance.randint(-400, 400),
            steps_per_degree=TRUE_STEPS_PER_C,
            altitude_steps=20.0,
            speed_steps_per_s=500.0,
        ),
        climate=ClimateSettings(start_c=10.0, fall_c=chance.uniform(6.0, 9.0), fall_s=14400.0),
        mount=MountSettings(start_hour_angle_h=-4.5, start_declination_deg=45.0, flips_at_meridian=True),
    )


def settings(address: str, directory: Path, **sections: Any) -> dict[str, Any]:
    """What the daemon is told; sections come on top."""
    usual: dict[str, Any] = {
        "telescope": {"focal_length_mm": 530, "aperture_mm": 106},
        "alpaca": {"address": address},
        "focuser": {
            "backlash": {"steps": 120},
            "temperature_coefficient_steps_per_c": BELIEVED_STEPS_PER_C,
            # Time runs so fast here that what is quick over the network takes minutes.
            "stall_timeout_s": 3600.0,
        },
        "camera": {"download_timeout_s": 3600.0},
        "filter_wheel": {},
        "mount": {},
        "safety_monitor": {},
        "site": {"latitude_deg": 47.0, "longitude_deg": 8.0},
        "focus": {"max_duration_s": 7200.0, "exposure_s": 4.0},
        "storage": {"directory": str(directory)},
        "web": None,
        "thermometer": {"every_s": 20.0, "readings": 15},
        "night": {"poll_s": 20.0, "watch_s": 20.0},
    }
    return usual | sections


COMPENSATION = {"enabled": True, "readings": 6}
TRIGGERS = {"temperature_c": 0.8, "minutes": 90.0, "filter_change": "offset", "meridian_flip": True}
MODES: dict[str, dict[str, Any]] = {
    "compensation and triggers": {"compensation": COMPENSATION, "triggers": TRIGGERS},
    "triggers alone": {"triggers": TRIGGERS},
    "compensation alone": {"compensation": COMPENSATION},
    "neither": {},
}


class Simulator:
    """The simulator as the imaging program and the weather see it."""

    def __init__(self, address: str) -> None:
        self._base = f"http://{address}"
        self._http = requests.Session()

    def truth(self) -> dict[str, Any]:
        answer: dict[str, Any] = self._http.get(f"{self._base}/simulator/v1/truth", timeout=20).json()
        return answer

    def now_s(self) -> float:
        return float(self._http.get(f"{self._base}/simulator/v1/clock", timeout=20).json()["time_s"])

    def weather(self, **changes: Any) -> None:
        self._http.put(f"{self._base}/simulator/v1/weather", json=changes, timeout=20).raise_for_status()

    def fault(self, **fault: Any) -> None:
        self._http.post(f"{self._base}/simulator/v1/faults", json=fault, timeout=20).raise_for_status()

    def put(self, member: str, **values: Any) -> None:
        answer = self._http.put(f"{self._base}/api/v1/{member}", data=values, timeout=20).json()
        assert answer["ErrorNumber"] == 0, answer

    def get(self, member: str) -> Any:
        return self._http.get(f"{self._base}/api/v1/{member}", timeout=20).json().get("Value")


@dataclass(frozen=True)
class Scene:
    """A simulator that runs, and the settings of a daemon that is not started yet."""

    address: str
    config: Path
    directory: Path
    log: Path


class Keeper:
    """The daemon as a process."""

    def __init__(self, scene: Scene) -> None:
        self._command = [sys.executable, "-m", "tests.bench.night_daemon", str(scene.config), scene.address]
        self._directory, self._log = scene.directory, scene.log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=ROOT, stderr=log, stdout=log)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def end(self) -> int:
        """End the daemon as systemd does, once it has started, and return its exit code."""
        assert self._process is not None
        while self.asked("status") is None and self._process.poll() is None:
            time.sleep(0.05)
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(20)

    def asked(self, command: str, **arguments: Any) -> dict[str, Any] | None:
        """Ask the daemon; `None` when it is not there."""
        try:
            return dict(ask(socket_path(self._directory), command, arguments, timeout_s=20))
        except AlpacaFocusError:
            return None


@contextmanager
def observed(seed: int, **sections: Any) -> Iterator[Scene]:
    """Set up a simulator, and a daemon that is not started yet."""
    with tempfile.TemporaryDirectory() as folder, observatory_process(observatory(seed)) as address:
        directory, config = Path(folder) / "state", Path(folder) / "night.yaml"
        with config.open("w") as file:
            YAML().dump(settings(address, directory, **sections), file)
        yield Scene(address, config, directory, Path(folder) / "log")


def imaged(simulator: Simulator, keeper: Keeper, slot: int) -> Image:
    """Take one frame, then let the daemon have the camera as long as it wants it."""
    simulator.put("camera/0/startexposure", Duration=EXPOSURE_S, Light=True)
    time.sleep(EXPOSURE_S / 2 / FACTOR)
    truth = simulator.truth()
    time.sleep(EXPOSURE_S / 2 / FACTOR)
    while not simulator.get("camera/0/imageready"):
        time.sleep(0.005)
    image = Image(float(truth["time_s"]), slot, float(truth["defocus_um"]) / ZONE_STEPS)
    wait_for(simulator, keeper)
    return image


def wait_for(simulator: Simulator, keeper: Keeper) -> None:
    """Wait until the daemon has looked, and wants nothing."""
    began_s, first = simulator.now_s(), None
    while simulator.now_s() - began_s < PATIENCE_S:
        told = keeper.asked("status")
        if told is None or "looks" not in told:
            return
        first = told["looks"] if first is None else first
        waits = bool(told["due"]) and not set(told["blocked_by"]) - {"exposure running"}
        if told["state"] == "watching" and not waits and told["looks"] >= first + LOOKS:
            return
        time.sleep(0.01)


def lived(seed: int, hours: float, **sections: Any) -> NightLog:
    """Live through one night."""
    night = NightLog()
    began = time.monotonic()
    with observed(seed, **sections) as scene:
        keeper = Keeper(scene)
        try:
            _live(night, Simulator(scene.address), keeper, hours, random.Random(seed + 1))
            assert keeper.end() == 0
        finally:
            keeper.kill()
        night.log = scene.log.read_text()
        with RunStore(scene.directory, read_only=True) as store:
            night.runs = tuple(reversed(store.runs()))
    night.real_s = time.monotonic() - began
    return night


def _live(night: NightLog, simulator: Simulator, keeper: Keeper, hours: float, chance: random.Random) -> None:
    keeper.start()
    while "looks" not in (keeper.asked("status") or {}):
        time.sleep(0.05)
    keeper.asked("tell", what="light")
    keeper.asked("refocus")
    wait_for(simulator, keeper)
    start_s, length_s = simulator.now_s(), hours * 3600
    events: list[tuple[float, Callable[[], None]]] = [
        (0.30, lambda: simulator.weather(transmission=0.0)),
        (0.37, lambda: simulator.weather(transmission=1.0)),
        (0.50, lambda: simulator.fault(kind="temperature-nan", device="focuser", duration_s=1800.0)),
        *((chance.uniform(0.15, 0.85), lambda: _kill(night, keeper)) for _ in range(2)),
    ]
    events.sort(key=lambda event: event[0])
    slot = 0
    while (passed_s := simulator.now_s() - start_s) < length_s:
        while events and passed_s >= events[0][0] * length_s:
            events.pop(0)[1]()
        wanted_slot = len(night.images) // BLOCK_IMAGES % 5
        if wanted_slot != slot:
            slot = wanted_slot
            simulator.put("filterwheel/0/position", Position=slot)
            while simulator.get("filterwheel/0/position") != slot:
                time.sleep(0.01)
            wait_for(simulator, keeper)
        night.images.append(imaged(simulator, keeper, slot))
    night.night_s = simulator.now_s() - start_s


def _kill(night: NightLog, keeper: Keeper) -> None:
    told = keeper.asked("status")
    keeper.kill()
    night.kills.append("before it answered" if told is None else str(told["state"]))
    keeper.start()
