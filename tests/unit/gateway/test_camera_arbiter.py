"""Whose turn it is with the camera: exposures that are held back, runs that come between, and who wins."""

import asyncio

import pytest

from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from alpaca_focus.gateway.camera_arbiter import GRACE_S
from tests.gateway_scene import IDLE_S, PATIENCE_S, CameraScene, played, settled

REFUSED = AlpacaError(ErrorNumber.INVALID_OPERATION, "The shutter is stuck.")


def test_the_first_light_frame_waits_for_a_check_and_the_next_does_not() -> None:
    async def play(scene: CameraScene) -> None:
        await scene.client.start(60)
        assert (scene.arbiter.held, scene.camera.began) == (True, [])
        await settled()
        assert (scene.engine.gaps, len(scene.camera.began), scene.arbiter.held) == (1, 1, False)
        await scene.clock.pass_s(61)
        await scene.client.start(60)
        assert (scene.engine.gaps, len(scene.camera.began)) == (1, 2)
        await scene.clock.pass_s(61)
        scene.arbiter.request_check()
        await scene.client.start(60)
        await settled()
        assert (scene.engine.gaps, len(scene.camera.began)) == (2, 3)

    played(play)


def test_a_decision_precedes_each_image_however_soon_it_follows_the_one_before() -> None:
    async def play(scene: CameraScene) -> None:
        await scene.first_check()
        scene.engine.due_after = 4
        for _ in range(2):
            await scene.client.start(60)
            await scene.clock.pass_s(60.01)
        await scene.client.start(5)
        await scene.clock.pass_s(5.01)
        await scene.client.start(60)
        assert (scene.arbiter.held, scene.engine.decided) == (False, [1, 2, 3])
        await scene.clock.pass_s(60.01)
        scene.engine.job = scene.run
        await scene.client.start(60)
        assert (scene.arbiter.held, scene.engine.decided) == (True, [1, 2, 3, 4])
        await scene.clock.pass_s(21)
        assert (scene.arbiter.held, len(scene.camera.began)) == (False, 6)

    played(play)


def test_an_image_that_is_downloaded_before_the_nominal_end_by_our_clock_counts() -> None:
    async def play(scene: CameraScene) -> None:
        await scene.first_check()
        gate = scene.camera.gates["startexposure"] = asyncio.Event()
        starting = asyncio.create_task(scene.client.start(60))
        await settled()
        # The camera has begun; its answer takes half a second to come back.
        await scene.clock.pass_s(0.5)
        gate.set()
        await starting
        await scene.clock.pass_s(59.6)
        assert scene.arbiter.exposures.passed() is not None
        assert scene.arbiter.exposures.images == 2

    played(play)


@pytest.mark.parametrize("wish", ["wants_gap", "correcting", "focusing"])
def test_an_exposure_waits_while_anything_is_due_or_under_way(wish: str) -> None:
    async def play(scene: CameraScene) -> None:
        await scene.first_check()
        setattr(scene.engine, wish, True)
        await scene.client.start(60)
        assert scene.arbiter.held
        await settled()
        assert len(scene.camera.began) == 2

    played(play)


@pytest.mark.parametrize(("exposure_s", "light"), [(5.0, True), (60.0, False)])
def test_darks_and_test_shots_wait_only_while_a_run_has_the_camera(exposure_s: float, light: bool) -> None:
    async def play(scene: CameraScene) -> None:
        scene.engine.wants_gap = True
        await scene.client.start(exposure_s, light=light)
        assert [each[:2] for each in scene.camera.began] == [(exposure_s, light)]
        await scene.clock.pass_s(exposure_s + IDLE_S + 1)
        running = asyncio.create_task(scene.run())
        await settled()
        assert scene.arbiter.leased
        await scene.client.start(exposure_s, light=light)
        assert scene.arbiter.held
        await scene.clock.pass_s(21)
        await running
        assert [each[:2] for each in scene.camera.began] == [(exposure_s, light)] * 2

    played(play)


@pytest.mark.parametrize("values", [{"connected": False}, {"exposuremax": 10.0}, {"exposuremin": 100.0}])
def test_what_the_camera_would_refuse_is_left_to_the_camera(values: dict[str, object]) -> None:
    async def play(scene: CameraScene) -> None:
        scene.camera.values |= values
        await scene.client.start(60)
        assert (scene.arbiter.held, len(scene.camera.began)) == (False, 1)

    played(play)


def test_a_run_comes_between_and_the_cameras_settings_are_restored_exactly() -> None:
    async def play(scene: CameraScene) -> None:
        before = scene.camera.settings()
        scene.engine.job = scene.run
        await scene.client.start(90)
        await settled()
        assert scene.arbiter.leased
        assert scene.arbiter.left_s == PATIENCE_S
        assert scene.camera.settings() != before
        await scene.clock.pass_s(21)
        assert scene.camera.began == [(90, True, before)]
        assert not scene.arbiter.leased
        assert not scene.arbiter.held

    played(play)


def test_an_engine_that_fails_lets_the_exposure_begin() -> None:
    async def fail() -> None:
        raise RuntimeError("a bug")

    async def play(scene: CameraScene) -> None:
        scene.engine.job = fail
        await scene.client.start(60)
        await settled()
        assert len(scene.camera.began) == 1

    played(play)


def test_an_engine_whose_loop_ends_lets_the_exposure_begin() -> None:
    async def end() -> None:
        raise asyncio.CancelledError

    async def play(scene: CameraScene) -> None:
        scene.engine.job = end
        await scene.client.start(60)
        await settled()
        assert len(scene.camera.began) == 1

    played(play)


def test_an_engine_that_gives_way_when_patience_is_over() -> None:
    async def play(scene: CameraScene) -> None:
        before = scene.camera.settings()

        async def long_run() -> None:
            await scene.run(500)

        scene.engine.job = long_run
        await scene.client.start(60)
        # A run that is on its way home is given a little more time: it loses its frames when it has to give way.
        await scene.clock.pass_s(PATIENCE_S + GRACE_S / 2 - 1)
        assert (scene.camera.began, scene.engine.calls) == ([], [])
        await scene.clock.pass_s(2)
        assert scene.camera.began == [(60, True, before)]

    played(play)


@pytest.mark.parametrize("can_abort", [True, False])
def test_an_engine_that_hangs_loses_the_camera_and_nobody_waits_for_it_again(can_abort: bool) -> None:
    async def play(scene: CameraScene) -> None:
        before = scene.camera.settings()
        if not can_abort:
            scene.camera.refuses["abortexposure"] = REFUSED

        async def hang() -> None:
            scene.engine.focusing = True
            await scene.arbiter.acquire()
            await scene.misuse()
            await scene.hanging()

        scene.engine.job = hang
        await scene.client.start(60)
        await scene.clock.pass_s(PATIENCE_S + GRACE_S - 1)
        assert (len(scene.engine.calls), scene.camera.began) == (1, [])
        await scene.clock.pass_s(2)
        assert scene.camera.began == [(60, True, before)]
        assert len(scene.camera.sent("abortexposure")) == can_abort
        await scene.clock.pass_s(61)
        await scene.client.start(60)
        assert len(scene.camera.began) == 2
        await scene.arbiter.release()
        assert len(scene.camera.sent("gain")) == 2

    played(play)


def test_an_engine_that_hangs_without_the_camera_is_not_answered_with_an_abort() -> None:
    async def play(scene: CameraScene) -> None:
        scene.engine.job = scene.hanging
        await scene.client.start(60)
        await scene.clock.pass_s(PATIENCE_S + GRACE_S + 1)
        assert [name for name, _ in scene.camera.puts] == ["startexposure"]

    played(play)


def test_a_second_exposure_is_refused_while_one_waits() -> None:
    async def play(scene: CameraScene) -> None:
        scene.engine.job = scene.run
        await scene.client.start(60)
        with pytest.raises(AlpacaError, match="waits already"):
            await scene.client.start(30)
        await scene.clock.pass_s(21)
        assert [each[0] for each in scene.camera.began] == [60]

    played(play)


def test_two_clients_at_once_get_one_exposure() -> None:
    async def play(scene: CameraScene) -> None:
        ends = await asyncio.gather(scene.client.start(60), scene.client.start(30), return_exceptions=True)
        assert sorted(type(end).__name__ for end in ends) == ["AlpacaError", "NoneType"]
        await settled()
        assert len(scene.camera.began) == 1

    played(play)


def test_an_exposure_that_is_refused_late_is_reported_and_the_next_one_clears_the_error() -> None:
    async def play(scene: CameraScene) -> None:
        scene.camera.refuses["startexposure"] = REFUSED
        await scene.client.start(60)
        await settled()
        assert await scene.client.get("camerastate") == 5
        for member in ("imageready", "imagearray"):
            with pytest.raises(AlpacaError, match="stuck"):
                await scene.client.get(member)
        del scene.camera.refuses["startexposure"]
        await scene.client.start(60)
        assert await scene.client.get("camerastate") == 2
        assert not await scene.client.get("imageready")

    played(play)


def test_an_abort_clears_a_late_refusal() -> None:
    async def play(scene: CameraScene) -> None:
        scene.camera.refuses["startexposure"] = REFUSED
        await scene.client.start(60)
        await settled()
        await scene.client.put("abortexposure")
        assert await scene.client.get("camerastate") == 0

    played(play)


def test_a_camera_that_is_lost_when_the_exposure_is_to_begin_is_reported_and_counts_as_busy() -> None:
    async def play(scene: CameraScene) -> None:
        scene.engine.job = scene.run
        await scene.client.start(60)
        await settled()
        scene.camera.lost = True
        await scene.clock.pass_s(21)
        assert scene.arbiter.failure is not None
        assert scene.arbiter.exposing
        assert not scene.arbiter.is_free

    played(play)


def test_settings_that_could_not_be_restored_are_restored_before_the_next_exposure() -> None:
    async def play(scene: CameraScene) -> None:
        before = scene.camera.settings()
        await scene.clock.pass_s(IDLE_S)
        running = asyncio.create_task(scene.run())
        await settled()
        scene.camera.lost = True
        await scene.clock.pass_s(21)
        await running
        scene.camera.lost = False
        assert scene.camera.settings() != before
        assert await scene.client.get("gain") == 100
        await scene.client.put("gain", Gain=150)
        await scene.client.start(5)
        assert scene.camera.began == [(5, True, before | {"gain": 150})]

    played(play)


def test_after_a_failed_restore_a_run_does_not_save_its_own_settings_as_the_programs() -> None:
    async def play(scene: CameraScene) -> None:
        before = scene.camera.settings()
        await scene.clock.pass_s(IDLE_S)
        running = asyncio.create_task(scene.run())
        await settled()
        scene.camera.lost = True
        await scene.clock.pass_s(21)
        await running
        scene.camera.lost = False
        again = asyncio.create_task(scene.run())
        await scene.clock.pass_s(21)
        await again
        assert scene.camera.settings() == before

    played(play)


@pytest.mark.parametrize("in_pieces", [True, False])
def test_light_frames_are_counted_when_they_have_ended(in_pieces: bool) -> None:
    async def play(scene: CameraScene) -> None:
        scene.camera.in_pieces = in_pieces
        await scene.first_check()
        assert scene.arbiter.exposures.images == 0
        assert scene.arbiter.exposures.passed() is not None
        assert scene.arbiter.exposures.images == 1
        assert scene.arbiter.exposures.passed() is None
        for exposure_s, light in ((60, False), (5, True), (60, True)):
            await scene.client.start(exposure_s, light=light)
            await scene.clock.pass_s(exposure_s + 1)
            scene.arbiter.exposures.passed()
        assert scene.arbiter.exposures.images == 2
        # Not downloaded: noticed at the next.
        await scene.client.start(60)
        await scene.clock.pass_s(61)
        await scene.client.start(60)
        assert scene.arbiter.exposures.images == 3
        await scene.clock.pass_s(20)
        await scene.client.put("abortexposure")
        await scene.client.start(60)
        assert scene.arbiter.exposures.images == 3
        await scene.clock.pass_s(20)
        await scene.client.put("stopexposure")
        exposed = scene.arbiter.exposures.passed()
        assert exposed is not None
        assert exposed.exposure_s == pytest.approx(20)
        assert scene.arbiter.exposures.images == 4
        await scene.client.start(60)
        await scene.clock.pass_s(3)
        await scene.client.put("stopexposure")
        assert scene.arbiter.exposures.passed() is None
        assert scene.arbiter.exposures.images == 4

    played(play)


def test_an_earlier_image_that_is_fetched_during_an_exposure_is_not_taken_for_it() -> None:
    async def play(scene: CameraScene) -> None:
        await scene.client.start(60)
        await settled()
        assert scene.arbiter.exposures.passed() is None
        assert scene.arbiter.exposures.images == 0

    played(play)


def test_a_refused_abort_does_not_end_the_exposure() -> None:
    async def play(scene: CameraScene) -> None:
        await scene.client.start(60)
        await settled()
        scene.camera.refuses["abortexposure"] = REFUSED
        with pytest.raises(AlpacaError, match="stuck"):
            await scene.client.put("abortexposure")
        assert scene.arbiter.exposing
        assert scene.arbiter.exposures.last is not None

    played(play)


def test_it_is_free_after_a_while_without_an_exposure() -> None:
    async def play(scene: CameraScene) -> None:
        assert not scene.arbiter.is_free
        await scene.client.start(5)
        await scene.clock.pass_s(5 + IDLE_S - 1)
        assert not scene.arbiter.is_free
        await scene.clock.pass_s(1)
        assert scene.arbiter.is_free
        await scene.client.get("imagearray")
        assert not scene.arbiter.is_free

    played(play)


def test_a_run_does_not_get_the_camera_while_an_exposure_is_passed_on() -> None:
    async def play(scene: CameraScene) -> None:
        await scene.clock.pass_s(IDLE_S)
        gate = scene.camera.gates["startexposure"] = asyncio.Event()
        starting = asyncio.create_task(scene.client.start(5))
        await settled()
        taking = asyncio.create_task(scene.arbiter.acquire())
        await scene.clock.pass_s(3)
        assert not scene.arbiter.leased
        assert scene.arbiter.exposing
        gate.set()
        await starting
        await scene.clock.pass_s(5 + IDLE_S - 1)
        assert not scene.arbiter.leased
        await scene.clock.pass_s(2)
        await taking
        await scene.arbiter.release()

    played(play)


def test_a_run_does_not_get_the_camera_while_an_exposure_begins_that_has_waited() -> None:
    async def play(scene: CameraScene) -> None:
        gate = scene.camera.gates["startexposure"] = asyncio.Event()
        await scene.client.start(60)
        await settled()
        taking = asyncio.create_task(scene.arbiter.acquire())
        await scene.clock.pass_s(3)
        assert (scene.arbiter.leased, scene.arbiter.exposing, scene.arbiter.is_free) == (False, True, False)
        gate.set()
        await scene.clock.pass_s(50)
        assert not scene.arbiter.leased
        taking.cancel()

    played(play)


def test_a_client_that_hangs_up_in_the_middle_leaves_the_book_right() -> None:
    async def play(scene: CameraScene) -> None:
        await scene.first_check()
        gate = scene.camera.gates["startexposure"] = asyncio.Event()
        starting = asyncio.create_task(scene.client.start(60))
        await settled()
        starting.cancel()
        await settled()
        assert scene.arbiter.exposing
        gate.set()
        await settled()
        assert len(scene.camera.began) == 2
        assert scene.arbiter.exposing
        await scene.clock.pass_s(61)
        scene.arbiter.exposures.passed()
        assert scene.arbiter.exposures.images == 2

    played(play)


def test_a_client_that_hangs_up_while_the_camera_is_polled_holds_nothing() -> None:
    async def play(scene: CameraScene) -> None:
        starting = asyncio.create_task(scene.client.start(60))
        await asyncio.sleep(0)
        starting.cancel()
        await settled()
        assert not scene.arbiter.held
        assert scene.camera.began == []
        await scene.client.start(60)
        await settled()
        assert len(scene.camera.began) == 1

    played(play)


def test_a_reply_that_is_lost_leaves_the_camera_alone_for_the_exposure() -> None:
    async def play(scene: CameraScene) -> None:
        await scene.first_check()
        scene.camera.breaks_off.add("startexposure")
        with pytest.raises(ConnectionResetError):
            await scene.client.start(60)
        assert scene.arbiter.exposing
        assert not scene.arbiter.is_free

    played(play)


def test_an_abort_that_is_answered_before_its_exposure_wins() -> None:
    async def play(scene: CameraScene) -> None:
        await scene.first_check()
        gate = scene.camera.gates["startexposure"] = asyncio.Event()
        starting = asyncio.create_task(scene.client.start(60))
        await settled()
        await scene.client.put("abortexposure")
        gate.set()
        await starting
        assert not scene.arbiter.exposing
        assert scene.arbiter.exposures.last is None

    played(play)


def test_taking_that_is_cancelled_at_any_moment_has_not_taken() -> None:
    async def play(scene: CameraScene) -> None:
        before = scene.camera.settings()
        for steps in range(60):
            scene = CameraScene()
            scene.clock.now_s += IDLE_S
            taking = asyncio.create_task(scene.arbiter.acquire())
            for _ in range(steps):
                await asyncio.sleep(0)
            if taking.done():
                await scene.arbiter.release()
                assert not scene.arbiter.leased
                return
            taking.cancel()
            # As a run does, at once.
            await scene.arbiter.release()
            await settled()
            assert not scene.arbiter.leased
            assert not scene.arbiter.saved.is_changed
            assert scene.camera.settings() == before
        pytest.fail("the camera was never taken")

    played(play)


def test_a_take_that_fails_lets_the_exposure_begin_at_once() -> None:
    async def play(scene: CameraScene) -> None:
        taking = asyncio.create_task(scene.arbiter.acquire())
        await scene.client.start(60)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        taking.cancel()
        await settled()
        assert len(scene.camera.began) == 1
        assert not scene.arbiter.leased

    played(play)


def test_giving_back_twice_and_at_once_is_giving_back_once() -> None:
    async def play(scene: CameraScene) -> None:
        before = scene.camera.settings()
        await scene.clock.pass_s(IDLE_S)
        await scene.arbiter.acquire()
        await scene.misuse()
        await asyncio.gather(scene.arbiter.release(), scene.arbiter.release())
        await scene.arbiter.release()
        assert scene.camera.settings() == before
        assert len(scene.camera.sent("gain")) == 2

    played(play)


def test_giving_back_goes_on_when_it_is_cancelled() -> None:
    async def play(scene: CameraScene) -> None:
        before = scene.camera.settings()
        await scene.clock.pass_s(IDLE_S)
        await scene.arbiter.acquire()
        await scene.misuse()
        giving = asyncio.create_task(scene.arbiter.release())
        await asyncio.sleep(0)
        giving.cancel()
        await settled()
        assert (scene.arbiter.leased, scene.camera.settings()) == (False, before)

    played(play)


def test_a_gateway_that_closes_begins_nothing_any_more() -> None:
    async def play(scene: CameraScene) -> None:
        scene.engine.job = scene.run
        await scene.client.start(60)
        await settled()
        await scene.close()
        await scene.clock.pass_s(PATIENCE_S + GRACE_S)
        assert scene.camera.began == []
        await scene.arbiter.release()

    played(play)


def test_a_take_that_fails_after_the_engine_is_done_lets_the_exposure_begin() -> None:
    async def play(scene: CameraScene) -> None:
        over = asyncio.Event()

        async def wait() -> None:
            await over.wait()

        scene.engine.job = wait
        scene.camera.gates["readoutmode"] = asyncio.Event()
        await scene.client.start(60)
        taking = asyncio.create_task(scene.arbiter.acquire())
        await settled()
        over.set()
        await settled()
        assert (scene.arbiter.leased, scene.camera.began) == (True, [])
        taking.cancel()
        await settled()
        assert len(scene.camera.began) == 1

    played(play)


def test_an_exposure_waits_if_a_run_acquires_the_camera_while_it_is_polled() -> None:
    async def play(scene: CameraScene) -> None:
        await scene.clock.pass_s(IDLE_S)
        gate = scene.camera.gates["exposuremin"] = asyncio.Event()
        starting = asyncio.create_task(scene.client.start(60))
        await settled()
        running = asyncio.create_task(scene.run())
        await settled()
        scene.camera.values["connected"] = False
        gate.set()
        await starting
        assert (scene.arbiter.leased, scene.arbiter.held, scene.camera.began) == (True, True, [])
        await scene.clock.pass_s(21)
        await running
        assert len(scene.camera.began) == 1

    played(play)
