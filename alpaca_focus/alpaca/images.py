"""Downloads a camera's image straight into a numpy array.

Some of the five servers send a Content-Length without the 44 bytes of the header, ImageBytes that were not
requested, or an error as raw bytes. So the first bytes decide between ImageBytes and JSON, not the Content-Type, and
the ImageBytes header gives the length.
"""

import asyncio
from contextlib import closing

import numpy as np
from numpy.typing import NDArray

from alpaca_focus.alpaca.errors import AlpacaError
from alpaca_focus.alpaca.http import BadReply, BadStatus, HttpError, StreamedReply, build_request, deadline, send
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

MAX_TEXT_BYTES = 1 << 30
"""Longest JSON reply; a frame of 61 million pixels has about 350 million bytes."""
_MAX_ERROR_BYTES = 65536
_EXCERPT_BYTES = 120
_VERSION_MARK = METADATA_VERSION.to_bytes(4, "little")


async def fetch_image(
    authority: str,
    device_number: int,
    *,
    timeout_s: float,
    stall_timeout_s: float = 10.0,
    client_id: int = 0,
    client_transaction_id: int = 0,
    max_pixels: int = MAX_PIXELS,
) -> NDArray[np.generic]:
    """Return the image of a camera's last exposure.

    Args:
        authority: The server, "host:port".
        device_number: Number of the camera.
        timeout_s: Time for the whole transfer.
        stall_timeout_s: Longest time without a byte.
        client_id: ClientID of the request.
        client_transaction_id: ClientTransactionID of the request.
        max_pixels: A header that announces more values is taken for garbled.

    Returns:
        Values in ADU of the type sent, shape (rows, columns) or (rows, columns, planes), in Fortran order.

    Raises:
        AlpacaError: The camera answered with an error.
        HttpError: `HttpTimeout`, `BadStatus`, `BadReply`, or a lost connection.
        ValueError: The authority is not a host and a port.
    """
    request = _request(authority, device_number, client_id, client_transaction_id)
    async with deadline(timeout_s, "it sent no whole image within"):
        with closing(await send(authority, request, stall_timeout_s=stall_timeout_s)) as reply:
            await _check_head(reply)
            try:
                return await _read_image(reply, max_pixels)
            except (ImageBytesError, JsonImageError) as error:
                raise BadReply(f"it sent no usable image: {str(error).rstrip('.')}") from error


async def is_image_bytes(authority: str, device_number: int, *, timeout_s: float) -> bool:
    """Return whether a server sends a camera's image as ImageBytes, without fetching the pixels.

    Raises:
        HttpError: There is no answer, or no image.
    """
    async with deadline(timeout_s, "it sent no image within"):
        with closing(await send(authority, _request(authority, device_number))) as reply:
            await _check_head(reply)
            return await reply.read(len(_VERSION_MARK)) == _VERSION_MARK


async def read_image_begin(reply: StreamedReply) -> bytearray:
    """Return the first bytes of a body: the whole header if it is ImageBytes, even beyond the Content-Length."""
    begin = await reply.read(HEADER_BYTES)
    if begin and _VERSION_MARK.startswith(begin[: len(_VERSION_MARK)]):
        rest = bytearray(HEADER_BYTES - len(begin))
        begin += rest[: await reply.fill(memoryview(rest))]
    return begin


def _request(authority: str, device_number: int, client_id: int = 0, client_transaction_id: int = 0) -> bytes:
    query = f"ClientID={client_id}&ClientTransactionID={client_transaction_id}".encode()
    path = f"/api/v1/camera/{device_number}/imagearray"
    accept = "application/imagebytes, application/json"
    return build_request("GET", path, authority=authority, query=query, accept=accept)


async def _check_head(reply: StreamedReply) -> None:
    if reply.status != 200:
        text = _excerpt(await reply.read(_EXCERPT_BYTES))
        raise BadStatus(f"it refused the image with HTTP status {reply.status}: {text}", reply.status)
    encoding = reply.header("content-encoding")
    if encoding.lower() not in {"", "identity"}:
        raise BadReply(f"it sent the image compressed ({encoding}), which was not requested")


async def _read_image(reply: StreamedReply, max_pixels: int) -> NDArray[np.generic]:
    begin = await read_image_begin(reply)
    if not begin and reply.length != 0:
        raise HttpError("it closed the connection before the image")
    if begin and _VERSION_MARK.startswith(begin[: len(_VERSION_MARK)]):
        if len(begin) < HEADER_BYTES:
            raise HttpError("it closed the connection within the ImageBytes header")
        return await _read_image_bytes(reply, Header.parse(begin, max_pixels=max_pixels))
    if begin.lstrip()[:1] == b"{":
        return await _read_json(reply, begin, max_pixels)
    raise BadReply(f"it sent neither ImageBytes nor JSON but {len(begin)} bytes or more: {_excerpt(begin)}")


async def _read_image_bytes(reply: StreamedReply, header: Header) -> NDArray[np.generic]:
    await reply.fill(memoryview(bytearray(header.data_start - HEADER_BYTES)))
    if header.error_number:
        raise decode_error(header, bytes(await reply.read(_MAX_ERROR_BYTES)))
    # Some servers fill the header's dimensions from the present NumX and NumY, not from the frame.
    whole = header.data_start + header.payload_bytes
    if reply.length not in {None, whole, whole - HEADER_BYTES}:
        raise BadReply(
            f"its header announces an image of {' x '.join(map(str, header.wire_shape))} values, which has {whole}"
            f" bytes, but its reply has {reply.length} bytes"
        )
    pixels, memory = empty_image(header)
    received = await reply.fill(memory)
    if received < len(memory):
        raise HttpError(f"it closed the connection after {received} of {len(memory)} bytes of pixels")
    if reply.length is None and await reply.fill(memoryview(bytearray(1))):
        raise BadReply("it sent more than the image that its header announces")
    return pixels


async def _read_json(reply: StreamedReply, begin: bytearray, max_pixels: int) -> NDArray[np.generic]:
    text = begin
    text += await reply.read(MAX_TEXT_BYTES)
    reply.check_complete(len(text))
    # In a thread, because a large image takes seconds.
    fields, pixels = await asyncio.to_thread(parse_json_image, text, max_pixels=max_pixels)
    number = fields.get("ErrorNumber") or 0
    if not isinstance(number, int):
        raise BadReply(f"its error number is not a number: {number!r}")
    if number:
        raise AlpacaError(number, str(fields.get("ErrorMessage") or "The device gives no reason."))
    if pixels is None:
        raise BadReply(f"its JSON reply has no image: {_excerpt(text)}")
    return pixels


def _excerpt(data: bytearray) -> str:
    return repr(data[:_EXCERPT_BYTES].decode("utf-8", errors="replace").strip())
