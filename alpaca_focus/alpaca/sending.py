"""How a `Reply` leaves over HTTP, also one that misbehaves on purpose."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from http import HTTPStatus
from typing import cast

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from alpaca_focus.alpaca.replies import Reply

CHUNK_BYTES = 1 << 20
"""Bytes handed to the transport at a time: enough to keep it busy, little enough to serve other devices between."""
TRANSPORT = "transport"
"""Name in the ASGI scope's state under which the server leaves the connection's transport."""


class WireResponse(Response):
    """Sends a `Reply`."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(status_code=reply.status)
        self._reply = reply

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the reply over ASGI, or past it if it is to break the rules of HTTP."""
        reply = self._reply
        if reply.declared_length is not None or reply.cut_after is not None or reply.stall_after is not None:
            await _misbehave(reply, scope["state"][TRANSPORT], receive)
            return
        await send({"type": "http.response.start", "status": reply.status, "headers": _headers(reply)})
        async for piece in _pieces(reply):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _headers(reply: Reply) -> list[tuple[bytes, bytes]]:
    headers = [("content-type", reply.content_type), *reply.headers]
    length = _length(reply) if reply.declared_length is None else reply.declared_length
    if length is not None:
        headers.append(("content-length", str(length)))
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def _length(reply: Reply) -> int | None:
    if isinstance(reply.body, bytes):
        return len(reply.body)
    if isinstance(reply.body, AsyncIterable):
        return None
    return sum(len(piece) for piece in reply.body)


async def _pieces(reply: Reply) -> AsyncIterator[bytes]:
    """Yield the body in pieces of at most `CHUNK_BYTES`; large ones are views, not copies."""
    if isinstance(reply.body, AsyncIterable):
        async for text in reply.body:
            yield text
        return
    for whole in (reply.body,) if isinstance(reply.body, bytes) else reply.body:
        if len(whole) <= CHUNK_BYTES:
            # ASGI speaks of bytes; the server passes a view on to the transport as it is.
            yield cast("bytes", whole)
            continue
        view = memoryview(whole)
        for start in range(0, len(view), CHUNK_BYTES):
            yield cast("bytes", view[start : start + CHUNK_BYTES])


async def _misbehave(reply: Reply, transport: asyncio.Transport, receive: Receive) -> None:
    """Write to the connection directly, because a decent HTTP server refuses to send what is wrong."""
    limit = min((n for n in (reply.cut_after, reply.stall_after) if n is not None), default=None)
    lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}".encode("latin-1")]
    lines += [name + b": " + value for name, value in _headers(reply)]
    transport.write(b"\r\n".join([*lines, b"connection: close", b"", b""]))
    sent = 0
    async for piece in _pieces(reply):
        rest = piece if limit is None else piece[: limit - sent]
        transport.write(rest)
        sent += len(rest)
        if limit is not None and sent >= limit:
            break
    if reply.stall_after is None or (reply.cut_after is not None and reply.cut_after <= reply.stall_after):
        transport.close()
    while (await receive())["type"] != "http.disconnect":
        pass
