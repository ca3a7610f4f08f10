"""What every request passes and every answer gets: the rules of `security`, a bounded body, safe headers."""

import asyncio

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alpaca_focus.web.security import LOOKING, AccessRules, Asked, refusal

LONGEST_BODY_BYTES = 65536
BODY_S = 20.0
FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
SAFE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; "
    "object-src 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Guard:
    """Stands in front of the pages.

    Args:
        app: What is guarded.
        rules: Who may do what.
    """

    def __init__(self, app: ASGIApp, rules: AccessRules) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or have it answered."""
        if scope["type"] != "http":
            # There are no websockets, and nothing to start or stop.
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SAFE_HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refused = refusal(_asked(scope), self._rules)
        if refused is not None:
            await _refuse(refused.status, refused.sentence)(scope, receive, send_safely)
            return
        if scope["method"] in LOOKING:
            await self._app(scope, receive, send_safely)
            return
        try:
            async with asyncio.timeout(BODY_S):
                body = await _body(scope, receive)
        except TimeoutError:
            await _refuse(408, f"The command did not come in {BODY_S:g} s.")(scope, receive, send_safely)
            return
        if body is None:
            sentence = f"The command is longer than {LONGEST_BODY_BYTES} bytes, which none is."
            await _refuse(413, sentence)(scope, receive, send_safely)
            return
        await self._app(scope, _Replayed(body, receive), send_safely)


class _Replayed:
    """A body that has been read already."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


async def _body(scope: Scope, receive: Receive) -> bytes | None:
    """Read a body; `None`: it is too long."""
    told = Headers(scope=scope).get("content-length", "0")
    if not told.isdigit() or int(told) > LONGEST_BODY_BYTES:
        return None
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return body
        body += bytes(message.get("body", b""))
        if len(body) > LONGEST_BODY_BYTES:
            return None
        if not message.get("more_body", False):
            return body


def _asked(scope: Scope) -> Asked:
    headers = Headers(scope=scope)
    client = scope.get("client")
    return Asked(
        method=scope["method"],
        client=None if client is None else client[0],
        hosts=tuple(headers.getlist("host")),
        origin=headers.get("origin"),
        content_type=headers.get("content-type"),
        authorization=headers.get("authorization"),
        has_body=headers.get("content-length", "0") != "0" or "transfer-encoding" in headers,
        is_forwarded=any(name in headers for name in FORWARDED),
    )


def _refuse(status: int, sentence: str) -> JSONResponse:
    # What is left of the request is not read: the connection ends with the answer.
    headers = {"Connection": "close"} | ({"WWW-Authenticate": "Bearer"} if status == 401 else {})
    return JSONResponse({"error": sentence}, status, headers=headers)
