"""A 26 Mpx 16 bit frame from the simulator on loopback into numpy: ours against alpyca, side by side."""

import statistics
import time
from collections.abc import Callable

import numpy as np
from alpaca.camera import Camera

from alpaca_focus.simulator.observatory import observatory_process
from alpaca_focus.simulator.settings import ObservatorySettings, SensorSettings, SkySettings
from tests.bench.table import Table
from tests.blocking import fetch_image

WIDTH_PX, HEIGHT_PX = 6248, 4176
ROUNDS = 9


def run(seed: int) -> Table:
    settings = ObservatorySettings(
        seed=seed,
        time_factor=100,
        sensor=SensorSettings(width_px=WIDTH_PX, height_px=HEIGHT_PX),
        sky=SkySettings(star_count=500),
    )
    with observatory_process(settings) as address:
        camera = Camera(address, 0)
        camera.Connected = True
        camera.StartExposure(1.0, True)
        while not camera.ImageReady:
            time.sleep(0.05)

        def ours() -> np.ndarray:
            return fetch_image(address)

        def theirs() -> np.ndarray:
            return np.array(camera.ImageArray)

        assert np.array_equal(ours(), theirs().T), "the two clients do not see the same frame"
        # In turns, so that whatever else the machine does strikes both.
        pairs = [(_timed(ours), _timed(theirs)) for _ in range(ROUNDS)]
        camera.Connected = False
    mine, other = (statistics.median(column) for column in zip(*pairs, strict=True))
    megabytes = 2 * WIDTH_PX * HEIGHT_PX / 1e6
    return Table(
        title="Download of a 26 Mpx 16 bit frame",
        how=f"From the simulator in another process on loopback into numpy, {ROUNDS} rounds in turns, medians.",
        headings=("client", "seconds", "MB/s", "times faster"),
        rows=(
            ("`alpaca.camera.Camera.ImageArray` + `numpy.array`", f"{other:.3f}", f"{megabytes / other:.0f}", "1.0"),
            ("alpaca-focus", f"{mine:.3f}", f"{megabytes / mine:.0f}", f"{other / mine:.1f}"),
        ),
    )


def _timed(work: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    work()
    return time.perf_counter() - began_s
