"""The gateway in front of a simulated observatory, and plain HTTP to either."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from ipaddress import ip_network
from typing import Any

import pytest
from starlette.types import ASGIApp

from alpaca_focus.alpaca.running import RunningServer
from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.devices.clock import SystemClock
from alpaca_focus.gateway.gateway_server import PassThrough
from alpaca_focus.gateway.service import Gateway, GatewaySettings, RealDevice
from alpaca_focus.gateway.upstream import Upstream
from tests.fakes import FakeCameraMarker
from tests.gateway_scene import FakeEngine

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
FRONTED = (DeviceType.CAMERA, DeviceType.FOCUSER, DeviceType.FILTERWHEEL, DeviceType.TELESCOPE)


def upstreams_to(authority: str, **changes: Any) -> list[Upstream]:
    return [Upstream(kind, authority=authority, device_number=0, **changes) for kind in FRONTED]


def whole_gateway(authority: str, **settings: Any) -> ASGIApp:
    """Return the gateway with all its virtual_devices, and an engine that wants nothing."""
    devices = [RealDevice(device_type=kind, authority=authority, device_number=0) for kind in FRONTED]
    how = {
        "listen": "",
        "port": 0,
        "discovery": False,
        "patience_s": 45.0,
        "idle_s": 60.0,
        "least_image_s": 0.0,
        "any_case": False,
    }
    return Gateway(devices, FakeEngine(), SystemClock(), GatewaySettings(**(how | settings)), FakeCameraMarker()).app


@pytest.fixture
def gateway_to() -> Iterator[Callable[..., RunningServer]]:
    """Starts gateways in front of the devices of a server, or of given ones; they are stopped when the test ends."""
    with ExitStack() as stack:

        def start(authority: str = "", *, upstreams: list[Upstream] | None = None, **changes: Any) -> RunningServer:
            settings = {"allowed": LOOPBACK, "version": "1", "location": "here"} | changes
            app: ASGIApp = PassThrough(upstreams, **settings) if upstreams else whole_gateway(authority, **settings)
            return stack.enter_context(RunningServer(app))

        yield start


def ask(
    address: str, method: str, path: str, body: bytes | None = None, timeout_s: float = 10.0, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers and body of one request."""
    connection = HTTPConnection(address, timeout=timeout_s)
    if method == "PUT":
        headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
    try:
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


def raw(address: str, request: bytes, timeout_s: float = 10.0) -> bytes:
    """Return all that comes back to these bytes."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=timeout_s) as connection:
        connection.sendall(request)
        received = bytearray()
        while part := connection.recv(65536):
            received += part
        return bytes(received)
