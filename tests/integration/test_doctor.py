"""The doctor on healthy and on faulty observatories, over real HTTP."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from alpaca_focus.devices.clock import ScaledClock
from alpaca_focus.doctor.checks import Check, CheckOutcome
from alpaca_focus.doctor.diagnostics import DiagnosticOptions, run_diagnostics
from alpaca_focus.notify.mqtt_client import MqttSettings, broker_problem
from alpaca_focus.run.restore_marker import FILE_NAME, RestoreMarker
from alpaca_focus.service.control_wire import exclusive_lock, lock_path
from alpaca_focus.simulator.observatory import Observatory
from alpaca_focus.simulator.settings import FocuserSettings
from tests.fake_phd2 import FakePhd2
from tests.mosquitto import Mosquitto
from tests.ports import free_port
from tests.running_daemon import RunningDaemon
from tests.served_devices import TIME_FACTOR, Faults, ServedCamera, ServedFocuser, ServedWheel, serve, until

OK, NOTE, FAILS, NOT_TRIED = CheckOutcome.OK, CheckOutcome.NOTE, CheckOutcome.FAILS, CheckOutcome.NOT_TRIED
DEVICES = {
    "filter_wheel": "filterwheel",
    "mount": "telescope",
    "observing_conditions": "observingconditions",
    "safety_monitor": "safetymonitor",
}
FAST = 10.0
"""Not as fast as the focus runs: what a camera is given time for has to last on a busy computer as well."""


@pytest.fixture
def observatory(observatory_with: Callable[..., Observatory]) -> Observatory:
    return observatory_with(time_factor=FAST)


class Doctor:
    """Runs the diagnostics for a settings file.

    Attributes:
        checks: The checks by subject and name.
    """

    def __init__(self, directory: Path, address: str, **sections: Any) -> None:
        self.file = directory / "night.yaml"
        self.storage = directory / "state"
        self.checks: dict[tuple[str, str], Check] = {}
        self.stranded = 0
        wanted: dict[str, Any] = {
            "telescope": {"focal_length_mm": 530, "aperture_mm": 106},
            "alpaca": {"address": address, "timeout_s": 1.0},
            "camera": {"download_timeout_s": 30.0},
            "focuser": {"backlash": {"steps": 120}},
            "storage": {"directory": str(self.storage)},
            "web": {"port": free_port()},
        }
        self.file.write_text(yaml.safe_dump(wanted | sections))

    def run(self, *, frame: bool = True, move: bool = False, speed: float = FAST) -> None:
        asyncio.run(self.diagnose(frame=frame, move=move, speed=speed))

    async def diagnose(self, *, frame: bool = True, move: bool = False, speed: float = FAST) -> None:
        options = DiagnosticOptions(
            file=self.file,
            frame_allowed=frame,
            move_allowed=move,
            on_checks=self._add,
            on_subject=lambda _: None,
            on_stranded=self._count_stranded,
        )
        await run_diagnostics(options, ScaledClock(speed))

    def _add(self, checks: Sequence[Check]) -> None:
        self.checks |= {(check.subject, check.name): check for check in checks}

    def _count_stranded(self) -> None:
        self.stranded += 1

    def assert_check(self, subject: str, name: str, outcome: CheckOutcome, words: str = "") -> None:
        check = self.checks[subject, name]
        assert check.outcome is outcome, check
        assert words in f"{check.seen} {check.remedy}", check

    @property
    def failures(self) -> list[Check]:
        return [check for check in self.checks.values() if check.outcome is FAILS]


def ask(address: str, what: str) -> Any:
    reply = requests.get(f"http://{address}/api/v1/{what}", timeout=5).json()
    assert reply["ErrorNumber"] == 0, reply
    return reply["Value"]


def put(address: str, what: str, **arguments: object) -> None:
    reply = requests.put(f"http://{address}/api/v1/{what}", data=arguments, timeout=5).json()
    assert reply["ErrorNumber"] == 0, reply


def position(observatory: Observatory) -> int:
    reply = requests.get(f"{observatory.base_url}/simulator/v1/truth", timeout=5).json()
    return int(reply["motor_position"])


def fault(observatory: Observatory, kind: str, **how: object) -> None:
    url = f"{observatory.base_url}/simulator/v1/faults"
    requests.post(url, json={"kind": kind, **how}, timeout=5).raise_for_status()


def test_a_healthy_observatory_is_left_unchanged(observatory: Observatory, tmp_path: Path) -> None:
    address = observatory.address
    put(address, "camera/0/connected", Connected=True)
    put(address, "camera/0/binx", BinX=2)
    put(address, "camera/0/biny", BinY=2)
    put(address, "camera/0/numx", NumX=100)
    start = position(observatory)
    doctor = Doctor(tmp_path, address, **{name: {"device_number": 0} for name in DEVICES})
    doctor.run(move=True)
    assert doctor.failures == []
    doctor.assert_check(f"server {address}", "management", OK, "telescope 0")
    doctor.assert_check(f"server {address}", "latency", OK, "in 20 requests")
    doctor.assert_check("camera", "download", OK, "640 x 512 pixels")
    doctor.assert_check("camera", "download", OK, "as ImageBytes")
    doctor.assert_check("camera", "frame", OK, "dark")
    doctor.assert_check("focuser", "move", OK, f"from {start} to {start + 34} and back to {start}")
    doctor.assert_check("filter wheel", "names", OK, "L, R, G, B, Ha")
    doctor.assert_check("mount", "clock", NOTE, "behind this computer")
    doctor.assert_check("weather station", "temperature", OK, "old")
    doctor.assert_check("safety monitor", "state", OK)
    assert position(observatory) == start
    assert ask(address, "camera/0/connected") is True
    assert (ask(address, "camera/0/binx"), ask(address, "camera/0/numx")) == (2, 100)
    for device in ("focuser", *DEVICES.values()):
        assert ask(address, f"{device}/0/connected") is False, device
    assert not (doctor.storage / FILE_NAME).exists()


def test_nothing_is_exposed_or_moved_without_permission(observatory: Observatory, tmp_path: Path) -> None:
    start = position(observatory)
    doctor = Doctor(tmp_path, observatory.address)
    doctor.run(frame=False)
    doctor.assert_check("camera", "frame", NOT_TRIED, "--no-frame")
    doctor.assert_check("focuser", "move", NOT_TRIED, "--move")
    doctor.assert_check("storage", "folder", OK, "does not exist yet")
    put(observatory.address, "camera/0/connected", Connected=True)
    assert ask(observatory.address, "camera/0/imageready") is False
    assert position(observatory) == start
    assert not doctor.storage.exists()


@pytest.mark.parametrize(
    ("changes", "faults", "sections", "subject", "name", "outcome", "words"),
    [
        ({"quirks": ("json-images-only",)}, {}, {}, "camera", "download", NOTE, "as JSON, which is slow"),
        ({"quirks": ("no-management",)}, {}, {}, "server", "management", NOTE, "no management API"),
        ({"quirks": ("no-step-size",)}, {}, {}, "focuser", "step size", NOTE, "focuser.step_size_um"),
        ({}, {"no-answer": "camera"}, {}, "camera", "connection", FAILS, "within 1 s"),
        ({}, {"refuse-connect": "focuser"}, {}, "focuser", "connection", FAILS, "does not answer on its cable"),
        ({}, {"garbage": "focuser"}, {}, "focuser", "connection", FAILS, "makes no sense"),
        ({}, {"camera-error": "camera"}, {}, "camera", "frame", FAILS, "could not be read"),
        ({}, {}, {"camera": {"device_number": 3}}, "camera", "connection", FAILS, "no camera 3"),
        (
            {"focuser": FocuserSettings(start_position=60000)},
            {},
            {"focuser": {"max_position": 50000}},
            "focuser",
            "position",
            FAILS,
            "outside the limits 0 to 50000",
        ),
    ],
)
def test_faults(
    *,
    changes: Mapping[str, Any],
    faults: Mapping[str, str],
    sections: Mapping[str, Any],
    subject: str,
    name: str,
    outcome: CheckOutcome,
    words: str,
    observatory_with: Callable[..., Observatory],
    tmp_path: Path,
) -> None:
    observatory = observatory_with(time_factor=FAST, **changes)
    start = position(observatory)
    for kind, device in faults.items():
        fault(observatory, kind, device=device)
    doctor = Doctor(tmp_path, observatory.address, **sections)
    doctor.run(move=True)
    doctor.assert_check(f"server {observatory.address}" if subject == "server" else subject, name, outcome, words)
    # What fails stops nothing else.
    assert len(doctor.failures) == (outcome is FAILS)
    assert ("computer", "versions") in doctor.checks
    assert position(observatory) == start


def test_a_failed_move_is_reverted(observatory: Observatory, tmp_path: Path) -> None:
    start = position(observatory)
    fault(observatory, "focuser-short", value=12, times=2)
    doctor = Doctor(tmp_path, observatory.address)
    doctor.run(move=True)
    doctor.assert_check("focuser", "move", FAILS, f"It is back at {start}.")
    assert (position(observatory), doctor.stranded) == (start, 0)
    assert not (doctor.storage / FILE_NAME).exists()


def test_an_abort_leaves_the_focuser_where_it_was(observatory_with: Callable[..., Observatory], tmp_path: Path) -> None:
    observatory = observatory_with(time_factor=FAST, focuser=FocuserSettings(speed_steps_per_s=20.0))
    start = position(observatory)
    doctor = Doctor(tmp_path, observatory.address)

    async def abort() -> None:
        task = asyncio.create_task(doctor.diagnose(frame=False, move=True))
        await until(lambda: position(observatory) != start)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(abort())
    assert position(observatory) == start
    doctor.assert_check("focuser", "move", NOT_TRIED, f"aborted; it is back at {start}")
    assert ask(observatory.address, "focuser/0/connected") is False
    assert not (doctor.storage / FILE_NAME).exists()


def test_an_exposing_camera_and_its_focuser_are_left_alone(observatory: Observatory, tmp_path: Path) -> None:
    address, start = observatory.address, position(observatory)
    put(address, "camera/0/connected", Connected=True)
    put(address, "camera/0/startexposure", Duration=3000.0, Light=True)
    doctor = Doctor(tmp_path, address)
    doctor.run(move=True)
    doctor.assert_check("camera", "frame", NOT_TRIED, "busy with an image of another program")
    doctor.assert_check("focuser", "move", NOT_TRIED, "the camera is exposing")
    assert ask(address, "camera/0/camerastate") == 2
    assert position(observatory) == start
    put(address, "camera/0/abortexposure")


def test_an_interrupted_run_is_reported_and_left_alone(observatory: Observatory, tmp_path: Path) -> None:
    doctor, start = Doctor(tmp_path, observatory.address), position(observatory)
    mark = RestoreMarker(doctor.storage, f"focuser 0 at {observatory.address} (Simulated Focuser)")
    mark.set(25123)
    doctor.run(move=True, frame=False)
    doctor.assert_check("focuser", "position", NOTE, "had started at 25123")
    doctor.assert_check("focuser", "move", NOT_TRIED, "cut off")
    assert position(observatory) == start
    assert mark.left_by_interrupted_run() == 25123


def test_a_running_daemon_is_respected(observatory: Observatory, tmp_path: Path) -> None:
    daemon = RunningDaemon.of(observatory, tmp_path / "state")
    with daemon.running():
        daemon.until("/api/v1/status", lambda status: status.get("state") == "watching")
        start = position(observatory)
        doctor = Doctor(tmp_path, observatory.address, web={"port": daemon.port}, mount={"device_number": 0})
        doctor.run(move=True)
        doctor.assert_check("daemon", "state", OK, "runs: watching")
        doctor.assert_check("camera", "sensor", OK)
        doctor.assert_check("camera", "frame", NOT_TRIED, "the daemon holds the devices")
        doctor.assert_check("focuser", "position", OK, str(start))
        doctor.assert_check("focuser", "move", NOT_TRIED, "the daemon holds the devices")
        doctor.assert_check("mount", "connection", NOT_TRIED, "is not connected just now")
        doctor.assert_check("dashboard", "port", OK, "in use, as it should be")
        assert ask(observatory.address, "camera/0/imageready") is False
        assert ask(observatory.address, "telescope/0/connected") is False
        assert (position(observatory), doctor.failures) == (start, [])
    doctor.run(frame=False)
    doctor.assert_check("daemon", "state", OK, "no daemon runs")


def test_another_command_is_respected_too(observatory: Observatory, tmp_path: Path) -> None:
    doctor = Doctor(tmp_path, observatory.address)
    with exclusive_lock(lock_path(doctor.storage)):
        doctor.run(move=True)
    doctor.assert_check("daemon", "state", NOTE, "another alpaca-focus command")
    doctor.assert_check("camera", "connection", NOT_TRIED, "another alpaca-focus command")


def test_an_unreachable_server_is_reported_once_and_the_other_is_probed(
    observatory: Observatory, tmp_path: Path
) -> None:
    gone = f"127.0.0.1:{free_port()}"
    doctor = Doctor(tmp_path, observatory.address, camera={"address": gone})
    doctor.run(move=True)
    assert [check.subject for check in doctor.failures] == [f"server {gone}"]
    doctor.assert_check(f"server {gone}", "reachable", FAILS, "nothing listens")
    doctor.assert_check("camera", "connection", NOT_TRIED, gone)
    doctor.assert_check("focuser", "position", OK)
    doctor.assert_check("focuser", "move", NOT_TRIED, "does not report whether it is exposing")


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class SlowServer(BaseHTTPRequestHandler):
    """Answers everything late, and with nothing."""

    def do_GET(self) -> None:
        time.sleep(0.22)
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


class NoHttp(BaseHTTPRequestHandler):
    """Answers as no web server does."""

    def handle(self) -> None:
        self.rfile.readline()
        self.wfile.write(b"220 mail.example.org ESMTP\r\n")


def test_a_slow_server_and_one_without_http(tmp_path: Path) -> None:
    with serving(SlowServer) as slow, serving(NoHttp) as strange:
        doctor = Doctor(tmp_path, slow, alpaca={"address": slow, "timeout_s": 5.0}, focuser={"address": strange})
        doctor.run()
    doctor.assert_check(f"server {slow}", "latency", NOTE, "slow")
    doctor.assert_check(f"server {slow}", "management", NOTE, "no management API")
    doctor.assert_check("camera", "connection", FAILS)
    doctor.assert_check(f"server {strange}", "reachable", FAILS, "not over HTTP")


def test_a_server_that_never_answers(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        doctor = Doctor(tmp_path, place, alpaca={"address": place, "timeout_s": 0.3})
        doctor.run()
    doctor.assert_check(f"server {place}", "reachable", FAILS, "no answer within 0.3 s")


class NamelessWheel(ServedWheel):
    """A wheel whose filters have no names."""

    def get_names(self) -> list[str]:
        return ["L", "", ""]


def test_odd_devices(tmp_path: Path) -> None:
    camera, focuser = ServedCamera(never_ready=True), ServedFocuser(absolute=False)
    running = serve([camera, focuser, NamelessWheel()], Faults())
    try:
        doctor = Doctor(
            tmp_path,
            running.address,
            filter_wheel={"device_number": 0},
            focuser={"step_size_um": 2.0},
            mount={"device_number": 0},
        )
        doctor.run(move=True, speed=TIME_FACTOR)
    finally:
        running.stop()
    doctor.assert_check("camera", "frame", FAILS, "the camera has been idle" if camera.aborts == 0 else "given up")
    doctor.assert_check("focuser", "positions", FAILS, "relative focuser")
    doctor.assert_check("focuser", "move", NOT_TRIED, "fails")
    doctor.assert_check("filter wheel", "names", FAILS, "filters without names")
    doctor.assert_check("mount", "connection", FAILS, "no telescope 0")
    doctor.assert_check("mount", "the rest", NOT_TRIED, "fails")
    assert focuser.moves == []
    assert focuser.halts == 0


def test_the_other_programs(observatory: Observatory, tmp_path: Path) -> None:
    (tmp_path / "temperature").write_text("-3.5 C\n")
    (tmp_path / "token").write_text("short\n")
    taken = socket.create_server(("127.0.0.1", 0))
    sections = {
        "thermometer": {"source": "external", "file": str(tmp_path / "temperature")},
        "triggers": {"temperature_c": 1.0},
        "messages": {"services": ["json://127.0.0.1:1/hush", "nonsense://hush"]},
        "mqtt": {"broker": f"127.0.0.1:{free_port()}"},
        "web": {"port": taken.getsockname()[1], "token_file": str(tmp_path / "token")},
        "site": {"latitude_deg": 47.0, "longitude_deg": 8.0},
    }

    async def examined() -> Doctor:
        async with FakePhd2(state="Paused") as phd2:
            doctor = Doctor(tmp_path, observatory.address, guider={"address": phd2.address}, **sections)
            await doctor.diagnose(frame=False)
        assert [method for method, _ in phd2.calls] == ["get_app_state"]
        return doctor

    with taken:
        doctor = asyncio.run(examined())
    doctor.assert_check("guider", "state", OK, "Paused")
    doctor.assert_check("temperature file", "temperature", OK, "-3.5 deg C")
    doctor.assert_check("messages", "services", FAILS, "does not understand: service 2")
    doctor.assert_check("mqtt", "broker", FAILS, "cannot be reached")
    doctor.assert_check("dashboard", "port", FAILS, "another program listens")
    doctor.assert_check("dashboard", "settings", FAILS, "is no token")
    doctor.assert_check("computer", "site", OK, "the Sun is at")
    assert "hush" not in str(doctor.checks)


def test_the_broker_accepts_or_refuses_the_login(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    broker.start()
    try:
        assert broker_problem(MqttSettings(host="127.0.0.1", port=broker.port), 5.0) == ""
    finally:
        broker.stop()
    (tmp_path / "mosquitto.conf").write_text(f"listener {broker.port} 127.0.0.1\nallow_anonymous false\n")
    broker.start()
    try:
        wanted = MqttSettings(host="127.0.0.1", port=broker.port, user="me", password="hush")  # noqa: S106
        trouble = broker_problem(wanted, 5.0)
    finally:
        broker.stop()
    assert "refuses the connection" in trouble
    assert "hush" not in trouble
    assert "cannot be reached" in broker_problem(wanted, 1.0)


def test_a_silent_broker_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert "does not speak MQTT" in broker_problem(
            MqttSettings(host="127.0.0.1", port=silent.getsockname()[1]), 0.3
        )


def test_with_invalid_settings_only_the_computer_is_checked(tmp_path: Path) -> None:
    doctor = Doctor(tmp_path, "127.0.0.1:1")
    doctor.file.write_text("telescope: {focal_length_mm: 530}\n")
    doctor.run()
    doctor.assert_check("settings", "file", FAILS, "telescope.aperture_mm")
    assert {subject for subject, _ in doctor.checks} == {"settings", "computer"}


def test_an_impossible_folder_is_reported(observatory: Observatory, tmp_path: Path) -> None:
    doctor = Doctor(tmp_path, observatory.address, storage={"directory": str(tmp_path / ("n" * 300))})
    doctor.run(frame=False)
    doctor.assert_check("daemon", "state", OK, "no daemon runs")
    doctor.assert_check("storage", "folder", OK, "does not exist yet")
