"""Whole focus runs over real HTTP that are interrupted for an imaging program."""

import asyncio
import math
from collections.abc import Callable

import pytest

from alpaca_focus.core.events import CameraHandover, Event
from alpaca_focus.core.values import ExposureSettings, FocusResult, Frame, Outcome
from alpaca_focus.devices.clock import ScaledClock
from alpaca_focus.imaging.star_tracking import StarTracker
from alpaca_focus.ports import Camera, Focuser
from alpaca_focus.run.device_adapters import connected_devices
from alpaca_focus.run.runner import RunConditions, RunDevices, run_focus
from alpaca_focus.run.sweep_settings import plan_settings
from alpaca_focus.settings.models import Settings
from alpaca_focus.simulator.observatory import Observatory
from alpaca_focus.simulator.settings import FocuserSettings

ZONE_STEPS = 67.1
START = 25400


class Imaging:
    """Takes an image with a connection of its own in each of its turns; loses its patience after some questions.

    Not after some time, which is no measure of anything on a busy machine.
    """

    def __init__(self, camera: Camera, focuser: Focuser, patience: int) -> None:
        self._camera, self._focuser, self._patience = camera, focuser, patience
        self._asked = 0
        self.images: list[Frame] = []
        self.places: list[int] = []

    async def acquire(self) -> None:
        if self._asked:
            self.places.append(await self._focuser.position())
            # Only the exposure: a program that trusts the camera to be as it left it.
            await self._camera.expose(ExposureSettings(exposure_s=10.0))
            self.images.append(await self._camera.download())
            self.places.append(await self._focuser.position())
        self._asked = 0

    @property
    def left_s(self) -> float:
        self._asked += 1
        return math.inf if self._asked <= self._patience else 0.0

    async def release(self) -> None: ...


@pytest.mark.parametrize("subframe", [True, False])
def test_images_between_the_frames_of_a_run_are_as_before_it(
    subframe: bool, observatory_with: Callable[..., Observatory]
) -> None:
    observatory = observatory_with(focuser=FocuserSettings(start_position=START))
    settings = Settings.model_validate(
        {
            "telescope": {"focal_length_mm": 530, "aperture_mm": 106},
            "alpaca": {"address": observatory.address, "timeout_s": 3.0},
            "focuser": {"backlash": {"steps": 120}, "step_size_um": 1.0},
            "focus": {"exposure_s": 2.0, "binning": 2, "subframe": subframe},
        }
    )
    clock = ScaledClock(observatory.world.clock.factor)
    events: list[Event] = []

    async def run() -> tuple[FocusResult, Imaging]:
        async with connected_devices(settings, clock) as devices, connected_devices(settings, clock) as others:
            imaging = Imaging(others.camera, others.focuser, patience=9)
            plan = plan_settings(settings, devices, start=START, filter_name=None, known=None)
            run_devices = RunDevices(
                camera=devices.camera,
                focuser=devices.focuser,
                clock=clock,
                measure=StarTracker(None),
                sharing=imaging,
            )
            result = await run_focus(
                run_devices, plan, conditions=RunConditions(), max_duration_s=900.0, emit=events.append
            )
            return result, imaging

    result, imaging = asyncio.run(run())
    assert result.outcome is Outcome.FOCUSED, result.reason
    handovers = sum(isinstance(event, CameraHandover) for event in events)
    assert handovers == len(imaging.images) > 0
    assert {frame.pixels.shape for frame in imaging.images} == {(512, 640)}
    assert set(imaging.places) == {START}
    world, now_s = observatory.world, observatory.world.clock.now_s()
    assert abs(world.mechanism.tube(now_s) - world.best_tube_steps(now_s)) < ZONE_STEPS
