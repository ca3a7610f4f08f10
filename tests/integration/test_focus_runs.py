"""Whole focus runs over real HTTP against the simulated observatory, on good nights and on bad ones."""

import asyncio
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alpaca_focus.core.errors import ConfigurationError, DeviceError, RunFailed
from alpaca_focus.core.events import Event, FrameMeasured
from alpaca_focus.core.values import FocusResult, Outcome
from alpaca_focus.devices.clock import ScaledClock
from alpaca_focus.run.focus_run import focus_once
from alpaca_focus.settings.models import Settings
from alpaca_focus.simulator.faults import FaultRequest
from alpaca_focus.simulator.observatory import Observatory
from alpaca_focus.simulator.quirks import PERSONALITIES, QUIRKS
from alpaca_focus.simulator.settings import FocuserSettings
from alpaca_focus.store.run_store import RunStore

ZONE_STEPS = 67.1
START = 25400


def settings_for(observatory: Observatory, **sections: Any) -> Settings:
    return Settings.model_validate(
        {
            "telescope": {"focal_length_mm": 530, "aperture_mm": 106},
            "alpaca": {"address": observatory.address, "timeout_s": 3.0},
            "camera": {"download_timeout_s": 5.0},
            "focuser": {"backlash": {"steps": 120}, "step_size_um": 1.0, "stall_timeout_s": 20.0},
            "focus": {"exposure_s": 2.0},
            **sections,
        }
    )


def focus(observatory: Observatory, *, emit: Callable[[Event], None] = lambda _: None, **sections: Any) -> FocusResult:
    clock = ScaledClock(observatory.world.clock.factor)
    return asyncio.run(focus_once(settings_for(observatory, **sections), emit=emit, clock=clock))


def defocus_zones(observatory: Observatory) -> float:
    world, now_s = observatory.world, observatory.world.clock.now_s()
    return abs(world.mechanism.tube(now_s) - world.best_tube_steps(now_s)) / ZONE_STEPS


@pytest.mark.parametrize("turn", range(3))
def test_focus_is_found_from_afar_with_fresh_seeds(
    turn: int, seed: int, observatory_with: Callable[..., Observatory]
) -> None:
    chance = random.Random(seed + turn)
    start = 24920 + chance.choice((-1, 1)) * chance.randint(300, 1500)
    observatory = observatory_with(focuser=FocuserSettings(start_position=start))
    result = focus(observatory, filter_wheel={}, observing_conditions={}, mount={}, safety_monitor={})
    assert result.outcome is Outcome.FOCUSED, result.reason
    assert defocus_zones(observatory) < 1.0
    assert result.filter_name == "L"
    assert result.temperature_c == result.temperatures_c["focuser"] == pytest.approx(10.0, abs=1.0)
    assert result.temperatures_c["air"] == pytest.approx(10.0, abs=3.0)
    assert result.altitude_deg is not None
    assert 0 < result.altitude_deg <= 90


def test_what_a_run_teaches_spares_the_next_one_most_of_its_frames(
    tmp_path: Path, observatory_with: Callable[..., Observatory]
) -> None:
    observatory = observatory_with(focuser=FocuserSettings(start_position=START))
    storage = {"directory": str(tmp_path)}
    first = focus(observatory, storage=storage, filter_wheel={})
    again = focus(observatory, storage=storage, filter_wheel={})
    assert first.outcome is again.outcome is Outcome.FOCUSED, again.reason
    assert again.fit is not None
    assert again.fit.model == "known hyperbola"
    assert again.exposures <= 5 < first.exposures
    assert defocus_zones(observatory) < 0.5
    with RunStore(tmp_path, read_only=True) as store:
        assert [kept.result.started_at for kept in store.runs()] == [again.started_at, first.started_at]


@pytest.mark.parametrize("personality", PERSONALITIES)
def test_focus_is_found_with_servers_that_deviate(
    personality: str, observatory_with: Callable[..., Observatory]
) -> None:
    observatory = observatory_with(personality=personality, focuser=FocuserSettings(start_position=START))
    result = focus(observatory)
    assert result.outcome is Outcome.FOCUSED, result.reason
    assert defocus_zones(observatory) < 1.0


ONE_BY_ONE = sorted(
    set(QUIRKS)
    - {quirk for personality in PERSONALITIES.values() for quirk in personality.quirks}
    - {"focuser-slow-start", "numbers-unique-across-types", "numbers-change", "no-discovery"}
)


@pytest.mark.parametrize("quirk", ONE_BY_ONE)
def test_a_single_deviation_ends_in_focus_or_at_the_start_with_a_reason(
    quirk: str, observatory_with: Callable[..., Observatory]
) -> None:
    observatory = observatory_with(quirks=(quirk,), focuser=FocuserSettings(start_position=START))
    try:
        result = focus(observatory)
    except (ConfigurationError, DeviceError):
        # Refused before anything was moved.
        assert observatory.world.mechanism.position(observatory.world.clock.now_s()) == START
        return
    if result.outcome is Outcome.FOCUSED:
        assert defocus_zones(observatory) < 1.0
    else:
        assert result.outcome is Outcome.RESTORED, result.reason
        assert abs(observatory.world.mechanism.position(observatory.world.clock.now_s()) - START) <= 1


def test_a_focuser_that_stops_three_steps_short_finds_focus(observatory_with: Callable[..., Observatory]) -> None:
    observatory = observatory_with(quirks=("stops-short",), focuser=FocuserSettings(start_position=START))
    result = focus(observatory)
    assert result.outcome is Outcome.FOCUSED, result.reason
    assert defocus_zones(observatory) < 0.5
    assert result.final_position == observatory.world.mechanism.position(observatory.world.clock.now_s())


def test_a_focuser_that_stops_shorter_than_its_tolerance_is_reported_as_stranded(
    observatory_with: Callable[..., Observatory],
) -> None:
    observatory = observatory_with(quirks=("stops-short",), focuser=FocuserSettings(start_position=START))
    focuser = {"step_size_um": 1.0, "stall_timeout_s": 20.0, "tolerance_steps": 2}
    result = focus(observatory, focuser=focuser)
    assert result.outcome is Outcome.STRANDED
    assert "could not be brought back" in result.reason
    assert abs(observatory.world.mechanism.position(observatory.world.clock.now_s()) - START) < 5


BAD_NIGHTS: dict[str, FaultRequest] = {
    "camera dies": FaultRequest(kind="no-answer", device="camera"),
    "camera in error": FaultRequest(kind="camera-error"),
    "camera garbage": FaultRequest(kind="garbage", device="camera"),
    "image dropped": FaultRequest(kind="cut-image"),
    "image stalls": FaultRequest(kind="stall-image"),
    "server errors": FaultRequest(kind="http-500", device="camera"),
    "clouds": FaultRequest(kind="clouds"),
    "focuser stalls once": FaultRequest(kind="focuser-stall", times=1),
    "camera loses power": FaultRequest(kind="power-off", device="camera"),
    "focuser gone for a while": FaultRequest(kind="http-500", device="focuser", duration_s=30.0),
}


@pytest.mark.parametrize("night", BAD_NIGHTS)
def test_a_bad_night_ends_with_the_focuser_restored(night: str, observatory_with: Callable[..., Observatory]) -> None:
    observatory = observatory_with(focuser=FocuserSettings(start_position=START))
    frames = 0

    def trouble_after_four_frames(event: Event) -> None:
        nonlocal frames
        if isinstance(event, FrameMeasured):
            frames += 1
            if frames == 4:
                observatory.world.faults.add(BAD_NIGHTS[night])

    # A device that is silent, or an image that comes to a halt, is waited for in real seconds.
    patience = {"alpaca": {"address": observatory.address, "timeout_s": 1.5}, "camera": {"download_timeout_s": 2.5}}
    result = focus(observatory, emit=trouble_after_four_frames, **patience)
    assert result.outcome is not Outcome.STRANDED, result.reason
    if result.outcome is Outcome.RESTORED:
        assert observatory.world.mechanism.position(observatory.world.clock.now_s()) == START
        assert f"The focuser is back at position {START}, where it started." in result.reason
    else:
        assert defocus_zones(observatory) < 1.0


@pytest.mark.parametrize("fault", [FaultRequest(kind="seeing-jump", times=1), FaultRequest(kind="trail", times=1)])
def test_one_ruined_frame_does_not_spoil_a_run(
    fault: FaultRequest, observatory_with: Callable[..., Observatory]
) -> None:
    observatory = observatory_with(focuser=FocuserSettings(start_position=25000))
    frames = 0

    def ruin_the_fifth_frame(event: Event) -> None:
        nonlocal frames
        if isinstance(event, FrameMeasured):
            frames += 1
            if frames == 4:
                observatory.world.faults.add(fault)

    result = focus(observatory, emit=ruin_the_fifth_frame)
    assert result.outcome is Outcome.FOCUSED, result.reason
    assert defocus_zones(observatory) < 0.5


def test_nothing_is_moved_when_it_is_not_safe_or_the_mount_is_parked(observatory: Observatory) -> None:
    observatory.world.weather.safe = False
    with pytest.raises(RunFailed, match=r"unsafe conditions\. Nothing was moved"):
        focus(observatory, safety_monitor={})
    assert observatory.world.mechanism.position(observatory.world.clock.now_s()) == 26000


@pytest.mark.parametrize(
    ("quirks", "sections", "sentence"),
    [
        ((), {"focuser": {"max_position": 25000}}, "is at 26000, outside the limits 0 to 25000"),
        ((), {"focus": {"exposure_s": 2.0, "binning": 8}}, "focus.binning is 8, but"),
        ((), {"camera": {"device_number": 7}}, "camera 7"),
    ],
)
def test_what_cannot_work_is_reported_in_one_sentence_before_anything_moves(
    quirks: tuple[str, ...],
    sections: dict[str, Any],
    sentence: str,
    observatory_with: Callable[..., Observatory],
) -> None:
    observatory = observatory_with(quirks=quirks)
    with pytest.raises(ConfigurationError) as caught:
        focus(observatory, **sections)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)
    assert observatory.world.mechanism.position(observatory.world.clock.now_s()) == 26000
