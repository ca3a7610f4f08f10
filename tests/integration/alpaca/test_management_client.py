"""Asking servers for their devices, also those that cannot answer."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from alpaca_focus.alpaca import management
from alpaca_focus.alpaca.http import HttpError, HttpTimeout
from alpaca_focus.alpaca.management import ConfiguredDevice
from alpaca_focus.alpaca.running import RunningServer
from tests.blocking import list_devices
from tests.ports import free_port


def answering(body: bytes, status: int = 200) -> Starlette:
    return Starlette(
        routes=[Route("/management/v1/configureddevices", lambda _request: Response(body, status_code=status))]
    )


def test_devices_of_our_server(observe: Callable[..., Any]) -> None:
    devices = list_devices(observe().running.address)
    assert devices is not None
    assert devices[2] == ConfiguredDevice(name="Shy wheel", device_type="filterwheel", number=0, unique_id="shy-wheel")


def test_unknown_types_and_missing_names_are_kept() -> None:
    body = b'{"Value": [{"DeviceType": "Dome", "DeviceNumber": 2}]}'
    with RunningServer(answering(body)) as running:
        assert list_devices(running.address) == (ConfiguredDevice(name="", device_type="dome", number=2, unique_id=""),)


@pytest.mark.parametrize("status", [400, 404, 405, 501])
def test_server_without_management_api(status: int) -> None:
    with RunningServer(answering(b"what?", status)) as running:
        assert list_devices(running.address) is None


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 200),
        (b"<html>", 200),
        (b"{}", 200),
        (b'{"Value": 5}', 200),
        (b"[]", 200),
        (b"[" * 100_000, 200),
        (b"failed", 500),
    ],
)
def test_senseless_answer_is_one_error(body: bytes, status: int) -> None:
    with (
        RunningServer(answering(body, status)) as running,
        pytest.raises(HttpError, match=r"list of its|HTTP status 500"),
    ):
        list_devices(running.address)


@pytest.mark.parametrize("entry", [b"5", b"{}", b'{"DeviceType": "Dome", "DeviceNumber": "x"}', b'{"DeviceNumber": 1}'])
def test_a_malformed_entry_is_left_out(entry: bytes) -> None:
    body = b'{"Value": [%s, {"DeviceType": "Dome", "DeviceNumber": 2}]}' % entry
    with RunningServer(answering(body)) as running:
        assert [device.number for device in list_devices(running.address) or ()] == [2]


def test_nobody_there_is_the_same_error() -> None:
    with pytest.raises(HttpError, match="no connection"):
        list_devices(f"127.0.0.1:{free_port()}")
    with pytest.raises(ValueError, match="host and a port"):
        list_devices("http://127.0.0.1:11111")


def test_a_list_that_does_not_come_is_given_up() -> None:
    async def hang(_request: Request) -> Response:
        await asyncio.sleep(60)
        return Response(b"")

    app = Starlette(routes=[Route("/management/v1/configureddevices", hang)])
    with RunningServer(app) as running, pytest.raises(HttpTimeout, match=r"no list of its devices within 0\.1 s"):
        asyncio.run(management.list_devices(running.address, 0.1))
