"""A night through the gateway in which the daemon is killed again and again, and what the imaging program gets."""

import hashlib
import multiprocessing
import random
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from alpaca_focus.core.errors import AlpacaFocusError
from alpaca_focus.service.control_client import ask
from alpaca_focus.service.control_wire import socket_path
from alpaca_focus.simulator.settings import FocuserSettings, ObservatorySettings, SensorSettings, SkySettings
from tests.bench import night_daemon
from tests.bench.night import Simulator

FACTOR = 12.5
WIDTH, HEIGHT = 640, 512
LONGEST_LIFE_S = 6.0
PATIENCE_S = 45.0
TOO_LATE_S = (PATIENCE_S + 15.0) / FACTOR
"""Real seconds after a kill for which the imaging program would not wait."""
GIVES_UP_S = 60.0
"""Real seconds after which an exposure has neither ended nor failed."""
CAMERA_EXPOSING, CAMERA_ERROR = 2, 5
ITS_SETTINGS = {
    "BinX": 1, "BinY": 1, "StartX": 0, "StartY": 0, "NumX": WIDTH, "NumY": HEIGHT, "Gain": 7, "Offset": 11
}  # fmt: skip
RUNS_SETTINGS = {"exposure_s": 2.0, "binning": 2, "gain": 120, "offset": 30}


def observatory(seed: int) -> ObservatorySettings:
    return ObservatorySettings(
        seed=seed,
        time_factor=FACTOR,
        sensor=SensorSettings(width_px=WIDTH, height_px=HEIGHT),
        sky=SkySettings(star_count=40, brightest_magnitude=6.0),
        focuser=FocuserSettings(start_position=25000),
    )


def settings(address: str, directory: Path, port: int) -> dict[str, Any]:
    return {
        "telescope": {"focal_length_mm": 530, "aperture_mm": 106},
        "alpaca": {"address": address, "timeout_s": 5.0},
        "focuser": {"backlash": {"steps": 120}, "settle_s": 0.1, "stall_timeout_s": 300.0},
        "focus": RUNS_SETTINGS,
        "mount": {},
        "filter_wheel": {},
        "storage": {"directory": str(directory)},
        "web": None,
        "imaging": {"way": "gateway"},
        "gateway": {"port": port, "discovery": False, "patience_s": PATIENCE_S},
        "triggers": {"images": 1, "back_off_s": 1.0, "longest_back_off_s": 1.0},
        "night": {"least_image_s": 5.0, "poll_s": 5.0},
    }


class GatewayProgram:
    """An imaging program in a thread: it takes frame after frame, whatever happens to the gateway.

    Attributes:
        problems: What it must never see.
        ends: How its exposures ended.
    """

    def __init__(self, gateway: str, direct: str, directory: Path) -> None:
        self._gateway = f"http://{gateway}/api/v1"
        self._camera = Simulator(direct)
        self._directory = directory
        self._http = requests.Session()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self._seen: set[str] = set()
        self._stood_at: int | None = None
        self.problems: list[str] = []
        self.ends: Counter[str] = Counter()

    @contextmanager
    def working(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()
            self._http.close()

    def _work(self) -> None:
        number = 0
        try:
            while not self._stop.is_set():
                number += 1
                self.ends[self._frame(round(6.0 + number / 1000, 3))] += 1
        except Exception as error:  # noqa: BLE001 - shown by the test
            self.problems.append(f"the imaging program failed: {error!r}")

    def _put(self, member: str, **values: object) -> dict[str, Any] | None:
        """Send a command; `None` if it was not answered."""
        try:
            answer = self._http.put(f"{self._gateway}/camera/0/{member.lower()}", data=values, timeout=30)
            return dict(answer.json())
        except (requests.RequestException, ValueError):
            time.sleep(0.02)
            return None

    def _get(self, member: str) -> dict[str, Any] | None:
        try:
            return dict(self._http.get(f"{self._gateway}/camera/0/{member.lower()}", timeout=30).json())
        except (requests.RequestException, ValueError):
            time.sleep(0.02)
            return None

    def _frame(self, exposure_s: float) -> str:
        """Take one frame; return how that ended."""
        for member, value in ITS_SETTINGS.items():
            while (answer := self._put(member, **{member: value})) is None:
                if self._stop.is_set():
                    return "stopped"
            if answer["ErrorNumber"]:
                return f"{member} was refused: {answer['ErrorMessage']}"
        answer = self._put("StartExposure", Duration=exposure_s, Light=True)
        if answer is None or answer["ErrorNumber"]:
            self._abort()
            return "StartExposure was not answered" if answer is None else str(answer["ErrorMessage"])
        self._stood_at = None
        ends_s = time.monotonic() + GIVES_UP_S
        while time.monotonic() < ends_s:
            if self._stop.is_set():
                return "stopped"
            if (end := self._polled(exposure_s)) is not None:
                return end
        self.problems.append(f"the exposure of {exposure_s} s has neither ended nor failed: {self._get('CameraState')}")
        self._abort()
        return "neither ended nor failed"

    def _abort(self) -> None:
        while self._put("AbortExposure") is None and not self._stop.is_set():
            pass

    def _polled(self, exposure_s: float) -> str | None:
        """Poll once; return how the exposure has ended, if it has."""
        ready, state = self._get("ImageReady"), self._get("CameraState")
        if ready is None or state is None:
            return None
        if ready["ErrorNumber"]:
            if state.get("Value") != CAMERA_ERROR:
                self.problems.append(f"an error without the state Error: {ready} {state}")
            return f"failed: {ready['ErrorMessage']}"
        if state.get("Value") == CAMERA_EXPOSING:
            stands = int(self._camera.truth()["motor_position"])
            if self._stood_at not in {None, stands}:
                self.problems.append(f"the focuser moved from {self._stood_at} to {stands} under {exposure_s} s")
            self._stood_at = stands
        if not ready["Value"]:
            time.sleep(0.01)
            return None
        return self._downloaded(exposure_s)

    def _downloaded(self, exposure_s: float) -> str | None:
        try:
            answer = self._http.get(
                f"{self._gateway}/camera/0/imagearray", headers={"Accept": "application/imagebytes"}, timeout=60
            )
        except requests.RequestException:
            return None
        _, error, *_, width, height, _ = struct.unpack_from("<11i", answer.content)
        if error or not answer.headers["Content-Type"].startswith("application/imagebytes"):
            self.problems.append(f"no image although it was ready: {answer.content[44:200]!r}")
            return "no image although it was ready"
        taken = {member: self._camera.get(f"camera/0/{member.lower()}") for member in ITS_SETTINGS}
        digest = hashlib.sha256(answer.content[44:]).hexdigest()
        if (width, height) != (WIDTH, HEIGHT):
            self.problems.append(f"a frame of {width} x {height}, taken by a run, came for one of {exposure_s} s")
        elif digest in self._seen:
            self.problems.append(f"an old frame came for one of {exposure_s} s")
        elif abs((duration_s := self._camera.get("camera/0/lastexposureduration")) - exposure_s) > 1e-6:
            self.problems.append(f"a frame of {duration_s} s came for one of {exposure_s} s")
        if taken != ITS_SETTINGS:
            self.problems.append(f"settings were left: {taken}")
        self._seen.add(digest)
        self._check_focuser()
        return "delivered"

    def _check_focuser(self) -> None:
        """Compare where the focuser is after an exposure with where the daemon, if it lives, has focused."""
        before, stands, after = self._status(), self._camera.truth()["motor_position"], self._status()
        if (
            before is None
            or after is None
            or before["state"] != "watching"
            or before.get("looks") != after.get("looks")
        ):
            return
        baseline = before["last_focus"]
        if baseline is not None and stands != baseline["position"]:
            self.problems.append(f"the focuser stands at {stands}, and belongs at {baseline['position']}")

    def _status(self) -> dict[str, Any] | None:
        try:
            return dict(ask(socket_path(self._directory), "status", {}, timeout_s=20))
        except AlpacaFocusError:
            return None


class KilledGateway:
    """Kills the daemon at random moments of the imaging program's night.

    Attributes:
        during: How often it was killed during what.
    """

    def __init__(self, config: Path, address: str, directory: Path, seed: int) -> None:
        self._config, self._address, self._directory = config, address, directory
        self._chance = random.Random(seed)
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.bench.night_daemon"])
        self._context = context
        self.during: Counter[str] = Counter()

    def live_and_kill(self) -> None:
        with self.alive():
            time.sleep(self._chance.uniform(0.2, LONGEST_LIFE_S))
            self.during[self._doing()] += 1
        if self._chance.random() < 0.1:
            time.sleep(TOO_LATE_S)

    @contextmanager
    def alive(self) -> Iterator[None]:
        process = self._context.Process(target=night_daemon.run, args=(self._config, self._address))
        process.start()
        try:
            yield
        finally:
            assert process.is_alive(), "the daemon has ended by itself"
            process.kill()
            process.join()

    def _doing(self) -> str:
        try:
            gateway = dict(ask(socket_path(self._directory), "status", {}, timeout_s=20)).get("gateway")
        except AlpacaFocusError:
            return "the start"
        if not isinstance(gateway, dict):
            return "the start"
        what = [name for name, key in {"a run": "taken", "a hold": "waits"}.items() if gateway[key]]
        return " and ".join(what) or "imaging"
