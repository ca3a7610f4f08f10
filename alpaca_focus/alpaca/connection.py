"""A TCP connection that has a deadline, notices a stall and can be cancelled from another thread.

The standard library's HTTP client has a timeout for every single read only, believes the Content-Length and cannot be
stopped. Here the reader says how many bytes it wants, and they are received straight into its memory.
"""

import contextlib
import os
import re
import select
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_CANCEL_POLL_S = 0.05
_READ_AHEAD_BYTES = 4096


class ImageTransferError(Exception):
    """An image did not arrive; the message says from where and why."""


class ImageUnreachable(ImageTransferError):
    """There is no connection to the server."""


class ImageTimeout(ImageTransferError):
    """The deadline of the transfer has passed, or nothing came for too long."""


class ImageTruncated(ImageTransferError):
    """The connection ended before the whole reply had come."""


class ImageMalformed(ImageTransferError):
    """What came is no image."""


class ImageCancelled(ImageTransferError):
    """The transfer was given up because the caller asked for it."""


class ImageRefused(ImageTransferError):
    """The server answered with an HTTP status other than 200.

    Attributes:
        status: The HTTP status.
    """

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class Connection:
    """A connection for one HTTP exchange; a context manager that closes it.

    Attributes:
        name: Host and port, as they stand in the URL.
        path: The path of the URL, without a slash at its end.
    """

    def __init__(
        self, base_url: str, *, timeout_s: float, stall_timeout_s: float, cancel: threading.Event | None
    ) -> None:
        """Connect.

        Args:
            base_url: For example "http://127.0.0.1:11111".
            timeout_s: Time for the whole exchange, from now.
            stall_timeout_s: Longest time in which nothing may come.
            cancel: When set, ends a wait within a tenth of a second.

        Raises:
            ValueError: The URL is not that of an HTTP server.
            ImageTransferError: `ImageUnreachable`, `ImageTimeout` or `ImageCancelled`.
        """
        parts = urlsplit(base_url)
        if parts.scheme != "http" or parts.hostname is None:
            raise ValueError(f"The address of an Alpaca server begins with http:// and a host, unlike {base_url!r}.")
        self.name = parts.netloc
        self.path = parts.path.rstrip("/")
        self._timeout_s = timeout_s
        self._stall_timeout_s = stall_timeout_s
        self._deadline = time.monotonic() + timeout_s
        self._cancel = cancel
        self._ahead = b""
        self._socket = self._connect(parts.hostname, parts.port or 80)

    @property
    def host_header(self) -> str:
        """Host and port without an IPv6 zone, which means something on this machine only (RFC 6874)."""
        return re.sub(r"%[^\]]*", "", self.name)

    def _connect(self, host: str, port: int) -> socket.socket:
        try:
            candidates = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise ImageUnreachable(f"The camera's server {self.name} has no address ({error}).") from error
        reason = ""
        for family, kind, protocol, _, address in candidates:
            with contextlib.ExitStack() as unless_connected:
                candidate = unless_connected.enter_context(socket.socket(family, kind, protocol))
                candidate.settimeout(0)
                candidate.connect_ex(address)
                self._wait(candidate, select.POLLOUT, "accepted no connection")
                failure = candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if not failure:
                    unless_connected.pop_all()
                    return candidate
                reason = os.strerror(failure)
        raise ImageUnreachable(f"The camera's server {self.name} cannot be reached ({reason}).")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """Send all of the data."""
        while data:
            sent = self._without_waiting(partial(self._socket.send, data), select.POLLOUT, "took no data")
            data = data[sent:]

    def receive_into(self, memory: memoryview) -> int:
        """Receive what there is, at least a byte, and return how many; 0 at the end of the connection."""
        if self._ahead:
            count = min(len(memory), len(self._ahead))
            memory[:count] = self._ahead[:count]
            self._ahead = self._ahead[count:]
            return count
        return self._without_waiting(partial(self._socket.recv_into, memory), select.POLLIN, "sent nothing")

    def receive_until(self, mark: bytes, *, limit: int) -> bytes:
        """Receive up to and with a mark, which has to come within `limit` bytes."""
        received = bytearray()
        memory = memoryview(bytearray(_READ_AHEAD_BYTES))
        while (end := received.find(mark)) < 0:
            if len(received) > limit:
                raise ImageMalformed(f"The camera's server {self.name} sent something that is not HTTP.")
            count = self.receive_into(memory)
            if count == 0:
                raise ImageTruncated(f"The camera's server {self.name} closed the connection before its reply.")
            received += memory[:count]
        end += len(mark)
        self._ahead = bytes(received[end:]) + self._ahead
        return bytes(received[:end])

    def _without_waiting(self, attempt: Callable[[], int], event: int, complaint: str) -> int:
        """Try at once, and wait only when there is nothing to be had."""
        while True:
            self._check_time()
            try:
                return attempt()
            except BlockingIOError:
                self._wait(self._socket, event, complaint)
            except OSError as error:
                raise ImageTruncated(f"The connection to the camera's server {self.name} broke ({error}).") from error

    def _check_time(self) -> float:
        """Return the time, if there is any left."""
        if self._cancel is not None and self._cancel.is_set():
            raise ImageCancelled(f"The transfer of an image from {self.name} was cancelled.")
        now = time.monotonic()
        if now >= self._deadline:
            raise ImageTimeout(f"The camera's server {self.name} sent no whole image within {self._timeout_s:g} s.")
        return now

    def _wait(self, connection: socket.socket, event: int, complaint: str) -> None:
        poller = select.poll()
        poller.register(connection, event)
        stalled_at = time.monotonic() + self._stall_timeout_s
        while True:
            now = self._check_time()
            if now >= stalled_at:
                raise ImageTimeout(f"The camera's server {self.name} {complaint} for {self._stall_timeout_s:g} s.")
            wait_s = min(self._deadline, stalled_at) - now
            if self._cancel is not None:
                wait_s = min(wait_s, _CANCEL_POLL_S)
            if poller.poll(1000 * wait_s):
                return
