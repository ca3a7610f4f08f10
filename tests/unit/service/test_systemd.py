"""What systemd hears, on a real socket."""

import logging
import socket
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from alpaca_focus.service import systemd


@pytest.fixture(autouse=True)
def _plain_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alpaca_focus.service.systemd._log", logging.getLogger("systemd"))
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)


@contextmanager
def listening(place: str) -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as receiver:
        receiver.bind(place)
        receiver.settimeout(5.0)
        yield receiver


@pytest.fixture
def notify_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with listening(str(tmp_path / "notify")) as receiver:
        yield receiver


def test_each_state_is_a_datagram(notify_socket: socket.socket) -> None:
    systemd.notify("READY=1")
    systemd.notify("WATCHDOG=1")
    systemd.notify("STOPPING=1")
    assert [notify_socket.recv(1000) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]


def test_the_status_is_one_line(notify_socket: socket.socket) -> None:
    systemd.notify("STATUS=Focus run 7:\n 12 °C\nREADY=1")
    assert notify_socket.recv(1000).decode() == "STATUS=Focus run 7: 12 °C READY=1"


def test_an_abstract_socket_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"alpaca-focus-test-{uuid.uuid4()}"
    monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
    with listening(f"\0{name}") as receiver:
        systemd.notify("READY=1")
        assert receiver.recv(1000) == b"READY=1"


def test_without_systemd_nothing_happens(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def never(*_: object) -> None:
        raise AssertionError("a socket was made")

    monkeypatch.setattr(socket, "socket", never)
    systemd.notify("READY=1")
    assert not caplog.records


@pytest.mark.parametrize("place", ["missing", "x" * 200])
def test_a_systemd_that_has_gone_is_only_logged(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / place))
    systemd.notify("WATCHDOG=1")
    [record] = caplog.records
    assert "systemd did not receive WATCHDOG" in record.message


def test_a_systemd_that_does_not_listen_holds_nobody_up(
    notify_socket: socket.socket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert notify_socket.getsockname()
    monkeypatch.setattr(systemd, "_SEND_TIMEOUT_S", 0.01)
    for _ in range(10_000):
        systemd.notify("WATCHDOG=1")
        if caplog.records:
            break
    assert "systemd did not receive WATCHDOG (timed out)" in caplog.text
