"""A temperature on a page, over loopback: read in time, and never more than it should."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from typing_extensions import override

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.devices.text_thermometers import UrlThermometer

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def page(answer: Answer) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        @override
        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/temperature?key=secret"
        server.shutdown()
        thread.join()


def replying(content: bytes, status: int = 200, length: int | None = None, **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content) if length is None else length))
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        try:
            handler.wfile.write(content)
        except OSError:  # the reader has read enough
            handler.close_connection = True

    return answer


def dripping(head: bytes, drops: bytes) -> Answer:
    """Send the head and then a drop each 20 ms, for 2 s at most or until the reader has gone."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        try:
            handler.wfile.write(head)
            for _ in range(100):
                handler.wfile.write(drops)
                time.sleep(0.02)
        except OSError:
            handler.close_connection = True

    return answer


def read(answer: Answer, timeout_s: float = 5.0) -> float | None:
    with page(answer) as url:
        return asyncio.run(UrlThermometer(url, timeout_s).temperature_c())


@pytest.mark.parametrize(
    ("answer", "temperature_c"),
    [
        (replying(b"-3,4 \xc2\xb0C\n"), -3.4),
        (replying(b'{"temperature": 4.5}'), 4.5),
        (replying(b"5 " + b" " * 1000), 5.0),
        (replying(b"5 " + b" " * 1_000_000), None),
        (replying(b"5", status=500), None),
        (replying(b"5", status=302, Location="/"), None),
        (replying(b"5", status=302), None),
        (replying(b"1", length=4), None),
        (replying(b"<html>5</html>"), None),
        (replying(b""), None),
    ],
)
def test_the_page_is_read(answer: Answer, temperature_c: float | None) -> None:
    assert read(answer) == temperature_c


def test_a_redirect_is_not_followed(caplog: pytest.LogCaptureFixture) -> None:
    requests_seen: list[str] = []

    def elsewhere(handler: BaseHTTPRequestHandler) -> None:
        requests_seen.append(handler.path)
        replying(b"5")(handler)

    with page(elsewhere) as url:
        assert read(replying(b"", status=301, Location=url)) is None
    assert not requests_seen
    assert "it has moved to" in caplog.text


@pytest.mark.parametrize(
    ("head", "drops"),
    [(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n5", b" "), (b"HTTP/1.1 200 OK\r\nX-Long: ", b"x"), (b"", b"")],
)
def test_a_page_that_drips_is_given_up_in_time(head: bytes, drops: bytes, caplog: pytest.LogCaptureFixture) -> None:
    assert read(dripping(head, drops), 0.3) is None
    # A client that waits to the end reports a truncated reply.
    assert "did not answer within 0.3 s" in caplog.text


def test_questions_do_not_pile_up_and_late_answers_are_dropped() -> None:
    may_answer, requests_seen = threading.Event(), []

    def late(handler: BaseHTTPRequestHandler) -> None:
        requests_seen.append(handler.path)
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Held: ")
        while not may_answer.wait(0.05):
            handler.wfile.write(b"x")
        handler.wfile.write(f"\r\nContent-Length: 1\r\n\r\n{len(requests_seen)}".encode())

    async def main(url: str) -> float | None:
        thermometer = UrlThermometer(url, 0.3)
        assert [await thermometer.temperature_c() for _ in range(5)] == [None] * 5
        assert len(requests_seen) == 1
        may_answer.set()
        reading_c = None
        while reading_c is None:
            await asyncio.sleep(0.01)
            reading_c = await thermometer.temperature_c()
        return reading_c

    with page(late) as url:
        assert asyncio.run(main(url)) == 2.0


def test_only_the_change_is_logged_and_no_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "alpaca_focus")
    status = 500

    def answer(handler: BaseHTTPRequestHandler) -> None:
        replying(b"5", status=status)(handler)

    with page(answer) as url:
        thermometer = UrlThermometer(url, 5.0)
        assert [asyncio.run(thermometer.temperature_c()) for _ in range(3)] == [None] * 3
        status = 200
        assert [asyncio.run(thermometer.temperature_c()) for _ in range(2)] == [5.0] * 2
    assert asyncio.run(thermometer.temperature_c()) is None
    log = [record for record in caplog.records if record.name.startswith("alpaca_focus")]
    assert [record.levelname for record in log] == ["WARNING", "INFO", "WARNING"]
    assert "HTTP status 500" in log[0].message
    assert "no connection to its server" in log[2].message
    assert "secret" not in caplog.text


@pytest.mark.parametrize("url", ["", "192.168.1.30", "ftp://host/x", "http://", "http://host:0/", "http://[::1", "/t"])
def test_what_is_no_address_is_explained(url: str) -> None:
    with pytest.raises(ConfigurationError, match="is not the address of a page"):
        asyncio.run(UrlThermometer(url, 1.0).connect())


def test_an_address_is_taken_and_named_without_its_password() -> None:
    thermometer = UrlThermometer("http://me:secret@127.0.0.1:8080/t.txt?key=secret", 1.0)
    asyncio.run(thermometer.connect())
    asyncio.run(thermometer.close())
    assert thermometer.name == "the temperature page 127.0.0.1:8080/t.txt"
