"""Whatever is told of a fleet, it becomes rows that can be shown."""

import io
import json
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from alpaca_focus.cli.fleet_command import page, summary
from alpaca_focus.notify.fleet import Fleet, rows

NOW = datetime(2026, 11, 21, 22, 0, tzinfo=UTC)
KEYS = [
    "telescope",
    "state",
    "temperature",
    "position",
    "hfd",
    "minutes",
    "focused_at",
    "due",
    "blocked_by",
    "waits_for",
    "silent",
    "result",
    "reason",
    "paused",
]

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["2026-11-21T20:00:00Z", "0001-01-01T00:00:00+14:00", "stranded", "restored", "[red]x[/red]"])
)
values = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)
states = st.dictionaries(st.sampled_from(KEYS), values).map(lambda told: json.dumps(told).encode(errors="replace"))
payloads = st.binary() | values.map(lambda told: json.dumps(told).encode(errors="replace")) | states
topics = st.builds(
    "{}/{}/{}".format, st.sampled_from(["a", "b"]), st.text(max_size=20), st.sampled_from(["state", "availability"])
) | st.text(max_size=20)


@given(st.lists(st.tuples(topics, payloads | st.just(b"online")), max_size=20))
def test_whatever_comes_is_shown_without_a_sign_that_steers_a_terminal(messages: list[tuple[str, bytes]]) -> None:
    fleet = Fleet("a")
    for topic, payload in messages:
        fleet = fleet.with_message(topic, payload)
    found = rows(fleet, NOW)
    assert len(found) == len(fleet.telescopes)
    assert [row.health for row in found] == sorted(row.health for row in found)
    json.dumps([row.as_dict() for row in found], allow_nan=False)
    screen = io.StringIO()
    Console(file=screen, width=80, highlight=False).print(page(found, summary(found)))
    assert all(sign.isprintable() or sign == "\n" for sign in screen.getvalue())
