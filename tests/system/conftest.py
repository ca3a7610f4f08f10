"""The installed command, as a user runs it."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from alpaca_focus.settings.loader import parse_yaml
from alpaca_focus.simulator.observatory import Observatory
from alpaca_focus.simulator.settings import ObservatorySettings

COMMAND = Path(sys.executable).parent / "alpaca-focus"
OBSERVATORY = "time_factor: 20\nsensor: {width_px: 640, height_px: 512}\nfocuser: {start_position: 25400}\n"
Run = Callable[..., subprocess.CompletedProcess[str]]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Tests that run in the background of a shell inherit a deaf ear for Ctrl-C, and so would the commands.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def run() -> Run:
    """Runs the command to its end; returns what it printed."""

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=90, check=False)

    return run


@pytest.fixture
def start() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts the command; what still runs when the test ends is ended."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str | Path) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [COMMAND, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def simulator() -> Iterator[str]:
    """Address of a simulated observatory with a fast night: in this process, which spares the start of another."""
    with Observatory(parse_yaml(OBSERVATORY, ObservatorySettings, source="here")).start() as observatory:
        yield observatory.address


@pytest.fixture
def simulate(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> str:
    """Address of `alpaca-focus simulate` with the same night."""
    config = tmp_path / "observatory.yaml"
    config.write_text(OBSERVATORY)
    process = start("simulate", "--port", "0", "--no-discovery", "--config", config)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert "answers Alpaca at 127.0.0.1 port" in line, line
    return f"127.0.0.1:{line.split('port ')[1].split('.')[0]}"


@pytest.fixture
def settings_file(simulator: str, tmp_path: Path) -> Path:
    """Settings for the simulator that runs."""
    file = tmp_path / "night.yaml"
    file.write_text(
        "telescope: {focal_length_mm: 530, aperture_mm: 106}\n"
        f'alpaca: {{address: "{simulator}", timeout_s: 2}}\n'
        "focuser: {settle_s: 0.1, backlash: {steps: 120}}\n"
        "focus: {exposure_s: 0.2}\n"
    )
    return file
