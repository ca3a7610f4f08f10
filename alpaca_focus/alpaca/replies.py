"""Values that travel between the HTTP server, an interceptor and the served devices."""

from collections.abc import AsyncIterable, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from alpaca_focus.alpaca.imagebytes import ElementType

TEXT_PLAIN = "text/plain; charset=utf-8"
JSON = "application/json"
IMAGE_BYTES = "application/imagebytes"

Body: TypeAlias = bytes | Sequence[bytes | memoryview] | AsyncIterable[bytes | memoryview]
"""A reply's body: one piece, several that are sent one after the other without joining them, or a stream of pieces.

A stream is asked for its next piece when the one before has left, so it may use the same memory again, and is closed by
its `aclose`, if it has one, however it ended."""


class BodyBrokenOff(Exception):
    """Raised by a stream that cannot go on: the connection to the client is dropped in the middle of the reply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageReply:
    """An image that a device answers with.

    Attributes:
        pixels: Shape (rows, columns) or (rows, columns, planes). Fortran order goes onto the wire without a copy.
        transmission: Element type on the wire; by default that of `pixels`.
        element: Element type that the image claims to have; by default Int32 for anything that fits into it.
    """

    pixels: NDArray[np.generic]
    transmission: ElementType | None = None
    element: ElementType | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """One request to the device API, before any device has looked at it.

    Attributes:
        method: "GET" or "PUT", or another one that will be refused.
        device_type: As it stands in the path.
        device_number: Number of the device within its type.
        member: As it stands in the path.
        parameters: Names and values as sent, from the query of a GET or the form of a PUT.
        query: Names and values of the query, also of a PUT.
        sent_query: The query as it came, not decoded.
        sent_form: The form of a PUT as it came, not decoded.
        accept: The Accept header, empty if there is none.
        client_id: The client's number for itself, 0 if absent.
        client_transaction_id: The client's number for this request, 0 if absent.
        server_transaction_id: This server's number for this request.
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

    With any of the last four attributes the reply goes past the HTTP server, which would refuse to send what breaks the
    rules: for simulated faults, and for what other servers send. The connection is closed afterwards.

    Attributes:
        status: HTTP status.
        content_type: The Content-Type header; empty for none.
        headers: Further headers.
        body: What is sent.
        declared_length: The Content-Length, where it is not the body's own or the body is a stream.
        cut_after: Bytes of the body after which the connection is dropped.
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
"""Stands before every request to a device: passes it on, changes it or the reply, or never answers."""
