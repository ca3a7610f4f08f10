"""A lock that one process holds at a time."""

import subprocess
import sys
from pathlib import Path

import pytest

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.service.control_wire import exclusive_lock

HOLDER = """
import pathlib, sys
from alpaca_focus.service.control_wire import exclusive_lock
with exclusive_lock(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def take(path: Path) -> bool:
    try:
        with exclusive_lock(path):
            return True
    except ConfigurationError:
        return False


def test_it_is_held_once_and_can_be_taken_again(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "daemon.lock"
    with exclusive_lock(path):
        assert not take(path)
        assert take(tmp_path / "another.lock")
    assert take(path)
    assert take(path)


def test_it_is_let_go_of_on_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), exclusive_lock(tmp_path / "daemon.lock"):
        raise KeyError
    assert take(tmp_path / "daemon.lock")


def test_it_keeps_other_processes_out_until_they_are_killed(tmp_path: Path) -> None:
    path = tmp_path / "daemon.lock"
    arguments = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert not take(path)
        holder.kill()
    assert take(path)
