"""`alpaca-focus run` as a service, and the commands that talk to it."""

import json
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests

from alpaca_focus.core.errors import AlpacaFocusError
from alpaca_focus.service.control_client import ask
from alpaca_focus.service.control_wire import socket_path
from tests.system.conftest import Run

START = 25400
PATIENCE_S = 30.0
STOP_S = 20.0
FEED = "WATCHDOG=1"
Start = Callable[..., subprocess.Popen[str]]
Heard = Callable[..., list[str]]
Told = dict[str, Any]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def night_file(settings_file: Path, directory: Path) -> Path:
    """The settings of the simulator that runs, and what a night needs on top."""
    text = settings_file.read_text()
    settings_file.write_text(
        f"{text}mount: {{}}\nsafety_monitor: {{}}\nstorage: {{directory: {directory}}}\nweb: null\n"
        "night: {poll_s: 0.1, watch_s: 0.5}\ntriggers: {images: 50, back_off_s: 1}\n"
    )
    return settings_file


def told(directory: Path, is_so: Callable[[Told], object]) -> Told:
    """Ask the daemon for its status until it is so."""
    last: object = None
    ends_at = time.monotonic() + PATIENCE_S
    while time.monotonic() < ends_at:
        try:
            last = status = ask(socket_path(directory), "status", {}, timeout_s=10.0)
        except AlpacaFocusError as error:
            last = error
        else:
            if is_so(status):
                return status
        time.sleep(0.05)
    raise AssertionError(f"it never came to pass: {last}")


def watching(status: Told) -> bool:
    return bool(status.get("looks", 0) > 1)


def position(address: str) -> int:
    return int(requests.get(f"http://{address}/simulator/v1/truth", timeout=5).json()["motor_position"])


def fault(address: str, **what: Any) -> None:
    requests.post(f"http://{address}/simulator/v1/faults", json=what, timeout=5).raise_for_status()


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """End the service as systemd does; the exit code and the log."""
    began_s = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=3 * STOP_S)
    assert time.monotonic() - began_s < STOP_S, log
    return process.returncode, log


def one_sentence(result: subprocess.CompletedProcess[str], *words: str, code: int = 2) -> None:
    assert (result.returncode, result.stdout) == (code, ""), result.stdout + result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert all(word in result.stderr for word in words), result.stderr


def is_away(directory: Path, address: str, *, start: int = START) -> Told:
    """Wait until a focus run has moved the focuser away from its start."""
    return told(directory, lambda status: status["state"] == "a focus run" and abs(position(address) - start) > 50)


def test_a_night_is_kept_and_told_what_to_do(
    start: Start, run: Run, night_file: Path, directory: Path, simulator: str
) -> None:
    process = start("run", "--config", night_file)
    told(directory, watching)
    focusing = start("refocus", "--wait", "--config", night_file)
    is_away(directory, simulator)
    one_sentence(run("run", "--config", night_file), "already", str(directory), code=4)
    assert run("tell", "light", "--config", night_file).stdout == "The plan: light.\n"
    assert "Paused" in run("pause", "--config", night_file).stdout
    shown = run("status", "--config", night_file)
    assert shown.returncode == 0, shown.stderr
    assert "paused; the plan takes: light\n" in shown.stdout
    assert ["images", "[0/50]"] in [line.split() for line in shown.stdout.splitlines()]
    assert "Resumed" in run("resume", "--config", night_file).stdout
    assert run("compensation", "off", "--config", night_file).stdout == "The compensation is off, by the settings.\n"
    one_sentence(run("compensation", "on", "--config", night_file), "compensation.enabled: true")
    out, err = focusing.communicate(timeout=PATIENCE_S)
    assert focusing.returncode == 0, out + err
    assert "Focused at position" in " ".join(out.split())
    focused_at = position(simulator)

    fault(simulator, kind="camera-error")
    failed = run("refocus", "--wait", "--config", night_file)
    assert failed.returncode == 1, failed.stdout + failed.stderr
    assert "camera 0" in failed.stdout

    as_json = run("status", "--json", "--config", night_file)
    status = json.loads(as_json.stdout, parse_constant=pytest.fail)
    assert (status["paused"], status["plan"], status["runs_ended"], status["failures"]) == (False, "light", 2, 1)
    assert status["last_focus"]["position"] == focused_at == position(simulator)

    code, log = ended(process)
    assert code == 0, log
    assert "Refocused" in log
    assert "Traceback" not in log
    one_sentence(run("status", "--config", night_file), "No alpaca-focus runs", "alpaca-focus run")


def test_the_focuser_goes_home_after_an_abort_and_if_it_cannot_then_at_the_next_start(
    start: Start, run: Run, night_file: Path, directory: Path, simulator: str
) -> None:
    process = start("run", "--config", night_file)
    told(directory, watching)
    waiting = start("refocus", "--wait", "--config", night_file)
    is_away(directory, simulator)
    assert "being aborted" in run("abort", "--config", night_file).stdout
    out, err = waiting.communicate(timeout=PATIENCE_S)
    assert waiting.returncode == 1, out + err
    assert "The run was aborted" in out
    assert position(simulator) == START

    ask(socket_path(directory), "refocus", {}, timeout_s=10.0)
    is_away(directory, simulator)
    fault(simulator, kind="no-answer")
    code, log = ended(process)
    assert code == 3, log
    assert "could not be restored in time" in log
    assert position(simulator) != START

    requests.delete(f"http://{simulator}/simulator/v1/faults", timeout=5).raise_for_status()
    start("run", "--config", night_file)
    status = told(directory, lambda status: status.get("last_run"))
    assert f"back at position {START}" in status["last_run"]["reason"]


def test_a_service_that_was_killed_goes_home_at_its_next_start(
    start: Start, run: Run, night_file: Path, directory: Path, simulator: str
) -> None:
    process = start("run", "--config", night_file)
    told(directory, watching)
    for command in ({"what": "light"}, {"what": "image"}):
        ask(socket_path(directory), "tell", command, timeout_s=10.0)
    ask(socket_path(directory), "refocus", {}, timeout_s=10.0)
    is_away(directory, simulator)
    # So that the wish for the refocus, which outlives the crash as well, does not hide the way home.
    ask(socket_path(directory), "pause", {}, timeout_s=10.0)
    process.kill()
    process.wait()
    time.sleep(0.5)
    assert position(simulator) != START

    again = start("run", "--config", night_file)
    told(directory, watching)
    assert position(simulator) == START
    status = run("status", "--config", night_file).stdout.splitlines()
    assert status[0].startswith(f"Focus unverified: the focuser is back at {START}")
    assert "watching, paused; the plan takes: light" in status
    back = f"the focuser is back at {START} after a focus run that was cut off"
    assert f"due: a refocus was requested; {back}" in status
    assert f"last run: A focus run was cut off. The focuser is back at position {START}, where it belongs." in status
    assert ["images", "[1/50]"] in [line.split() for line in status]
    code, log = ended(again)
    assert code == 0, log
    assert "A focus run was cut off" in log


CAMERA = {"BinX": 1, "BinY": 1, "StartX": 0, "StartY": 0, "NumX": 640, "NumY": 512, "Gain": 7, "Offset": 20}


def camera_settings(address: str) -> dict[str, int]:
    return {
        member: requests.get(f"http://{address}/api/v1/camera/0/{member.lower()}", timeout=5).json()["Value"]
        for member in CAMERA
    }


@pytest.mark.parametrize("command", ["focus", "run"])
def test_camera_settings_that_a_kill_has_left_are_restored_at_the_next_start(
    start: Start, night_file: Path, directory: Path, simulator: str, command: str
) -> None:
    night_file.write_text(
        night_file.read_text().replace("exposure_s: 0.2", "exposure_s: 0.2, binning: 2, gain: 120, offset: 30")
    )
    for member, value in {"Connected": True, **CAMERA}.items():
        answer = requests.put(f"http://{simulator}/api/v1/camera/0/{member.lower()}", data={member: value}, timeout=5)
        assert answer.json()["ErrorNumber"] == 0, answer.text
    process = start(command, "--config", night_file)
    if command == "run":
        told(directory, watching)
        ask(socket_path(directory), "refocus", {}, timeout_s=10.0)
    ends_at = time.monotonic() + PATIENCE_S
    wanted = {"BinX": 2, "Gain": 120, "Offset": 30}
    while not wanted.items() <= (changed := camera_settings(simulator)).items() and time.monotonic() < ends_at:
        time.sleep(0.02)
    assert wanted.items() <= changed.items()
    if command == "run":
        ask(socket_path(directory), "pause", {}, timeout_s=10.0)
    process.kill()
    process.wait()
    assert camera_settings(simulator) != CAMERA

    again = start(command, "--config", night_file)
    if command == "run":
        told(directory, watching)
    else:
        assert again.wait(PATIENCE_S) == 0
    assert camera_settings(simulator) == CAMERA
    if command == "run":
        assert "the camera has its own settings again" in ended(again)[1]


def test_scripts_tell_of_exposures_filters_and_flips(
    start: Start, run: Run, night_file: Path, directory: Path, simulator: str
) -> None:
    night_file.write_text(night_file.read_text() + "imaging: {way: told}\n")
    one_sentence(run("exposure", "begin", "--config", night_file), "No alpaca-focus runs")
    process = start("run", "--config", night_file)
    told(directory, watching)

    def said(*arguments: str) -> str:
        result = run(*arguments, "--config", night_file)
        assert (result.returncode, result.stderr) == (0, ""), result.stdout + result.stderr
        assert len(result.stdout.splitlines()) == 1
        return result.stdout.strip()

    assert said("filter", "Ha") == "The filter: Ha."
    assert said("flip") == "The mount has flipped."
    assert said("refocus", "--if-due") == "Nothing is due."
    assert said("refocus", "--if-due", "--wait") == "Nothing is due."
    assert said("exposure", "begin", "--seconds", "300") == "The exposure begins."
    told(directory, lambda status: status["blocked_by"] == ["exposure running"])
    assert said("exposure", "end", "--hfd", "2.4") == "The exposure has ended: one image counted."
    assert said("exposure", "begin", "--dark") == "The exposure begins."
    assert said("exposure", "end") == "The exposure has ended; it does not count."
    assert told(directory, watching)["images"] == 1

    focusing = start("refocus", "--wait", "--config", night_file)
    is_away(directory, simulator)
    begun = run("exposure", "begin", "--config", night_file)
    assert begun.returncode == 0, begun.stderr
    assert begun.stdout.splitlines() == ["Waiting for the end of a focus run.", "The exposure begins."]
    out, err = focusing.communicate(timeout=PATIENCE_S)
    assert focusing.returncode == 0, out + err
    status = told(directory, watching)
    assert (status["state"], status["last_focus"]["filter_name"]) == ("watching", "Ha")
    run("exposure", "end", "--config", night_file)

    for _ in range(50):
        ask(socket_path(directory), "tell", {"what": "image"}, timeout_s=10.0)
    due = run("refocus", "--if-due", "--wait", "--config", night_file)
    assert due.returncode == 0, due.stdout + due.stderr
    assert due.stdout.splitlines()[0] == "There is a focus run under way."
    assert "Focused at position" in " ".join(due.stdout.split())

    run("pause", "--config", night_file)
    for _ in range(50):
        ask(socket_path(directory), "tell", {"what": "image"}, timeout_s=10.0)
    assert said("refocus", "--if-due", "--wait").endswith("and waits for: paused.")
    code, log = ended(process)
    assert code == 0, log
    assert "Traceback" not in log


def test_a_script_that_waits_for_a_due_refocus_learns_that_it_failed(
    start: Start, run: Run, night_file: Path, directory: Path, simulator: str
) -> None:
    process = start("run", "--config", night_file)
    told(directory, watching)
    one_sentence(run("exposure", "end", "--config", night_file), "imaging.way is watch")
    camera = f"http://{simulator}/api/v1/camera/0"
    requests.put(f"{camera}/startexposure", data={"Duration": 3600, "Light": "true"}, timeout=5).raise_for_status()
    told(directory, lambda status: status["blocked_by"] == ["exposure running"])
    ask(socket_path(directory), "refocus", {}, timeout_s=10.0)
    waiting = start("refocus", "--if-due", "--wait", "--config", night_file)
    assert waiting.stdout is not None
    assert waiting.stdout.readline() == "A refocus is due (a refocus was requested) and follows after the exposure.\n"
    requests.put(f"{camera}/abortexposure", timeout=5).raise_for_status()
    is_away(directory, simulator)
    fault(simulator, kind="camera-error")
    out, err = waiting.communicate(timeout=PATIENCE_S)
    assert waiting.returncode == 1, out + err
    assert "camera 0" in out
    code, log = ended(process)
    assert code == 0, log


@pytest.fixture
def heard(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Heard]:
    """What systemd hears in some seconds, or until it has heard the watchdog's word so often."""
    directory.mkdir()
    place = str(directory / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", place)
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as receiver:
        receiver.bind(place)

        def hear(within_s: float, *, feeds: int | None = None) -> list[str]:
            words: list[str] = []
            ends_at = time.monotonic() + within_s
            while words.count(FEED) != feeds and (left_s := ends_at - time.monotonic()) > 0:
                receiver.settimeout(left_s)
                try:
                    words.append(receiver.recv(1000).decode())
                except TimeoutError:
                    break
            return words

        yield hear


def test_systemd_hears_of_work_that_goes_on_and_of_no_other(
    start: Start, night_file: Path, directory: Path, simulator: str, heard: Heard
) -> None:
    # With only two devices to wait for in vain a look lasts less than two seconds.
    text = night_file.read_text().replace("timeout_s: 2", "timeout_s: 0.5")
    night_file.write_text(text.replace("mount: {}\nsafety_monitor: {}\n", ""))
    process = start("run", "--config", night_file)
    told(directory, watching)
    words = heard(PATIENCE_S, feeds=5)
    assert words[0] == "READY=1"
    assert words.count(FEED) == 5

    fault(simulator, kind="no-answer")
    told(directory, lambda status: len(status["blocked_by"]) == 2)
    heard(0.5)
    assert FEED not in heard(3.0)
    assert len(told(directory, watching)["blocked_by"]) == 2

    requests.delete(f"http://{simulator}/simulator/v1/faults", timeout=5).raise_for_status()
    assert FEED in heard(PATIENCE_S, feeds=1)

    fault(simulator, kind="no-answer")
    heard(1.0)
    code, log = ended(process)
    assert code == 0, log
    assert "STOPPING=1" in heard(1.0)
    assert "alpaca-focus has started" in log.splitlines()[0]


def test_a_long_exposure_is_no_silence(start: Start, night_file: Path, directory: Path, heard: Heard) -> None:
    night_file.write_text(night_file.read_text().replace("exposure_s: 0.2", "exposure_s: 60"))
    process = start("run", "--config", night_file)
    told(directory, watching)
    ask(socket_path(directory), "refocus", {}, timeout_s=10.0)
    told(directory, lambda status: status["state"] == "a focus run")
    heard(1.0)
    assert heard(PATIENCE_S, feeds=2).count(FEED) == 2
    assert told(directory, lambda status: status["state"] == "a focus run")["position"] == START
    code, log = ended(process)
    assert code == 0, log
