"""Small devices behind a real server."""

import json
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest

from alpaca_focus.alpaca.errors import AlpacaError
from alpaca_focus.alpaca.replies import ImageReply, Interceptor
from alpaca_focus.alpaca.running import RunningServer
from alpaca_focus.alpaca.served import ServedDevice
from alpaca_focus.alpaca.server import AlpacaServer
from alpaca_focus.alpaca.standard import DeviceType


class SmallFocuser(ServedDevice):
    device_type = DeviceType.FOCUSER

    def __init__(self) -> None:
        super().__init__(name="Small <focuser>", unique_id="small-focuser")
        self.position = 100
        self.error: AlpacaError | None = None

    def get_position(self) -> int:
        if self.error:
            raise self.error
        return self.position

    async def put_move(self, position: int) -> None:
        self.position = position

    def get_maxstep(self) -> int:
        raise RuntimeError("a secret of the driver")

    def device_state(self) -> dict[str, Any]:
        return {"Position": self.position, "IsMoving": False}

    def get_supportedactions(self) -> list[str]:
        return ["Echo"]

    async def put_action(self, action: str, parameters: str) -> str:
        if action.lower() != "echo":
            return await super().put_action(action, parameters)
        return parameters


class SmallCamera(ServedDevice):
    device_type = DeviceType.CAMERA

    def __init__(self) -> None:
        super().__init__(name="Small camera", unique_id="small-camera")
        self.image: ImageReply | AlpacaError = ImageReply(pixels=np.zeros((2, 3), dtype=np.uint16))

    def get_imagearray(self) -> ImageReply:
        if isinstance(self.image, AlpacaError):
            raise self.image
        return self.image

    get_imagearrayvariant = get_imagearray


class ShyWheel(ServedDevice):
    device_type = DeviceType.FILTERWHEEL
    requires_connection = True

    def __init__(self) -> None:
        super().__init__(name="Shy wheel", unique_id="shy-wheel")
        self.refusal: AlpacaError | None = None

    async def connect_hardware(self) -> None:
        if self.refusal:
            raise self.refusal

    def get_position(self) -> int:
        return 2


class Observatory:
    """A running server, its devices, and plain HTTP to it."""

    def __init__(self, interceptor: Interceptor | None = None) -> None:
        self.focuser, self.camera, self.wheel = SmallFocuser(), SmallCamera(), ShyWheel()
        self.app = AlpacaServer(
            [self.focuser, self.camera, self.wheel],
            server_name="Small observatory",
            manufacturer="Tests",
            manufacturer_version="1.0",
            location="Loopback",
            interceptor=interceptor,
        )
        self.running = RunningServer(self.app)

    def ask(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        **parameters: Any,
    ) -> tuple[int, str, bytes]:
        """Return status, content type and body of one request."""
        connection = HTTPConnection(self.running.host, self.running.port, timeout=10)
        text = urlencode(parameters)
        sent = dict(headers or {})
        if method == "PUT" and body is None:
            body = text.encode()
            sent.setdefault("Content-Type", "application/x-www-form-urlencoded")
        elif text:
            path = f"{path}?{text}"
        try:
            connection.request(method, path, body=body, headers=sent)
            response = connection.getresponse()
            return response.status, response.headers.get_content_type(), response.read()
        finally:
            connection.close()

    def json(self, method: str, path: str, **parameters: Any) -> dict[str, Any]:
        status, content_type, body = self.ask(method, path, **parameters)
        assert (status, content_type) == (200, "application/json"), body
        reply = json.loads(body)
        assert isinstance(reply, dict)
        return reply


@pytest.fixture
def observe() -> Iterator[Callable[..., Observatory]]:
    """Make observatories with an interceptor; stopped at the end of the test."""
    made: list[Observatory] = []

    def make(interceptor: Interceptor | None = None) -> Observatory:
        made.append(Observatory(interceptor))
        return made[-1]

    yield make
    for observatory in made:
        observatory.running.stop()


@pytest.fixture
def observatory(observe: Callable[..., Observatory]) -> Observatory:
    return observe()
