"""One exposure of the simulated camera: its times, its light and its frame."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from alpaca_focus.simulator.render import OpticalState, Renderer, RenderRequest
from alpaca_focus.simulator.world import World

Adu: TypeAlias = NDArray[np.unsignedinteger[Any]]


@dataclass(slots=True)
class Times:
    """When what happens, in simulated seconds; `ended_s` comes sooner when the exposure is stopped."""

    began_s: float
    ended_s: float
    readout_s: float
    download_s: float

    @property
    def read_s(self) -> float:
        """When the sensor has been read."""
        return self.ended_s + self.readout_s

    @property
    def ready_s(self) -> float:
        """When the frame can be fetched, if it is rendered by then."""
        return self.read_s + self.download_s


class SimulatedExposure:
    """One exposure from its start to its frame.

    The light is that of the middle of the exposure. The frame is rendered in a thread of its own once the shutter is
    closed; where that takes longer than the simulated camera would, the camera waits for it.

    Args:
        world: What the light meets.
        renderer: Makes the frame.
        request: What was asked for.
        prepare: Called in that thread with the frame; returns what is handed out.
    """

    def __init__(self, world: World, renderer: Renderer, request: RenderRequest, prepare: Callable[[Adu], Adu]) -> None:
        camera, now_s = world.settings.camera, world.clock.now_s()
        self.request = request
        self.started_at: datetime = world.clock.utc()
        self.times = Times(now_s, now_s + request.exposure_s, camera.readout_s, camera.download_s)
        self.frame: Adu | None = None
        self._world = world
        self._renderer = renderer
        self._prepare = prepare
        self._stopped = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._expose())

    @property
    def exposed_s(self) -> float:
        """How long the shutter was open."""
        return self.times.ended_s - self.times.began_s

    def stop(self) -> None:
        """End the exposure now and read the frame."""
        self.times.ended_s = min(self.times.ended_s, self._world.clock.now_s())
        self._stopped.set()

    def abort(self) -> None:
        """End the exposure now without a frame."""
        self._task.cancel()

    def is_ready(self) -> bool:
        """Tell whether the frame can be fetched."""
        return self.frame is not None and self._world.clock.now_s() >= self.times.ready_s

    def has_failed(self) -> bool:
        """Tell whether there will be no frame, because the program itself failed."""
        return self._task.done() and not self._task.cancelled() and self._task.exception() is not None

    async def _expose(self) -> None:
        await self._sleep_until(self.times.began_s + self.request.exposure_s / 2)
        number = self._world.next_frame_number()
        state = self._world.optical_state(self._world.clock.now_s(), number)
        await self._sleep_until(self.times.ended_s)
        request = replace(self.request, exposure_s=self.exposed_s)
        self.frame = await asyncio.to_thread(self._render, state, request, number)

    def _render(self, state: OpticalState, request: RenderRequest, number: int) -> Adu:
        return self._prepare(self._renderer.render(state, request, number))

    async def _sleep_until(self, time_s: float) -> None:
        """Wait for a simulated time, whose pace may change meanwhile, or for the exposure to be stopped."""
        while not self._stopped.is_set():
            left_s = self._world.clock.real_s(time_s - self._world.clock.now_s())
            if left_s <= 0:
                return
            try:
                await asyncio.wait_for(self._stopped.wait(), min(left_s, 0.5))
            except TimeoutError:
                continue


def prepared_frame(frame: Adu, quirks: frozenset[str], *, bit_depth: int, fast_readout: bool) -> Adu:
    """Return a frame as a camera with these deviations hands it out.

    Args:
        frame: ADU, shape (rows, columns).
        quirks: Names of the deviations.
        bit_depth: Bits of the camera's converter.
        fast_readout: Whether the fast read-out mode was chosen.

    Returns:
        Shape (rows, columns), or with a third axis for frames with planes; the memory is in the order of the wire,
        columns one after the other, so that no download copies it.
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
