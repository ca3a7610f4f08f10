"""Replies to requests of the device API: a value, nothing, an error, or a sentence with an HTTP status.

Source: ASCOM Alpaca API Reference, chapters on JSON replies and on ImageBytes.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

from alpaca_focus.alpaca.errors import AlpacaError
from alpaca_focus.alpaca.imagebytes import encode_error, encode_image
from alpaca_focus.alpaca.jsonimage import json_pieces
from alpaca_focus.alpaca.replies import IMAGE_BYTES, TEXT_PLAIN, ApiRequest, ImageReply, Reply

IMAGE_MEMBERS = frozenset({"imagearray", "imagearrayvariant"})


async def value_reply(request: ApiRequest, value: Any) -> Reply:
    """Return the reply with a Value: anything for JSON, or an `ImageReply`, sent in the form that was asked for."""
    if isinstance(value, ImageReply):
        return await _image_reply(request, value)
    return Reply(body=json.dumps(_common_fields(request) | {"Value": value}, allow_nan=False).encode())


def done_reply(request: ApiRequest) -> Reply:
    """Return the reply to a member without a Value that did what it was asked to."""
    return Reply(body=json.dumps(_common_fields(request)).encode())


def error_reply(request: ApiRequest, error: AlpacaError) -> Reply:
    """Return the reply of a device that refuses: JSON, or ImageBytes where an image was asked for in that form."""
    if _wants_image_bytes(request):
        body = encode_error(
            error.number,
            error.message,
            client_transaction_id=request.client_transaction_id,
            server_transaction_id=request.server_transaction_id,
        )
        return Reply(content_type=IMAGE_BYTES, body=body)
    fields = _common_fields(request, error_number=error.number, error_message=error.message)
    return Reply(body=json.dumps(fields).encode())


def text_reply(status: int, sentence: str, *, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """Return the reply to a request that no device has seen: an HTTP status and a sentence for people."""
    return Reply(status=status, content_type=TEXT_PLAIN, headers=headers, body=sentence.encode())


def _common_fields(request: ApiRequest, *, error_number: int = 0, error_message: str = "") -> dict[str, Any]:
    return {
        "ClientTransactionID": request.client_transaction_id,
        "ServerTransactionID": request.server_transaction_id,
        "ErrorNumber": int(error_number),
        "ErrorMessage": error_message,
    }


def _wants_image_bytes(request: ApiRequest) -> bool:
    return request.member in IMAGE_MEMBERS and IMAGE_BYTES in request.accept.lower()


async def _image_reply(request: ApiRequest, image: ImageReply) -> Reply:
    if not _wants_image_bytes(request):
        return Reply(body=_in_worker_thread(json_pieces(image.pixels, _common_fields(request))))
    # In a thread, because an image that is not in the order of the wire has to be turned round first.
    header, body = await asyncio.to_thread(
        encode_image,
        image.pixels,
        transmission=image.transmission,
        element=image.element,
        client_transaction_id=request.client_transaction_id,
        server_transaction_id=request.server_transaction_id,
    )
    return Reply(content_type=IMAGE_BYTES, body=(header, body))


async def _in_worker_thread(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield what a slow iterator gives, made piece by piece in a worker thread."""
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece
