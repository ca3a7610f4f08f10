"""An imaging program that shares the camera with focus runs, and what it must never see."""

import asyncio
import heapq
import math
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

import numpy as np
import pytest

from alpaca_focus.core.camera_record import CameraValues
from alpaca_focus.core.errors import DeviceUnreachable
from alpaca_focus.core.values import ExposureSettings, Frame, Position
from tests.fakes import FakeCamera, FakeClock, FakeFocuser, FakeSky

ITS_SETTINGS: CameraValues = {"BinX": 1, "BinY": 1, "Gain": 100}
RUNS_SETTINGS: CameraValues = {"BinX": 2, "BinY": 2, "Gain": 200}
START = 25600
IDLE_TURNS = 20
"""Turns of the loop after which nobody has anything left to do but to wait."""


class VirtualClock(FakeClock):
    """Time that passes when everybody waits for it, so that waits lie beside each other as in the real one.

    Every wait and every call of a device is a point at which something can happen to the run.
    """

    def __init__(self) -> None:
        super().__init__()
        self.points = 0
        self.on_point: Callable[[int], None] = lambda _: None
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._turning = False

    async def point(self) -> int:
        self.points += 1
        number = self.points
        self.on_point(number)
        await asyncio.sleep(0)
        return number

    async def sleep(self, duration_s: float) -> None:
        number = await self.point()
        if duration_s <= 0:
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now_s + duration_s, number, woken))
        if not self._turning:
            self._turning = True
            self._turn(0)
        await woken

    def _turn(self, turns: int) -> None:
        if turns < IDLE_TURNS:
            asyncio.get_running_loop().call_soon(self._turn, turns + 1)
            return
        while self._sleepers:
            wakes_s, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                self.now_s = wakes_s
                woken.set_result(None)
                asyncio.get_running_loop().call_soon(self._turn, 0)
                return
        self._turning = False


class Troubles:
    """Calls of devices that fail, by their number."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._calls = 0
        self.failing: frozenset[int] = frozenset()

    async def call(self, device: str) -> None:
        self._calls += 1
        number = self._calls
        await self._clock.point()
        if number in self.failing:
            raise DeviceUnreachable(device, f"The {device} does not answer call {number}.")


class SlowFocuser(FakeFocuser):
    """A focuser whose moves take their time."""

    steps_per_s = 500.0

    def __init__(self, clock: VirtualClock, troubles: Troubles, **how: Any) -> None:
        super().__init__(start=START, **how)
        self.clock, self.troubles = clock, troubles
        self.may_move: Callable[[], bool] = lambda: True

    async def position(self) -> Position:
        await self.troubles.call("focuser")
        return self.motor

    async def move_to(self, target: Position) -> Position:
        assert self.may_move(), "the focuser moved during an image"
        await self.troubles.call("focuser")
        await self.clock.sleep(0.3 + abs(target - self.motor) / self.steps_per_s)
        return await super().move_to(target)


class SharedFakeCamera(FakeCamera):
    """A camera with settings, that may be used only in its turn."""

    download_s = 1.0

    def __init__(self, sky: FakeSky, clock: VirtualClock, troubles: Troubles) -> None:
        super().__init__(sky, clock)
        self.troubles = troubles
        self.values = ITS_SETTINGS
        self.busy = 0
        self.is_ours: Callable[[], bool] = lambda: True

    async def expose(self, settings: ExposureSettings) -> None:
        await self._call()
        self.busy += 1
        try:
            self.values = RUNS_SETTINGS
            await super().expose(settings)
        finally:
            self.busy -= 1

    async def download(self) -> Frame:
        await self._call()
        self.busy += 1
        try:
            await self.clock.sleep(self.download_s)
            return await super().download()
        finally:
            self.busy -= 1

    async def abort(self) -> None:
        await self._call()
        await super().abort()

    async def settings(self) -> CameraValues:
        await self._call()
        return await super().settings()

    async def restore_settings(self, settings: CameraValues) -> None:
        await self._call()
        await super().restore_settings(settings)

    async def _call(self) -> None:
        assert self.is_ours(), "the camera was touched without being ours"
        await self.troubles.call("camera")


class ImagingProgram:
    """Asks for the camera some time after each gap has begun, and has so much patience.

    Args:
        clock: Time.
        camera: The shared camera.
        focuser: Must stand at one place while the imaging program has the camera.
        asks_after_s: From each beginning of a turn of the focus run to the wish for the camera; infinite: none.
        patience_s: How long it waits then.
        exposes_s: How long it has the camera each time.
    """

    def __init__(
        self,
        clock: VirtualClock,
        camera: SharedFakeCamera,
        focuser: SlowFocuser,
        *,
        asks_after_s: Iterator[float] | None = None,
        patience_s: float = 50.0,
        exposes_s: Iterator[float] | None = None,
    ) -> None:
        self._clock, self._camera, self._focuser = clock, camera, focuser
        self._asks_after_s = asks_after_s or repeat(5.0)
        self._exposes_s = exposes_s or repeat(120.0)
        self._patience_s = patience_s
        self._ends_s = math.inf
        self.has_it = True
        self.takes = 0
        self.too_late_s: list[float] = []
        self.places: list[Position] = []
        self.on_turn: Callable[[], object] = lambda: None
        self.fails_at = 0
        camera.is_ours = lambda: not self.has_it
        focuser.may_move = lambda: not self.has_it

    async def acquire(self) -> None:
        assert self.has_it
        if self.takes:
            await self._clock.sleep(next(self._exposes_s))
        await self._clock.point()
        self.takes += 1
        if self.takes == self.fails_at:
            raise DeviceUnreachable("camera", "The camera is never free.")
        self.has_it = False
        self._ends_s = self._clock.monotonic() + next(self._asks_after_s) + self._patience_s

    @property
    def left_s(self) -> float:
        left_s = self._ends_s - self._clock.monotonic()
        return left_s if left_s <= self._patience_s else math.inf

    async def release(self) -> None:
        if self.has_it:
            return
        await self._clock.point()
        assert not self._camera.busy, "given back in the middle of a frame"
        self.too_late_s.append(max(0.0, self._clock.monotonic() - self._ends_s))
        self._ends_s = math.inf
        self.places.append(self._focuser.motor)
        self.has_it = True
        self.on_turn()


class Pausable:
    """A guider that must rest while the focuser moves, and guide while an image is taken."""

    name = "guider"

    def __init__(self, clock: VirtualClock, *, pauses: bool = True, settles_s: float = 4.0) -> None:
        self._clock, self._pauses, self._settles_s = clock, pauses, settles_s
        self.guides = True
        self.log: list[str] = []

    async def pause(self) -> None:
        self.log.append("pause")
        await self._clock.point()
        self.guides = not self._pauses

    async def resume(self) -> None:
        self.log.append("resume")
        self.guides = True
        if math.isinf(self._settles_s):
            await asyncio.Event().wait()
        await self._clock.sleep(self._settles_s)

    async def after_move(self) -> None:
        self.log.append("after move")
        if self.guides:
            await self._clock.sleep(self._settles_s)


class SharedObservatory:
    """The devices of a run that shares its camera."""

    def __init__(self, rng: np.random.Generator, **program: Any) -> None:
        self.clock = VirtualClock()
        self.troubles = Troubles(self.clock)
        self.focuser = SlowFocuser(self.clock, self.troubles)
        self.sky = FakeSky(self.focuser, rng)
        self.camera = SharedFakeCamera(self.sky, self.clock, self.troubles)
        self.program = ImagingProgram(self.clock, self.camera, self.focuser, **program)
        self.guider = Pausable(self.clock)


def measure_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure in the loop and not in a thread, whose time nobody can foretell."""

    async def at_once(work: Callable[..., Any], *arguments: Any) -> Any:
        return work(*arguments)

    monkeypatch.setattr(asyncio, "to_thread", at_once)
