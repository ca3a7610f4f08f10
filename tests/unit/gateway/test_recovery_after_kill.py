"""A gateway that is killed and started again: nothing of a run is shown, and what was held begins or fails."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from alpaca_focus.gateway.camera_arbiter import CAMERA_ERROR, CAMERA_EXPOSING, CAMERA_IDLE, CAMERA_WAITING, GRACE_S
from tests.gateway_scene import IDLE_S, PATIENCE_S, CameraScene, played, settled

pytestmark = pytest.mark.unit


async def killed(scene: CameraScene, *running: asyncio.Task[Any], absent_s: float = 3.0) -> None:
    """End everything without a last word, and start the gateway again after some time."""
    scene.marker.frozen = True
    for task in running:
        task.cancel()
    await scene.close()
    await asyncio.gather(*running, return_exceptions=True)
    scene.camera.values |= scene.at_kill
    scene.clock.now_s += absent_s
    scene.marker.frozen = False
    scene.started()


async def cut_off(scene: CameraScene, *, exposure_s: float = 60.0, absent_s: float = 3.0) -> None:
    """Kill the gateway while a run has the camera and an exposure waits."""
    scene.engine.job = scene.run
    await scene.client.start(exposure_s)
    await scene.clock.pass_s(1)
    assert (scene.arbiter.leased, scene.arbiter.held) == (True, True)
    scene.at_kill = dict(scene.camera.values)
    await killed(scene, absent_s=absent_s)


async def shows_no_image(scene: CameraScene) -> bool:
    with pytest.raises(AlpacaError) as refused:
        await scene.client.get("imagearray")
    errors = (ErrorNumber.INVALID_OPERATION, ErrorNumber.UNSPECIFIED)
    return refused.value.number in errors and not await _is_ready(scene)


async def _is_ready(scene: CameraScene) -> bool:
    try:
        return bool(await scene.client.get("imageready"))
    except AlpacaError:
        return False


def test_a_held_exposure_begins_after_a_kill_with_the_programs_settings() -> None:
    async def play(scene: CameraScene) -> None:
        before = scene.camera.settings()
        await cut_off(scene)
        assert scene.camera.settings() != before
        assert await scene.client.get("camerastate") == CAMERA_WAITING
        assert await scene.client.get("binx") == before["binx"]
        assert await shows_no_image(scene)
        scene.arbiter.recover()
        await scene.clock.pass_s(1)
        assert scene.camera.began == [(60, True, before)]
        assert await scene.client.get("camerastate") == CAMERA_EXPOSING
        assert await shows_no_image(scene)
        await scene.clock.pass_s(61)
        assert await scene.client.get("imageready")
        assert scene.marker.record is None

    played(play)


def test_it_waits_for_the_camera_and_for_the_engine_that_brings_the_focuser_back() -> None:
    async def play(scene: CameraScene) -> None:
        await cut_off(scene)
        scene.camera.lost = True
        back = asyncio.Event()

        async def bring_back() -> None:
            await back.wait()

        scene.engine.job = bring_back
        scene.arbiter.recover()
        await scene.clock.pass_s(5)
        scene.camera.lost = False
        await scene.clock.pass_s(2)
        assert (scene.engine.gaps, scene.camera.began, scene.arbiter.leased) == (1, [], False)
        assert await scene.client.get("camerastate") == CAMERA_WAITING
        back.set()
        await settled()
        assert [each[:2] for each in scene.camera.began] == [(60, True)]

    played(play)


def test_a_camera_that_stays_away_lets_the_exposure_fail_when_patience_is_over() -> None:
    async def play(scene: CameraScene) -> None:
        await cut_off(scene)
        scene.camera.lost = True
        scene.arbiter.recover()
        await scene.clock.pass_s(PATIENCE_S + GRACE_S)
        assert await scene.client.get("camerastate") == CAMERA_ERROR
        assert await shows_no_image(scene)
        assert scene.camera.began == []

    played(play)


@pytest.mark.parametrize("absent_s", [PATIENCE_S + GRACE_S + 1, -100.0])
def test_one_that_is_too_old_fails_with_an_error_until_the_program_goes_on(absent_s: float) -> None:
    async def play(scene: CameraScene) -> None:
        before = scene.camera.settings()
        await cut_off(scene, absent_s=absent_s)
        scene.arbiter.recover()
        await settled()
        for _ in range(2):
            assert await scene.client.get("camerastate") == CAMERA_ERROR
            assert await shows_no_image(scene)
            # Another kill may come before the imaging program has seen it.
            scene.at_kill = dict(scene.camera.values)
            await killed(scene, absent_s=1.0 if absent_s > 0 else -1.0)
            scene.arbiter.recover()
            await settled()
        assert scene.camera.settings() == before
        await scene.client.start(5)
        assert [each[:2] for each in scene.camera.began] == [(5, True)]
        assert await scene.client.get("camerastate") == CAMERA_EXPOSING

    played(play)


def test_settings_are_restored_without_an_exposure_and_with_the_programs_changes() -> None:
    async def play(scene: CameraScene) -> None:
        before = scene.camera.settings()
        await scene.clock.pass_s(IDLE_S)
        running = asyncio.create_task(scene.run())
        await scene.clock.pass_s(1)
        await scene.client.put("gain", Gain=42)
        scene.at_kill = dict(scene.camera.values)
        await killed(scene, running)
        assert await scene.client.get("gain") == 42
        assert await scene.client.get("lastexposureduration") == 5.0
        with pytest.raises(AlpacaError, match="no FastReadout"):
            await scene.client.get("fastreadout")
        scene.arbiter.recover()
        await settled()
        assert scene.camera.settings() == before | {"gain": 42}
        assert await scene.client.get("camerastate") == CAMERA_IDLE
        assert await shows_no_image(scene)
        await killed(scene)
        scene.arbiter.recover()
        assert await shows_no_image(scene), "the camera's last frame is a run's, long after it"
        await scene.client.start(5)
        await scene.clock.pass_s(6)
        assert await scene.client.get("imageready")

    played(play)


def test_an_exposure_of_the_program_that_comes_during_the_recovery_waits_for_it() -> None:
    async def play(scene: CameraScene) -> None:
        before = scene.camera.settings()
        await scene.clock.pass_s(IDLE_S)
        running = asyncio.create_task(scene.run())
        await scene.clock.pass_s(1)
        scene.at_kill = dict(scene.camera.values)
        await killed(scene, running)
        scene.camera.values["connected"] = False
        scene.arbiter.recover()
        await scene.client.start(5)
        await scene.clock.pass_s(2)
        assert await scene.client.get("camerastate") == CAMERA_WAITING
        scene.camera.values["connected"] = True
        await scene.clock.pass_s(2)
        assert scene.camera.began == [(5, True, before)]

    played(play)


def test_an_exposure_that_the_camera_takes_during_the_kill_stays_the_programs() -> None:
    async def play(scene: CameraScene) -> None:
        await scene.first_check()
        await scene.client.start(90)
        await killed(scene, absent_s=60.0)
        scene.arbiter.recover()
        assert await scene.client.get("camerastate") == CAMERA_EXPOSING
        await scene.clock.pass_s(31)
        assert await scene.client.get("imageready")

    played(play)


Sent = Callable[[CameraScene], Coroutine[Any, Any, None]]


async def hold_is_sent(scene: CameraScene) -> None:
    """Kill the gateway between the camera's start of a held exposure and the note of it."""
    scene.engine.job = scene.run
    scene.camera.values["lastexposurestarttime"] = "the run's"
    await scene.client.start(60)
    await scene.clock.pass_s(19)
    reached = scene.camera.gates["startexposure"] = asyncio.Event()
    await scene.clock.pass_s(2)
    scene.at_kill = {}
    assert scene.marker.record is not None
    assert scene.marker.record.exposure is not None
    assert scene.marker.record.exposure.sent_at is not None
    del scene.camera.gates["startexposure"]
    await killed(scene)
    reached.set()


@pytest.mark.parametrize(("absent_s", "begins"), [(1.0, 1), (PATIENCE_S, 0)])
def test_a_held_exposure_that_did_not_reach_the_camera_begins_unless_it_is_too_late(
    absent_s: float, begins: int
) -> None:
    async def play(scene: CameraScene) -> None:
        await hold_is_sent(scene)
        scene.clock.now_s += absent_s
        scene.started()
        scene.arbiter.recover()
        assert await shows_no_image(scene)
        await scene.clock.pass_s(1)
        assert len(scene.camera.began) == begins
        assert await scene.client.get("camerastate") == (CAMERA_EXPOSING if begins else CAMERA_ERROR)

    played(play)


@pytest.mark.parametrize("ended", [True, False])
def test_a_held_exposure_that_reached_the_camera_is_delivered_and_not_repeated(ended: bool) -> None:
    async def play(scene: CameraScene) -> None:
        await hold_is_sent(scene)
        scene.camera.carry_out("startexposure", {"Duration": 60.0, "Light": True})
        scene.camera.values["lastexposurestarttime"] = "its own"
        scene.clock.now_s += 61.0 if ended else 2.0
        scene.arbiter.recover()
        await settled()
        assert await _is_ready(scene) == ended
        assert scene.arbiter.exposing != ended
        await scene.clock.pass_s(61)
        assert await _is_ready(scene)
        assert len(scene.camera.began) == 1
        assert scene.marker.record is None

    played(play)


@pytest.mark.parametrize("reached", [True, False])
def test_a_start_that_was_never_answered_is_not_repeated(reached: bool) -> None:
    async def play(scene: CameraScene) -> None:
        await scene.clock.pass_s(IDLE_S)
        running = asyncio.create_task(scene.run(5.0))
        await scene.clock.pass_s(6)
        await running
        scene.camera.gates["startexposure"] = asyncio.Event()
        starting = asyncio.create_task(scene.client.start(5))
        await settled()
        del scene.camera.gates["startexposure"]
        await killed(scene, starting)
        if reached:
            scene.camera.carry_out("startexposure", {"Duration": 5.0, "Light": True})
            scene.camera.values["lastexposurestarttime"] = "its own"
        scene.arbiter.recover()
        await scene.clock.pass_s(6)
        assert await _is_ready(scene) == reached
        assert len(scene.camera.began) == reached

    played(play)


def test_a_program_that_starts_its_exposure_again_replaces_the_one_that_a_kill_has_left() -> None:
    async def play(scene: CameraScene) -> None:
        await cut_off(scene)
        scene.arbiter.recover()
        await scene.client.start(70)
        await scene.clock.pass_s(2)
        assert [each[:2] for each in scene.camera.began] == [(70, True)]

    played(play)


def test_an_abort_drops_the_exposure_that_a_kill_has_left() -> None:
    async def play(scene: CameraScene) -> None:
        await cut_off(scene)
        scene.camera.lost = True
        scene.arbiter.recover()
        await scene.client.put("abortexposure")
        assert await scene.client.get("camerastate") == CAMERA_IDLE
        scene.camera.lost = False
        await scene.clock.pass_s(2)
        assert scene.camera.began == []
        assert await shows_no_image(scene)

    played(play)


def test_what_must_survive_is_on_disk_before_the_camera_is_touched_and_the_exposure_accepted() -> None:
    async def play(scene: CameraScene) -> None:
        before = dict(scene.camera.values)
        scene.engine.job = scene.run
        await scene.client.start(60)
        record = scene.marker.record
        assert record is not None
        assert record.exposure is not None
        assert (record.settings, record.exposure.exposure_s, scene.camera.values) == (None, 60, before)
        scene.camera.gates["binx"] = asyncio.Event()
        await settled()
        assert scene.camera.values == before
        scene.camera.gates.pop("binx").set()
        await settled()
        record = scene.marker.record
        assert record is not None
        assert record.settings is not None
        assert record.is_changed
        assert record.settings["Gain"] == 100
        assert record.last_exposure["LastExposureDuration"] == 5.0
        assert scene.camera.values["gain"] == 7

    played(play)


def test_nothing_is_written_for_exposures_without_a_run() -> None:
    async def play(scene: CameraScene) -> None:
        await scene.first_check()
        written = len(scene.marker.written)
        for _ in range(3):
            await scene.client.start(60)
            await scene.clock.pass_s(61)
        assert len(scene.marker.written) == written

    played(play)
