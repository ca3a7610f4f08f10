"""One HTTP request to a device's server, on a connection of its own, and the reply as it comes.

Nothing here has a deadline but connecting: whoever waits decides how long, and cancels. The bytes of the body are
received straight into the caller's memory. A connection is not kept for the next request, so that no server that serves
one connection at a time is kept busy by an idle one, and there is never a doubt whether a request arrived.
"""

import asyncio
import socket
from collections import deque
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Any, Self

import httptools

CONNECT_TIMEOUT_S = 5.0
MAX_HEAD_BYTES = 65536
_END_OF_HEAD = b"\r\n\r\n"
_PIECE_BYTES = 65536
_BODYLESS = frozenset({204, 304})


class BrokenOff(Exception):
    """The server cannot be reached, broke the connection or does not speak HTTP; the message says which."""


class ReplyHead:
    """What stands before the body of a reply.

    Attributes:
        status: HTTP status.
        headers: Names in lower case and values, in the order of the wire.
        length: The Content-Length, 0 for a reply that cannot have a body, `None` if there is none.
        is_chunked: Whether the body comes in chunks.
    """

    def __init__(self) -> None:
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.length: int | None = None
        self.is_chunked = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header from the parser."""
        lower = name.decode("latin-1").lower()
        self.headers.append((lower, value.decode("latin-1")))
        if lower == "transfer-encoding":
            self.is_chunked |= b"chunked" in value.lower()
        elif lower == "content-length":
            self.length = int(value)

    def header(self, name: str) -> str:
        """Return a header's value, empty if there is none."""
        return next((value for known, value in self.headers if known == name), "")


class _ChunkParser:
    """Collects the parts of a body that comes in chunks."""

    def __init__(self) -> None:
        self.parts: deque[bytes] = deque()
        self.is_complete = False

    def on_body(self, part: bytes) -> None:
        self.parts.append(part)

    def on_message_complete(self) -> None:
        self.is_complete = True


class Exchange:
    """A connection for one request; a context manager that closes it."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._loop = asyncio.get_running_loop()
        self._head_bytes = b""
        self._ahead = memoryview(b"")

    @classmethod
    async def connect(cls, host: str, port: int) -> Self:
        """Connect to the first of the host's addresses that answers.

        Raises:
            BrokenOff: None does, within `CONNECT_TIMEOUT_S`.
        """
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                return cls(await _connected(host, port))
        except TimeoutError as error:
            raise BrokenOff(f"no connection within {CONNECT_TIMEOUT_S:.0f} s") from error
        except OSError as error:
            raise BrokenOff(f"no connection ({error})") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; may be called twice."""
        self._connection.close()

    async def ask(self, request: bytes) -> ReplyHead:
        """Send the request and return the head of the reply.

        Raises:
            BrokenOff: The connection broke, or what came is no HTTP.
        """
        try:
            await self._loop.sock_sendall(self._connection, request)
            while True:
                head = self._parsed(await self._read_head())
                if head.status >= 200:  # before that the server only says that more is to come
                    return head
        except OSError as error:
            raise BrokenOff(f"the connection broke ({error})") from error

    async def _read_head(self) -> bytes:
        received = bytearray(self._ahead)
        while (end := received.find(_END_OF_HEAD)) < 0:
            if len(received) > MAX_HEAD_BYTES:
                raise BrokenOff("what came is no HTTP: its head has no end")
            part = await self._loop.sock_recv(self._connection, _PIECE_BYTES)
            if not part:
                raise BrokenOff("it closed the connection without a reply")
            received += part
        end += len(_END_OF_HEAD)
        self._ahead = memoryview(bytes(received[end:]))
        return bytes(received[:end])

    def _parsed(self, text: bytes) -> ReplyHead:
        head = ReplyHead()
        parser = httptools.HttpResponseParser(head)
        try:
            parser.feed_data(text)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise BrokenOff(f"what came is no HTTP ({error})") from error
        head.status = int(parser.get_status_code())
        if head.status in _BODYLESS:
            head.length, head.is_chunked = 0, False
        elif head.is_chunked:
            head.length = None
        self._head_bytes = text
        return head

    async def receive_into(self, memory: memoryview) -> int:
        """Receive what comes next of the body into memory; return how many bytes, 0 at the end of the connection.

        Raises:
            BrokenOff: The connection broke.
        """
        if self._ahead:
            count = min(len(self._ahead), len(memory))
            memory[:count] = self._ahead[:count]
            self._ahead = self._ahead[count:]
            return count
        try:
            return await self._loop.sock_recv_into(self._connection, memory)
        except OSError as error:
            raise BrokenOff(f"the connection broke in the middle of the reply ({error})") from error

    async def fill(self, memory: memoryview) -> int:
        """Receive until the memory is full or the connection ends; return how many bytes came.

        Raises:
            BrokenOff: The connection broke.
        """
        filled = 0
        while filled < len(memory):
            count = await self.receive_into(memory[filled:])
            if count == 0:
                break
            filled += count
        return filled

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the parts of a body that comes in chunks.

        Raises:
            BrokenOff: The connection broke before the last chunk, or a chunk is none.
        """
        body = _ChunkParser()
        parser = httptools.HttpResponseParser(body)
        data: bytes | memoryview = self._head_bytes
        piece = memoryview(bytearray(_PIECE_BYTES))
        while True:
            try:
                parser.feed_data(data)
            except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
                if not body.is_complete:  # what comes after the end does not matter
                    raise BrokenOff(f"it sent a broken chunk ({error})") from error
            while body.parts:
                yield body.parts.popleft()
            if body.is_complete:
                return
            count = await self.receive_into(piece)
            if count == 0:
                raise BrokenOff("it closed the connection in the middle of the reply")
            data = piece[:count]

    async def rest(self) -> AsyncIterator[bytes]:
        """Yield what comes until the server closes the connection.

        Raises:
            BrokenOff: The connection broke.
        """
        piece = memoryview(bytearray(_PIECE_BYTES))
        while count := await self.receive_into(piece):
            yield bytes(piece[:count])


async def _connected(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    failure = OSError(f"the host {host} has no address")
    for family, kind, protocol, _, address in await _addresses(host, port):
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
    raise failure


async def _addresses(host: str, port: int) -> Sequence[tuple[int, int, int, str, tuple[Any, ...]]]:
    """Return the host's addresses; those of a name are asked for in a thread."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        return await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
