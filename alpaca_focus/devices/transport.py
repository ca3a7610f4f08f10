"""HTTP transport under alpyca: blocking, for a worker thread, with a deadline for the whole request (decision 0024).

Each request has a connection of its own. Proxies of the environment are not used: devices are on the local network.
"""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlencode

import httptools

from alpaca_focus.alpaca.http import build_request
from alpaca_focus.devices.address import DeviceAddress

MAX_REPLY_BYTES = 4_000_000
"""Longest reply that is read; images, which may be longer, come through `alpaca.http`."""

_CHUNK_BYTES = 65536


class BrokenReply(Exception):
    """The reply is not valid HTTP; the message is the reason, without a full stop."""


class Deadline:
    """The end of a call, `duration_s` real seconds from now; another thread may cut the call short."""

    def __init__(self, duration_s: float) -> None:
        self.duration_s = duration_s
        self._ends_at = time.monotonic() + duration_s
        self._lock = threading.Lock()
        self._wake: Callable[[], object] | None = None
        self._is_cut = False

    def remaining_s(self) -> float:
        """Return the seconds left, more than zero.

        Raises:
            TimeoutError: None are left, or the call was cut short.
        """
        left_s = self._ends_at - time.monotonic()
        if left_s <= 0 or self._is_cut:
            raise TimeoutError
        return left_s

    def guard(self, wake: Callable[[], object]) -> None:
        """Call `wake`, in another thread, when the call is cut short.

        Raises:
            TimeoutError: The call was cut short already.
        """
        with self._lock:
            self._wake = wake
        self.remaining_s()

    def cut(self) -> None:
        """End the call now."""
        with self._lock:
            self._is_cut = True
            wake = self._wake
        if wake is not None:
            with contextlib.suppress(OSError, RuntimeError):  # the connection or the event loop is closed already
                wake()


@dataclass(frozen=True, slots=True)
class HttpReply:
    """The status and body of a reply."""

    status: int
    body: bytes


def send_request(
    address: DeviceAddress,
    method: str,
    path: str,
    deadline: Deadline,
    *,
    query: Mapping[str, object] | None = None,
    form: Mapping[str, object] | None = None,
) -> HttpReply:
    """Send one request and read the whole reply.

    Raises:
        TimeoutError: The deadline has passed, even if bytes were still arriving slowly.
        OSError: No connection, or it broke.
        BrokenReply: The reply is not HTTP, or longer than `MAX_REPLY_BYTES`.
    """
    request = build_request(
        method,
        path,
        authority=address.authority,
        query=urlencode(query or {}).encode(),
        form=None if form is None else urlencode(form).encode(),
    )
    with _connected(address, deadline) as connection:
        connection.settimeout(deadline.remaining_s())
        connection.sendall(request)
        return _read_reply(connection, deadline)


def _connected(address: DeviceAddress, deadline: Deadline) -> socket.socket:
    """Connect to the first of the host's addresses that answers."""
    failure: OSError = TimeoutError()
    for family, kind, protocol, _, where in socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM):
        connection = socket.socket(family, kind, protocol)
        try:
            deadline.guard(partial(connection.shutdown, socket.SHUT_RDWR))
            connection.settimeout(deadline.remaining_s())
            connection.connect(where)
        except OSError as error:
            connection.close()
            failure = error
        else:
            return connection
    raise failure


class _ReplyParser:
    """Collects the body of a reply from `httptools`."""

    def __init__(self) -> None:
        self.body = bytearray()
        self.has_headers = False
        self.has_known_end = False
        self.is_complete = False
        self.http = httptools.HttpResponseParser(self)

    def on_header(self, name: bytes, _value: bytes) -> None:
        self.has_known_end |= name.lower() in {b"content-length", b"transfer-encoding"}

    def on_headers_complete(self) -> None:
        self.has_headers = True

    def on_body(self, part: bytes) -> None:
        self.body += part

    def on_message_complete(self) -> None:
        self.is_complete = self.http.get_status_code() >= 200  # 1xx: the real reply follows

    def feed(self, part: bytes) -> None:
        try:
            self.http.feed_data(part)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if not self.is_complete:  # what comes after the end of the reply does not matter
                raise BrokenReply(f"it is not HTTP ({error})") from error


def _read_reply(connection: socket.socket, deadline: Deadline) -> HttpReply:
    parser = _ReplyParser()
    while not parser.is_complete:
        connection.settimeout(deadline.remaining_s())
        part = connection.recv(_CHUNK_BYTES)
        if not part:
            break
        parser.feed(part)
        if len(parser.body) > MAX_REPLY_BYTES:
            raise BrokenReply(f"it is longer than {MAX_REPLY_BYTES} bytes")
    if not parser.has_headers:
        raise ConnectionResetError("the connection was closed without a reply")
    if parser.has_known_end and not parser.is_complete:
        raise ConnectionResetError("the connection was closed in the middle of the reply")
    return HttpReply(parser.http.get_status_code(), bytes(parser.body))
