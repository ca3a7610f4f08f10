"""Server-sent events: the entries of the feed as JSON, encoded once for all dashboards."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from functools import lru_cache

from pydantic_core import to_json

from alpaca_focus.core.status import as_json
from alpaca_focus.feed.feed import Entry, Feed
from alpaca_focus.web.source import Viewers

WITH_TIME = frozenset({"log", "notice"})
"""Topics whose data carry no time; the time of publication is added."""
CACHED_ENTRIES = 128
RETRY_MS = 2000
KEEP_ALIVE_S = 15.0
KEEP_ALIVE = b": still here\n\n"
"""A comment, which browsers ignore: it shows them and proxies that the connection is alive."""


def encoded(value: object) -> bytes:
    """Return JSON; NaN and infinities become null, other values that JSON cannot carry become text."""
    return to_json(value, inf_nan_mode="null", fallback=_plain)


@lru_cache(maxsize=CACHED_ENTRIES)
def encoded_entry(entry: Entry) -> bytes:
    """Return an entry's data as JSON."""
    data = dict(entry.data) if isinstance(entry.data, Mapping) else as_json(entry.data)
    return encoded({"at": entry.at, **data} if entry.topic in WITH_TIME else data)


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)


async def events(feed: Feed, viewers: Viewers, after: int | None) -> AsyncIterator[bytes]:
    """Yield events until the browser disconnects; it counts as one of the viewers meanwhile.

    `after` is the number of the last event that the browser has received; `None`: none.
    """
    viewers.count += 1
    try:
        yield f"retry: {RETRY_MS}\n\n".encode()
        with feed.subscribe(after=after) as subscription:
            while True:
                try:
                    entry = await asyncio.wait_for(anext(subscription), KEEP_ALIVE_S)
                except TimeoutError:
                    yield KEEP_ALIVE
                else:
                    yield event(entry)
    finally:
        viewers.count -= 1


@lru_cache(maxsize=CACHED_ENTRIES)
def event(entry: Entry) -> bytes:
    """Return an entry as a server-sent event."""
    return b"event: %s\nid: %d\ndata: %s\n\n" % (entry.topic.encode(), entry.number, encoded_entry(entry))


def last_event_id(header: str | None) -> int | None:
    """Return the number in a `Last-Event-ID` header; `None` if it is missing or not a number this server issued."""
    return int(header) if header is not None and header.isascii() and header.isdigit() and len(header) < 19 else None
