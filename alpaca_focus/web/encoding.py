"""Entries of the feed as JSON, each encoded once for all dashboards."""

from collections.abc import Mapping
from functools import lru_cache

from pydantic_core import to_json

from alpaca_focus.core.status import as_json
from alpaca_focus.runtime.feed import Entry

WITH_TIME = frozenset({"log", "notice"})
"""Topics whose data have no time of their own."""
KEPT = 128


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
