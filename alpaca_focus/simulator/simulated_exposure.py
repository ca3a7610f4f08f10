"""One exposure of the simulated camera: its times, its light and its frame."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from alpaca_focus.simulator.render import Renderer, RenderRequest
from alpaca_focus.simulator.world import World

LONGEST_SLEEP_S = 0.5
"""Longest sleep, real seconds, before the pace of simulated time is read again."""
Adu: TypeAlias = NDArray[np.unsignedinteger[Any]]


@dataclass(slots=True)
class ExposureTimes:
    """Times of one exposure in simulated seconds; stopping the exposure moves `ended_s` forward."""

    began_s: float
    ended_s: float
    readout_s: float
    download_s: float

    @property
    def read_s(self) -> float:
        """Time at which the sensor has been read."""
        return self.ended_s + self.readout_s

    @property
    def ready_s(self) -> float:
        """Earliest time at which the frame can be fetched."""
        return self.read_s + self.download_s


class SimulatedExposure:
    """One exposure from its start to its frame.

    The optical state is that of the middle of the exposure. The frame is rendered in a worker thread once the shutter
    is closed, and `prepare` is applied to it there. If that takes longer than the simulated read-out and download, the
    camera waits for it.
    """

    def __init__(self, world: World, renderer: Renderer, request: RenderRequest, prepare: Callable[[Adu], Adu]) -> None:
        camera, now_s = world.settings.camera, world.clock.now_s()
        self.request = request
        self.started_at: datetime = world.clock.utc()
        self.times = ExposureTimes(now_s, now_s + request.exposure_s, camera.readout_s, camera.download_s)
        self.frame: Adu | None = None
        self._world = world
        self._renderer = renderer
        self._prepare = prepare
        self._stopped = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._expose())

    @property
    def exposed_s(self) -> float:
        """Time for which the shutter was open."""
        return self.times.ended_s - self.times.began_s

    def stop(self) -> None:
        """End the exposure now and read the frame."""
        self.times.ended_s = min(self.times.ended_s, self._world.clock.now_s())
        self._stopped.set()

    def abort(self) -> None:
        """End the exposure now without a frame."""
        self._task.cancel()

    def is_ready(self) -> bool:
        """Return whether the frame can be fetched."""
        return self.frame is not None and self._world.clock.now_s() >= self.times.ready_s

    def has_failed(self) -> bool:
        """Return whether rendering raised an error, so that no frame will come."""
        return self._task.done() and not self._task.cancelled() and self._task.exception() is not None

    async def _expose(self) -> None:
        await self._sleep_until(self.times.began_s + self.request.exposure_s / 2)
        number = self._world.next_frame_number()
        state = self._world.optical_state(self._world.clock.now_s(), number)
        await self._sleep_until(self.times.ended_s)
        request = replace(self.request, exposure_s=self.exposed_s)
        self.frame = await asyncio.to_thread(lambda: self._prepare(self._renderer.render(state, request, number)))

    async def _sleep_until(self, time_s: float) -> None:
        """Wait for a simulated time or for the exposure to be stopped; the pace of time may change meanwhile."""
        while not self._stopped.is_set():
            left_s = self._world.clock.real_s(time_s - self._world.clock.now_s())
            if left_s <= 0:
                return
            try:
                await asyncio.wait_for(self._stopped.wait(), min(left_s, LONGEST_SLEEP_S))
            except TimeoutError:
                continue


def prepared_frame(frame: Adu, quirks: frozenset[str], *, bit_depth: int, fast_readout: bool) -> Adu:
    """Return a frame, ADU of shape (rows, columns), as a camera with these quirks delivers it.

    Frames with planes get a third axis. The memory is in the order of the wire, column by column, so that no download
    copies it.
    """
    if "readout-mode-changes-size" in quirks and fast_readout:
        frame = frame[::2, ::2]
    if "clipped-at-bias" in quirks:
        frame = np.maximum(frame, np.median(frame).astype(frame.dtype))
    if "byte-frames" in quirks and frame.dtype != np.uint8:
        frame = (frame >> (bit_depth - 8)).astype(np.uint8)
    if "planes-in-wrong-order" in quirks:
        # The server takes these axes for (rows, columns, planes), and so sends (planes, columns, rows).
        frame = np.stack([frame.T] * 3, axis=1)
    elif "three-planes" in quirks:
        frame = np.stack([frame] * 3, axis=2)
    return np.ascontiguousarray(frame.swapaxes(0, 1)).swapaxes(0, 1)
