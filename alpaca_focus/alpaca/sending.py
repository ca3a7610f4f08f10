"""Sends a `Reply` over HTTP, including invalid ones."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from contextlib import aclosing
from http import HTTPStatus
from typing import cast

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from alpaca_focus.alpaca.replies import Body, BodyBrokenOff, Reply

CHUNK_BYTES = 1 << 20
"""Bytes given to the transport at a time: enough to keep it busy, few enough to serve other devices in between."""
TRANSPORT = "transport"
"""Key of the connection's transport in the ASGI scope's state."""
_DRAIN_POLL_S = 0.001


class WireResponse(Response):
    """Sends a `Reply`."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(status_code=reply.status)
        self._reply = reply

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the reply over ASGI, or bypass it if the reply is not valid HTTP."""
        reply = self._reply
        is_valid = not reply.hang_up and reply.declared_length is reply.cut_after is reply.stall_after is None
        try:
            async with aclosing(_pieces(reply.body)) as pieces:
                if is_valid:
                    await _send_by_asgi(reply, pieces, send)
                else:
                    await _send_past_server(reply, pieces, scope["state"][TRANSPORT])
        except BodyBrokenOff:
            scope["state"][TRANSPORT].close()
        finally:
            if hasattr(reply.body, "aclose"):
                await reply.body.aclose()
        while (await receive())["type"] != "http.disconnect":
            pass


async def _pieces(body: Body) -> AsyncGenerator[bytes, None]:
    """Yield a body in pieces, at most `CHUNK_BYTES` long unless it is a stream; large ones are views, not copies.

    ASGI's type is bytes, but uvicorn passes a view to the transport unchanged.
    """
    if isinstance(body, AsyncIterable):
        async for part in body:
            yield cast("bytes", part)
        return
    for whole in (body,) if isinstance(body, bytes) else body:
        view = whole if len(whole) <= CHUNK_BYTES else memoryview(whole)
        for start in range(0, len(view), CHUNK_BYTES):
            yield cast("bytes", view[start : start + CHUNK_BYTES])


async def _send_by_asgi(reply: Reply, pieces: AsyncIterator[bytes], send: Send) -> None:
    await send({"type": "http.response.start", "status": reply.status, "headers": _headers(reply)})
    async for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _headers(reply: Reply) -> list[tuple[bytes, bytes]]:
    headers = [("content-type", reply.content_type)] if reply.content_type else []
    headers += reply.headers
    length = reply.declared_length
    if length is None and not isinstance(reply.body, AsyncIterable):
        length = len(reply.body) if isinstance(reply.body, bytes) else sum(len(piece) for piece in reply.body)
    if length is not None:
        headers.append(("content-length", str(length)))
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


async def _send_past_server(reply: Reply, pieces: AsyncIterator[bytes], transport: asyncio.Transport) -> None:
    """Write to the connection directly, because uvicorn refuses to send invalid replies."""
    if reply.hang_up:
        transport.close()
        return
    # A client that pipelines requests may not have received the whole previous reply yet.
    while transport.get_write_buffer_size():  # noqa: ASYNC110 - the transport notifies only its protocol
        await asyncio.sleep(_DRAIN_POLL_S)
    if transport.is_closing():
        return
    # On a duplicated descriptor, because a transport copies what it cannot send at once, and images are large.
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
        except OSError:  # the client has gone
            transport.abort()
    if reply.stall_after is None or (reply.cut_after is not None and reply.cut_after <= reply.stall_after):
        transport.close()


def _head(reply: Reply) -> bytes:
    known = {status.value for status in HTTPStatus}
    phrase = HTTPStatus(reply.status).phrase if reply.status in known else ""
    lines = [f"HTTP/1.1 {reply.status} {phrase}".encode("latin-1")]
    lines += [name + b": " + value for name, value in _headers(reply)]
    return b"\r\n".join([*lines, b"connection: close", b"", b""])
