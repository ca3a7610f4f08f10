"""The web server in front of a night that a test makes up, and plain HTTP to it."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPResponse
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import TypeAdapter

from alpaca_focus.alpaca.running import RunningServer
from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.daemon.web_link import draw_run
from alpaca_focus.feed.feed import Feed
from alpaca_focus.feed.night_curves import NightCurves
from alpaca_focus.feed.run_progress import RunTracker
from alpaca_focus.service.control_wire import Request
from alpaca_focus.web.pages import make_app
from alpaca_focus.web.security import AccessRules
from alpaca_focus.web.source import NightSource, Picture

TOKEN = "a token that nobody guesses"  # noqa: S105 - made up
ELSEWHERE = "192.168.1.7"
"""An address that may look; requests come from there when a proxy says so."""
RULES = AccessRules(allowed=(ip_network("192.168.1.0/24"),), names=frozenset({"observatory"}), token=TOKEN)
JSON = {"Content-Type": "application/json"}


T = TypeVar("T")


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def read(kind: type[T], reply: Reply) -> T:
    """Return the body of a reply as the kind that the API describes."""
    return TypeAdapter(kind).validate_json(reply.body)


@dataclass
class Page:
    """A web server and what stands behind it."""

    directory: Path
    rules: AccessRules = RULES
    feed: Feed = field(default_factory=lambda: Feed(now))
    commands: list[tuple[str, dict[str, object]]] = field(default_factory=list)
    refuses: str = ""
    waits_for: str = ""
    hangs: bool = False
    breaks: bool = False
    picture: Picture | None = None
    server: RunningServer | None = None

    def __post_init__(self) -> None:
        self.curves = NightCurves()
        self.runs = RunTracker(lambda run: self.feed.publish("run", run), now)
        self.night = NightSource(
            feed=self.feed,
            answer=self._answer,
            directory=self.directory,
            curves=self.curves,
            runs=self.runs,
            picture=lambda: self.picture,
            draw=draw_run,
            version="1.2.3",
        )

    async def _answer(self, request: Request) -> Mapping[str, object]:
        self.commands.append((request.command, dict(request.arguments)))
        await asyncio.sleep(3600 if self.hangs else 0)
        if self.breaks:
            raise RuntimeError("a secret detail")
        if self.refuses:
            raise ConfigurationError(self.refuses)
        if self.waits_for:
            return {"waits_for": self.waits_for}
        return {"said": f"{request.command}: done.", "follows": True}

    @contextmanager
    def served(self) -> Iterator[Self]:
        with RunningServer(make_app(self.night, self.rules)) as self.server:
            yield self

    @property
    def port(self) -> int:
        assert self.server is not None
        return self.server.port

    def ask(
        self, path: str, *, method: str = "GET", body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        return ask(self.port, path, method=method, body=body, headers=headers)

    def command(self, name: str, body: Any = None, **headers: str) -> Reply:
        text = None if body is None else json.dumps(body).encode()
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask(f"/api/v1/{name}", method="POST", body=text, headers=(JSON if text else {}) | sent)


def ask(
    port: int,
    path: str,
    *,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Send one request as it is, whatever a well-behaved client would make of the path."""
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.putrequest(method, path, skip_host="Host" in (headers or {}), skip_accept_encoding=True)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders(body)
        response = connection.getresponse()
        return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    finally:
        connection.close()


class Listener:
    """Reads server-sent events in a thread of its own; a context manager."""

    def __init__(self, port: int, *, last_event_id: str | None = None) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=60)
        headers = {} if last_event_id is None else {"Last-Event-ID": last_event_id}
        self._connection.request("GET", "/api/v1/events", headers=headers)
        self.response: HTTPResponse = self._connection.getresponse()
        self.events: list[tuple[str, int, Any]] = []
        self.comments = 0
        self._heard = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._connection.sock is not None:
            self._connection.sock.shutdown(2)
        elif self.response.fp is not None:
            # A response that ends with its connection has taken the socket over.
            self.response.fp.raw._sock.shutdown(2)  # type: ignore[attr-defined]
        self._thread.join(10)
        self.response.close()
        self._connection.close()

    def wait_for(self, count: int, within_s: float = 20.0) -> list[tuple[str, int, Any]]:
        with self._heard:
            assert self._heard.wait_for(lambda: len(self.events) >= count, within_s), self.events
            return list(self.events)

    def wait_for_topic(self, topic: str, within_s: float = 20.0) -> Any:
        with self._heard:
            assert self._heard.wait_for(lambda: any(each[0] == topic for each in self.events), within_s), self.events
            return next(data for each, _, data in self.events if each == topic)

    def wait_until(self, is_so: Callable[[Any], bool], within_s: float = 20.0) -> None:
        """Wait until the data of the newest event is so."""
        with self._heard:
            assert self._heard.wait_for(lambda: bool(self.events) and is_so(self.events[-1][2]), within_s)

    def _read(self) -> None:
        topic, number = "", 0
        try:
            for raw in self.response:
                line = raw.decode().rstrip("\n")
                if line.startswith(":"):
                    self.comments += 1
                elif line.startswith("event: "):
                    topic = line.removeprefix("event: ")
                elif line.startswith("id: "):
                    number = int(line.removeprefix("id: "))
                elif line.startswith("data: "):
                    with self._heard:
                        self.events.append((topic, number, json.loads(line.removeprefix("data: "))))
                        self._heard.notify_all()
        except (OSError, ValueError):
            # It was closed.
            return
