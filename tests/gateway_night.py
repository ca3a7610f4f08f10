"""An imaging program that works through the gateway, and a spy at the real devices that sees what really happens."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from alpaca.camera import Camera
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from alpaca_focus.daemon.daemon import Daemon
from alpaca_focus.devices.clock import ScaledClock
from alpaca_focus.service.control_client import ask
from alpaca_focus.service.control_wire import socket_path
from alpaca_focus.settings.models import Settings
from alpaca_focus.simulator.observatory import Observatory
from alpaca_focus.simulator.settings import FocuserSettings, ObservatorySettings, SensorSettings, SkySettings
from tests.ports import free_port

EXPOSURE_S = 6.0
PATIENCE_S = 30.0
"""Real seconds until a test gives up."""


@dataclass(frozen=True)
class Seen:
    """One command at a real device."""

    at_s: float
    device: str
    member: str
    form: dict[str, str]


class Spy:
    """Stands before the simulated observatory and writes down every command."""

    def __init__(self, app: ASGIApp, now_s: Any) -> None:
        self._app = app
        self._now_s = now_s
        self.seen: list[Seen] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "PUT":
            await self._app(scope, receive, send)
            return
        message = await receive()
        *_, device, _, member = scope["path"].split("/")
        form = dict(parse_qsl(message.get("body", b"").decode("latin-1")))
        self.seen.append(Seen(self._now_s(), device, member, form))
        given: list[Message] = [message]

        async def again() -> Message:
            return given.pop() if given else await receive()

        await self._app(scope, again, send)

    def exposures(self, duration_s: float) -> list[Seen]:
        """Return the exposures of that length that the camera has started."""
        return [
            each for each in self.seen if each.member == "startexposure" and float(each.form["Duration"]) == duration_s
        ]


@dataclass
class GatewayNight:
    """A simulated observatory, the daemon with its gateway, and what was seen at the real devices."""

    observatory: Observatory
    spy: Spy
    direct: str
    gateway: str
    directory: Path
    problems: list[str] = field(default_factory=list)

    @property
    def factor(self) -> float:
        return self.observatory.world.clock.factor

    def asked(self, command: str, **arguments: Any) -> dict[str, Any]:
        return ask(socket_path(self.directory), command, arguments, timeout_s=10.0)

    def until(self, is_so: Any) -> dict[str, Any]:
        """Ask for the status until it is so."""
        ends_at = time.monotonic() + PATIENCE_S
        while time.monotonic() < ends_at:
            status = self.asked("status")
            if is_so(status):
                return status
            time.sleep(0.05)
        raise AssertionError(f"the condition was never met: {status}")


@contextmanager
def gateway_night(directory: Path, *, seed: int, factor: float = 12.5, **sections: Any) -> Iterator[GatewayNight]:
    """Run the observatory and the daemon while the block lasts."""
    observatory = Observatory(
        ObservatorySettings(
            seed=seed,
            time_factor=factor,
            sensor=SensorSettings(width_px=640, height_px=512),
            sky=SkySettings(star_count=40, brightest_magnitude=6.0),
            focuser=FocuserSettings(start_position=25000),
        )
    )
    spy = Spy(observatory.server, observatory.world.clock.now_s)
    observatory.server = spy
    port = free_port()
    with observatory.start():
        usual: dict[str, Any] = {
            "telescope": {"focal_length_mm": 530, "aperture_mm": 106},
            "alpaca": {"address": observatory.address, "timeout_s": 5.0},
            "focuser": {"backlash": {"steps": 120}, "settle_s": 0.1},
            "focus": {"exposure_s": 2.0},
            "mount": {},
            "filter_wheel": {},
            "storage": {"directory": str(directory)},
            "web": None,
            "imaging": {"way": "gateway"},
            "gateway": {"port": port, "discovery": False},
            "triggers": {"images": 4},
            "night": {"least_image_s": EXPOSURE_S},
        }
        gateway = usual["gateway"] | sections.pop("gateway", {})
        settings = Settings.model_validate(usual | sections | {"gateway": gateway})
        with _daemon(settings, factor) as address:
            night = GatewayNight(observatory, spy, observatory.address, f"127.0.0.1:{port}", directory)
            assert address
            night.until(lambda status: status.get("looks", 0) > 0)
            yield night


@contextmanager
def _daemon(settings: Settings, factor: float) -> Iterator[bool]:
    loop = asyncio.new_event_loop()
    made: list[Daemon] = []
    ready = threading.Event()

    async def kept() -> bool:
        made.append(Daemon(lambda: settings, ScaledClock(factor), clock_rate=factor))
        ready.set()
        return await made[0].run()

    thread = threading.Thread(target=lambda: loop.run_until_complete(kept()))
    thread.start()
    try:
        assert ready.wait(10.0)
        path = socket_path(Path(str(settings.storage.directory)))
        ends_at = time.monotonic() + PATIENCE_S
        while not path.exists() and time.monotonic() < ends_at:
            time.sleep(0.02)
        yield True
    finally:
        loop.call_soon_threadsafe(made[0].stop)
        thread.join(PATIENCE_S)
        loop.close()


@dataclass(frozen=True)
class Wanted:
    """How the imaging program takes one frame."""

    binning: int
    width: int
    height: int
    left: int
    top: int
    gain: int
    offset: int
    mode: int


def set_up(camera: Camera, wanted: Wanted) -> None:
    """Set the camera as imaging programs do before each frame."""
    camera.ReadoutMode = wanted.mode
    camera.BinX = wanted.binning
    camera.BinY = wanted.binning
    camera.StartX = 0
    camera.StartY = 0
    camera.NumX = wanted.width
    camera.NumY = wanted.height
    camera.StartX = wanted.left
    camera.StartY = wanted.top
    camera.Gain = wanted.gain
    camera.Offset = wanted.offset


def is_set(camera: Camera) -> Wanted:
    """Read what the camera is set to."""
    return Wanted(
        camera.BinX,
        camera.NumX,
        camera.NumY,
        camera.StartX,
        camera.StartY,
        camera.Gain,
        camera.Offset,
        camera.ReadoutMode,
    )
