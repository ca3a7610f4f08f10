"""HTTP client for images, the management API and the gateway: asynchronous, streaming, one connection a request.

A body is received straight into the caller's memory. Cancelling the task ends a request at once. Connections are not
reused: an idle one blocks a server that serves one client at a time, and a request on one that the server just closes
may or may not have arrived (docs/decisions/0024-http-clients.md).
"""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httptools

CONNECT_TIMEOUT_S = 5.0
MAX_HEAD_BYTES = 65536
MAX_REPLY_BYTES = 4_000_000
"""Longest reply that `StreamedReply.whole` returns."""
_PIECE_BYTES = 65536
_BODYLESS = frozenset({204, 304})
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;.*)?\r\n", re.DOTALL)


class HttpError(Exception):
    """No usable reply: no connection, or a lost one. The message is a clause about the server."""


class HttpTimeout(HttpError):
    """A deadline passed."""


class BadReply(HttpError):
    """The reply is not HTTP, or not what was requested."""


class BadStatus(HttpError):
    """The HTTP status is not 200."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@asynccontextmanager
async def deadline(timeout_s: float | None, failure: str) -> AsyncIterator[None]:
    """Raise `HttpTimeout` when the context takes too long; `failure` is the message up to the number of seconds."""
    timeout = asyncio.timeout(timeout_s)
    try:
        async with timeout:
            yield
    except TimeoutError as error:
        if timeout.expired():
            raise HttpTimeout(f"{failure} {timeout_s:g} s") from error
        raise


def split_authority(authority: str) -> tuple[str, int]:
    """Return host and port of "host:port"; raise `ValueError` if it is something else."""
    parts = urlsplit(f"//{authority}")
    if not parts.hostname or parts.netloc != authority or "@" in authority:
        raise ValueError(f"The address of an Alpaca server is a host and a port, unlike {authority!r}.")
    return parts.hostname, parts.port or 80


def build_request(
    method: str,
    path: str,
    *,
    authority: str,
    query: bytes = b"",
    form: bytes | None = None,
    accept: str = "application/json",
) -> bytes:
    """Return an HTTP request; `query` and `form` are already encoded."""
    host = re.sub(r"%[^\]]*", "", authority)  # an IPv6 zone means something on this machine only (RFC 6874)
    lines = [
        f"{method} {path}".encode("ascii") + (b"?" + query if query else b"") + b" HTTP/1.1",
        b"Host: " + host.encode("ascii" if host.isascii() else "idna"),
    ]
    if accept:
        lines.append(b"Accept: " + accept.encode("latin-1"))
    if form is not None:
        lines += [b"Content-Type: application/x-www-form-urlencoded", b"Content-Length: %d" % len(form)]
    return b"\r\n".join([*lines, b"Connection: close", b"", form or b""])


async def send(authority: str, request: bytes, *, stall_timeout_s: float | None = None) -> "StreamedReply":
    """Send a request to the first of the server's addresses that answers; return the reply, its head already read.

    Args:
        authority: "host:port".
        request: From `build_request`.
        stall_timeout_s: Longest time without a byte; `None` for no limit.

    Raises:
        HttpError: No connection within `CONNECT_TIMEOUT_S`, a lost one, or a reply that is not HTTP.
        ValueError: The authority is not a host and a port.
    """
    host, port = split_authority(authority)
    async with deadline(CONNECT_TIMEOUT_S, "no connection within"):
        connection = await _connect(host, port)
    reply = StreamedReply(connection, stall_timeout_s)
    try:
        await reply.begin(request)
    except BaseException:
        reply.close()
        raise
    return reply


async def _connect(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    failure: Exception = OSError(f"the host {host} has no address")
    try:
        addresses = await _addresses(host, port)
    except (OSError, UnicodeError) as error:
        raise HttpError(f"no connection ({error})") from error
    for family, kind, protocol, _, address in addresses:
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(0)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(connection, address)
        except OSError as error:
            connection.close()
            failure = error
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise HttpError(f"no connection ({failure})") from failure


async def _addresses(host: str, port: int) -> Sequence[tuple[int, int, int, str, tuple[Any, ...]]]:
    """Return the host's addresses; a name is looked up in a thread."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)


class StreamedReply:
    """A reply whose body is received in pieces; the caller closes it.

    Its methods raise `HttpError` when the connection breaks or stalls, or when the data is not HTTP.

    Attributes:
        status: HTTP status.
        headers: Names in lower case and values, in the order received.
        length: The Content-Length, 0 for a status without a body, `None` if there is none or the body is chunked.
    """

    def __init__(self, connection: socket.socket, stall_timeout_s: float | None) -> None:
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.length: int | None = None
        self._connection = connection
        self._stall_timeout_s = stall_timeout_s
        self._loop = asyncio.get_running_loop()
        self._ahead, self._ahead_at = b"", 0
        self._received = 0
        self._is_chunked = False
        self._chunk_left: int | None = None
        self._is_complete = False

    def close(self) -> None:
        """Close the connection; may be called twice."""
        self._connection.close()

    async def begin(self, request: bytes) -> None:
        """Send the request and read the head of the reply."""
        try:
            await self._loop.sock_sendall(self._connection, request)
        except OSError as error:
            raise HttpError(f"the connection broke ({error})") from error
        while self.status < 200:  # 1xx replies precede the real one
            self._parse_head(await self._receive_until(b"\r\n\r\n", "it closed the connection without a reply"))

    def _parse_head(self, text: bytes) -> None:
        self.headers, self.length, self._is_chunked = [], None, False
        parser = httptools.HttpResponseParser(self)
        try:
            parser.feed_data(text)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise BadReply(f"its reply is not HTTP ({error})") from error
        self.status = int(parser.get_status_code())
        if self.status in _BODYLESS:
            self.length, self._is_chunked = 0, False
        elif self._is_chunked:
            self.length = None

    def on_header(self, name: bytes, value: bytes) -> None:
        """Store a header; called by the parser."""
        lower = name.decode("latin-1").lower()
        self.headers.append((lower, value.decode("latin-1")))
        if lower == "transfer-encoding":
            self._is_chunked |= b"chunked" in value.lower()
        elif lower == "content-length":
            self.length = int(value)

    def header(self, name: str) -> str:
        """Return a header's value, empty if there is none."""
        return next((value for known, value in self.headers if known == name), "")

    async def receive_into(self, memory: memoryview) -> int:
        """Receive the next bytes of the body; return how many, 0 at the end.

        The end is the last chunk or the end of the connection, not the Content-Length: some of the five servers do
        not count the 44 bytes of an image's header.
        """
        if self._is_chunked:
            if not self._chunk_left:
                await self._begin_chunk()
            memory = memory[: self._chunk_left]
            if not memory:
                return 0
        if self._ahead_at < len(self._ahead):
            count = min(len(self._ahead) - self._ahead_at, len(memory))
            memory[:count] = self._ahead[self._ahead_at : self._ahead_at + count]
            self._ahead_at += count
        else:
            count = await self._receive(memory)
        if self._chunk_left is not None:
            if count == 0:
                raise HttpError("it closed the connection in the middle of the reply")
            self._chunk_left -= count
        self._received += count
        return count

    async def fill(self, memory: memoryview) -> int:
        """Receive until the memory is full or the body ends; return how many bytes came."""
        filled = 0
        while filled < len(memory) and (count := await self.receive_into(memory[filled:])):
            filled += count
        return filled

    async def read(self, limit: int) -> bytearray:
        """Return the next `limit` bytes of the body, or the rest up to the Content-Length."""
        if self.length is not None:
            limit = min(limit, max(0, self.length - self._received))
        received = bytearray()
        piece = memoryview(bytearray(min(_PIECE_BYTES, limit)))
        while len(received) < limit and (count := await self.receive_into(piece[: limit - len(received)])):
            received += piece[:count]
        return received

    async def whole(self) -> bytes:
        """Return the whole body of at most `MAX_REPLY_BYTES`."""
        body = await self.read(MAX_REPLY_BYTES + 1)
        if len(body) > MAX_REPLY_BYTES:
            raise BadReply(f"its reply is longer than {MAX_REPLY_BYTES} bytes")
        self.check_complete(len(body))
        return bytes(body)

    def check_complete(self, received: int) -> None:
        """Raise `HttpError` if the body is shorter than its Content-Length."""
        if self.length is not None and received < self.length:
            raise HttpError(f"it closed the connection after {received} of {self.length} bytes")

    async def parts(self) -> AsyncIterator[bytes]:
        """Yield the body in parts as they arrive."""
        piece = memoryview(bytearray(_PIECE_BYTES))
        while count := await self.receive_into(piece):
            yield bytes(piece[:count])

    async def _begin_chunk(self) -> None:
        """Set `_chunk_left` to the size of the next chunk; 0 after the last one."""
        if self._is_complete:
            return
        closed = "it closed the connection in the middle of the reply"
        end_of_chunk = b"" if self._chunk_left is None else await self._receive_until(b"\r\n", closed)
        line = await self._receive_until(b"\r\n", closed)
        size = _CHUNK_SIZE.fullmatch(line)
        if size is None or end_of_chunk.strip(b"\r\n"):
            raise BadReply(f"it sent a malformed chunk ({line[:40]!r})")
        self._chunk_left = int(size[1], 16)
        self._is_complete = self._chunk_left == 0

    async def _receive_until(self, mark: bytes, closed: str) -> bytes:
        """Return the bytes up to and including a mark; `closed` is the message if the connection ends before."""
        while (end := self._ahead.find(mark, self._ahead_at)) < 0:
            self._ahead, self._ahead_at = self._ahead[self._ahead_at :], 0
            if len(self._ahead) > MAX_HEAD_BYTES:
                raise BadReply("its reply is not HTTP: a head or a chunk has no end")
            piece = memoryview(bytearray(_PIECE_BYTES))
            count = await self._receive(piece)
            if count == 0:
                raise HttpError(closed)
            self._ahead += piece[:count]
        start, self._ahead_at = self._ahead_at, end + len(mark)
        return self._ahead[start : self._ahead_at]

    async def _receive(self, memory: memoryview) -> int:
        try:
            async with deadline(self._stall_timeout_s, "it sent nothing for"):
                return await self._loop.sock_recv_into(self._connection, memory)
        except OSError as error:
            raise HttpError(f"the connection broke ({error})") from error
