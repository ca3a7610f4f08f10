"""What happens, as server-sent events."""

import asyncio
from collections.abc import AsyncIterator
from functools import lru_cache

from alpaca_focus.runtime.feed import Entry, Feed
from alpaca_focus.web.encoding import KEPT, encoded_entry
from alpaca_focus.web.source import Viewers

RETRY_MS = 2000
SILENCE_S = 15.0
STILL_HERE = b": still here\n\n"


async def events(feed: Feed, viewers: Viewers, after: int | None) -> AsyncIterator[bytes]:
    """Yield events until nobody listens any more.

    Args:
        feed: What happens.
        viewers: Who looks; one more as long as this goes on.
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
