"""How a `Reply` leaves over HTTP, also one that breaks the rules."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import aclosing
from http import HTTPStatus
from typing import cast

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from alpaca_focus.alpaca.replies import BodyBrokenOff, Reply

CHUNK_BYTES = 1 << 20
"""Bytes handed to the transport at a time: enough to keep it busy, little enough to serve other devices between."""
TRANSPORT = "transport"
"""Name in the ASGI scope's state under which the server leaves the connection's transport."""
_LOOK_AGAIN_S = 0.001


class WireResponse(Response):
    """Sends a `Reply`."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(status_code=reply.status)
        self._reply = reply

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the reply over ASGI, or past it if it is to break the rules of HTTP."""
        try:
            async with aclosing(_Pieces(self._reply)) as pieces:
                if await _sent_decently(self._reply, pieces, send):
                    return
                await _send_past_server(self._reply, pieces, scope["state"][TRANSPORT])
        except BodyBrokenOff:
            scope["state"][TRANSPORT].close()
        while (await receive())["type"] != "http.disconnect":
            pass


class _Pieces:
    """The pieces of a reply's body, at most `CHUNK_BYTES` long unless it is a stream; large ones are views, no copies.

    ASGI speaks of bytes; the server passes a view on to the transport as it is.
    """

    def __init__(self, reply: Reply) -> None:
        self._body = reply.body

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if isinstance(self._body, AsyncIterable):
            async for part in self._body:
                yield cast("bytes", part)
            return
        for whole in (self._body,) if isinstance(self._body, bytes) else self._body:
            if len(whole) <= CHUNK_BYTES:
                yield cast("bytes", whole)
                continue
            view = memoryview(whole)
            for start in range(0, len(view), CHUNK_BYTES):
                yield cast("bytes", view[start : start + CHUNK_BYTES])

    async def aclose(self) -> None:
        close = getattr(self._body, "aclose", None)
        if close is not None:
            await close()


async def _sent_decently(reply: Reply, pieces: _Pieces, send: Send) -> bool:
    """Send what keeps to the rules; `False` for what does not."""
    if reply.hang_up or {reply.declared_length, reply.cut_after, reply.stall_after} != {None}:
        return False
    await send({"type": "http.response.start", "status": reply.status, "headers": _headers(reply)})
    async for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
    return True


def _headers(reply: Reply) -> list[tuple[bytes, bytes]]:
    headers = [("content-type", reply.content_type)] if reply.content_type else []
    headers += reply.headers
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


async def _send_past_server(reply: Reply, pieces: _Pieces, transport: asyncio.Transport) -> None:
    """Write to the connection directly, because a decent HTTP server refuses to send what is wrong."""
    if reply.hang_up:
        transport.close()
        return
    # The end of the reply before may be on its way yet, to a client that did not wait for it.
    while transport.get_write_buffer_size():  # noqa: ASYNC110 - the transport tells only its protocol
        await asyncio.sleep(_LOOK_AGAIN_S)
    if transport.is_closing():
        return
    # A descriptor of its own, because a transport copies what it cannot send at once, and images are large.
    with transport.get_extra_info("socket").dup() as client:
        client.settimeout(0)
        loop = asyncio.get_running_loop()
        limit = min((n for n in (reply.cut_after, reply.stall_after) if n is not None), default=None)
        sent = 0
        try:
            await loop.sock_sendall(client, _head(reply))
            async for piece in pieces:
                rest = piece if limit is None else piece[: limit - sent]
                await loop.sock_sendall(client, rest)
                sent += len(rest)
                if limit is not None and sent >= limit:
                    break
        except OSError:  # the client has gone: there is nobody left to tell
            transport.abort()
    if reply.stall_after is None or (reply.cut_after is not None and reply.cut_after <= reply.stall_after):
        transport.close()


def _head(reply: Reply) -> bytes:
    known = {status.value for status in HTTPStatus}
    phrase = HTTPStatus(reply.status).phrase if reply.status in known else ""
    lines = [f"HTTP/1.1 {reply.status} {phrase}".encode("latin-1")]
    lines += [name + b": " + value for name, value in _headers(reply)]
    return b"\r\n".join([*lines, b"connection: close", b"", b""])
