"""What the night does with a focuser that was left behind, moved by others, or has lost its zero."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from alpaca_focus.core.curves.learned_curve import LearnedCurve
from alpaca_focus.core.errors import DeviceMisbehaved, DeviceUnreachable
from alpaca_focus.core.night.compensation import CompensationSettings
from alpaca_focus.core.night.focuser_watch import PositionRules
from alpaca_focus.core.night.triggers import AfterImages, Trigger, unverified_position
from alpaca_focus.core.values import Fit, Outcome, Position
from alpaca_focus.night.dependencies import NightSettings
from alpaca_focus.run.restore_marker import RestoreMarker
from tests.night_scene import Scene, night_settings, played

RULES = PositionRules(tolerance_steps=3.0, own_steps=60.0, quiet_s=45.0)
FOLLOWING = CompensationSettings(steps_per_c=30.0)


def settings(*triggers: Trigger, rules: PositionRules = RULES, **other: object) -> NightSettings:
    return night_settings(unverified_position, *triggers, positions=rules, **other)


def strand(scene: Scene, directory: Path, *, at: Position = 26500) -> None:
    """Let the focuser die in the middle of the next run."""
    focus = scene._focus

    async def dies(triggers: str) -> object:
        marker = RestoreMarker(directory, scene.focuser.name)
        marker.set(scene.focuser.motor, reach=(scene.focuser.motor, at))
        scene.focuser.motor = at
        scene.focuser.is_gone = True
        scene.outcomes.append(Outcome.STRANDED)
        return await focus(triggers)

    scene.scheduler._dependencies = replace(scene.scheduler._dependencies, focus=dies)


def revive(scene: Scene) -> None:
    scene.focuser.is_gone = False
    scene.focuser.connections += 1
    scene.scheduler._dependencies = replace(scene.scheduler._dependencies, focus=scene._focus)


@pytest.mark.parametrize("exposing", [True, False])
def test_a_stranded_focuser_is_brought_home_at_its_first_answer_and_verified(tmp_path: Path, *, exposing: bool) -> None:
    scene = Scene(settings(AfterImages(9)), tmp_path)

    async def night() -> None:
        await scene.poll()
        strand(scene, tmp_path)
        scene.scheduler.requests.refocus()
        await scene.poll(3)
        decision = scene.scheduler.decision
        assert scene.focuser.motor == 26500
        assert decision is not None
        assert "the focuser is not where it belongs" in decision.blocked_by
        scene.camera.shown = replace(scene.camera.shown, busy=exposing)
        revive(scene)
        await scene.poll()
        assert scene.focuser.motor == 25000
        assert not RestoreMarker(tmp_path, scene.focuser.name).is_left
        assert scene.scheduler.outcomes.last_run is not None
        assert "The focuser is back at position 25000" in scene.scheduler.outcomes.last_run.reason
        # The hold-off of the run that failed does not delay what verifies the position; the exposure does.
        await scene.poll()
        assert scene.runs == (["asap"] if exposing else ["asap", "position"])
        scene.camera.shown = replace(scene.camera.shown, busy=False)
        await scene.poll()
        assert scene.runs == ["asap", "position"]
        assert scene.scheduler.state.history.focuser.unverified == ""

    played(night)


def test_a_focuser_that_refuses_to_return_is_tried_again_later_and_between_exposures_only(tmp_path: Path) -> None:
    scene = Scene(settings(), tmp_path)

    async def night() -> None:
        await scene.poll()
        strand(scene, tmp_path)
        scene.scheduler.requests.refocus()
        await scene.poll(2)
        scene.camera.shown = replace(scene.camera.shown, busy=True)
        revive(scene)
        scene.focuser.fails = [DeviceMisbehaved(scene.focuser.name, "It is stuck.")]
        await scene.poll(20)
        assert (scene.focuser.motor, scene.focuser.fails) == (26500, [])
        scene.camera.shown = replace(scene.camera.shown, busy=False)
        await scene.poll()
        assert scene.focuser.motor == 25000

    played(night)


def test_a_program_that_moves_a_stranded_focuser_decides_where_it_belongs(tmp_path: Path) -> None:
    scene = Scene(settings(), tmp_path)

    async def night() -> None:
        await scene.poll()
        strand(scene, tmp_path)
        scene.scheduler.requests.refocus()
        await scene.poll(2)
        scene.scheduler.program_moves()
        revive(scene)
        await scene.poll(2)
        assert scene.focuser.motor == 26500
        scene.focuser.motor = 25100
        scene.scheduler.program_has_moved(25100)
        await scene.poll(3)
        assert scene.focuser.motor == 25100
        assert scene.scheduler.state.history.focuser.jump is None

    played(night)


def test_a_focuser_that_lost_its_zero_during_a_run_is_not_sent_to_a_wrong_place(tmp_path: Path) -> None:
    scene = Scene(settings(), tmp_path)

    async def night() -> None:
        await scene.poll()
        strand(scene, tmp_path, at=25600)
        scene.scheduler.requests.refocus()
        await scene.poll(2)
        revive(scene)
        scene.focuser.motor = 0
        await scene.poll(3)
        assert scene.focuser.moves == []
        jump = scene.scheduler.state.history.focuser.jump
        assert jump is not None
        assert (jump.found, jump.zero_lost) == (0, True)

    played(night)


def test_a_correction_move_that_was_cut_off_is_finished_at_the_first_answer_and_verified(tmp_path: Path) -> None:
    scene = Scene(settings(compensation=FOLLOWING), tmp_path)

    async def night() -> None:
        await scene.poll(6)
        scene.thermometer.reading_c = 4.0
        scene.focuser.fails = [DeviceUnreachable(scene.focuser.name, "It is gone.")]
        while scene.scheduler.state.unfinished_move is None:
            await scene.poll()
        target = scene.scheduler.state.unfinished_move.target
        scene.focuser.is_gone = True
        await scene.poll(2)
        scene.focuser.motor = 24995
        scene.focuser.is_gone = False
        scene.camera.shown = replace(scene.camera.shown, busy=True)
        await scene.poll()
        assert (scene.focuser.motor, scene.scheduler.state.unfinished_move) == (target, None)
        scene.camera.shown = replace(scene.camera.shown, busy=False)
        await scene.poll(2)
        assert scene.runs == ["position"]

    played(night)


def test_a_move_by_others_makes_a_refocus_due_once_they_leave_the_focuser_alone() -> None:
    scene = Scene(settings(AfterImages(9)))

    async def night() -> None:
        scene.scheduler.requests.refocus()
        await scene.poll(2)
        for step in range(1, 4):
            scene.focuser.motor = 25000 + 300 * step
            await scene.poll()
            decision = scene.scheduler.decision
            assert decision is not None
            assert "the focuser was moved by others" in decision.blocked_by
        await scene.poll(3)
        assert scene.runs == ["asap"]
        assert scene.scheduler.state.history.focuser.unverified
        await scene.poll(2)
        assert scene.runs == ["asap", "position"]
        assert (scene.scheduler.state.expected_position, scene.scheduler.state.history.focuser.jump) == (25900, None)

    played(night)


def test_an_operator_does_not_wait_for_the_quiet_after_a_move() -> None:
    scene = Scene(settings())

    async def night() -> None:
        await scene.poll()
        scene.focuser.motor = 25900
        await scene.poll()
        scene.scheduler.requests.refocus()
        await scene.poll()
        assert scene.runs == ["asap, position"]

    played(night)


def test_where_the_settings_allow_it_others_may_move_the_focuser() -> None:
    scene = Scene(settings(rules=replace(RULES, is_trigger=False), compensation=FOLLOWING))

    async def night() -> None:
        scene.scheduler.requests.refocus()
        await scene.poll(12)
        scene.focuser.motor = 25900
        await scene.poll(8)
        baseline = scene.scheduler.state.history.baseline
        assert baseline is not None
        assert (baseline.position, scene.scheduler.state.expected_position) == (25900, 25900)
        scene.thermometer.reading_c = 4.0
        await scene.poll(12)
        assert (scene.focuser.motor, scene.runs) == (25870, ["asap"])

    played(night)


def test_compensation_does_not_add_to_a_position_it_does_not_know() -> None:
    scene = Scene(settings(compensation=FOLLOWING))

    async def night() -> None:
        scene.scheduler.requests.refocus()
        await scene.poll(12)
        scene.focuser.motor = 25900
        scene.scheduler.requests.pause()
        await scene.poll(10)
        scene.scheduler.requests.resume()
        scene.camera.shown = replace(scene.camera.shown, busy=True)
        scene.thermometer.reading_c = 4.0
        await scene.poll(10)
        scene.camera.shown = replace(scene.camera.shown, busy=False)
        scene.outcomes.append(Outcome.RESTORED)
        await scene.poll(20)
        assert scene.runs == ["asap", "position"]
        assert scene.focuser.moves == []

    played(night)


def test_small_deviations_on_arrival_do_not_add_up() -> None:
    scene = Scene(settings(compensation=CompensationSettings(steps_per_c=30.0)))

    async def night() -> None:
        scene.scheduler.requests.refocus()
        await scene.poll(12)
        for step in range(1, 11):
            scene.thermometer.reading_c = 5.0 - 0.2 * step
            await scene.poll(12)
            # It stops two steps short.
            scene.focuser.motor += 2
        assert abs(scene.focuser.motor - (25000 - 60)) <= 3
        assert scene.scheduler.state.history.focuser.jump is None
        assert scene.runs == ["asap"]

    played(night)


def test_a_jump_survives_a_crash_and_the_night(tmp_path: Path) -> None:
    scene = Scene(settings(AfterImages(9)), tmp_path)

    async def night() -> None:
        scene.scheduler.requests.refocus()
        await scene.poll(2)
        scene.camera.shown = replace(scene.camera.shown, busy=True)
        scene.focuser.motor = 25900
        await scene.poll(2)
        jump = scene.scheduler.state.history.focuser.jump
        assert scene.new_scheduler().state.history.focuser.jump == jump is not None
        scene.clock.now_s += 14 * 3600
        scene.new_scheduler()
        assert scene.scheduler.state.history.baseline is None
        await scene.poll(2)
        assert scene.scheduler.state.history.focuser.jump == jump

    played(night)


def test_a_lost_zero_is_recognised_by_the_next_run_and_the_learned_curves_follow(tmp_path: Path) -> None:
    scene = Scene(settings(), tmp_path)
    learned_at = datetime(2025, 12, 1, tzinfo=UTC)
    curve = LearnedCurve(
        slope_in=0.04,
        slope_out=0.04,
        slope_error=0.02,
        least=2.4,
        best_position=25010.0,
        temperature_c=None,
        learned_at=learned_at,
        runs=3,
    )
    assert scene.store is not None
    store = scene.store
    store.save_profile("refractor", "Ha", curve)
    store.save_profile("refractor", "L", replace(curve, learned_at=learned_at + timedelta(days=60)))

    async def night() -> None:
        scene.scheduler.requests.refocus()
        await scene.poll(2)
        scene.focuser.is_gone = True
        await scene.poll(2)
        scene.focuser.is_gone, scene.focuser.motor = False, 0
        scene.focuser.connections += 1
        focus = scene._focus

        async def fitted(triggers: str) -> object:
            fit = Fit(
                model="known",
                best_position=4.0,
                best_position_stderr=2.0,
                best_value=2.5,
                parameters={},
                r_squared=1.0,
                residuals=(),
            )
            return replace(await focus(triggers), fit=fit)

        scene.scheduler._dependencies = replace(scene.scheduler._dependencies, focus=fitted)
        await scene.poll(3)
        assert scene.runs == ["asap", "position"]
        assert scene.scheduler.outcomes.last_run is not None
        assert "Positions have shifted by -24996 steps" in scene.scheduler.outcomes.last_run.reason
        profiles = [store.profile("refractor", name) for name in ("Ha", "L")]
        assert [each.best_position for each in profiles if each is not None] == [14.0, 25010.0]

    played(night)
