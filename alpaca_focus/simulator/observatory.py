"""Builds and serves the simulated observatory: its world, its devices and their Alpaca server."""

import multiprocessing
import secrets
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Self

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from alpaca_focus.alpaca.discovery import DISCOVERY_PORT
from alpaca_focus.alpaca.running import RunningServer, serve_forever
from alpaca_focus.alpaca.served import ServedDevice
from alpaca_focus.alpaca.server import AlpacaServer
from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.simulator.faults import FaultBook
from alpaca_focus.simulator.interceptor import FaultInterceptor
from alpaca_focus.simulator.settings import ObservatorySettings
from alpaca_focus.simulator.simulated_camera import SimulatedCamera
from alpaca_focus.simulator.simulated_clock import SimulatedClock
from alpaca_focus.simulator.simulated_device import SimulatedDevice
from alpaca_focus.simulator.simulated_focuser import SimulatedFilterWheel, SimulatedFocuser
from alpaca_focus.simulator.simulated_telescope import SimulatedTelescope
from alpaca_focus.simulator.simulated_weather import SimulatedConditions, SimulatedSafetyMonitor
from alpaca_focus.simulator.simulator_api import control_routes
from alpaca_focus.simulator.world import World

START_TIMEOUT_S = 60.0
DEVICES: tuple[Callable[[World], SimulatedDevice], ...] = (
    SimulatedCamera, SimulatedFocuser, SimulatedFilterWheel,
    SimulatedTelescope, SimulatedConditions, SimulatedSafetyMonitor,
)  # fmt: skip


class Observatory:
    """A simulated observatory; a context manager that serves it from a thread of its own."""

    def __init__(self, settings: ObservatorySettings) -> None:
        clock = SimulatedClock(settings.time_factor, settings.start_utc)
        self.world = World(settings, clock, FaultBook(clock.now_s))
        devices = _numbered([kind(self.world) for kind in DEVICES], self.world.quirks)
        server = AlpacaServer(
            devices,
            server_name="alpaca-focus simulator",
            manufacturer="alpaca-focus",
            manufacturer_version="1",
            location="Nowhere",
            interceptor=FaultInterceptor(self.world, devices),
            extra_routes=control_routes(self.world),
        )
        self.server: ASGIApp = WithoutManagement(server) if "no-management" in self.world.quirks else server
        self._running: RunningServer | None = None

    def start(self, *, host: str = "127.0.0.1", port: int = 0, discovery_port: int | None = None) -> Self:
        """Serve from a thread of its own; port 0 takes a free one.

        Raises:
            ServerStartError: It cannot listen there.
        """
        answered = None if "no-discovery" in self.world.quirks else discovery_port
        self._running = RunningServer(self.server, host=host, port=port, discovery_port=answered)
        return self

    def stop(self) -> None:
        """Stop serving; may be called twice."""
        if self._running is not None:
            self._running.stop()
            self._running = None

    @property
    def running(self) -> RunningServer:
        """The running server.

        Raises:
            RuntimeError: The observatory has not been started.
        """
        if self._running is None:
            raise RuntimeError("the simulated observatory has not been started")
        return self._running

    @property
    def address(self) -> str:
        """Address of the server, "host:port"."""
        return self.running.address

    @property
    def base_url(self) -> str:
        """The URL before `/api/v1`."""
        return self.running.base_url

    def __enter__(self) -> Self:
        return self if self._running is not None else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


class WithoutManagement:
    """Hides the management API of a server."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 404 to management requests; pass all others on."""
        hidden = scope["type"] == "http" and scope["path"].startswith("/management")
        await (Response(status_code=404) if hidden else self._app)(scope, receive, send)


def _numbered(devices: list[SimulatedDevice], quirks: frozenset[str]) -> dict[tuple[DeviceType, int], ServedDevice]:
    """Number the devices from 0 within their type, as the standard requires, or as a quirk does."""
    first = secrets.randbelow(100) if "numbers-change" in quirks else 0
    unique = "numbers-unique-across-types" in quirks
    return {(device.device_type, first + (index if unique else 0)): device for index, device in enumerate(devices)}


def serve_observatory(
    settings: ObservatorySettings, *, host: str, port: int, discovery: bool, on_started: Callable[[int], None]
) -> None:
    """Serve in the foreground until SIGINT or SIGTERM.

    Port 0 takes a free one. `on_started` is called with the port once requests are answered.

    Raises:
        ServerStartError: It cannot listen there.
    """
    observatory = Observatory(settings)
    answered = DISCOVERY_PORT if discovery and "no-discovery" not in observatory.world.quirks else None
    serve_forever(observatory.server, host=host, port=port, discovery_port=answered, on_started=on_started)


@contextmanager
def observatory_process(settings: ObservatorySettings) -> Iterator[str]:
    """Serve from a process of its own on a free port of this machine, until the block ends or this process does.

    Yields:
        The address, "host:port".

    Raises:
        RuntimeError: The process did not start to serve.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve_and_report, args=(settings, there), daemon=True)
    process.start()
    there.close()
    try:
        if not here.poll(START_TIMEOUT_S):
            raise RuntimeError("The simulated observatory did not start.")
        yield f"127.0.0.1:{here.recv()}"
    finally:
        here.close()
        process.join()


def _serve_and_report(settings: ObservatorySettings, pipe: Connection) -> None:
    # A terminal sends Ctrl-C to every process of a command; this one ends when the other end of the pipe is closed,
    # which also happens when the process there is killed.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Observatory(settings) as observatory, suppress(EOFError):
        pipe.send(observatory.running.port)
        pipe.recv()
