"""`alpaca-focus init`, as a user runs it: from a script, and at a terminal."""

import os
import pty
import signal
import subprocess
from pathlib import Path

from tests.system.conftest import COMMAND, Run

QUESTION = ": "


def at_terminal(arguments: list[str], answers: list[str]) -> tuple[str, int]:
    """Run the command at a terminal and answer each question; Ctrl-C after the last answer. Text and exit code."""
    ours, its = pty.openpty()
    process = subprocess.Popen([COMMAND, *arguments], stdin=its, stdout=its, stderr=its)
    os.close(its)
    text, left = "", list(answers)
    with process, os.fdopen(ours, "rb+", buffering=0) as screen:
        while True:
            try:
                text += screen.read(4096).decode()
            except OSError:  # how Linux says that nobody is at the other end any more
                break
            if not text.endswith(QUESTION):
                continue
            if left:
                screen.write(f"{left.pop(0)}\n".encode())
            else:
                process.send_signal(signal.SIGINT)
    return text, process.returncode


def test_a_script_gets_a_file_that_passes_the_check(run: Run, simulator: str, tmp_path: Path) -> None:
    file = tmp_path / "first.yaml"
    done = run("init", file, "--address", simulator, "--yes", "--backlash", "120", "--exposure", "0.5")
    assert done.returncode == 0, done.stderr
    checked = run("check", file)
    assert checked.returncode == 0, checked.stderr
    assert "telescope: 530 mm f/5.0" in checked.stdout
    assert "backlash: overshoot by 120 steps" in checked.stdout
    again = run("init", file, "--address", simulator)
    assert (again.returncode, again.stdout) == (2, "")
    assert "is there already" in again.stderr


def test_at_a_terminal_it_asks_and_ctrl_c_writes_nothing(simulator: str, tmp_path: Path) -> None:
    file = tmp_path / "first.yaml"
    arguments = ["init", str(file), "--address", simulator]
    text, code = at_terminal(arguments, ["Big Dob", "much"])
    assert code == 130, text
    assert "Nothing was written." in text
    assert not file.exists()
    text, code = at_terminal(arguments, ["Big \x1b[D", "Big Dob", "much", "0.3", "60", "", "told", ""])
    assert code == 0, text
    assert "perhaps of an arrow key" in text
    assert "'much' is not a number" in text
    assert "Exposure of a focus frame in seconds [3]: " in text
    written = file.read_text()
    for line in ('name: "Big Dob"', "central_obstruction: 0.3", "steps: 60", "way: told"):
        assert f"  {line}\n" in written
