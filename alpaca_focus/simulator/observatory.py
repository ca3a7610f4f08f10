"""The simulated observatory put together: a world, its devices, and the Alpaca server in front of them."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Self

from alpaca_focus.alpaca.discovery import DISCOVERY_PORT
from alpaca_focus.alpaca.running import RunningServer, serve_forever
from alpaca_focus.alpaca.server import AlpacaServer, number_devices
from alpaca_focus.simulator.camera import SimulatedCamera
from alpaca_focus.simulator.clock import SimulatedClock
from alpaca_focus.simulator.conditions import SimulatedConditions
from alpaca_focus.simulator.control import control_routes
from alpaca_focus.simulator.faults import FaultBook
from alpaca_focus.simulator.filter_wheel import SimulatedFilterWheel
from alpaca_focus.simulator.focuser import SimulatedFocuser
from alpaca_focus.simulator.interceptor import FaultInterceptor
from alpaca_focus.simulator.observatory_settings import ObservatorySettings
from alpaca_focus.simulator.safety import SimulatedSafetyMonitor
from alpaca_focus.simulator.telescope import SimulatedTelescope
from alpaca_focus.simulator.world import World

START_TIMEOUT_S = 60.0


class Observatory:
    """A simulated observatory; a context manager that serves it from a thread of its own.

    Attributes:
        world: What is true in it.
        server: The Alpaca server, an ASGI application.
    """

    def __init__(self, settings: ObservatorySettings) -> None:
        clock = SimulatedClock(settings.time_factor, settings.start_utc)
        self.world = World(settings, clock, FaultBook(clock.now_s))
        devices = number_devices(
            [
                SimulatedCamera(self.world),
                SimulatedFocuser(self.world),
                SimulatedFilterWheel(self.world),
                SimulatedTelescope(self.world),
                SimulatedConditions(self.world),
                SimulatedSafetyMonitor(self.world),
            ]
        )
        self.server = AlpacaServer(
            devices,
            server_name="alpaca-focus simulator",
            manufacturer="alpaca-focus",
            manufacturer_version="1",
            location="Nowhere",
            interceptor=FaultInterceptor(self.world, devices),
            extra_routes=control_routes(self.world),
        )
        self._running: RunningServer | None = None

    def start(self, *, host: str = "127.0.0.1", port: int = 0, discovery_port: int | None = None) -> Self:
        """Serve from a thread of its own; port 0 takes a free one.

        Raises:
            ServerStartError: It cannot listen there.
        """
        self._running = RunningServer(self.server, host=host, port=port, discovery_port=discovery_port)
        return self

    def stop(self) -> None:
        """Stop to serve; may be called twice."""
        if self._running is not None:
            self._running.stop()
            self._running = None

    @property
    def running(self) -> RunningServer:
        """The server that runs.

        Raises:
            RuntimeError: It has not been started.
        """
        if self._running is None:
            raise RuntimeError("the simulated observatory has not been started")
        return self._running

    @property
    def address(self) -> str:
        """Host and port in one."""
        return self.running.address

    @property
    def base_url(self) -> str:
        """The URL before `/api/v1`."""
        return self.running.base_url

    def __enter__(self) -> Self:
        return self if self._running is not None else self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def serve_observatory(
    settings: ObservatorySettings,
    *,
    host: str,
    port: int,
    discovery: bool,
    on_started: Callable[[int], None],
) -> None:
    """Serve in the foreground until SIGINT or SIGTERM.

    Args:
        settings: The observatory.
        host: Address or name to listen on.
        port: Port to listen on, 0 for a free one.
        discovery: Whether to answer Alpaca discovery.
        on_started: Called with the port once requests are answered.

    Raises:
        ServerStartError: It cannot listen there.
    """
    server = Observatory(settings).server
    serve_forever(
        server, host=host, port=port, discovery_port=DISCOVERY_PORT if discovery else None, on_started=on_started
    )


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
