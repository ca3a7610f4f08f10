"""The adapters of the devices, with what the settings say of them."""

from typing import Any

import pytest

from alpaca_focus.devices.clock import SystemClock
from alpaca_focus.run.device_adapters import focuser_adapter
from alpaca_focus.settings.models import Settings

TELESCOPE = {"focal_length_mm": 500, "aperture_mm": 100}  # a critical focus zone of 67 um


@pytest.mark.parametrize(
    ("focuser", "reported_um", "expected_steps"),
    [
        ({}, 1.0, 3),
        ({}, 4.0, 1),
        ({}, 0.1, 34),
        ({}, None, 1),
        ({"step_size_um": 0.1}, 1.0, 34),
        ({"tolerance_steps": 0}, 1.0, 0),
        ({"tolerance_steps": 7}, None, 7),
    ],
)
def test_the_tolerance_is_a_twentieth_of_the_critical_focus_zone(
    focuser: dict[str, Any], reported_um: float | None, expected_steps: int
) -> None:
    settings = Settings.model_validate({"telescope": TELESCOPE, "focuser": focuser})
    assert focuser_adapter(settings, SystemClock())._tolerance_steps(reported_um) == expected_steps
