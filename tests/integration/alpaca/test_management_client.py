"""Asking servers for their devices, also those that cannot answer."""

from collections.abc import Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from alpaca_focus.alpaca.management import ConfiguredDevice, ManagementError, list_devices
from alpaca_focus.alpaca.running import RunningServer
from tests.ports import free_port


def answering(body: bytes, status: int = 200) -> Starlette:
    return Starlette(
        routes=[Route("/management/v1/configureddevices", lambda _request: Response(body, status_code=status))]
    )


def test_devices_of_our_server(observe: Callable[..., Any]) -> None:
    devices = list_devices(observe().running.base_url, 10)
    assert devices is not None
    assert devices[2] == ConfiguredDevice(name="Shy wheel", device_type="filterwheel", number=0, unique_id="shy-wheel")


def test_unknown_types_and_missing_names_are_kept() -> None:
    body = b'{"Value": [{"DeviceType": "Dome", "DeviceNumber": 2}]}'
    with RunningServer(answering(body)) as running:
        assert list_devices(running.base_url, 10) == (
            ConfiguredDevice(name="", device_type="dome", number=2, unique_id=""),
        )


@pytest.mark.parametrize("status", [400, 404, 405, 501])
def test_server_without_management_api(status: int) -> None:
    with RunningServer(answering(b"what?", status)) as running:
        assert list_devices(running.base_url, 10) is None


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 200),
        (b"<html>", 200),
        (b"{}", 200),
        (b'{"Value": 5}', 200),
        (b'{"Value": [5]}', 200),
        (b'{"Value": [{}]}', 200),
        (b'{"Value": [{"DeviceType": "Dome", "DeviceNumber": "x"}]}', 200),
        (b"failed", 500),
    ],
)
def test_senseless_answer_is_one_error(body: bytes, status: int) -> None:
    with RunningServer(answering(body, status)) as running, pytest.raises(ManagementError, match=running.base_url):
        list_devices(running.base_url, 10)


def test_nobody_there_is_the_same_error() -> None:
    with pytest.raises(ManagementError, match="does not answer"):
        list_devices(f"http://127.0.0.1:{free_port()}", 10)
    with pytest.raises(ManagementError, match="begins with http"):
        list_devices("127.0.0.1:11111", 10)
