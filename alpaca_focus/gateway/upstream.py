"""Passes requests on to a real device behind the gateway, and its replies back.

A client gets what it would get without the gateway: the same status, headers and bytes, the same Content-Length even
where it is wrong, and a closed connection where the device's server is down or closes its own. The exception is an
image as JSON where ImageBytes were requested: many clients can read only those (decision 0030).
"""

import asyncio
import itertools
import json
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from typing import Any
from urllib.parse import quote, urlencode

import structlog

from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from alpaca_focus.alpaca.http import HttpError, StreamedReply, build_request, send, split_authority
from alpaca_focus.alpaca.imagebytes import HEADER_BYTES, Header, ImageBytesError, decode_error, encode_image
from alpaca_focus.alpaca.images import MAX_TEXT_BYTES, read_image_begin
from alpaca_focus.alpaca.jsonimage import JsonImageError, parse_json_image
from alpaca_focus.alpaca.management import find_device, list_devices
from alpaca_focus.alpaca.replies import IMAGE_BYTES, ApiRequest, BodyBrokenOff, Reply, error_reply, wants_image_bytes
from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.gateway.passed_images import BufferPool, PassedImage

PIECE_BYTES = 4 << 20
"""Most bytes of an image that are received before they are sent on; usually fewer have arrived."""
WHOLE_BYTES = 1 << 18
"""Replies up to this length are received whole, so that the client's connection can be kept alive."""
LOOKUP_TIMEOUT_S = 5.0
_VALID_STATUS = range(200, 600)
_UNKNOWN_DEVICE = frozenset({400, 404})
# fmt: off
_CONNECTION_HEADERS = frozenset({
    "connection", "content-length", "content-type", "keep-alive", "proxy-authenticate", "proxy-connection", "te",
    "trailer", "transfer-encoding", "upgrade",
})
# fmt: on
"""Headers that belong to one connection, or that are fields of a `Reply`."""

log = structlog.get_logger(__name__)


class UpstreamLost(Exception):
    """The device's server cannot be reached, or closed the connection; the message is a sentence."""


class Upstream:
    """One real device, to which requests are passed on; belongs to one event loop.

    Args:
        device_type: Type of the device.
        authority: Its server, "host:port".
        device_number: Number of the device; with a `unique_id` used only if the server does not list its devices.
        unique_id: UniqueID or name by which the number is looked up at first and after the server was lost, because
            some servers number their devices anew at each start; empty to trust the number.
        on_image: Called in the event loop, so it has to be quick, with every image that was requested as ImageBytes and
            has passed completely to the client. It has to release the image. It is not called for an image that comes
            while all buffers are lent.

    Raises:
        ValueError: The authority is not a host and a port.
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
        split_authority(authority)
        self.device_type = device_type
        self.authority = authority
        self.unique_id = unique_id
        self.on_image = on_image
        self._number = device_number
        self._is_number_known = not unique_id
        self._is_lost = False
        self._lookup = asyncio.Lock()
        self._pool = BufferPool()
        self._client_id = random.randint(1, 65535)  # noqa: S311 - a name among the clients of a server, not a secret
        self._transactions = itertools.count(1)

    @property
    def name(self) -> str:
        """The device's name in messages, for example "camera 0 at 127.0.0.1:11111"."""
        return f"{self.device_type} {self._number} at {self.authority}"

    async def forward(self, request: ApiRequest) -> Reply:
        """Pass a request on unchanged and return the device's reply, however long it takes.

        A long reply is streamed. When the device's server is lost, the reply closes the connection.
        """
        form = request.sent_form if request.method == "PUT" else None
        try:
            upstream_reply = await self._send(request.method, request.member, request.sent_query, form, request.accept)
        except UpstreamLost:
            return Reply(hang_up=True)
        body = _PassedBody(self, upstream_reply)
        try:
            return await self._pass_on(request, upstream_reply, body)
        except HttpError as error:
            self.lose(str(error))
            body.close()
            return Reply(hang_up=True)
        except BaseException:
            body.close()
            raise

    async def get(self, member: str, **parameters: object) -> Any:
        """Return the Value of a property; there is no timeout.

        Raises:
            AlpacaError: The device refuses, or its answer is no Alpaca reply (UNSPECIFIED).
            UpstreamLost: Its server is lost.
        """
        return await self._call("GET", member, parameters)

    async def put(self, member: str, **parameters: object) -> Any:
        """Write a property or call a method; return its Value, `None` without one. Raises the same as `get`."""
        return await self._call("PUT", member, parameters)

    def lose(self, why: str) -> None:
        """Mark the device's server as lost, and log it the first time."""
        if not self._is_lost:
            log.warning("The gateway has lost the server of a device", device=self.name, why=why)
        self._is_lost = True
        self._is_number_known = not self.unique_id

    def _lost(self, why: str) -> UpstreamLost:
        self.lose(why)
        return UpstreamLost(f"The server of {self.name} is lost: {why}. Check that it runs and can be reached.")

    async def _call(self, method: str, member: str, parameters: dict[str, object]) -> Any:
        numbers = {"ClientID": self._client_id, "ClientTransactionID": next(self._transactions)}
        text = urlencode({**parameters, **numbers}).encode()
        query, form = (b"", text) if method == "PUT" else (text, None)
        with closing(await self._send(method, member, query, form, "application/json")) as reply:
            try:
                body = await reply.whole()
            except HttpError as error:
                raise self._lost(str(error)) from error
        try:
            fields = json.loads(body)
        except (ValueError, RecursionError):
            fields = None
        if reply.status != 200 or not isinstance(fields, dict):
            excerpt = body[:120].decode("utf-8", errors="replace").strip()
            raise AlpacaError(
                ErrorNumber.UNSPECIFIED,
                f"The {self.name} answers {method} {member} with HTTP status {reply.status} and {excerpt!r}, which is"
                " no Alpaca reply.",
            )
        number = fields.get("ErrorNumber") or 0
        if number:
            raise AlpacaError(int(number), str(fields.get("ErrorMessage") or "The device gives no reason."))
        return fields.get("Value")

    async def _send(self, method: str, member: str, query: bytes, form: bytes | None, accept: str) -> StreamedReply:
        """Send a request; return the reply, which the caller closes."""
        try:
            async with self._lookup:
                await self._look_up_number()
            path = f"/api/v1/{self.device_type}/{self._number}/{quote(member, safe='')}"
            request = build_request(method, path, authority=self.authority, query=query, form=form, accept=accept)
            reply = await send(self.authority, request)
        except HttpError as error:
            raise self._lost(str(error)) from error
        if self._is_lost:
            log.info("The server of a device is back", device=self.name)
        self._is_lost = False
        if reply.status in _UNKNOWN_DEVICE:  # a restarted server may number its devices differently, as OmniSim does
            self._is_number_known = not self.unique_id
        return reply

    async def _look_up_number(self) -> None:
        if self._is_number_known:
            return
        listed = await list_devices(self.authority, LOOKUP_TIMEOUT_S)
        if listed is not None:
            device = find_device(listed, self.device_type, self.unique_id)
            if device is None:
                raise HttpError(f"it lists no {self.device_type} with the unique id {self.unique_id}")
            self._number = device.number
        self._is_number_known = True

    async def _pass_on(self, request: ApiRequest, reply: StreamedReply, body: "_PassedBody") -> Reply:
        content_type = reply.header("content-type")
        headers = tuple((name, value) for name, value in reply.headers if name not in _CONNECTION_HEADERS)
        declared, is_valid = reply.length, reply.status in _VALID_STATUS
        is_image_bytes = content_type.partition(";")[0].strip().lower() == IMAGE_BYTES
        begin = b""
        if reply.status == 200 and (is_image_bytes or wants_image_bytes(request)):
            begin = bytes(await read_image_begin(reply))
            if wants_image_bytes(request) and begin.lstrip().startswith(b"{"):
                return await self._pass_on_json_image(request, reply, begin, body, headers)
            if is_image_bytes and (error := await _image_error(begin, reply)) is not None:
                body.close()
                return error_reply(request, error)
        if declared is None:
            if not is_valid:
                raise HttpError(f"its HTTP status {reply.status} is not valid")
            body.pieces = _parts(begin, reply)
            return Reply(status=reply.status, content_type=content_type, headers=headers, body=body)
        length, is_image = declared, False
        if is_image_bytes and reply.status == 200:
            length, is_image = _image_length(begin, declared)
        begin = begin[:length]
        if not is_image and length <= WHOLE_BYTES:
            whole = begin + await reply.read(length)
            body.close()
            if len(whole) < length:
                self.lose("it closed the connection in the middle of the reply")
            return Reply(
                status=reply.status,
                content_type=content_type,
                headers=headers,
                body=whole,
                declared_length=None if is_valid and len(whole) == declared else declared,
            )
        if is_image and self.on_image and request.member == "imagearray":
            body.image = self._pool.lend(length)
        body.pieces = body.sized_pieces(begin, length)
        return Reply(
            status=reply.status, content_type=content_type, headers=headers, body=body, declared_length=declared
        )

    async def _pass_on_json_image(
        self,
        request: ApiRequest,
        reply: StreamedReply,
        begin: bytes,
        body: "_PassedBody",
        headers: tuple[tuple[str, str], ...],
    ) -> Reply:
        """Return a JSON image as ImageBytes; an error as it came, which all clients understand."""
        text = begin + await reply.read(MAX_TEXT_BYTES)
        converted = await asyncio.to_thread(_as_image_bytes, text, request)
        if converted is None:
            body.close()
            is_whole = reply.length in {None, len(text)}
            return Reply(
                content_type=reply.header("content-type"),
                headers=headers,
                body=text,
                declared_length=None if is_whole else reply.length,
            )
        length = sum(map(len, converted))
        if self.on_image and request.member == "imagearray" and (image := self._pool.lend(length)) is not None:
            image.content[: len(converted[0])], image.content[len(converted[0]) :] = converted
            body.image, converted = image, (image.content,)
        body.pieces = _memory_pieces(converted)
        return Reply(content_type=IMAGE_BYTES, headers=headers, body=body, declared_length=length)


class _PassedBody:
    """The body of a reply that is streamed; owns the connection to the device and the lent buffer.

    Attributes:
        pieces: The body.
        image: The image that is received, if it is to be measured.
    """

    def __init__(self, upstream: Upstream, reply: StreamedReply) -> None:
        self.pieces: AsyncIterator[bytes | memoryview] | None = None
        self.image: PassedImage | None = None
        self._upstream = upstream
        self._reply = reply

    async def __aiter__(self) -> AsyncIterator[bytes | memoryview]:
        if self.pieces is None:
            return
        try:
            async for piece in self.pieces:
                yield piece
        except HttpError as error:
            self._upstream.lose(str(error))
            raise BodyBrokenOff from error
        self._reply.close()
        image, self.image = self.image, None
        if image is not None:
            try:
                (self._upstream.on_image or PassedImage.release)(image)
            except Exception:
                image.release()
                log.exception(
                    "An image that passed through the gateway could not be measured", device=self._upstream.name
                )

    async def sized_pieces(self, begin: bytes, length: int) -> AsyncIterator[memoryview]:
        """Yield a body of known length, received into the lent buffer or else into one piece of memory, reused."""
        lent = self.image.content if self.image is not None else None
        memory = memoryview(bytearray(min(PIECE_BYTES, length))) if lent is None else lent
        memory[: len(begin)] = begin
        passed, count = 0, len(begin)
        while passed < length or count:
            start = 0 if lent is None else passed
            if passed + count < length:
                received = await self._reply.receive_into(
                    memory[start + count : start + min(PIECE_BYTES, length - passed)]
                )
                if received == 0:
                    raise HttpError("it closed the connection in the middle of the reply")
                count += received
            yield memory[start : start + count]
            passed, count = passed + count, 0

    def close(self) -> None:
        """Close the connection and release the buffer; may be called twice."""
        self._reply.close()
        if self.image is not None:
            self.image.release()

    async def aclose(self) -> None:
        """Close, as async generators do, when the stream has ended."""
        self.close()


async def _parts(begin: bytes, reply: StreamedReply) -> AsyncIterator[bytes]:
    if begin:
        yield begin
    async for part in reply.parts():
        yield part


def _as_image_bytes(text: bytes, request: ApiRequest) -> tuple[memoryview, ...] | None:
    """Return header and values of a JSON reply with an image; `None` for an error or any other text."""
    try:
        fields, pixels = parse_json_image(text)
    except JsonImageError:
        return None
    if pixels is None or fields.get("ErrorNumber"):
        return None
    header, values = encode_image(
        pixels,
        client_transaction_id=request.client_transaction_id,
        server_transaction_id=request.server_transaction_id,
    )
    return memoryview(header), values


async def _memory_pieces(parts: Sequence[memoryview]) -> AsyncIterator[memoryview]:
    for part in parts:
        for start in range(0, len(part), PIECE_BYTES):
            yield part[start : start + PIECE_BYTES]


async def _image_error(begin: bytes, reply: StreamedReply) -> AlpacaError | None:
    """Return the error of an ImageBytes reply; ASCOM's client library does not see it there, but in JSON it does."""
    try:
        header = Header.parse(begin)
    except ImageBytesError:
        return None
    if not header.error_number:
        return None
    return decode_error(header, begin[header.data_start :] + bytes(await reply.read(MAX_TEXT_BYTES)))


def _image_length(begin: bytes, declared: int) -> tuple[int, bool]:
    """Return the length of the body, and whether it is an image.

    Some of the five servers leave the 44 bytes of the header out of the
    Content-Length, and clients read on after it.
    """
    try:
        header = Header.parse(begin)
    except ImageBytesError:
        return declared, False
    if header.error_number:
        return declared, False
    whole = header.data_start + header.payload_bytes
    return (whole if declared == whole - HEADER_BYTES else declared), True
