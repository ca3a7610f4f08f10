"""The examination of observatories that are well, and of some that are not, over real HTTP."""

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
from alpaca_focus.doctor.checkup import CheckupOrder, examine
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
    """Examines by settings of a file.

    Attributes:
        checks: What it found, by subject and name.
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

    def examine(self, *, frame: bool = True, move: bool = False, speed: float = FAST) -> None:
        asyncio.run(self.examined(frame=frame, move=move, speed=speed))

    async def examined(self, *, frame: bool = True, move: bool = False, speed: float = FAST) -> None:
        order = CheckupOrder(
            file=self.file,
            takes_frame=frame,
            moves=move,
            report=self.report,
            waits_for=lambda _: None,
            stranded=self._strand,
        )
        await examine(order, ScaledClock(speed))

    def report(self, checks: Sequence[Check]) -> None:
        self.checks |= {(check.subject, check.name): check for check in checks}

    def _strand(self) -> None:
        self.stranded += 1

    def found(self, subject: str, name: str, outcome: CheckOutcome, words: str = "") -> None:
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


def told(address: str, what: str, **arguments: object) -> None:
    reply = requests.put(f"http://{address}/api/v1/{what}", data=arguments, timeout=5).json()
    assert reply["ErrorNumber"] == 0, reply


def position(observatory: Observatory) -> int:
    reply = requests.get(f"{observatory.base_url}/simulator/v1/truth", timeout=5).json()
    return int(reply["motor_position"])


def fault(observatory: Observatory, kind: str, **how: object) -> None:
    url = f"{observatory.base_url}/simulator/v1/faults"
    requests.post(url, json={"kind": kind, **how}, timeout=5).raise_for_status()


def test_an_observatory_that_is_well_is_left_as_it_was_found(observatory: Observatory, tmp_path: Path) -> None:
    address = observatory.address
    told(address, "camera/0/connected", Connected=True)
    told(address, "camera/0/binx", BinX=2)
    told(address, "camera/0/biny", BinY=2)
    told(address, "camera/0/numx", NumX=100)
    start = position(observatory)
    doctor = Doctor(tmp_path, address, **{name: {"device_number": 0} for name in DEVICES})
    doctor.examine(move=True)
    assert doctor.failures == []
    doctor.found(f"server {address}", "management", OK, "telescope 0")
    doctor.found(f"server {address}", "latency", OK, "of 20")
    doctor.found("camera", "download", OK, "640 x 512 pixels")
    doctor.found("camera", "download", OK, "as ImageBytes")
    doctor.found("camera", "frame", OK, "dark")
    doctor.found("focuser", "move", OK, f"from {start} to {start + 34} and back to {start}")
    doctor.found("filter wheel", "names", OK, "L, R, G, B, Ha")
    doctor.found("mount", "clock", NOTE, "behind this computer")
    doctor.found("weather station", "temperature", OK, "old")
    doctor.found("safety monitor", "state", OK)
    assert position(observatory) == start
    assert ask(address, "camera/0/connected") is True
    assert (ask(address, "camera/0/binx"), ask(address, "camera/0/numx")) == (2, 100)
    for device in ("focuser", *DEVICES.values()):
        assert ask(address, f"{device}/0/connected") is False, device
    assert not (doctor.storage / FILE_NAME).exists()


def test_nothing_is_exposed_or_moved_unasked(observatory: Observatory, tmp_path: Path) -> None:
    start = position(observatory)
    doctor = Doctor(tmp_path, observatory.address)
    doctor.examine(frame=False)
    doctor.found("camera", "frame", NOT_TRIED, "--no-frame")
    doctor.found("focuser", "move", NOT_TRIED, "--move")
    doctor.found("storage", "folder", OK, "not there yet")
    told(observatory.address, "camera/0/connected", Connected=True)
    assert ask(observatory.address, "camera/0/imageready") is False
    assert position(observatory) == start
    assert not doctor.storage.exists()


@pytest.mark.parametrize(
    ("changes", "faults", "sections", "subject", "name", "outcome", "words"),
    [
        ({"quirks": ("json-images-only",)}, {}, {}, "camera", "download", NOTE, "as JSON, which is slow"),
        ({"quirks": ("no-management",)}, {}, {}, "server", "management", NOTE, "no management API"),
        ({"quirks": ("no-step-size",)}, {}, {}, "focuser", "step size", FAILS, "focuser.step_size_um"),
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
            "outside of the limits 0 to 50000",
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
    doctor.examine(move=True)
    doctor.found(f"server {observatory.address}" if subject == "server" else subject, name, outcome, words)
    # What fails stops nothing else.
    assert len(doctor.failures) == (outcome is FAILS)
    assert ("computer", "versions") in doctor.checks
    assert position(observatory) == start


def test_a_move_that_fails_is_taken_back(observatory: Observatory, tmp_path: Path) -> None:
    start = position(observatory)
    fault(observatory, "focuser-short", value=12, times=2)
    doctor = Doctor(tmp_path, observatory.address)
    doctor.examine(move=True)
    doctor.found("focuser", "move", FAILS, f"It is back at {start}.")
    assert (position(observatory), doctor.stranded) == (start, 0)
    assert not (doctor.storage / FILE_NAME).exists()


def test_an_abort_leaves_the_focuser_where_it_was(observatory_with: Callable[..., Observatory], tmp_path: Path) -> None:
    observatory = observatory_with(time_factor=FAST, focuser=FocuserSettings(speed_steps_per_s=20.0))
    start = position(observatory)
    doctor = Doctor(tmp_path, observatory.address)

    async def abort() -> None:
        task = asyncio.create_task(doctor.examined(frame=False, move=True))
        await until(lambda: position(observatory) != start)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(abort())
    assert position(observatory) == start
    doctor.found("focuser", "move", NOT_TRIED, f"aborted; it is back at {start}")
    assert ask(observatory.address, "focuser/0/connected") is False
    assert not (doctor.storage / FILE_NAME).exists()


def test_a_camera_that_exposes_is_left_alone_and_the_focuser_too(observatory: Observatory, tmp_path: Path) -> None:
    address, start = observatory.address, position(observatory)
    told(address, "camera/0/connected", Connected=True)
    told(address, "camera/0/startexposure", Duration=3000.0, Light=True)
    doctor = Doctor(tmp_path, address)
    doctor.examine(move=True)
    doctor.found("camera", "frame", NOT_TRIED, "busy with an image of another program")
    doctor.found("focuser", "move", NOT_TRIED, "the camera exposes")
    assert ask(address, "camera/0/camerastate") == 2
    assert position(observatory) == start
    told(address, "camera/0/abortexposure")


def test_a_run_that_was_cut_off_is_told_and_not_meddled_with(observatory: Observatory, tmp_path: Path) -> None:
    doctor, start = Doctor(tmp_path, observatory.address), position(observatory)
    mark = RestoreMarker(doctor.storage, f"focuser 0 at {observatory.address} (Simulated Focuser)")
    mark.set(25123)
    doctor.examine(move=True, frame=False)
    doctor.found("focuser", "position", NOTE, "had started at 25123")
    doctor.found("focuser", "move", NOT_TRIED, "cut off")
    assert position(observatory) == start
    assert mark.left_by_interrupted_run() == 25123


def test_a_running_daemon_is_respected(observatory: Observatory, tmp_path: Path) -> None:
    daemon = RunningDaemon.of(observatory, tmp_path / "state")
    with daemon.running():
        daemon.until("/api/v1/status", lambda status: status.get("state") == "watching")
        start = position(observatory)
        doctor = Doctor(tmp_path, observatory.address, web={"port": daemon.port}, mount={"device_number": 0})
        doctor.examine(move=True)
        doctor.found("daemon", "state", OK, "runs: watching")
        doctor.found("camera", "sensor", OK)
        doctor.found("camera", "frame", NOT_TRIED, "the daemon has the devices")
        doctor.found("focuser", "position", OK, str(start))
        doctor.found("focuser", "move", NOT_TRIED, "the daemon has the devices")
        doctor.found("mount", "connection", NOT_TRIED, "is not connected just now")
        doctor.found("dashboard", "port", OK, "in use, as it should be")
        assert ask(observatory.address, "camera/0/imageready") is False
        assert ask(observatory.address, "telescope/0/connected") is False
        assert (position(observatory), doctor.failures) == (start, [])
    doctor.examine(frame=False)
    doctor.found("daemon", "state", OK, "none runs")


def test_another_command_is_respected_too(observatory: Observatory, tmp_path: Path) -> None:
    doctor = Doctor(tmp_path, observatory.address)
    with exclusive_lock(lock_path(doctor.storage)):
        doctor.examine(move=True)
    doctor.found("daemon", "state", NOTE, "another command")
    doctor.found("camera", "connection", NOT_TRIED, "another command")


def test_a_server_that_is_gone_is_said_once_and_another_one_is_looked_at(
    observatory: Observatory, tmp_path: Path
) -> None:
    gone = f"127.0.0.1:{free_port()}"
    doctor = Doctor(tmp_path, observatory.address, camera={"address": gone})
    doctor.examine(move=True)
    assert [check.subject for check in doctor.failures] == [f"server {gone}"]
    doctor.found(f"server {gone}", "reachable", FAILS, "nothing listens")
    doctor.found("camera", "connection", NOT_TRIED, gone)
    doctor.found("focuser", "position", OK)
    doctor.found("focuser", "move", NOT_TRIED, "cannot be asked")


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


def test_a_slow_server_and_one_that_is_none(tmp_path: Path) -> None:
    with serving(SlowServer) as slow, serving(NoHttp) as strange:
        doctor = Doctor(tmp_path, slow, alpaca={"address": slow, "timeout_s": 5.0}, focuser={"address": strange})
        doctor.examine()
    doctor.found(f"server {slow}", "latency", NOTE, "slow")
    doctor.found(f"server {slow}", "management", NOTE, "no management API")
    doctor.found("camera", "connection", FAILS)
    doctor.found(f"server {strange}", "reachable", FAILS, "not HTTP")


def test_a_server_that_never_answers(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        doctor = Doctor(tmp_path, place, alpaca={"address": place, "timeout_s": 0.3})
        doctor.examine()
    doctor.found(f"server {place}", "reachable", FAILS, "no answer within 0.3 s")


class NamelessWheel(ServedWheel):
    """A wheel that nobody has named the filters of."""

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
        doctor.examine(move=True, speed=TIME_FACTOR)
    finally:
        running.stop()
    doctor.found("camera", "frame", FAILS, "the camera has been idle" if camera.aborts == 0 else "given up")
    doctor.found("focuser", "positions", FAILS, "relative focuser")
    doctor.found("focuser", "move", NOT_TRIED, "fails")
    doctor.found("filter wheel", "names", FAILS, "filters without names")
    doctor.found("mount", "connection", FAILS, "no telescope 0")
    doctor.found("mount", "the rest", NOT_TRIED, "fails")
    assert focuser.moves == []
    assert focuser.halts == 0


def test_what_runs_besides_the_devices(observatory: Observatory, tmp_path: Path) -> None:
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
            await doctor.examined(frame=False)
        assert [method for method, _ in phd2.calls] == ["get_app_state"]
        return doctor

    with taken:
        doctor = asyncio.run(examined())
    doctor.found("guider", "state", OK, "Paused")
    doctor.found("temperature file", "temperature", OK, "-3.5 deg C")
    doctor.found("messages", "services", FAILS, "does not understand: service 2")
    doctor.found("mqtt", "broker", FAILS, "cannot be reached")
    doctor.found("dashboard", "port", FAILS, "another program listens")
    doctor.found("dashboard", "settings", FAILS, "is no token")
    doctor.found("computer", "site", OK, "the sun is at")
    assert "hush" not in str(doctor.checks)


def test_the_broker_is_asked_whether_it_lets_us_in(tmp_path: Path) -> None:
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


def test_a_broker_that_says_nothing_is_not_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert "does not speak MQTT" in broker_problem(
            MqttSettings(host="127.0.0.1", port=silent.getsockname()[1]), 0.3
        )


def test_settings_that_cannot_be_read_leave_the_computer_to_look_at(tmp_path: Path) -> None:
    doctor = Doctor(tmp_path, "127.0.0.1:1")
    doctor.file.write_text("telescope: {focal_length_mm: 530}\n")
    doctor.examine()
    doctor.found("settings", "file", FAILS, "telescope.aperture_mm")
    assert {subject for subject, _ in doctor.checks} == {"settings", "computer"}


def test_a_folder_that_nobody_can_make_is_said(observatory: Observatory, tmp_path: Path) -> None:
    doctor = Doctor(tmp_path, observatory.address, storage={"directory": str(tmp_path / ("n" * 300))})
    doctor.examine(frame=False)
    doctor.found("daemon", "state", OK, "none runs")
    doctor.found("storage", "folder", OK, "not there yet")
