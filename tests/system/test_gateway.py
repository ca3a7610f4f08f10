"""The gateway of the installed command: an imaging program at it, and a kill in the middle of a focus run."""

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from alpaca.camera import Camera, CameraStates

from alpaca_focus.settings.loader import load_yaml
from alpaca_focus.settings.models import Settings
from tests.ports import free_port
from tests.system.conftest import Run
from tests.system.test_run_command import PATIENCE_S, ended, is_away, told, watching

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def night_file(settings_file: Path, directory: Path) -> Path:
    text = settings_file.read_text()
    settings_file.write_text(
        f"{text}mount: {{}}\nstorage: {{directory: {directory}}}\nweb: null\nimaging: {{way: gateway}}\n"
        f"gateway: {{port: {free_port()}, discovery: false}}\n"
        "night: {poll_s: 0.1, watch_s: 0.5, least_image_s: 0.5}\ntriggers: {images: 50}\n"
    )
    return settings_file


def taken(camera: Camera) -> list[str]:
    """Wait for the image that was asked for; return the states of the camera until then."""
    states: list[str] = []
    ends_at = time.monotonic() + PATIENCE_S
    while not camera.ImageReady:
        assert time.monotonic() < ends_at, states
        state = CameraStates(camera.CameraState).name
        if not states or states[-1] != state:
            states.append(state)
        time.sleep(0.01)
    return states


def measured(run: Run, night_file: Path) -> list[str]:
    """Return what is listed of the light frames."""
    return run("history", "--frames", "--config", night_file).stdout.splitlines()


def test_a_killed_gateway_is_back_with_the_focuser_at_home(
    start: Start, run: Run, night_file: Path, directory: Path, simulator: str
) -> None:
    port = load_yaml(night_file, Settings).gateway.port
    process = start("run", "--config", night_file)
    told(directory, watching)
    camera = Camera(f"127.0.0.1:{port}", 0)
    camera.Connected = True
    assert run("refocus", "--config", night_file).returncode == 0
    camera.StartExposure(1.0, True)
    is_away(directory, simulator)
    assert camera.CameraState == CameraStates.cameraWaiting
    assert "gateway: 127.0.0.1" in run("status", "--config", night_file).stdout
    process.send_signal(signal.SIGKILL)
    process.wait()
    with pytest.raises(OSError):  # noqa: PT011 - as a client sees a server that has died
        _ = camera.CameraState
    process = start("run", "--config", night_file)
    # The imaging program goes on waiting: its exposure was accepted before the kill.
    told(directory, lambda _: True)
    assert "cameraWaiting" in (states := taken(camera))
    assert "cameraExposing" in states
    assert "cameraIdle" not in states
    # What was due was still due, and has been done before the exposure.
    assert told(directory, lambda status: status["runs_ended"])["last_run"]["outcome"] == "focused"
    assert len(camera.ImageArray) == camera.NumX
    ends_at = time.monotonic() + PATIENCE_S
    heading, *lights = measured(run, night_file)
    while not lights and time.monotonic() < ends_at:
        heading, *lights = measured(run, night_file)
    assert heading.split() == ["ended", "(UTC)", "filter", "deg", "C", "position", "HFD", "px"]
    assert len(lights) == 1
    code, log = ended(process)
    assert code == 0, log
    assert "Traceback" not in log


def test_a_port_that_is_taken_is_one_sentence(start: Start, run: Run, night_file: Path, directory: Path) -> None:
    process = start("run", "--config", night_file)
    told(directory, watching)
    other = night_file.with_name("other.yaml")
    other.write_text(night_file.read_text().replace(str(directory), str(directory) + "-other"))
    result = run("run", "--config", other)
    assert result.returncode == 2
    assert "another program uses that port" in result.stderr
    assert "gateway.port" in result.stderr
    assert "Traceback" not in result.stderr
    assert ended(process)[0] == 0
