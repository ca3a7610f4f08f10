"""`fetch_image` against servers that get it wrong: a few bytes of HTTP on a socket, written by hand."""

import asyncio
import contextlib
import json
import socket
import struct
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from alpaca_focus.alpaca import http as http_client
from alpaca_focus.alpaca import images
from alpaca_focus.alpaca.errors import AlpacaError
from alpaca_focus.alpaca.http import BadReply, BadStatus, HttpError, HttpTimeout
from tests.blocking import fetch_image

PIXELS = np.arange(35, dtype=np.uint16).reshape(5, 7)
PAYLOAD = PIXELS.T.tobytes()
GOOD = struct.pack("<iiIIiiiiiii", 1, 0, 0, 0, 44, 2, 8, 2, 7, 5, 0) + PAYLOAD

Serve = Callable[..., str]


def http(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode() + body


def with_length(body: bytes, length: int | None = None, content_type: str = "application/imagebytes") -> bytes:
    return http(body, f"Content-Type: {content_type}", f"Content-Length: {len(body) if length is None else length}")


def chunked(body: bytes, size: int, end: bytes = b"0\r\n\r\n") -> bytes:
    parts = [body[i : i + size] for i in range(0, len(body), size)]
    return http(b"".join(b"%x;x=y\r\n%s\r\n" % (len(p), p) for p in parts) + end, "Transfer-Encoding: chunked")


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Answer one request with these bytes, then hang up or hang; the authority to ask."""
    finish = threading.Event()
    threads: list[threading.Thread] = []

    def start(answer: bytes, *, hang: bool = False, drip_s: float = 0.0, host: str = "127.0.0.1") -> str:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, 0), family=family)

        def run() -> None:
            with listener, listener.accept()[0] as connection:
                connection.settimeout(5)
                connection.recv(4096)
                pieces = [answer[i : i + 1] for i in range(len(answer))] if drip_s else [answer]
                for piece in pieces:
                    if finish.wait(drip_s):
                        return
                    connection.sendall(piece)
                if hang:
                    finish.wait(30)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        port = listener.getsockname()[1]
        return f"[{host}]:{port}" if family == socket.AF_INET6 else f"{host}:{port}"

    yield start
    finish.set()
    for thread in threads:
        thread.join()


@pytest.mark.parametrize(
    "answer",
    [
        with_length(GOOD),
        with_length(GOOD, len(PAYLOAD)),
        with_length(GOOD, content_type="text/html"),
        with_length(GOOD, content_type="application/json"),
        http(GOOD),
        chunked(GOOD, 1),
        chunked(GOOD, 10),
        chunked(GOOD, 1000),
        chunked(GOOD, 44),
        chunked(GOOD, 10, end=b"0\r\nTrailer: x\r\n\r\n"),
        with_length(struct.pack("<iiIIiiiiiii", 1, 0, 0, 0, 50, 2, 8, 2, 7, 5, 0) + b"\0" * 6 + PAYLOAD),
    ],
)
def test_image_arrives_however_it_is_framed(serve: Serve, answer: bytes) -> None:
    assert np.array_equal(fetch_image(serve(answer), 0, timeout_s=10), PIXELS)


def test_length_without_the_header_is_coped_with_on_an_open_connection(serve: Serve) -> None:
    authority = serve(with_length(GOOD, len(PAYLOAD)), hang=True)
    assert np.array_equal(fetch_image(authority, 0, timeout_s=10), PIXELS)


def test_image_smaller_than_the_header_is_coped_with(serve: Serve) -> None:
    tiny = struct.pack("<iiIIiiiiiii", 1, 0, 0, 0, 44, 2, 8, 2, 1, 1, 0) + b"\x05\x00"
    assert fetch_image(serve(with_length(tiny, 2), hang=True), 0, timeout_s=10).tolist() == [[5]]


def test_image_in_single_bytes_is_put_together(serve: Serve) -> None:
    assert np.array_equal(fetch_image(serve(with_length(GOOD), drip_s=0.0001), 0, timeout_s=30), PIXELS)


def test_an_image_is_held_once(serve: Serve) -> None:
    pixels = np.zeros((2000, 2000), dtype=np.uint16)
    answer = struct.pack("<iiIIiiiiiii", 1, 0, 0, 0, 44, 2, 8, 2, *pixels.T.shape, 0) + pixels.tobytes()
    for framed in (with_length(answer), chunked(answer, 100_000)):
        authority = serve(framed)
        tracemalloc.start()
        try:
            fetch_image(authority)
            peak_bytes = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert pixels.nbytes <= peak_bytes < 1.3 * pixels.nbytes


def test_json_image(serve: Serve) -> None:
    reply = {"Type": 2, "Rank": 2, "Value": PIXELS.T.tolist(), "ErrorNumber": 0, "ErrorMessage": ""}
    for body in (
        with_length(json.dumps(reply).encode(), content_type="application/json"),
        chunked(json.dumps(reply).encode(), 50),
    ):
        assert np.array_equal(fetch_image(serve(body), 0, timeout_s=10), PIXELS)


def test_json_error(serve: Serve) -> None:
    body = b'{"ErrorNumber":1035,"ErrorMessage":"dark"}'
    with pytest.raises(AlpacaError, match="dark") as caught:
        fetch_image(serve(with_length(body), hang=True), 0, timeout_s=10)
    assert caught.value.number == 1035


def test_image_bytes_error(serve: Serve) -> None:
    body = struct.pack("<iiIIiiiiiii", 1, 1031, 0, 0, 44, 0, 0, 0, 0, 0, 0) + b"not connected"
    with pytest.raises(AlpacaError, match="not connected") as caught:
        fetch_image(serve(with_length(body), hang=True), 0, timeout_s=10)
    assert caught.value.number == 1031


@pytest.mark.parametrize(
    "answer",
    [
        with_length(b"Exposure failed, and here is a long sentence that says why it did."),
        with_length(b"Oops"),
        with_length(b""),
        with_length(struct.pack("<iiIIiiiiiii", 1, 0, 0, 0, 44, 0, 0, 0, 0, 0, 0) + b"camera error"),
        with_length(struct.pack("<iiIIiiiiiii", 1, 0, 0, 0, 44, 2, 8, 2, -7, 5, 0) + PAYLOAD),
        with_length(struct.pack("<iiIIiiiiiii", 1, 0, 0, 0, 44, 2, 8, 2, 7, 6, 0) + PAYLOAD),
        with_length(struct.pack("<iiIIiiiiiii", 1, 0, 0, 0, 44, 2, 8, 2, 7, 4, 0) + PAYLOAD),
        with_length(struct.pack("<iiIIiiiiiii", 1, 0, 0, 0, 44, 2, 8, 2, 20000, 20000, 0) + PAYLOAD),
        with_length(b'{"ErrorNumber": 0, "Value": [[1, 2], [3]]}'),
        with_length(b'{"ErrorNumber": 0}'),
        with_length(b'{"ErrorNumber": 0, "Value": 5'),
        with_length(b'["ErrorNumber"]'),
        with_length(b'{"ErrorNumber": "none", "Value": [[1]]}'),
        http(b"4\r\nabcdXX4\r\nabcd\r\n0\r\n\r\n", "Transfer-Encoding: chunked"),
        http(b"-5\r\nxxxxx\r\n", "Transfer-Encoding: chunked"),
        chunked(GOOD + b"xx", 10),
        http(b"zz\r\nxx", "Transfer-Encoding: chunked"),
        http(GOOD, "Content-Encoding: gzip"),
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"\0" * 100_000,
        http(b"", *(f"X-{n}: {'y' * 300}" for n in range(900))),
    ],
)
def test_garbage_is_malformed(serve: Serve, answer: bytes) -> None:
    with pytest.raises(BadReply, match=r"^(its|it) "):
        fetch_image(serve(answer), 0, timeout_s=10)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        with_length(GOOD[:30], len(GOOD)),
        with_length(GOOD[:44], len(GOOD)),
        with_length(GOOD[:-1], len(GOOD)),
        with_length(GOOD[:-1], len(PAYLOAD)),
        http(GOOD[:-1]),
        chunked(GOOD[:-1], 10),
        chunked(GOOD[:60], 10, end=b""),
        chunked(GOOD[:60], 10, end=b"20\r\nabc"),
        with_length(b'{"Value": [[1, 2], [3, 4]]}', 500),
    ],
)
def test_cut_connection_is_truncated(serve: Serve, answer: bytes) -> None:
    with pytest.raises(HttpError, match=r"^it closed the connection ") as caught:
        fetch_image(serve(answer), 0, timeout_s=10)
    assert type(caught.value) is HttpError  # a device's adapter takes it for a server that is gone


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 200 OK\r\n", with_length(GOOD[:50], len(GOOD)), chunked(GOOD[:60], 10, end=b"")]
)
def test_stall_is_a_timeout(serve: Serve, answer: bytes) -> None:
    with pytest.raises(HttpTimeout, match="sent nothing for"):
        fetch_image(serve(answer, hang=True), 0, timeout_s=20, stall_timeout_s=0.1)


def test_deadline_holds_also_when_something_keeps_coming(serve: Serve) -> None:
    with pytest.raises(HttpTimeout, match="no whole image"):
        fetch_image(serve(with_length(GOOD), drip_s=0.01), 0, timeout_s=0.3, stall_timeout_s=20)


@pytest.mark.parametrize(
    ("answer", "drip_s"),
    [(b"", 0.0), (with_length(GOOD[:50], len(GOOD)), 0.0), (chunked(GOOD[:60], 10, end=b""), 0.0), (GOOD * 100, 0.01)],
)
def test_a_cancelled_task_ends_at_once(serve: Serve, answer: bytes, drip_s: float) -> None:
    async def main() -> None:
        authority = serve(answer, hang=True, drip_s=drip_s)
        task = asyncio.create_task(images.fetch_image(authority, 0, timeout_s=60, stall_timeout_s=60))
        await asyncio.sleep(0.1)
        assert not task.done()
        task.cancel()
        began = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - began < 10

    asyncio.run(main())


def test_refused_connection_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(HttpError, match=r"^no connection "):
        fetch_image(f"127.0.0.1:{port}", 0, timeout_s=10)


def test_a_server_that_accepts_nobody_is_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "CONNECT_TIMEOUT_S", 0.1)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        with contextlib.ExitStack() as waiting:
            for _ in range(3):  # the queue of connections to accept is full
                queued = waiting.enter_context(socket.socket())
                queued.setblocking(False)
                queued.connect_ex(address)
            with pytest.raises(HttpTimeout, match="no connection within"):
                fetch_image(f"127.0.0.1:{address[1]}", 0, timeout_s=10)


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ("400 Bad Request", "no such camera"),
        ("404 Not Found", "no such camera"),
        ("500 Internal Server Error", "no such camera"),
        ("204 No Content", "HTTP status 204"),
    ],
)
def test_http_error_keeps_its_status_and_text(serve: Serve, status: str, text: str) -> None:
    answer = http(b"no such camera", "Content-Length: 14", status=status)
    with pytest.raises(BadStatus, match=text) as caught:
        fetch_image(serve(answer, hang=True), 0, timeout_s=10)
    assert caught.value.status == int(status[:3])


def test_fewer_pixels_can_be_allowed(serve: Serve) -> None:
    with pytest.raises(BadReply, match="more than 34"):
        fetch_image(serve(with_length(GOOD)), 0, timeout_s=10, max_pixels=34)


@pytest.mark.parametrize("authority", ["http://127.0.0.1:1", "127.0.0.1:1/path", ":1", ""])
def test_address_of_another_kind_is_a_value_error(authority: str) -> None:
    with pytest.raises(ValueError, match="host and a port"):
        fetch_image(authority, 0, timeout_s=1)


def test_ipv6(serve: Serve) -> None:
    try:
        authority = serve(with_length(GOOD), host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    assert np.array_equal(fetch_image(authority, 0, timeout_s=10), PIXELS)


def test_all_failures_share_a_base() -> None:
    for kind in (BadReply, BadStatus, HttpTimeout):
        assert issubclass(kind, HttpError)


def test_mutated_replies_never_crash(serve: Serve, rng: np.random.Generator) -> None:
    for whole in (with_length(GOOD), chunked(GOOD, 20), with_length(b'{"ErrorNumber": 0, "Value": [[1, 2], [3, 4]]}')):
        for _ in range(40):
            answer = bytearray(whole)
            for position in rng.integers(0, len(answer), rng.integers(1, 4)):
                answer[position] = rng.integers(0, 256)
            with contextlib.suppress(HttpError, AlpacaError):
                assert fetch_image(serve(bytes(answer)), 0, timeout_s=10).size


def test_time_is_not_spent_when_there_is_none(serve: Serve) -> None:
    began = time.monotonic()
    with pytest.raises(HttpTimeout):
        fetch_image(serve(b"", hang=True), 0, timeout_s=0.0)
    assert time.monotonic() - began < 10
