"""A response is found behind any other lines from PHD2's port."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from alpaca_focus.devices.phd2_wire import Phd2Connection

VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
EVENTS = st.fixed_dictionaries({"Event": VALUES, "id": st.integers(1, 3) | VALUES})
OTHERS = st.fixed_dictionaries({"id": VALUES.filter(lambda value: value != 1)})
LINES = (
    st.binary(max_size=60)
    | (VALUES | EVENTS | OTHERS).map(lambda value: json.dumps(value).encode())
    | st.integers(65_000, 300_000).map(lambda length: length * b"x")
)


@given(st.lists(LINES, max_size=12))
@example([b"\r", b"{", 70_000 * b"[", b""])
def test_a_response_is_found_behind_any_lines(lines: list[bytes]) -> None:
    answer = b'{"jsonrpc": "2.0", "result": "Guiding", "id": 1}'
    sent: list[Any] = []

    async def run() -> object:
        reader = asyncio.StreamReader(limit=65_536)
        reader.feed_data(b"\r\n".join([*lines, answer, b""]))
        reader.feed_eof()

        async def drain() -> None: ...

        writer: Any = SimpleNamespace(write=sent.append, drain=drain)
        return await Phd2Connection("PHD2", reader, writer).call("get_app_state")

    assert asyncio.run(run()) == "Guiding"
    assert json.loads(sent[0])["method"] == "get_app_state"
