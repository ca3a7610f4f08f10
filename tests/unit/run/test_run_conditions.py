"""What is noted of the conditions of a run: no run fails for the want of a number that is only learned from."""

import asyncio

import numpy as np
import pytest

from alpaca_focus.core.errors import DeviceUnreachable
from alpaca_focus.core.night.state import PierSide
from alpaca_focus.ports import MountState
from alpaca_focus.run.device_adapters import Devices
from alpaca_focus.run.filter_choice import FilterChoice
from alpaca_focus.run.focus_run import read_run_conditions
from alpaca_focus.run.runner import RunConditions
from tests.fakes import FakeCamera, FakeClock, FakeFocuser, FakeSky

CHOICE = FilterChoice(filter_name="L", offset_steps=12)


class Sensor(FakeFocuser):
    """A focuser or a weather station with a thermometer, and a mount: each reads, or does not answer."""

    reading_c: float | None = None
    altitude_deg: float | None = None
    silent = False

    async def temperature_c(self) -> float | None:
        if self.silent:
            raise DeviceUnreachable("weather 0", "Weather station 0 does not answer.")
        return self.reading_c

    async def state(self) -> MountState:
        if self.silent:
            raise DeviceUnreachable("mount 0", "Mount 0 does not answer.")
        return MountState(
            tracking=True, parked=False, slewing=False, pier_side=PierSide.EAST, altitude_deg=self.altitude_deg
        )


def noted(rng: np.random.Generator, *, focuser_c: float | None, air_c: float | None, silent: bool) -> RunConditions:
    focuser, weather, mount = Sensor(), Sensor(), Sensor()
    focuser.reading_c, weather.reading_c, mount.altitude_deg = focuser_c, air_c, 55.0
    weather.silent = mount.silent = silent
    devices = Devices(
        connected={
            "camera": FakeCamera(FakeSky(focuser, rng), FakeClock()),
            "focuser": focuser,
            "mount": mount,
            "observing_conditions": weather,
        }
    )
    return asyncio.run(read_run_conditions(devices, CHOICE, {}))


@pytest.mark.parametrize(
    ("focuser_c", "air_c", "temperature_c", "temperatures_c"),
    [
        (4.0, 6.0, 4.0, {"focuser": 4.0, "air": 6.0}),
        (None, 6.0, 6.0, {"air": 6.0}),
        (4.0, None, 4.0, {"focuser": 4.0}),
        (None, None, None, {}),
    ],
)
def test_all_temperatures_are_noted_and_the_focuser_s_goes_first(
    focuser_c: float | None,
    air_c: float | None,
    temperature_c: float | None,
    temperatures_c: dict[str, float],
    rng: np.random.Generator,
) -> None:
    found = noted(rng, focuser_c=focuser_c, air_c=air_c, silent=False)
    assert (found.temperature_c, found.temperatures_c, found.altitude_deg) == (temperature_c, temperatures_c, 55.0)
    assert (found.filter_name, found.offset_steps) == ("L", 12)


def test_a_silent_weather_station_or_mount_is_left_out(rng: np.random.Generator) -> None:
    found = noted(rng, focuser_c=4.0, air_c=6.0, silent=True)
    assert (found.temperature_c, found.temperatures_c, found.altitude_deg) == (4.0, {"focuser": 4.0}, None)


def test_what_is_known_already_is_kept_with_it(rng: np.random.Generator) -> None:
    focuser = Sensor()
    focuser.reading_c = 4.0
    devices = Devices(connected={"camera": FakeCamera(FakeSky(focuser, rng), FakeClock()), "focuser": focuser})
    found = asyncio.run(read_run_conditions(devices, CHOICE, {"average": 4.2}))
    assert (found.temperature_c, dict(found.temperatures_c)) == (4.0, {"focuser": 4.0, "average": 4.2})
