"""One real device behind the gateway: requests are passed on to it as they came, and its replies back.

What a client sees is what it would have seen without the gateway: the same status, headers and bytes, the same
Content-Length even where it is wrong, and where the device's server is gone or breaks off, a connection that ends.
"""

import asyncio
import itertools
import json
import random
import re
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import structlog

from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from alpaca_focus.alpaca.imagebytes import HEADER_BYTES, Header, ImageBytesError
from alpaca_focus.alpaca.management import ManagementError, list_devices
from alpaca_focus.alpaca.replies import IMAGE_BYTES, ApiRequest, BodyBrokenOff, Reply
from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.gateway.exchange import BrokenOff, Exchange, ReplyHead
from alpaca_focus.gateway.passed_images import BufferPool, Loan, PassedImage

PIECE_BYTES = 4 << 20
"""Most bytes of an image that are received before they are sent on; usually what has come meanwhile is less."""
WHOLE_BYTES = 1 << 18
"""Replies up to this length are received whole, so that the connection to the client can be kept for its next call."""
LOOKUP_TIMEOUT_S = 5.0
_DECENT_STATUS = range(200, 600)
_UNKNOWN_DEVICE = frozenset({400, 404})
_OF_THE_CONNECTION = frozenset(
    {
        "connection",
        "content-length",
        "content-type",
        "keep-alive",
        "proxy-authenticate",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that belong to one connection, or that a `Reply` has a place for."""

log = structlog.get_logger(__name__)


class UpstreamLost(Exception):
    """The device's server cannot be reached, or broke the connection; the message is a sentence."""


class Upstream:
    """One real device, to which requests are passed on; belongs to one event loop.

    Attributes:
        device_type: Its type.
        authority: Its server, "host:port".
        unique_id: Its UniqueID, empty if the number is to be trusted.
        on_image: Called with every image, asked for as ImageBytes, that has passed completely to the client: in the
            event loop, so it has to be quick. It has to release the image; an image that comes while all memory is in
            use passes without being shown.
    """

    def __init__(
        self,
        device_type: DeviceType,
        *,
        authority: str,
        device_number: int,
        unique_id: str = "",
        on_image: Callable[[PassedImage], None] | None = None,
    ) -> None:
        """Describe where the device is; nothing is sent yet.

        Args:
            device_type: Its type.
            authority: Its server, "host:port".
            device_number: Its number; with a `unique_id` only for a server that does not list its devices.
            unique_id: Its UniqueID, or its name, by which the number is looked up at first and whenever the server was
                lost.
            on_image: See the attribute.

        Raises:
            ValueError: The authority is none.
        """
        parts = urlsplit(f"//{authority}")
        if not parts.hostname or parts.netloc != authority or "@" in authority:
            raise ValueError(f"The address of an Alpaca server is a host and a port, unlike {authority!r}.")
        self.device_type = device_type
        self.authority = authority
        self.unique_id = unique_id
        self.on_image = on_image
        self._host, self._port = parts.hostname, parts.port or 80
        self._number = device_number
        self._is_number_known = not unique_id
        self._is_lost = False
        self._looking = asyncio.Lock()
        self._pool = BufferPool()
        self._client_id = random.randint(1, 65535)  # noqa: S311 - a name among the clients of a server, not a secret
        self._transactions = itertools.count(1)

    @property
    def name(self) -> str:
        """What to call it in a message, for example "camera 0 at 127.0.0.1:11111"."""
        return f"{self.device_type} {self._number} at {self.authority}"

    async def forward(self, request: ApiRequest) -> Reply:
        """Pass a request on as it came and return the device's reply, however long it takes.

        A long reply is sent on while it comes. When the device's server is lost, the reply is to hang up.
        """
        try:
            exchange, head = await self._ask(
                request.method,
                request.member,
                query=request.sent_query,
                form=request.sent_form if request.method == "PUT" else None,
                accept=request.accept,
            )
        except UpstreamLost:
            return Reply(hang_up=True)
        stream = _Stream(self, exchange)
        try:
            return await self._reply(request, head, exchange, stream)
        except BrokenOff as error:
            self.lose(str(error))
            stream.close()
            return Reply(hang_up=True)
        except BaseException:
            stream.close()
            raise

    async def get(self, member: str, **parameters: object) -> Any:
        """Read a property for the gateway's own use and return its Value; waits as long as the device does.

        Raises:
            AlpacaError: The device refuses, or answers with something that is no Alpaca reply (UNSPECIFIED).
            UpstreamLost: Its server is lost.
        """
        return await self._own_question("GET", member, parameters)

    async def put(self, member: str, **parameters: object) -> Any:
        """Write a property or call a method for the gateway's own use; return its Value, `None` without one.

        Raises:
            AlpacaError: The device refuses, or answers with something that is no Alpaca reply (UNSPECIFIED).
            UpstreamLost: Its server is lost.
        """
        return await self._own_question("PUT", member, parameters)

    def lose(self, why: str) -> None:
        """Take note that the device's server is lost, and log it the first time."""
        if not self._is_lost:
            log.warning("The server of a device is lost to the gateway", device=self.name, why=why)
        self._is_lost = True
        self._is_number_known = not self.unique_id

    def _found(self) -> None:
        if self._is_lost:
            log.info("The server of a device is back", device=self.name)
        self._is_lost = False

    async def _own_question(self, method: str, member: str, parameters: Mapping[str, object]) -> Any:
        numbers = {"ClientID": self._client_id, "ClientTransactionID": next(self._transactions)}
        text = urlencode({**parameters, **numbers}).encode()
        is_put = method == "PUT"
        exchange, head = await self._ask(
            method,
            member,
            query=b"" if is_put else text,
            form=text if is_put else None,
            accept="application/json",
        )
        with exchange:
            try:
                body = await _whole(exchange, head)
            except BrokenOff as error:
                self.lose(str(error))
                raise self._lost(str(error)) from error
        return self._value(method, member, head.status, body)

    def _value(self, method: str, member: str, status: int, body: bytes) -> Any:
        try:
            reply = json.loads(body)
        except (ValueError, RecursionError):
            reply = None
        if status != 200 or not isinstance(reply, dict):
            said = body[:120].decode("utf-8", errors="replace").strip()
            raise AlpacaError(
                ErrorNumber.UNSPECIFIED,
                f"The {self.name} answers to {method} {member} with HTTP status {status} and {said!r}, which is no"
                " Alpaca reply.",
            )
        number = reply.get("ErrorNumber") or 0
        if number:
            raise AlpacaError(int(number), str(reply.get("ErrorMessage") or "The device gives no reason."))
        return reply.get("Value")

    async def _ask(
        self, method: str, member: str, *, query: bytes, form: bytes | None, accept: str
    ) -> tuple[Exchange, ReplyHead]:
        """Send a request; return the connection, which is the caller's to close, and the head of the reply.

        Raises:
            UpstreamLost: The device's server cannot be reached or broke the connection.
        """
        async with self._looking:
            await self._look_up_number()
        target = f"/api/v1/{self.device_type}/{self._number}/{quote(member, safe='')}".encode()
        try:
            exchange = await Exchange.connect(self._host, self._port)
            try:
                head = await exchange.ask(
                    _request(method, target, query=query, form=form, accept=accept, authority=self.authority)
                )
            except BaseException:
                exchange.close()
                raise
        except BrokenOff as error:
            self.lose(str(error))
            raise self._lost(str(error)) from error
        self._found()
        if head.status in _UNKNOWN_DEVICE:  # perhaps the server was started anew and numbers its devices in another way
            self._is_number_known = not self.unique_id
        return exchange, head

    def _lost(self, why: str) -> UpstreamLost:
        return UpstreamLost(f"The server of {self.name} is lost: {why}. See that it runs and can be reached.")

    async def _look_up_number(self) -> None:
        if self._is_number_known:
            return
        try:
            listed = await asyncio.to_thread(list_devices, f"http://{self.authority}", LOOKUP_TIMEOUT_S)
        except ManagementError as error:
            self.lose(str(error))
            raise self._lost(str(error).rstrip(".")) from error
        numbers = [
            device.number
            for device in listed or ()
            if device.device_type == self.device_type and self.unique_id in {device.unique_id, device.name}
        ]
        if listed is not None and not numbers:
            why = f"it lists no {self.device_type} with the unique id {self.unique_id}"
            self.lose(why)
            raise self._lost(why)
        self._number = numbers[0] if numbers else self._number
        self._is_number_known = True

    async def _reply(self, request: ApiRequest, head: ReplyHead, exchange: Exchange, stream: "_Stream") -> Reply:
        content_type = head.header("content-type")
        headers = tuple((name, value) for name, value in head.headers if name not in _OF_THE_CONNECTION)
        declared = head.length
        if declared is None:
            stream.pieces = exchange.chunks() if head.is_chunked else exchange.rest()
            if head.status in _DECENT_STATUS:
                return Reply(status=head.status, content_type=content_type, headers=headers, body=stream)
            raise BrokenOff(f"its HTTP status {head.status} is none")
        begin, length, is_image = b"", declared, False
        if content_type.partition(";")[0].strip().lower() == IMAGE_BYTES and head.status == 200:
            begin = await _received(exchange, max(declared, HEADER_BYTES) if declared else 0, HEADER_BYTES)
            length, is_image = _image_length(begin, declared)
        if not is_image and length <= WHOLE_BYTES:
            body = begin + await _received(exchange, max(0, length - len(begin)), length)
            stream.close()
            if len(body) < length:
                self.lose("it closed the connection in the middle of the reply")
            is_sound = len(body) == declared and head.status in _DECENT_STATUS
            return Reply(
                status=head.status,
                content_type=content_type,
                headers=headers,
                body=body,
                declared_length=None if is_sound else declared,
            )
        loan = self._pool.lend(length) if is_image and self.on_image and request.member == "imagearray" else None
        stream.loan = loan
        stream.pieces = self._sized_pieces(exchange, begin, length, loan)
        return Reply(
            status=head.status, content_type=content_type, headers=headers, body=stream, declared_length=declared
        )

    async def _sized_pieces(
        self, exchange: Exchange, begin: bytes, length: int, loan: Loan | None
    ) -> AsyncIterator[memoryview]:
        """Yield a body of known length, received into lent memory, or over and over into the same piece of it."""
        passed = 0
        piece = loan.memory if loan is not None else memoryview(bytearray(min(PIECE_BYTES, length)))
        piece[: len(begin)] = begin
        count = len(begin)
        while True:
            start = passed if loan is not None else 0
            if passed + count < length:
                room = piece[start + count : start + min(PIECE_BYTES, length - passed)]
                received = await exchange.receive_into(room)
                if received == 0:
                    raise BrokenOff("it closed the connection in the middle of the reply")
                count += received
            yield piece[start : start + count]
            passed += count
            count = 0
            if passed == length:
                break
        if loan is not None:
            self._show(PassedImage(loan))

    def _show(self, image: PassedImage) -> None:
        if self.on_image is None:
            image.release()
            return
        try:
            self.on_image(image)
        except Exception:
            image.release()
            log.exception("An image that passed through the gateway could not be looked at", device=self.name)


class _Stream:
    """The body of a reply that is sent on while it comes; owns the connection to the device and the lent memory.

    Attributes:
        pieces: The body.
        loan: The memory that it is received into, if it is kept.
    """

    def __init__(self, upstream: Upstream, exchange: Exchange) -> None:
        self.pieces: AsyncIterator[bytes | memoryview] | None = None
        self.loan: Loan | None = None
        self._upstream = upstream
        self._exchange = exchange

    async def __aiter__(self) -> AsyncIterator[bytes | memoryview]:
        if self.pieces is None:
            return
        try:
            async for piece in self.pieces:
                yield piece
        except BrokenOff as error:
            self._upstream.lose(str(error))
            raise BodyBrokenOff from error
        self.loan = None  # whoever was shown the image gives it back
        self.close()

    def close(self) -> None:
        self._exchange.close()
        if self.loan is not None:
            self.loan.give_back()

    async def aclose(self) -> None:
        self.close()


def _request(method: str, target: bytes, *, query: bytes, form: bytes | None, accept: str, authority: str) -> bytes:
    host = re.sub(r"%[^\]]*", "", authority)  # a zone means something on this machine only (RFC 6874)
    lines = [
        b"%s %s HTTP/1.1" % (method.encode("ascii"), target + b"?" + query if query else target),
        b"Host: " + host.encode("idna" if not host.isascii() else "ascii"),
    ]
    if accept:
        lines.append(b"Accept: " + accept.encode("latin-1"))
    if form is not None:
        lines.append(b"Content-Type: application/x-www-form-urlencoded")
        lines.append(b"Content-Length: %d" % len(form))
    return b"\r\n".join([*lines, b"Connection: close", b"", form or b""])


async def _received(exchange: Exchange, length: int, limit: int) -> bytes:
    """Receive that many bytes, at most `limit`; fewer when the connection ends before."""
    received = bytearray(min(length, limit))
    count = await exchange.fill(memoryview(received))
    return bytes(received[:count])


async def _whole(exchange: Exchange, head: ReplyHead) -> bytes:
    if head.length is None:
        return b"".join([part async for part in (exchange.chunks() if head.is_chunked else exchange.rest())])
    body = await _received(exchange, head.length, head.length)
    if len(body) < head.length:
        raise BrokenOff("it closed the connection in the middle of the reply")
    return body


def _image_length(begin: bytes, declared: int) -> tuple[int, bool]:
    """Return the length of what comes after the head, and whether it is an image.

    Some servers forget to count the header of an image, and clients that know it read on.
    """
    try:
        header = Header.parse(begin)
    except ImageBytesError:
        return declared, False
    if header.error_number:
        return declared, False
    whole = header.data_start + header.payload_bytes
    return (whole if declared == whole - HEADER_BYTES else declared), True
