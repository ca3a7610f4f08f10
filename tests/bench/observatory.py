"""The simulated observatory behind the program's ports, in this process and on a clock of its own.

Hundreds of runs take minutes instead of days: time passes only in exposures, moves and waits. What the light, the
sensor and the mechanics do is the simulator's own; there is no network in between.
"""

import asyncio
from datetime import datetime, timedelta

from alpaca_focus.core.camera_record import CameraValues
from alpaca_focus.core.values import ExposureSettings, Frame, Position
from alpaca_focus.ports import CameraInfo, FocuserInfo
from alpaca_focus.simulator.faults import FaultBook
from alpaca_focus.simulator.render import Renderer, RenderRequest
from alpaca_focus.simulator.settings import ObservatorySettings
from alpaca_focus.simulator.simulated_clock import SimulatedClock
from alpaca_focus.simulator.world import World

TRANSFER_S = 0.3
"""Time in which a frame comes over the network."""
POLL_S = 0.2
"""Time until the end of a move is noticed."""
TURNS = 20
"""Turns of the event loop after which everybody who can go on without time passing has done so."""


class VirtualClock:
    """Time that passes only when all who do something wait."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._now_s = 0.0
        self._waiting: list[tuple[float, int]] = []
        self._count = 0

    def monotonic(self) -> float:
        return self._now_s

    def wall(self) -> datetime:
        return self._start + timedelta(seconds=self._now_s)

    async def sleep(self, duration_s: float) -> None:
        self._count += 1
        mine = (self._now_s + max(duration_s, 0.0), self._count)
        self._waiting.append(mine)
        try:
            while True:
                for _ in range(TURNS):
                    await asyncio.sleep(0)
                if min(self._waiting) == mine:
                    self._now_s = max(self._now_s, mine[0])
                    return
        finally:
            self._waiting.remove(mine)


class Observatory:
    """A camera and a focuser at one simulated telescope, and the truth about them."""

    def __init__(self, settings: ObservatorySettings) -> None:
        self.settings = settings
        self.clock = VirtualClock(settings.start_utc)
        simulated = SimulatedClock(1.0, settings.start_utc, self.clock.monotonic)
        self.faults = FaultBook(simulated.now_s)
        self.world = World(settings, simulated, self.faults)
        self.camera = BenchCamera(self)
        self.focuser = BenchFocuser(self)

    @property
    def away_steps(self) -> float:
        """How far the tube is from where it is in focus."""
        now_s = self.clock.monotonic()
        return self.world.mechanism.tube(now_s) - self.world.best_tube_steps(now_s)


class BenchFocuser:
    """The simulated mechanics as a focuser."""

    name = "focuser 0 (bench)"
    connections = 0

    def __init__(self, observatory: Observatory) -> None:
        self._observatory = observatory
        self._clock = observatory.clock
        self._mechanism = observatory.world.mechanism

    @property
    def info(self) -> FocuserInfo:
        focuser = self._observatory.settings.focuser
        return FocuserInfo(
            max_step=focuser.max_step,
            max_increment_steps=focuser.max_step,
            step_size_um=focuser.step_size_um,
            has_temperature_compensation=False,
        )

    async def connect(self) -> None: ...

    async def close(self) -> None: ...

    async def is_moving(self) -> bool:
        return self._mechanism.is_moving(self._clock.monotonic())

    async def position(self) -> Position:
        return self._mechanism.position(self._clock.monotonic())

    async def move_to(self, target: Position) -> Position:
        self._mechanism.start(target, self._clock.monotonic())
        way = abs(target - self._mechanism.position(self._clock.monotonic()))
        try:
            await self._clock.sleep(way / self._observatory.settings.focuser.speed_steps_per_s + POLL_S)
        except asyncio.CancelledError:
            self._mechanism.stop(self._clock.monotonic())
            raise
        return await self.position()

    async def temperature_c(self) -> float | None:
        return self._observatory.world.sensor_c(self._clock.monotonic())

    async def temperature_compensation(self) -> bool:
        return False

    async def set_temperature_compensation(self, *, enabled: bool) -> None: ...


class BenchCamera:
    """The simulated light and sensor as a camera."""

    name = "camera 0 (bench)"

    def __init__(self, observatory: Observatory) -> None:
        self._observatory = observatory
        self._clock = observatory.clock
        settings = observatory.settings
        self._renderer = Renderer(
            settings.telescope, settings.sensor, settings.sky, settings.spectrograph, settings.seed
        )
        self._frame: Frame | None = None
        self.exposures = 0

    @property
    def info(self) -> CameraInfo:
        sensor = self._observatory.settings.sensor
        return CameraInfo(
            sensor_width_px=sensor.width_px,
            sensor_height_px=sensor.height_px,
            pixel_size_um=sensor.pixel_size_um,
            max_adu=sensor.max_adu,
            max_binning=4,
            exposure_min_s=0.001,
            exposure_max_s=3600.0,
            can_abort=True,
            bayer=False,
        )

    async def connect(self) -> None: ...

    async def close(self) -> None: ...

    async def expose(self, settings: ExposureSettings) -> None:
        world, sensor, camera = self._observatory.world, self._observatory.settings.sensor, self._observatory.settings
        self.exposures += 1
        started_at = self._clock.wall()
        await self._clock.sleep(settings.exposure_s / 2)
        number = world.next_frame_number()
        state = world.optical_state(self._clock.monotonic(), number)
        await self._clock.sleep(settings.exposure_s / 2)
        part = settings.subframe
        request = RenderRequest(
            exposure_s=settings.exposure_s,
            num_x=part.width if part else sensor.width_px // settings.binning,
            num_y=part.height if part else sensor.height_px // settings.binning,
            start_x=part.x if part else 0,
            start_y=part.y if part else 0,
            binning_x=settings.binning,
            binning_y=settings.binning,
        )
        self._frame = Frame(
            pixels=self._renderer.render(state, request, number),
            exposure_s=settings.exposure_s,
            started_at=started_at,
            binning=settings.binning,
            saturation_adu=sensor.max_adu,
            electrons_per_adu=sensor.gain_e_per_adu,
        )
        await self._clock.sleep(camera.camera.readout_s + camera.camera.download_s)

    async def download(self) -> Frame:
        await self._clock.sleep(TRANSFER_S)
        frame, self._frame = self._frame, None
        assert frame is not None, "a frame is fetched once"
        return frame

    async def abort(self) -> None:
        self._frame = None

    async def until_idle(self) -> None: ...

    async def settings(self) -> CameraValues:
        return {}

    async def restore_settings(self, settings: CameraValues) -> None: ...
