"""Fetches a camera's image straight into a numpy array, with a deadline, and stoppable.

Alpaca clients ask for ImageBytes and take JSON as well. Real servers deviate: a Content-Length without the 44 bytes of
the header, a wrong Content-Type, an error in place of pixels. So what came is told by its first bytes, and how much
belongs to it by the ImageBytes header.
"""

import io
import re
import threading
from email.message import Message
from http.client import HTTPException, parse_headers

import numpy as np
from numpy.typing import NDArray

from alpaca_focus.alpaca.connection import (
    Connection,
    ImageCancelled,
    ImageMalformed,
    ImageRefused,
    ImageTimeout,
    ImageTransferError,
    ImageTruncated,
    ImageUnreachable,
)
from alpaca_focus.alpaca.errors import AlpacaError
from alpaca_focus.alpaca.imagebytes import (
    HEADER_BYTES,
    MAX_PIXELS,
    METADATA_VERSION,
    Header,
    ImageBytesError,
    decode_error,
    empty_image,
)
from alpaca_focus.alpaca.jsonimage import JsonImageError, parse_json_image

__all__ = [
    "ImageCancelled",
    "ImageMalformed",
    "ImageRefused",
    "ImageTimeout",
    "ImageTransferError",
    "ImageTruncated",
    "ImageUnreachable",
    "fetch_image",
    "is_image_bytes",
]

MAX_TEXT_BYTES = 1 << 30
"""Longest JSON reply; a frame of 61 million pixels has about 350 million bytes."""
_MAX_HEAD_BYTES = 65536
_TEXT_PIECE_BYTES = 1 << 20
_EXCERPT_BYTES = 120
_CRLF = b"\r\n"
_CRLF_ONLY = re.compile(rb"\r\n")
_CHUNK_SIZE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;.*)?\r\n", re.DOTALL)
_LENGTH = re.compile(r"[0-9]{1,18}")
_VERSION_MARK = METADATA_VERSION.to_bytes(4, "little")


def fetch_image(
    base_url: str,
    device_number: int,
    *,
    timeout_s: float,
    stall_timeout_s: float = 10.0,
    cancel: threading.Event | None = None,
    client_id: int = 0,
    client_transaction_id: int = 0,
    max_pixels: int = MAX_PIXELS,
) -> NDArray[np.generic]:
    """Fetch the image of a camera's last exposure; blocks, so it belongs into a worker thread.

    Args:
        base_url: The server, for example "http://127.0.0.1:11111".
        device_number: Number of the camera.
        timeout_s: Time for the whole transfer.
        stall_timeout_s: Longest time in which nothing may come.
        cancel: When set from another thread, the transfer ends within a tenth of a second.
        client_id: The client's number for itself.
        client_transaction_id: The client's number for this request.
        max_pixels: More values than this are taken for a garbled header.

    Returns:
        Values in ADU of the type they were sent in, shape (rows, columns) or (rows, columns, planes): a view in
        Fortran order (see `imagebytes`).

    Raises:
        AlpacaError: The camera answered with an error.
        ImageTransferError: `ImageUnreachable`, `ImageTimeout`, `ImageCancelled`, `ImageTruncated`, `ImageMalformed` or
            `ImageRefused`.
        ValueError: `base_url` is not that of an HTTP server.
    """
    with Connection(base_url, timeout_s=timeout_s, stall_timeout_s=stall_timeout_s, cancel=cancel) as connection:
        _ask(connection, device_number, client_id, client_transaction_id)
        status, headers = _read_head(connection)
        body = _Body(connection, headers)
        if status != 200:
            said = _excerpt(body.read(_EXCERPT_BYTES))
            raise ImageRefused(
                f"The camera's server {connection.name} refused the image with HTTP status {status}: {said}.",
                status=status,
            )
        try:
            return _read_image(body, max_pixels)
        except (ImageBytesError, JsonImageError) as error:
            raise ImageMalformed(f"The camera's server {connection.name} sent no usable image: {error}") from error


def is_image_bytes(base_url: str, device_number: int, *, timeout_s: float) -> bool:
    """Tell whether a server sends the image of a camera's last exposure as ImageBytes; its pixels are not fetched.

    Raises:
        ImageTransferError: No answer, or none with an image.
        ValueError: `base_url` is not that of an HTTP server.
    """
    with Connection(base_url, timeout_s=timeout_s, stall_timeout_s=timeout_s, cancel=None) as connection:
        _ask(connection, device_number, 0, 0)
        status, headers = _read_head(connection)
        begin = _Body(connection, headers).read(len(_VERSION_MARK))
        if status != 200:
            raise ImageRefused(f"{connection.name} refused the image with HTTP status {status}.", status=status)
    return begin == _VERSION_MARK


def _ask(connection: Connection, device_number: int, client_id: int, client_transaction_id: int) -> None:
    target = (
        f"{connection.path}/api/v1/camera/{device_number}/imagearray"
        f"?ClientID={client_id}&ClientTransactionID={client_transaction_id}"
    )
    connection.send(
        f"GET {target} HTTP/1.1\r\nHost: {connection.host_header}\r\n"
        "Accept: application/imagebytes, application/json\r\nConnection: close\r\n\r\n".encode()
    )


def _read_head(connection: Connection) -> tuple[int, Message]:
    head = connection.receive_until(_CRLF + _CRLF, limit=_MAX_HEAD_BYTES)
    status_line, _, lines = head.partition(_CRLF)
    words = status_line.split(maxsplit=2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
        raise ImageMalformed(f"The camera's server {connection.name} does not speak HTTP: {_excerpt(status_line)}.")
    try:
        return int(words[1]), parse_headers(io.BytesIO(lines))
    except HTTPException as error:
        raise ImageMalformed(f"The camera's server {connection.name} sent too many HTTP headers ({error}).") from error


class _Body:
    """The body of a reply, unpacked from chunks if it comes in chunks.

    Attributes:
        name: The server, for messages.
        declared_length: The Content-Length, `None` without one or if it comes in chunks.
    """

    def __init__(self, connection: Connection, headers: Message) -> None:
        self._connection = connection
        self.name = connection.name
        encoding = headers.get("Content-Encoding", "identity")
        if encoding.lower() != "identity":
            raise ImageMalformed(f"The camera's server {self.name} sent the image compressed ({encoding}), unasked.")
        self._chunked = "chunked" in headers.get("Transfer-Encoding", "").lower()
        self._chunk_left = 0
        self._between_chunks = False
        self._received = 0
        length = headers.get("Content-Length", "").strip()
        self.declared_length = int(length) if _LENGTH.fullmatch(length) and not self._chunked else None

    def fill(self, memory: memoryview) -> int:
        """Receive until the memory is full or the body has ended; return how many bytes came."""
        filled = 0
        while filled < len(memory):
            rest = memory[filled:]
            if self._chunked:
                if not self._next_chunk():
                    break
                rest = rest[: self._chunk_left]
            count = self._connection.receive_into(rest)
            if count == 0:
                break
            self._chunk_left -= count
            self._received += count
            filled += count
        return filled

    def read(self, limit: int) -> bytes:
        """Return the body, as much of it as is declared, but at most `limit` bytes."""
        if self.declared_length is not None:
            limit = min(limit, max(0, self.declared_length - self._received))
        received = bytearray()
        while len(received) < limit:
            piece = memoryview(bytearray(min(_TEXT_PIECE_BYTES, limit - len(received))))
            count = self.fill(piece)
            received += piece[:count]
            if count < len(piece):
                break
        return bytes(received)

    def _next_chunk(self) -> bool:
        """Be within a chunk that has bytes left; `False` after the last one."""
        if self._chunk_left:
            return True
        if self._between_chunks:
            self._check_chunk(self._connection.receive_until(_CRLF, limit=len(_CRLF)), _CRLF_ONLY)
        line = self._connection.receive_until(_CRLF, limit=_MAX_HEAD_BYTES)
        self._chunk_left = int(self._check_chunk(line, _CHUNK_SIZE)[1], 16)
        self._between_chunks = self._chunk_left > 0
        return self._between_chunks

    def _check_chunk(self, line: bytes, pattern: re.Pattern[bytes]) -> re.Match[bytes]:
        match = pattern.match(line)
        if match is None:
            raise ImageMalformed(f"The camera's server {self.name} sent a broken chunk: {_excerpt(line)}.")
        return match


def _read_image(body: _Body, max_pixels: int) -> NDArray[np.generic]:
    begin = body.read(HEADER_BYTES)
    if not begin and body.declared_length != 0:
        raise ImageTruncated(f"The camera's server {body.name} closed the connection before the image.")
    if begin and _VERSION_MARK.startswith(begin[: len(_VERSION_MARK)]):
        begin += _rest_of_header(body, len(begin))
        return _read_image_bytes(body, Header.parse(begin, max_pixels=max_pixels))
    if begin.lstrip()[:1] == b"{":
        return _read_json(body, begin, max_pixels)
    raise ImageMalformed(
        f"The camera's server {body.name} sent neither ImageBytes nor JSON but {len(begin)} bytes or more:"
        f" {_excerpt(begin)}."
    )


def _rest_of_header(body: _Body, received: int) -> bytes:
    """Return what a Content-Length without the header has cut off from the header itself, for a tiny image."""
    rest = bytearray(HEADER_BYTES - received)
    if body.fill(memoryview(rest)) < len(rest):
        raise ImageTruncated(f"The camera's server {body.name} closed the connection within the ImageBytes header.")
    return bytes(rest)


def _read_image_bytes(body: _Body, header: Header) -> NDArray[np.generic]:
    body.read(header.data_start - HEADER_BYTES)
    if header.error_number:
        raise decode_error(header, body.read(_MAX_HEAD_BYTES))
    _check_declared_length(body, header)
    pixels, memory = empty_image(header)
    received = body.fill(memory)
    if received < len(memory):
        raise ImageTruncated(
            f"The camera's server {body.name} closed the connection after {received} of {len(memory)} bytes of pixels."
        )
    if body.declared_length is None and body.fill(memoryview(bytearray(1))):
        raise ImageMalformed(f"The camera's server {body.name} sent more than the image that its header announces.")
    return pixels


def _check_declared_length(body: _Body, header: Header) -> None:
    """Refuse a header that does not belong to the pixels, as when a camera sends the settings of its next frame."""
    whole = header.data_start + header.payload_bytes
    # Some servers forget to count the header itself.
    if body.declared_length not in {None, whole, whole - HEADER_BYTES}:
        raise ImageMalformed(
            f"The camera's server {body.name} announces an image of {' x '.join(map(str, header.wire_shape))} values,"
            f" which has {whole} bytes, but a reply of {body.declared_length} bytes."
        )


def _read_json(body: _Body, begin: bytes, max_pixels: int) -> NDArray[np.generic]:
    text = begin + body.read(MAX_TEXT_BYTES)
    if body.declared_length is not None and len(text) < body.declared_length:
        raise ImageTruncated(
            f"The camera's server {body.name} closed the connection after {len(text)} of {body.declared_length} bytes."
        )
    fields, pixels = parse_json_image(text, max_pixels=max_pixels)
    number = fields.get("ErrorNumber") or 0
    if not isinstance(number, int):
        raise ImageMalformed(f"The camera's server {body.name} sent an error number that is none: {number!r}.")
    if number:
        raise AlpacaError(number, str(fields.get("ErrorMessage") or "The device gives no reason."))
    if pixels is None:
        raise ImageMalformed(f"The camera's server {body.name} sent a JSON reply without an image: {_excerpt(text)}.")
    return pixels


def _excerpt(data: bytes) -> str:
    return repr(data[:_EXCERPT_BYTES].decode("utf-8", errors="replace").strip())
