"""A night on a clock that only moves on request: a scheduler with devices made of a few numbers."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from alpaca_focus.core.errors import DeviceUnreachable, RunFailed
from alpaca_focus.core.night.state import Patience, PierSide, Reading
from alpaca_focus.core.night.triggers import Trigger, as_soon_as_possible
from alpaca_focus.core.sweep.backlash import Backlash, Direction, Limits
from alpaca_focus.core.values import FocusResult, Measurement, Outcome, Sample
from alpaca_focus.night.dependencies import Dependencies, NightSettings
from alpaca_focus.night.poller import Poller, Sources
from alpaca_focus.night.scheduler import RefocusScheduler
from alpaca_focus.ports import CameraActivity, MountState
from alpaca_focus.run.restore_marker import RestoreMarker
from alpaca_focus.store.run_store import RunStore
from tests.fakes import FakeClock, FakeFocuser

POLL_S = 10.0


class _Named:
    """A device that may be taken away."""

    server = "127.0.0.1:11111"

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_gone = False

    def check(self) -> None:
        if self.is_gone:
            raise DeviceUnreachable(self.name, f"{self.name} does not answer.")

    async def connect(self) -> None: ...

    async def close(self) -> None: ...


class FakeCameraWatch(_Named):
    def __init__(self) -> None:
        super().__init__("camera 0 (fake)")
        self.shown = CameraActivity(busy=False, preparing=False, exposure_started=None, exposure_s=None)

    async def activity(self) -> CameraActivity:
        self.check()
        return self.shown


class FakeMount(_Named):
    def __init__(self) -> None:
        super().__init__("telescope 0 (fake)")
        self.shown = MountState(tracking=True, parked=False, slewing=False, pier_side=PierSide.EAST, altitude_deg=60.0)

    async def state(self) -> MountState:
        self.check()
        return self.shown


class FakeThermometer(_Named):
    def __init__(self, name: str = "thermometer", reading_c: float | None = 5.0) -> None:
        super().__init__(name)
        self.reading_c = reading_c

    async def temperature_c(self) -> float | None:
        self.check()
        return self.reading_c


class FakeWheel(_Named):
    names = ("L", "Ha")
    focus_offsets_steps = (0, 25)

    def __init__(self) -> None:
        super().__init__("filterwheel 0 (fake)")
        self.now = 0

    async def slot(self) -> int | None:
        self.check()
        return self.now

    async def move_to(self, slot: int) -> None:
        self.now = slot


class FakeSafety(_Named):
    def __init__(self) -> None:
        super().__init__("safetymonitor 0 (fake)")
        self.safe = True

    async def is_safe(self) -> bool:
        self.check()
        return self.safe


class FakeGuider:
    name = "guider"

    def __init__(self) -> None:
        self.dithering = False
        self.moves = 0

    async def pause(self) -> None: ...

    async def resume(self) -> None: ...

    async def is_dithering(self) -> bool:
        return self.dithering

    async def after_move(self) -> None:
        self.moves += 1


def night_settings(*triggers: Trigger, **other: Any) -> NightSettings:
    usual: dict[str, Any] = {
        "night_below_deg": -18.0,
        "reading": Reading(every_s=10.0, count=6, followed_count=3),
        "patience": Patience(first_s=600.0, longest_s=2400.0),
        "compensation": None,
        "between_exposures": True,
        "backlash": Backlash(steps=100, arrive=Direction.IN),
        "limits": Limits(lowest=0, highest=60000),
    }
    return NightSettings(triggers=(as_soon_as_possible, *triggers), **(usual | other))


@dataclass
class Scene:
    """A scheduler, its devices, and what its focus runs shall do."""

    settings: NightSettings
    directory: Path | None = None
    clock: FakeClock = field(default_factory=FakeClock)
    focuser: FakeFocuser = field(default_factory=FakeFocuser)

    def __post_init__(self) -> None:
        self.camera, self.mount, self.wheel = FakeCameraWatch(), FakeMount(), FakeWheel()
        self.thermometer, self.safety = FakeThermometer(), FakeSafety()
        self.has_wheel = True
        self.guider = FakeGuider()
        self.runs: list[str] = []
        self.outcomes: list[Outcome | Exception] = []
        self.taken_runs = 0
        self.run_lasts_s = 30.0
        self.is_hanging = False
        self.program_images: int | None = None
        """Images that a gateway has counted since it was last asked; None: there is none."""
        self.when_cancelled: Outcome | Exception | None = None
        self.images = 0
        self.camera_restores: list[bool | DeviceUnreachable] = []
        self.store = None if self.directory is None else RunStore(self.directory)
        self.scheduler = self.new_scheduler()

    def new_scheduler(self) -> RefocusScheduler:
        """Make the scheduler, or a new one as after a crash: with what is on disk, and nothing else."""
        poller = Poller(
            Sources(
                camera=self.camera,
                focuser=self.focuser,
                focuser_counts=False,
                thermometers=(self.thermometer,),
                filter_wheel=self.wheel if self.has_wheel else None,
                mount=self.mount,
                safety_monitor=self.safety,
                new_images=None if self.program_images is None else self._new_images,
            ),
            self.clock,
            watch_s=POLL_S,
            least_image_s=10.0,
        )
        self.scheduler = RefocusScheduler(
            Dependencies(
                focuser=self.focuser,
                poller=poller,
                focus=self._focus,
                store=self.store,
                restore_marker=RestoreMarker(self.directory, self.focuser.name),
                clock=self.clock,
                guider=self.guider,
                restore_camera=self._restore_camera,
            ),
            self.settings,
        )
        return self.scheduler

    def _new_images(self) -> int:
        new, self.program_images = self.program_images, 0
        return new or 0

    async def _restore_camera(self) -> bool:
        outcome = self.camera_restores.pop(0) if self.camera_restores else True
        if isinstance(outcome, DeviceUnreachable):
            raise outcome
        return outcome

    async def _focus(self, triggers: str) -> FocusResult:
        self.runs.append(triggers)
        started_at = self.clock.wall()
        try:
            if self.is_hanging:
                await asyncio.get_running_loop().create_future()
            await self.clock.sleep(self.run_lasts_s)
            outcome = self.outcomes.pop(0) if self.outcomes else Outcome.FOCUSED
        except asyncio.CancelledError:
            if self.when_cancelled is None:
                raise
            outcome = self.when_cancelled
        if isinstance(outcome, Exception):
            raise outcome
        is_taken, self.taken_runs = self.taken_runs > 0, max(0, self.taken_runs - 1)
        if is_taken:
            outcome = Outcome.RESTORED
        measurement = Measurement(metric="hfd", value=2.5, stderr=0.05, star_count=40)
        result = FocusResult(
            outcome=outcome,
            reason="So it ended.",
            start_position=self.focuser.motor,
            final_position=self.focuser.motor,
            fit=None,
            samples=(),
            verification=Sample(position=self.focuser.motor, measurement=measurement, purpose="verify"),
            started_at=started_at,
            duration_s=self.run_lasts_s,
            exposures=3,
            camera_taken=is_taken,
        )
        if self.store is not None:
            self.store.save(result, trigger=triggers)
        return result

    async def poll(self, times: int = 1, *, every_s: float = POLL_S) -> None:
        """Let the scheduler poll, and complete the job that it starts."""
        for _ in range(times):
            self.clock.now_s += every_s
            await self.scheduler.tick()
            await self.scheduler.at_rest()

    async def image(self, exposure_s: float = 60.0) -> None:
        """Let the imaging program take one frame."""
        self.images += 1
        self.camera.shown = replace(self.camera.shown, busy=True)
        await self.poll(every_s=exposure_s / 2)
        self.clock.now_s += exposure_s / 2
        self.camera.shown = CameraActivity(
            busy=False, preparing=False, exposure_started=f"image {self.images}", exposure_s=exposure_s
        )
        await self.poll(every_s=2.0)


def played(scene: Callable[[], Any]) -> None:
    """Play a scene to its end."""
    asyncio.run(scene())


CLOUDS = RunFailed("The stars are gone.")
