"""What is published as JSON, encoded once for all dashboards, and as server-sent events."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from functools import lru_cache

from pydantic_core import to_json

from alpaca_focus.core.status import as_json
from alpaca_focus.feed.feed import Entry, Feed
from alpaca_focus.web.source import Viewers

WITH_TIME = frozenset({"log", "notice"})
"""Topics whose data have no time of their own."""
KEPT = 128
RETRY_MS = 2000
SILENCE_S = 15.0
STILL_HERE = b": still here\n\n"


def encoded(value: object) -> bytes:
    """Return JSON; NaN and infinities become null, other values that JSON cannot carry become text."""
    return to_json(value, inf_nan_mode="null", fallback=_plain)


@lru_cache(maxsize=KEPT)
def encoded_entry(entry: Entry) -> bytes:
    """Return an entry's data as JSON."""
    data = dict(entry.data) if isinstance(entry.data, Mapping) else as_json(entry.data)
    return encoded({"at": entry.at, **data} if entry.topic in WITH_TIME else data)


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)


async def events(feed: Feed, viewers: Viewers, after: int | None) -> AsyncIterator[bytes]:
    """Yield events until the listener is gone.

    Args:
        feed: Where the daemon publishes.
        viewers: Open dashboards; one more as long as this goes on.
        after: Number of the last event that the listener knows; `None`: none.
    """
    viewers.count += 1
    try:
        yield f"retry: {RETRY_MS}\n\n".encode()
        with feed.subscribe(after=after) as subscription:
            while True:
                try:
                    entry = await asyncio.wait_for(anext(subscription), SILENCE_S)
                except TimeoutError:
                    yield STILL_HERE
                else:
                    yield event(entry)
    finally:
        viewers.count -= 1


@lru_cache(maxsize=KEPT)
def event(entry: Entry) -> bytes:
    """Return one event."""
    return b"event: %s\nid: %d\ndata: %s\n\n" % (entry.topic.encode(), entry.number, encoded_entry(entry))


def last_event_id(header: str | None) -> int | None:
    """Return the number in a `Last-Event-ID` header; `None`: there is none that was ever given."""
    return int(header) if header is not None and header.isascii() and header.isdigit() and len(header) < 19 else None
