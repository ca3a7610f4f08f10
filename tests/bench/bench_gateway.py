"""What the gateway costs: the download of a 26 Mpx frame and the time of a call, directly and through it, in turns."""

import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from ipaddress import ip_network
from multiprocessing.connection import Connection
from typing import TypeVar

import numpy as np
from alpaca.camera import Camera

from alpaca_focus.alpaca.running import RunningServer
from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.gateway.gateway_server import PassThrough
from alpaca_focus.gateway.passed_images import PassedImage
from alpaca_focus.gateway.upstream import Upstream
from alpaca_focus.simulator.observatory import observatory_process
from alpaca_focus.simulator.settings import ObservatorySettings, SensorSettings, SkySettings
from tests.bench.table import Table
from tests.blocking import fetch_image

WIDTH_PX, HEIGHT_PX = 6248, 4176
DOWNLOADS = 15
CALLS = 500
T = TypeVar("T")
STATE = "/api/v1/camera/0/camerastate"


def run(seed: int) -> Table:
    settings = ObservatorySettings(
        seed=seed,
        time_factor=100,
        sensor=SensorSettings(width_px=WIDTH_PX, height_px=HEIGHT_PX),
        sky=SkySettings(star_count=500),
    )
    with observatory_process(settings) as direct, gateway_process(direct) as through:
        addresses = (direct, through)
        cameras = [Camera(address, 0) for address in addresses]
        cameras[0].Connected = True
        cameras[0].StartExposure(1.0, True)
        while not cameras[0].ImageReady:
            time.sleep(0.05)
        kept = [HTTPConnection(address) for address in addresses]
        frames = [fetch_image(address) for address in addresses]
        assert np.array_equal(*frames), "the gateway changes the frame"
        del frames
        rows = (
            _row("download, `alpaca.camera.Camera.ImageArray` + `numpy.array`", DOWNLOADS, cameras, _download),
            _row("download, alpaca-focus", DOWNLOADS, addresses, fetch_image),
            _row("call, `alpaca.camera.Camera.CameraState`", CALLS, cameras, lambda camera: camera.CameraState),
            _row("call, `http.client` on a kept connection", CALLS, kept, _ask_state),
        )
        for connection in kept:
            connection.close()
    return Table(
        title="The gateway",
        how=(
            "Simulator, gateway and client in three processes on loopback; a 26 Mpx 16 bit frame, shown to"
            f" a listener that decodes it. {DOWNLOADS} downloads and {CALLS} calls of each kind, directly and through"
            " the gateway in turns, medians."
        ),
        headings=("what", "directly, ms", "through the gateway, ms", "more, ms", "share of the direct speed"),
        rows=rows,
    )


def _download(camera: Camera) -> np.ndarray:
    return np.array(camera.ImageArray)


def _ask_state(connection: HTTPConnection) -> bytes:
    connection.request("GET", STATE)
    return connection.getresponse().read()


def _row(what: str, rounds: int, ways: list[T], work: Callable[[T], object]) -> tuple[str, ...]:
    # In turns, so that whatever else the machine does strikes both.
    pairs = [[_timed_ms(work, way) for way in ways] for _ in range(rounds)]
    direct_ms, through_ms = (statistics.median(column) for column in zip(*pairs, strict=True))
    more_ms = through_ms - direct_ms
    return (what, f"{direct_ms:.2f}", f"{through_ms:.2f}", f"{more_ms:.2f}", f"{100 * direct_ms / through_ms:.0f} %")


def _timed_ms(work: Callable[[T], object], way: T) -> float:
    began_s = time.perf_counter()
    work(way)
    return 1e3 * (time.perf_counter() - began_s)


@contextmanager
def gateway_process(authority: str) -> Iterator[str]:
    """Run the gateway in a process of its own; yields its address."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve_and_report, args=(authority, there), daemon=True)
    process.start()
    there.close()
    try:
        yield here.recv()
    finally:
        here.close()
        process.join()


def _serve_and_report(authority: str, pipe: Connection) -> None:
    camera = Upstream(DeviceType.CAMERA, authority=authority, device_number=0, on_image=_look)
    app = PassThrough([camera], allowed=[ip_network("127.0.0.0/8")], version="bench", location="loopback")
    with RunningServer(app) as running, suppress(EOFError):
        pipe.send(running.address)
        pipe.recv()


def _look(image: PassedImage) -> None:
    with image:
        assert image.pixels.ndim == 2
