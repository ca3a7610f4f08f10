"""PHD2's messages: which response and which event belong to a request."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from alpaca_focus.core.errors import DeviceRefused, DeviceUnreachable
from alpaca_focus.devices import phd2_wire
from alpaca_focus.devices.phd2_wire import Phd2Connection


def connection_with(*messages: dict[str, Any]) -> Phd2Connection:
    """A connection that receives these messages and then ends."""
    reader = asyncio.StreamReader()
    reader.feed_data(b"".join(json.dumps(message).encode() + b"\r\n" for message in messages))
    reader.feed_eof()

    async def drain() -> None: ...

    writer: Any = SimpleNamespace(write=lambda _: None, drain=drain)
    return Phd2Connection("PHD2", reader, writer)


def settled(frames: int) -> dict[str, Any]:
    return {"Event": "SettleDone", "Status": 0, "TotalFrames": frames}


def test_an_event_before_the_response_belongs_to_the_request() -> None:
    async def run() -> Any:
        connection = connection_with({"Event": "Settling"}, settled(4), {"id": 1, "result": 0}, settled(9))
        await connection.call("guide")
        return await connection.event("SettleDone")

    assert asyncio.run(run())["TotalFrames"] == 4


def test_an_event_of_an_earlier_request_is_discarded() -> None:
    async def run() -> Any:
        connection = connection_with(
            settled(4), {"id": 1, "result": "Guiding"}, {"id": 2, "result": 0}, {"Event": "Settling"}, settled(9)
        )
        await connection.call("get_app_state")
        await connection.call("guide")
        return await connection.event("SettleDone")

    assert asyncio.run(run())["TotalFrames"] == 9


@pytest.mark.parametrize(
    ("error", "number", "reason"),
    [
        ({"code": 1, "message": "not guiding"}, 1, "not guiding"),
        ({"code": "one"}, 0, "no reason given"),
        ("broken", 0, "broken"),
    ],
)
def test_an_error_of_any_form_becomes_a_refusal(error: object, number: int, reason: str) -> None:
    async def run() -> None:
        await connection_with({"id": 1, "error": error}).call("guide")

    with pytest.raises(DeviceRefused) as caught:
        asyncio.run(run())
    assert caught.value.number == number
    assert str(caught.value) == f"PHD2 refuses guide: {reason}."


def test_the_end_of_the_connection_is_an_error() -> None:
    async def run() -> None:
        await connection_with().call("guide")

    with pytest.raises(DeviceUnreachable, match="has dropped the connection"):
        asyncio.run(run())


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("lost \x1b[31m the\nstar\ud800.", "lost [31m the star"),
        ("", "no reason given"),
        (None, "no reason given"),
        (3, "3"),
        ("x" * 500, "x" * 200),
    ],
)
def test_an_error_text_becomes_one_line(value: object, text: str) -> None:
    assert phd2_wire.one_line(value) == text
