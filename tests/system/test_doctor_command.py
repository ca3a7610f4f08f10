"""`alpaca-focus doctor` as a person and a script meet it."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tests.system.conftest import Run


def position(address: str) -> int:
    reply = requests.get(f"http://{address}/simulator/v1/truth", timeout=5).json()
    return int(reply["motor_position"])


@pytest.fixture
def file(settings_file: Path, tmp_path: Path) -> Path:
    """Settings without a dashboard, whose usual port may be taken, and with a place for what has to be kept."""
    text = f"web: null\nstorage: {{directory: {tmp_path / 'state'}}}\n"
    settings_file.write_text(settings_file.read_text() + text)
    return settings_file


def test_it_prints_a_line_for_each_check_and_its_exit_code_says_whether_to_mend(
    run: Run, file: Path, simulator: str
) -> None:
    result = run("doctor", "--config", file, "--move")
    words = " ".join(result.stdout.split())
    assert result.returncode == 0, result.stdout + result.stderr
    assert "server 127.0.0.1" in words
    assert "ok move from 25400 to 25434 and back to 25400" in words
    assert "note limits the focuser may use its whole travel" in words
    assert "-> Set focuser.min_position" in words
    assert words.endswith("Nothing needs fixing.")
    assert result.stderr == ""
    assert position(simulator) == 25400
    url = f"http://{simulator}/simulator/v1/faults"
    requests.post(url, json={"kind": "refuse-connect", "device": "focuser"}, timeout=5).raise_for_status()
    failed = run("doctor", "--config", file, "--json")
    told = json.loads(failed.stdout)
    assert failed.returncode == 2, failed.stdout + failed.stderr
    assert (told["outcome"], told["complete"], told["counts"]["fails"]) == ("fails", True, 1)
    (failure,) = [check for check in told["checks"] if check["outcome"] == "fails"]
    assert (failure["subject"], failure["name"]) == ("focuser", "connection")
    assert "cable" in failure["remedy"]
    # By itself nothing is moved where nobody can be asked.
    assert position(simulator) == 25400


def test_ctrl_c_during_the_move_leaves_the_focuser_where_it_was(
    start: Callable[..., subprocess.Popen[str]], file: Path, simulator: str
) -> None:
    url = f"http://{simulator}/simulator/v1/faults"
    # It stops half way and says that it still moves.
    stall = {"kind": "focuser-stall", "times": 1, "duration_s": 60}
    requests.post(url, json=stall, timeout=5).raise_for_status()
    process = start("doctor", "--config", file, "--move", "--no-frame")
    while position(simulator) == 25400:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert "every device is restored" in err
    assert "aborted; it is back at 25400" in " ".join(out.split())
    assert position(simulator) == 25400
