"""A simulated observatory for the tests, behind real HTTP on loopback."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from alpaca_focus.simulator.observatory import Observatory
from alpaca_focus.simulator.settings import ObservatorySettings, SensorSettings, SkySettings
from tests.ports import free_port

SMALL = {
    "time_factor": 50.0,
    "sensor": SensorSettings(width_px=640, height_px=512),
    "sky": SkySettings(star_count=25, brightest_magnitude=7.0),
}


@pytest.fixture
def observatory_with(seed: int) -> Iterator[Callable[..., Observatory]]:
    """Starts simulated observatories with small frames; they are stopped when the test ends."""
    with ExitStack() as stack:

        def start(**changes: Any) -> Observatory:
            settings = ObservatorySettings(seed=seed).model_copy(update={**SMALL, **changes})
            return stack.enter_context(Observatory(settings).start(port=free_port()))

        yield start


@pytest.fixture
def observatory(observatory_with: Callable[..., Observatory]) -> Observatory:
    return observatory_with()
