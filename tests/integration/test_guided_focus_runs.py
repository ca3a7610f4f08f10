"""Whole focus runs while PHD2 guides: it rests before the first move, and goes on whatever becomes of the run."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from alpaca_focus.core.events import Event, FrameMeasured, Moved, RunEnded
from alpaca_focus.core.values import FocusResult, Outcome
from alpaca_focus.devices.clock import ScaledClock
from alpaca_focus.run.focus_run import focus_once
from alpaca_focus.settings.models import Settings
from alpaca_focus.simulator.faults import FaultRequest
from alpaca_focus.simulator.observatory import Observatory
from alpaca_focus.simulator.settings import FocuserSettings
from tests.fake_phd2 import FakePhd2

START = 25400


class Night:
    """One run with a guider; what PHD2 is asked and what the run tells is in `guider.log`, in its order."""

    def __init__(self, observatory: Observatory, guider: FakePhd2, **guiding: Any) -> None:
        self.observatory = observatory
        self.guider = guider
        self.result: FocusResult | None = None
        self.on_frame: Callable[[int], None] = lambda _: None
        self._guiding = guiding
        self._frames = 0

    async def focus(self) -> FocusResult:
        async with self.guider:
            return await focus_once(
                self._settings(), emit=self._note, clock=ScaledClock(self.observatory.world.clock.factor)
            )

    def _settings(self) -> Settings:
        return Settings.model_validate(
            {
                "telescope": {"focal_length_mm": 530, "aperture_mm": 106},
                "alpaca": {"address": self.observatory.address, "timeout_s": 3.0},
                "focuser": {"backlash": {"steps": 120}, "step_size_um": 1.0},
                "focus": {"exposure_s": 2.0, "retries": 0},
                "guider": {"address": self.guider.address, "settle_s": 0.1, "timeout_s": 5.0, **self._guiding},
            }
        )

    def _note(self, event: Event) -> None:
        if isinstance(event, Moved):
            self.guider.log.append("move")
        elif isinstance(event, FrameMeasured):
            self._frames += 1
            self.on_frame(self._frames)
        elif isinstance(event, RunEnded):
            self.guider.log.append("end")
            self.result = event.result


@pytest.fixture
def night_with(observatory_with: Callable[..., Observatory]) -> Callable[..., Night]:
    def make(guider: FakePhd2, **guiding: Any) -> Night:
        return Night(observatory_with(focuser=FocuserSettings(start_position=START)), guider, **guiding)

    return make


def rested(guider: FakePhd2) -> bool:
    """Whether it was paused before the first move, resumed after the last one, and steady at the end of the run."""
    at_rest = [index for index, what in enumerate(guider.log) if what == "set_paused"]
    moves = [index for index, what in enumerate(guider.log) if what == "move"]
    assert len(at_rest) == 2
    star = len(guider.log) - 1 - guider.log[::-1].index("get_settling")
    return at_rest[0] < moves[0] < moves[-1] < at_rest[1] < star < guider.log.index("end")


def test_guiding_rests_during_a_run_that_finds_focus(night_with: Callable[..., Night]) -> None:
    guider = FakePhd2()
    result = asyncio.run(night_with(guider).focus())
    assert result.outcome is Outcome.FOCUSED, result.reason
    assert rested(guider)
    assert guider.state == "Guiding"
    assert "uiding" not in result.reason


def test_guiding_goes_on_after_a_run_that_fails(night_with: Callable[..., Night]) -> None:
    guider = FakePhd2()
    night = night_with(guider)

    def clouds(frames: int) -> None:
        if frames == 4:
            night.observatory.world.faults.add(FaultRequest(kind="clouds"))

    night.on_frame = clouds
    result = asyncio.run(night.focus())
    assert result.outcome is Outcome.RESTORED, result.reason
    assert rested(guider)
    assert guider.state == "Guiding"


@pytest.mark.parametrize("settles_after_s", [0.02, 60])
def test_guiding_goes_on_after_a_run_that_is_aborted(settles_after_s: float, night_with: Callable[..., Night]) -> None:
    guider = FakePhd2(settles_after_s=settles_after_s)
    night = night_with(guider, timeout_s=60)

    async def abort() -> None:
        running = asyncio.create_task(night.focus())

        def abort_at_the_third(frames: int) -> None:
            if frames == 3:
                running.cancel()

        night.on_frame = abort_at_the_third
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(abort())
    assert night.result is not None
    assert night.result.outcome is Outcome.RESTORED
    assert night.result.final_position == START
    assert rested(guider)
    assert guider.state == "Guiding"
    assert ("without waiting until it settled" in night.result.reason) is (settles_after_s == 60)


def test_nothing_is_paused_where_guiding_is_only_waited_for_before_each_frame(night_with: Callable[..., Night]) -> None:
    guider = FakePhd2()
    result = asyncio.run(night_with(guider, mode="wait").focus())
    assert result.outcome is Outcome.FOCUSED, result.reason
    frames = {sample.position for sample in result.samples}
    assert len(frames) <= guider.log.count("get_settling") - 1 <= len(result.samples)
    assert set(guider.log) == {"move", "get_app_state", "get_settling", "end"}
    assert guider.log[-6:] == ["move", *["get_app_state", "get_settling"] * 2, "end"]


def test_a_guider_that_never_settles_is_reported_in_the_result(night_with: Callable[..., Night]) -> None:
    result = asyncio.run(night_with(FakePhd2(settles_after_s=None)).focus())
    assert result.outcome is Outcome.FOCUSED
    assert "Guiding could not be resumed: PHD2 at 127.0.0.1:" in result.reason
    assert "its star was not steady within 5 s. Check PHD2" in result.reason


def test_a_phd2_that_is_not_there_hinders_nothing(night_with: Callable[..., Night]) -> None:
    guider = FakePhd2()
    result = asyncio.run(night_with(guider, address="127.0.0.1:1").focus())
    assert result.outcome is Outcome.FOCUSED
    assert "Guiding could not be paused: PHD2 at 127.0.0.1:1 cannot be reached." in result.reason
    assert "resumed" not in result.reason


def test_a_phd2_that_is_not_there_is_waited_for_once(night_with: Callable[..., Night]) -> None:
    guider = FakePhd2()
    result = asyncio.run(night_with(guider, address="127.0.0.1:1", mode="wait").focus())
    assert result.outcome is Outcome.FOCUSED
    assert result.reason.count("Guiding did not settle, so that later exposures did not wait for it: PHD2 at") == 1
    assert "Guiding could not be resumed" in result.reason
