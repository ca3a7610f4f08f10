"""Publishes what happens in the daemon to dashboards, MQTT, messages and metrics; no subscriber delays the night."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from types import MappingProxyType
from typing import Self, TypeAlias

from alpaca_focus.core.night.notices import Notice
from alpaca_focus.core.status import MeasuredFrame, MeasuredLight, RunProgress, Status, Waiting

Payload: TypeAlias = Mapping[str, object] | Status | Waiting | RunProgress | MeasuredFrame | MeasuredLight | Notice
"""A mapping is a line of the log, or the gap in a subscription that was too slow."""

LONGEST_LOG = 500
LONGEST_REPLAY = 500
"""Entries of all topics that are replayed to a subscriber that reconnects (decision 0020)."""
LONGEST_QUEUE = 100
LOG, GAP = "log", "gap"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entry:
    """A published entry.

    Attributes:
        number: Higher than that of every earlier entry, those of an earlier start of the program included.
        at: When it was published, UTC.
        data: As published; read-only.
    """

    number: int
    topic: str
    at: datetime
    data: Payload


class Feed:
    """Stores the latest entries and forwards new ones; any thread may publish and read.

    Args:
        wall: Returns the time of an entry, UTC.
    """

    def __init__(self, wall: Callable[[], datetime]) -> None:
        self._wall = wall
        self._lock = Lock()
        self._number = int(time.time() * 1000)
        self._latest: dict[str, Entry] = {}
        self._log: deque[Entry] = deque(maxlen=LONGEST_LOG)
        self._replay: deque[Entry] = deque(maxlen=LONGEST_REPLAY)
        self._subscriptions: set[Subscription] = set()

    def publish(self, topic: str, data: Payload) -> None:
        """Add an entry of any topic but "gap", with a copy of a mapping; return at once, even with slow subscribers."""
        at, frozen = self._wall(), MappingProxyType(dict(data)) if isinstance(data, Mapping) else data
        with self._lock:
            self._number += 1
            entry = Entry(number=self._number, topic=topic, at=at, data=frozen)
            self._latest[topic] = entry
            self._replay.append(entry)
            if topic == LOG:
                self._log.append(entry)
            self._subscriptions = {each for each in self._subscriptions if each.take(entry)}

    @property
    def latest(self) -> Mapping[str, Entry]:
        """The newest entry of each topic."""
        with self._lock:
            return MappingProxyType(dict(self._latest))

    def log(self) -> tuple[Entry, ...]:
        """Return the newest entries of the log, the oldest first."""
        with self._lock:
            return tuple(self._log)

    def subscribe(self, *, after: int | None = None) -> "Subscription":
        """Return a subscription to everything published after it is entered.

        Args:
            after: Number of the last entry that the subscriber knows. The entries since then come first if all are
                still stored; otherwise, and with `None`, the newest entry of each topic.
        """
        return Subscription(self, after)

    def _add(self, subscription: "Subscription", after: int | None) -> None:
        with self._lock:
            self._subscriptions.add(subscription)
            for entry in self._missed(after):
                subscription.take(entry)

    def _missed(self, after: int | None) -> list[Entry]:
        if after is not None and self._replay and self._replay[0].number - 1 <= after <= self._number:
            return [entry for entry in self._replay if entry.number > after]
        return sorted(self._latest.values(), key=lambda entry: entry.number)

    def _remove(self, subscription: "Subscription") -> None:
        with self._lock:
            self._subscriptions.discard(subscription)


class Subscription:
    """A context manager and an asynchronous iterator over entries, in one event loop.

    A slow subscriber loses the oldest entries and gets an entry of topic "gap" with their number, `lost`, instead.
    """

    def __init__(self, feed: Feed, after: int | None) -> None:
        self._feed = feed
        self._after = after
        self._queue: deque[Entry] = deque()
        self._lost = 0
        self._last_lost: Entry | None = None
        self._available = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._feed._add(self, self._after)  # noqa: SLF001 - the two are one thing
        return self

    def __exit__(self, *_: object) -> None:
        self._feed._remove(self)  # noqa: SLF001

    def take(self, entry: Entry) -> bool:
        """Queue an entry and return whether its reader still runs; called in any thread, with the feed locked."""
        is_first = not self._queue
        self._queue.append(entry)
        if len(self._queue) > LONGEST_QUEUE:
            self._last_lost = self._queue.popleft()
            self._lost += 1
        if not is_first or self._loop is None:
            return True
        try:
            self._loop.call_soon_threadsafe(self._available.set)
        except RuntimeError:
            # The loop of the reader is closed.
            return False
        return True

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Entry:
        while (entry := self._next()) is None:
            await self._available.wait()
        return entry

    def _next(self) -> Entry | None:
        with self._feed._lock:  # noqa: SLF001
            last_lost, lost = self._last_lost, self._lost
            if last_lost is not None:
                self._last_lost, self._lost = None, 0
                return Entry(number=last_lost.number, topic=GAP, at=last_lost.at, data={"lost": lost})
            if self._queue:
                return self._queue.popleft()
            self._available.clear()
            return None
