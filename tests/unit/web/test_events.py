import asyncio
import json
import math
from datetime import UTC, datetime

import pytest

from alpaca_focus.feed.feed import Feed
from alpaca_focus.web import events as events_module
from alpaca_focus.web.events import KEEP_ALIVE, events, last_event_id
from alpaca_focus.web.source import Viewers

AT = datetime(2026, 3, 1, 22, 0, tzinfo=UTC)


def test_events_as_a_browser_reads_them() -> None:
    feed, viewers = Feed(lambda: AT), Viewers()
    feed.publish("status", {"state": "watching", "value": math.nan, "at": AT})
    feed.publish("log", {"event": "zwei\nZeilen", "level": "info"})

    async def read() -> list[bytes]:
        stream = events(feed, viewers, None)
        parts = [await anext(stream) for _ in range(3)]
        assert viewers.count == 1
        await stream.aclose()
        return parts

    retry, status, log = asyncio.run(read())
    assert viewers.count == 0
    assert retry == b"retry: 2000\n\n"
    topic, number, data = status.decode().rstrip("\n").split("\n")
    assert topic == "event: status"
    assert number == f"id: {feed.latest['status'].number}"
    assert json.loads(data.removeprefix("data: ")) == {"state": "watching", "value": None, "at": "2026-03-01T22:00:00Z"}
    told = json.loads(log.decode().split("\n")[2].removeprefix("data: "))
    assert told == {"at": "2026-03-01T22:00:00Z", "event": "zwei\nZeilen", "level": "info"}
    assert log.count(b"\n") == 4


def test_a_silent_stream_says_that_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "KEEP_ALIVE_S", 0.01)
    feed = Feed(lambda: AT)

    async def read() -> list[bytes]:
        stream = events(feed, Viewers(), None)
        parts = [await anext(stream) for _ in range(3)]
        feed.publish("run", {})
        parts.append(await anext(stream))
        await stream.aclose()
        return parts

    parts = asyncio.run(read())
    assert parts[1:3] == [KEEP_ALIVE, KEEP_ALIVE]
    assert parts[3].startswith(b"event: run\n")


@pytest.mark.parametrize(
    ("header", "number"),
    [("12", 12), ("0", 0), (None, None), ("", None), ("-1", None), ("1e3", None), ("٣", None), ("9" * 30, None)],
)
def test_the_last_event_that_a_browser_knows(header: str | None, number: int | None) -> None:
    assert last_event_id(header) == number
