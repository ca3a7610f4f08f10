"""Focus runs by the real `focus` path with servers that deviate as those in the field do."""

import asyncio
from typing import Any

import numpy as np
import pytest

from alpaca_focus.core.values import FocusResult, Outcome
from alpaca_focus.devices.clock import ScaledClock
from alpaca_focus.run.focus_run import focus_once
from alpaca_focus.settings.models import Settings
from tests.integration.foreign.small_server import START, SmallServer, small_server
from tests.served_devices import TIME_FACTOR

ZONE_STEPS = 67.1
STORED_PICTURES = {"best": 4560, "has_noise": False, "picture_steps": 80}


def focus(server: SmallServer, *, timeout_s: float = 5.0, **sections: Any) -> FocusResult:
    settings = Settings.model_validate(
        {
            "telescope": {"focal_length_mm": 500, "aperture_mm": 100},
            "alpaca": {"address": server.running.address, "timeout_s": timeout_s},
            "focus": {"exposure_s": 1.0, "retries": 0},
            **sections,
        }
    )
    return asyncio.run(focus_once(settings, emit=lambda _: None, clock=ScaledClock(TIME_FACTOR)))


@pytest.mark.parametrize(
    "habits",
    [
        {},
        STORED_PICTURES,
        STORED_PICTURES | {"dates": False},
        STORED_PICTURES | {"frees_image": True},
        {"frees_image": True},
        {"rests_at_download": True},
        {"json_only": True},
        {"rest_error_steps": -2},
        {"rest_error_steps": 2},
        {"unanswered": {"camerastate": 2}},
        {"unanswered": {"imageready": 2, "position": 2, "ismoving": 2}},
    ],
)
def test_focus_is_found_whatever_the_habits(habits: dict[str, Any], rng: np.random.Generator) -> None:
    with small_server(rng, **habits) as server:
        # Without dates, only ImageReady shows that a stored picture is new: a busy computer must not miss its absence.
        exposure_s = 1.0 if habits.get("dates", True) else 6.0
        result = focus(server, timeout_s=1.0, focus={"exposure_s": exposure_s, "retries": 0})
        assert result.outcome is Outcome.FOCUSED, result.reason
        assert server.away_steps < ZONE_STEPS / 2
        assert result.final_position == server.focuser.get_position()


@pytest.mark.parametrize(
    "habits",
    [
        {"reported_step_um": 0.05},
        {"reported_step_um": 0.25},
        {"reported_step_um": 4.0},
        {"reported_step_um": 20.0},
        # All but one of the frames of the first curve are wide: the V is narrower than a planned step.
        {"reported_step_um": 1.0, "step_um": 15.0, "best": START - 61},
    ],
)
def test_focus_is_found_whatever_the_reported_step_size(habits: dict[str, Any], rng: np.random.Generator) -> None:
    with small_server(rng, **habits) as server:
        result = focus(server)
        assert result.outcome is Outcome.FOCUSED, result.reason
        assert server.away_steps * server.habits.step_um < ZONE_STEPS / 2
