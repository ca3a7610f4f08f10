"""ASGI middleware in front of all pages: applies the access rules, bounds the body, adds security headers."""

import asyncio

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alpaca_focus.web.security import READ_METHODS, AccessRules, Refusal, RequestFacts, refusal

LONGEST_BODY_BYTES = 65536
BODY_TIMEOUT_S = 20.0
FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; "
    "object-src 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Guard:
    """Lets a request through to the application if the access rules permit it."""

    def __init__(self, app: ASGIApp, rules: AccessRules) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            # There are no websockets, and nothing to start or stop.
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(SECURITY_HEADERS)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refused = refusal(_facts(scope), self._rules)
        if refused is None and scope["method"] not in READ_METHODS:
            # The body is read here, so that its size and the time it takes are bounded for all commands alike.
            body = await _body_or_refusal(scope, receive)
            if isinstance(body, bytes):
                receive = _replay(body, receive)
            else:
                refused = body
        if refused is None:
            await self._app(scope, receive, send_with_headers)
            return
        status, sentence = refused
        # The rest of a refused request is not read, so the connection ends with the answer.
        headers = {"Connection": "close"} | ({"WWW-Authenticate": "Bearer"} if status == 401 else {})
        await JSONResponse({"error": sentence}, status, headers=headers)(scope, receive, send_with_headers)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return what delivers a body that has been read already, then what the connection delivers."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Message:
        return messages.pop() if messages else await receive()

    return received


async def _body_or_refusal(scope: Scope, receive: Receive) -> bytes | Refusal:
    too_long = Refusal(413, f"The command is longer than {LONGEST_BODY_BYTES} bytes.")
    length = Headers(scope=scope).get("content-length", "0")
    if not length.isdigit() or int(length) > LONGEST_BODY_BYTES:
        return too_long
    body = b""
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            while len(body) <= LONGEST_BODY_BYTES:
                message = await receive()
                body += message.get("body", b"")
                # A client that disconnects ends its body as well.
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        return Refusal(408, f"The command was not complete after {BODY_TIMEOUT_S:g} s.")
    return too_long if len(body) > LONGEST_BODY_BYTES else body


def _facts(scope: Scope) -> RequestFacts:
    headers = Headers(scope=scope)
    client = scope.get("client")
    return RequestFacts(
        method=scope["method"],
        client=None if client is None else client[0],
        hosts=tuple(headers.getlist("host")),
        origin=headers.get("origin"),
        content_type=headers.get("content-type"),
        authorization=headers.get("authorization"),
        has_body=headers.get("content-length", "0") != "0" or "transfer-encoding" in headers,
        is_forwarded=any(name in headers for name in FORWARDED),
    )
