"""The lines of PHD2: which answer and which event belong to a question."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from alpaca_focus.core.errors import DeviceRefused, DeviceUnreachable
from alpaca_focus.devices import phd2_wire
from alpaca_focus.devices.phd2_wire import Phd2Connection


def connection_with(*messages: dict[str, Any]) -> Phd2Connection:
    """A connection over which these come, and then its end."""
    reader = asyncio.StreamReader()
    reader.feed_data(b"".join(json.dumps(message).encode() + b"\r\n" for message in messages))
    reader.feed_eof()

    async def drain() -> None: ...

    writer: Any = SimpleNamespace(write=lambda _: None, drain=drain)
    return Phd2Connection("PHD2", reader, writer)


def settled(frames: int) -> dict[str, Any]:
    return {"Event": "SettleDone", "Status": 0, "TotalFrames": frames}


def test_an_event_before_the_answer_is_that_of_the_question() -> None:
    async def ask() -> Any:
        connection = connection_with({"Event": "Settling"}, settled(4), {"id": 1, "result": 0}, settled(9))
        await connection.ask("guide")
        return await connection.event("SettleDone")

    assert asyncio.run(ask())["TotalFrames"] == 4


def test_an_event_of_an_earlier_question_is_not_that_of_the_next() -> None:
    async def ask() -> Any:
        connection = connection_with(
            settled(4), {"id": 1, "result": "Guiding"}, {"id": 2, "result": 0}, {"Event": "Settling"}, settled(9)
        )
        await connection.ask("get_app_state")
        await connection.ask("guide")
        return await connection.event("SettleDone")

    assert asyncio.run(ask())["TotalFrames"] == 9


@pytest.mark.parametrize(
    ("error", "number", "said"),
    [
        ({"code": 1, "message": "not guiding"}, 1, "not guiding"),
        ({"code": "one"}, 0, "it does not say why"),
        ("broken", 0, "broken"),
    ],
)
def test_an_error_is_told_whatever_its_form(error: object, number: int, said: str) -> None:
    async def ask() -> None:
        await connection_with({"id": 1, "error": error}).ask("guide")

    with pytest.raises(DeviceRefused) as caught:
        asyncio.run(ask())
    assert (caught.value.number, caught.value.device_message) == (number, said)
    assert str(caught.value) == f"PHD2 refuses guide: {said}."


def test_the_end_of_the_connection_is_told() -> None:
    async def ask() -> None:
        await connection_with().ask("guide")

    with pytest.raises(DeviceUnreachable, match="has dropped the connection"):
        asyncio.run(ask())


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("lost \x1b[31m the\nstar\ud800.", "lost [31m the star"),
        ("", "it does not say why"),
        (None, "it does not say why"),
        (3, "3"),
        ("x" * 500, "x" * 200),
    ],
)
def test_what_phd2_says_is_told_in_one_line(said: object, text: str) -> None:
    assert phd2_wire.as_text(said) == text
