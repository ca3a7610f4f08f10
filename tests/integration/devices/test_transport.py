"""One HTTP request to servers that answer in their own ways."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from alpaca_focus.devices.address import DeviceAddress
from alpaca_focus.devices.transport import MAX_REPLY_BYTES, BrokenReply, Deadline, HttpReply, send_request


@contextlib.contextmanager
def answering(answer: bytes, requests: list[bytes]) -> Iterator[DeviceAddress]:
    """A server that takes one request, answers with these bytes, and closes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.settimeout(5.0)
            requests.append(connection.recv(65536))
            connection.sendall(answer)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield DeviceAddress("127.0.0.1", int(listener.getsockname()[1]), 0)
    finally:
        thread.join()
        listener.close()


def get(answer: bytes) -> HttpReply:
    with answering(answer, []) as address:
        return send_request(address, "GET", "/", Deadline(5.0))


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{} and more than announced",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n{}",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
def test_replies_in_all_framings_are_read(answer: bytes) -> None:
    assert get(answer) == HttpReply(200, b"{}")


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}",
    ],
)
def test_a_reply_that_breaks_off_is_a_broken_connection(answer: bytes) -> None:
    with pytest.raises(ConnectionResetError):
        get(answer)


@pytest.mark.parametrize(
    "answer", [b"220 smtp ready\r\n", b"\x00\x01\x02", b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n"]
)
def test_a_reply_that_is_not_http_is_broken(answer: bytes) -> None:
    with pytest.raises((BrokenReply, ConnectionResetError)):
        get(answer)


def test_a_reply_without_end_is_given_up() -> None:
    with pytest.raises(BrokenReply, match="it is longer than"):
        get(b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (MAX_REPLY_BYTES + 1))


def test_a_request_has_its_parameters_where_the_standard_has_them() -> None:
    requests: list[bytes] = []
    with answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", requests) as address:
        send_request(address, "PUT", "/api/v1/focuser/0/move", Deadline(5.0), form={"Position": -5, "Name": "a b&c=d"})
    head, _, body = requests[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"PUT /api/v1/focuser/0/move HTTP/1.1"
    assert f"Host: {address.authority}".encode() in lines
    assert b"Content-Type: application/x-www-form-urlencoded" in lines
    assert f"Content-Length: {len(body)}".encode() in lines
    assert b"Connection: close" in lines
    assert body == b"Position=-5&Name=a+b%26c%3Dd"


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert get(b"HTTP/1.0 200 OK\r\n\r\n{}").status == 200


def test_a_call_that_is_cut_ends_at_once() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    deadline = Deadline(600.0)
    with listener:
        address = DeviceAddress("127.0.0.1", int(listener.getsockname()[1]), 0)
        cutter = threading.Timer(0.1, deadline.cut)
        cutter.start()
        with pytest.raises(OSError, match=r"closed without a reply|^$"):
            send_request(address, "GET", "/", deadline)
        cutter.join()
    with pytest.raises(TimeoutError):
        deadline.remaining_s()


def test_a_call_that_was_cut_before_does_not_begin() -> None:
    deadline = Deadline(60.0)
    deadline.cut()
    with pytest.raises(TimeoutError):
        send_request(DeviceAddress("127.0.0.1", 9, 0), "GET", "/", deadline)
