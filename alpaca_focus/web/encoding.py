"""Entries of the feed as JSON, each encoded once however many look."""

from collections.abc import Mapping
from functools import lru_cache

from pydantic_core import to_json

from alpaca_focus.runtime.feed import Entry

WITH_TIME = frozenset({"log", "notice"})
"""Topics whose entries say nothing of their time themselves."""
KEPT = 128


def encoded(value: object) -> bytes:
    """Return JSON; what it does not know is null, if it is a number, else text."""
    return to_json(value, inf_nan_mode="null", fallback=_plain)


@lru_cache(maxsize=KEPT)
def encoded_entry(entry: Entry) -> bytes:
    """Return an entry's data as JSON."""
    if entry.topic in WITH_TIME:
        return encoded({"at": entry.at, **entry.data})
    return encoded(dict(entry.data))


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)
