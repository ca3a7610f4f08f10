"""Requests and replies, as passed between the HTTP server, an interceptor and the served devices.

Source: ASCOM Alpaca API Reference, chapters on JSON replies and on ImageBytes.
"""

import asyncio
import json
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from alpaca_focus.alpaca.errors import AlpacaError
from alpaca_focus.alpaca.imagebytes import ElementType, encode_image
from alpaca_focus.alpaca.jsonimage import json_pieces

TEXT_PLAIN = "text/plain; charset=utf-8"
JSON = "application/json"
IMAGE_BYTES = "application/imagebytes"
IMAGE_MEMBERS = frozenset({"imagearray", "imagearrayvariant"})

Body: TypeAlias = bytes | Sequence[bytes | memoryview] | AsyncIterable[bytes | memoryview]
"""A reply's body: one piece, several that are sent without joining them, or a stream of pieces.

A stream may reuse its memory, as the next piece is requested when the one before is sent. Its `aclose` is called."""


class BodyBrokenOff(Exception):
    """Raised by a stream that cannot go on; the client's connection is closed in the middle of the reply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageReply:
    """The Value of ImageArray; the arguments of `imagebytes.encode_image`."""

    pixels: NDArray[np.generic]
    transmission: ElementType | None = None
    element: ElementType | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """One request to the device API, not yet checked.

    Attributes:
        method: HTTP method, any.
        device_type: From the path, as is `member`.
        parameters: Names and values as sent, from the query of a GET or the form of a PUT.
        query: Names and values of the query, also of a PUT.
        sent_query: The query, not decoded.
        sent_form: The form of a PUT, not decoded.
        accept: The Accept header, empty if there is none.
        client_id: ClientID, 0 if absent, as is `client_transaction_id`.
        server_transaction_id: This server's number of the request.
    """

    method: str
    device_type: str
    device_number: int
    member: str
    parameters: Mapping[str, str]
    query: Mapping[str, str]
    accept: str
    client_id: int
    client_transaction_id: int
    server_transaction_id: int
    sent_query: bytes = b""
    sent_form: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One HTTP reply.

    With any of the last four attributes the reply bypasses the HTTP server, which refuses to send invalid replies:
    for simulated faults, and for invalid replies that the gateway passes on. The connection is closed afterwards.

    Attributes:
        content_type: The Content-Type header; empty for none.
        headers: Further headers.
        declared_length: The Content-Length, where it is not the body's own or the body is a stream.
        cut_after: Bytes of the body after which the connection is closed.
        stall_after: Bytes of the body after which nothing more is sent, with the connection left open.
        hang_up: Send nothing, close the connection.
    """

    status: int = 200
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    body: Body = b""
    declared_length: int | None = None
    cut_after: int | None = None
    stall_after: int | None = None
    hang_up: bool = False


Handler: TypeAlias = Callable[[ApiRequest], Awaitable[Reply]]
"""Answers a request."""

Interceptor: TypeAlias = Callable[[ApiRequest, Handler], Awaitable[Reply]]
"""Gets every request to a device: passes it on, changes it or the reply, or never answers."""


async def value_reply(request: ApiRequest, value: Any) -> Reply:
    """Return the reply with a Value: anything for JSON, or an `ImageReply`, in the requested format."""
    if isinstance(value, ImageReply):
        return await _image_reply(request, value)
    return Reply(body=json.dumps(_common_fields(request) | {"Value": value}, allow_nan=False).encode())


def done_reply(request: ApiRequest) -> Reply:
    """Return the reply to a member without a Value that succeeded."""
    return Reply(body=json.dumps(_common_fields(request)).encode())


def error_reply(request: ApiRequest, error: AlpacaError) -> Reply:
    """Return the reply with an error: JSON, also in place of an image, since ASCOM's client ignores other errors."""
    fields = _common_fields(request, error_number=error.number, error_message=error.message)
    return Reply(body=json.dumps(fields).encode())


def text_reply(status: int, sentence: str, *, headers: tuple[tuple[str, str], ...] = ()) -> Reply:
    """Return a plain-text reply, for a request that reaches no device."""
    return Reply(status=status, content_type=TEXT_PLAIN, headers=headers, body=sentence.encode())


def _common_fields(request: ApiRequest, *, error_number: int = 0, error_message: str = "") -> dict[str, Any]:
    return {
        "ClientTransactionID": request.client_transaction_id,
        "ServerTransactionID": request.server_transaction_id,
        "ErrorNumber": int(error_number),
        "ErrorMessage": error_message,
    }


def _numbers(request: ApiRequest) -> dict[str, int]:
    return {
        "client_transaction_id": request.client_transaction_id,
        "server_transaction_id": request.server_transaction_id,
    }


def wants_image_bytes(request: ApiRequest) -> bool:
    """Return whether an image is requested as ImageBytes."""
    return request.member in IMAGE_MEMBERS and IMAGE_BYTES in request.accept.lower()


async def _image_reply(request: ApiRequest, image: ImageReply) -> Reply:
    if not wants_image_bytes(request):
        return Reply(body=_in_worker_thread(json_pieces(image.pixels, _common_fields(request))))
    # In a thread, because an image that is not in Fortran order has to be transposed first.
    encode = partial(
        encode_image, image.pixels, transmission=image.transmission, element=image.element, **_numbers(request)
    )
    header, body = await asyncio.to_thread(encode)
    return Reply(content_type=IMAGE_BYTES, body=(header, body))


async def _in_worker_thread(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the items of a slow iterator, each computed in a worker thread."""
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece
