"""Calibrations over real HTTP against the simulated observatory: what they find, and where they leave things."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from alpaca_focus.core.errors import ConfigurationError, RunFailed
from alpaca_focus.devices.clock import ScaledClock
from alpaca_focus.run import calibrations
from alpaca_focus.run.calibrations import Calibration, Proposal
from alpaca_focus.simulator.faults import FaultRequest
from alpaca_focus.simulator.observatory import Observatory
from alpaca_focus.simulator.settings import FilterSettings, FocuserSettings
from alpaca_focus.store.run_store import RunStore
from tests.integration.test_focus_runs import settings_for

START = 25050


def carried_out(
    observatory: Observatory, measure: Callable[[Calibration], Coroutine[Any, Any, Proposal]], **sections: Any
) -> tuple[Proposal, list[str]]:
    lines: list[str] = []
    clock = ScaledClock(observatory.world.clock.factor)
    settings = settings_for(observatory, filter_wheel={}, **sections)
    return asyncio.run(measure(Calibration(settings=settings, report=lines.append, clock=clock))), lines


def number(line: str, word: str) -> float:
    return float(line.split(word)[1].split(maxsplit=1)[0])


def test_the_backlash_is_measured_and_nothing_is_learned_from_it(
    tmp_path: Path, observatory_with: Callable[..., Observatory]
) -> None:
    observatory = observatory_with(focuser=FocuserSettings(start_position=START, backlash_steps=140))
    proposal, lines = carried_out(
        observatory,
        lambda calibration: calibrations.backlash(calibration, pairs=1),
        storage={"directory": str(tmp_path)},
    )
    value, error = number(proposal.lines[0], "Backlash: "), number(proposal.lines[0], "+- ")
    assert abs(value - 140) < 4 * error
    assert error < 20
    assert proposal.changes == {"focuser.backlash.steps": pytest.approx(value + 2 * error, abs=1)}
    assert [line.split(":")[0] for line in lines] == ["pair 1 of 1, arriving inward", "pair 1 of 1, arriving outward"]
    with RunStore(tmp_path, read_only=True) as store:
        assert [run.trigger for run in store.runs()] == ["calibrate backlash"] * 2


def test_the_offsets_of_the_filters_are_measured_and_the_wheel_is_turned_back(
    observatory_with: Callable[..., Observatory],
) -> None:
    names = (FilterSettings(name="L"), FilterSettings(name="R", offset_steps=120, transmission=0.6))
    observatory = observatory_with(focuser=FocuserSettings(start_position=START), filters=names)
    proposal, lines = carried_out(
        observatory, lambda calibration: calibrations.filters(calibration, runs=1, reference=None)
    )
    offsets = proposal.changes["filter_wheel.focus_offsets_steps"]
    assert isinstance(offsets, dict)
    assert offsets["L"] == 0
    assert offsets["R"] == pytest.approx(120, abs=25)
    assert [line.split(":")[0] for line in lines] == [
        "run 1 of 3, through L",
        "run 2 of 3, through R",
        "run 3 of 3, through L",
    ]
    assert observatory.world.wheel.slot(observatory.world.clock.now_s()) == 0


def test_a_learned_v_curve_needs_a_place_to_be_kept(observatory_with: Callable[..., Observatory]) -> None:
    with pytest.raises(ConfigurationError, match=r"Set storage\.directory"):
        carried_out(observatory_with(), lambda calibration: calibrations.vcurve(calibration, runs=1))


def test_a_v_curve_is_learned(tmp_path: Path, observatory_with: Callable[..., Observatory]) -> None:
    observatory = observatory_with(focuser=FocuserSettings(start_position=START))
    proposal, _ = carried_out(
        observatory, lambda calibration: calibrations.vcurve(calibration, runs=1), storage={"directory": str(tmp_path)}
    )
    assert proposal.lines[0].startswith("The V-curve through L, from 1 run: inside 0.0")
    assert proposal.changes == {}


def test_a_calibration_under_clouds_ends_at_the_start(observatory_with: Callable[..., Observatory]) -> None:
    observatory = observatory_with(focuser=FocuserSettings(start_position=START))
    observatory.world.faults.add(FaultRequest(kind="clouds"))
    with pytest.raises(RunFailed, match=r"failed at pair 1 of 1, arriving inward: .* back at position 25050"):
        carried_out(
            observatory,
            lambda calibration: calibrations.backlash(calibration, pairs=1),
            focus={"exposure_s": 2.0, "retries": 0},
        )
    assert observatory.world.mechanism.position(observatory.world.clock.now_s()) == START
