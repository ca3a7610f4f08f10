"""PHD2 is paused and goes on, over a real connection to a PHD2 that is none."""

import asyncio
import time

import pytest

from alpaca_focus.core.errors import DeviceError, DeviceMisbehaved, DeviceRefused, DeviceTimeout, DeviceUnreachable
from alpaca_focus.devices import phd2
from alpaca_focus.ports import Guider
from tests.fake_phd2 import FakePhd2
from tests.guided_run import during_a_run, guider_at, trouble_of

GONE = "127.0.0.1:1"
BEFORE = ["get_app_state", "get_settling"]
"""What is requested before a pause, and before the star is followed."""


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phd2, "_RETRY_PAUSE_S", 0.02)


def test_guiding_is_paused_during_the_run_and_the_star_is_steady_after_it() -> None:
    fake = FakePhd2(settles_after_s=0.3)
    guider: Guider = guider_at("10.0.0.5:4400")
    assert guider.name == "PHD2 at 10.0.0.5:4400"
    assert during_a_run(fake) == [None, None]
    assert fake.log == [*BEFORE, "set_paused", "the run (Paused)", "set_paused", *BEFORE]
    assert [parameters for method, parameters in fake.calls if method == "set_paused"] == [[True, "full"], [False]]
    assert fake.state == "Guiding"


def test_resuming_waits_for_the_star() -> None:
    async def resume() -> float:
        async with FakePhd2(settles_after_s=0.3) as fake:
            guider = guider_at(fake.address)
            await guider.pause()
            began_s = asyncio.get_running_loop().time()
            await guider.resume()
            return asyncio.get_running_loop().time() - began_s

    assert asyncio.run(resume()) >= 0.3


@pytest.mark.parametrize("state", ["Stopped", "Selected", "Looping", "Paused"])
def test_where_it_does_not_guide_nothing_is_changed(state: str) -> None:
    fake = FakePhd2(state=state)
    assert during_a_run(fake) == [None, None]
    assert fake.log == ["get_app_state", f"the run ({state})"]
    assert fake.state == state


def test_a_calibration_is_waited_for() -> None:
    fake = FakePhd2(state="Calibrating", calibrates_s=0.1)
    assert during_a_run(fake) == [None, None]
    assert "the run (Paused)" in fake.log


def test_a_calibration_without_an_end_is_a_timeout() -> None:
    fake = FakePhd2(state="Calibrating", calibrates_s=60)
    paused, resumed = during_a_run(fake, timeout_s=1.0)
    assert isinstance(paused, DeviceTimeout)
    assert "was still calibrating after 1 s" in str(paused)
    assert isinstance(resumed, DeviceTimeout)
    assert "set_paused" not in fake.log


def test_a_lost_star_is_paused_like_any_other() -> None:
    fake = FakePhd2(state="LostLock")
    assert during_a_run(fake) == [None, None]
    assert "the run (Paused)" in fake.log
    assert fake.log[-2:] == BEFORE


@pytest.mark.parametrize("state", ["Guiding", "LostLock"])
def test_to_wait_changes_nothing_before_the_end_of_the_run(state: str) -> None:
    fake = FakePhd2(state=state)
    assert during_a_run(fake, pauses=False) == [None, None]
    assert fake.log == [f"the run ({state})", *BEFORE]


@pytest.mark.parametrize("state", ["Stopped", "Looping", "Selected", "Paused"])
def test_to_wait_does_not_begin_to_guide(state: str) -> None:
    fake = FakePhd2(state=state)
    assert during_a_run(fake, pauses=False) == [None, None]
    assert fake.log == [f"the run ({state})", "get_app_state"]


@pytest.mark.parametrize("pauses", [True, False])
def test_without_phd2_one_error_is_raised_soon(pauses: bool) -> None:
    async def run() -> list[DeviceError | None]:
        guider = guider_at(GONE, pauses=pauses, timeout_s=60)
        async with asyncio.timeout(5):
            return [await trouble_of(guider.pause), await trouble_of(guider.resume)]

    errors = asyncio.run(run())
    assert [isinstance(error, DeviceUnreachable) for error in errors] == [pauses, not pauses]
    assert "cannot be reached. Start PHD2 and switch its server on" in " ".join(map(str, errors))


@pytest.mark.parametrize(
    ("fake", "reason"),
    [
        (FakePhd2(settles_after_s=None), "guides, but its star was not steady within 1 s."),
        (FakePhd2(loses_star=True), "has lost its guide star, and did not find it within 1 s."),
    ],
)
def test_a_star_that_never_becomes_steady_is_a_timeout_with_its_reason(fake: FakePhd2, reason: str) -> None:
    paused, resumed = during_a_run(fake, timeout_s=1.0)
    assert paused is None
    assert isinstance(resumed, DeviceTimeout)
    assert reason in str(resumed)


def test_a_dither_settles_before_guiding_is_paused() -> None:
    fake = FakePhd2(dithers_s=0.3)
    assert during_a_run(fake) == [None, None]
    assert fake.log.count("get_settling") > 2
    assert fake.log[fake.log.index("set_paused") - 1] == "get_settling"


def test_a_dither_that_never_settles_is_a_timeout_and_nothing_is_paused() -> None:
    fake = FakePhd2(dithers_s=60)
    paused, _ = during_a_run(fake, timeout_s=0.5)
    assert isinstance(paused, DeviceTimeout)
    assert "was still settling after a dither for 0.5 s" in str(paused)
    assert "set_paused" not in fake.log


def test_a_dither_is_known_before_a_move() -> None:
    async def dithering(fake: FakePhd2) -> bool:
        async with fake:
            return await guider_at(fake.address).is_dithering()

    assert asyncio.run(dithering(FakePhd2(dithers_s=60)))
    assert not asyncio.run(dithering(FakePhd2()))
    assert not asyncio.run(dithering(FakePhd2(refuses={"get_settling": 9})))


@pytest.mark.parametrize("method", ["get_app_state", "set_paused", "get_settling"])
def test_a_dropped_connection_is_made_again_until_guiding_goes_on(method: str) -> None:
    fake = FakePhd2()

    async def drop_next() -> None:
        fake.drops.extend([method] * 2)

    assert during_a_run(fake, drop_next) == [None, None]
    assert fake.drops == []
    assert fake.state == "Guiding"
    assert fake.connections == 4


def test_a_connection_that_is_dropped_while_the_star_settles_is_made_again() -> None:
    fake = FakePhd2(settles_after_s=0.2)

    async def run() -> None:
        async with fake:
            guider = guider_at(fake.address)
            await guider.pause()
            resuming = asyncio.create_task(guider.resume())
            await fake.has_stepped.wait()
            await fake.stop()
            await fake.start()
            await resuming

    asyncio.run(run())
    assert fake.log.count("get_settling") == 3


def test_a_pause_without_an_answer_is_undone() -> None:
    fake = FakePhd2(drops=["set_paused"])
    paused, resumed = during_a_run(fake)
    assert isinstance(paused, DeviceUnreachable)
    assert "has dropped the connection" in str(paused)
    assert resumed is None
    assert [parameters for method, parameters in fake.calls if method == "set_paused"] == [[True, "full"], [False]]


def test_a_phd2_that_was_gone_for_a_while_is_resumed() -> None:
    fake = FakePhd2()

    async def run() -> None:
        async with fake:
            guider = guider_at(fake.address)
            await guider.pause()
            await fake.stop()
            resuming = asyncio.create_task(guider.resume())
            await asyncio.sleep(0.1)
            assert not resuming.done()
            await fake.start()
            await resuming

    asyncio.run(run())
    assert fake.state == "Guiding"


@pytest.mark.parametrize(("found", "left"), [("Paused", "Guiding"), ("Stopped", "Stopped")])
def test_what_could_not_be_resumed_is_resumed_after_the_next_run(found: str, left: str) -> None:
    fake = FakePhd2()

    async def run() -> list[DeviceError | None]:
        async with fake:
            guider = guider_at(fake.address, timeout_s=1.0)
            await guider.pause()
            await fake.stop()
            errors = [await trouble_of(guider.resume)]
            await fake.start()
            assert fake.state == "Paused"
            fake.state = found
            return [*errors, await trouble_of(guider.pause), await trouble_of(guider.resume)]

    gone, paused, resumed = asyncio.run(run())
    assert isinstance(gone, DeviceUnreachable)
    assert "cannot be reached" in str(gone)
    assert (paused, resumed, fake.state) == (None, None, left)


@pytest.mark.parametrize("state", ["Paused", "Stopped"])
def test_what_somebody_else_changed_between_two_runs_is_left_alone(state: str) -> None:
    fake = FakePhd2()

    async def run() -> None:
        async with fake:
            guider = guider_at(fake.address)
            for _ in range(2):
                await guider.pause()
                await guider.resume()
                fake.state = state

    asyncio.run(run())
    assert fake.state == state
    assert fake.log.count("set_paused") == 2


def test_guiding_that_was_stopped_during_the_run_is_an_error_and_not_restarted() -> None:
    fake = FakePhd2()

    async def stop_guiding() -> None:
        fake.state = "Stopped"

    paused, resumed = during_a_run(fake, stop_guiding)
    assert paused is None
    assert isinstance(resumed, DeviceMisbehaved)
    assert "guided before the run and does not any more: its state is Stopped." in str(resumed)
    assert fake.log[-1] == "get_app_state"


def test_a_pause_that_ends_slowly_is_waited_for() -> None:
    fake = FakePhd2(stays_paused_s=0.2)
    assert during_a_run(fake) == [None, None]
    assert fake.log[-2:] == BEFORE


def test_a_dither_that_still_settles_is_waited_for() -> None:
    fake = FakePhd2(dithers_s=0.4)
    began_s = time.monotonic()
    assert during_a_run(fake, pauses=False) == [None, None]
    assert time.monotonic() - began_s >= 0.4 + 0.2


def test_a_pause_that_is_refused_is_an_error_and_undone() -> None:
    fake = FakePhd2(refuses={"set_paused": 1})
    paused, resumed = during_a_run(fake)
    assert isinstance(paused, DeviceRefused)
    assert resumed is None
    assert fake.log[-2:] == BEFORE


def test_a_cancelled_wait_lets_guiding_go_on() -> None:
    fake = FakePhd2(settles_after_s=60)

    async def run() -> None:
        async with fake:
            guider = guider_at(fake.address, timeout_s=60)
            await guider.pause()
            resuming = asyncio.create_task(guider.resume())
            await fake.has_stepped.wait()
            resuming.cancel()
            with pytest.raises(asyncio.CancelledError):
                await resuming

    asyncio.run(run())
    assert fake.state == "Guiding"


def after_moves(fake: FakePhd2, *, pauses: bool, calls: str = "m", timeout_s: float = 5.0) -> list[DeviceError | None]:
    """Pause (p), move (m) and resume (r) in some order; what went wrong with each."""

    async def run() -> list[DeviceError | None]:
        async with fake:
            guider = guider_at(fake.address, pauses=pauses, timeout_s=timeout_s)
            what = {"p": guider.pause, "m": guider.after_move, "r": guider.resume}
            return [await trouble_of(what[call]) for call in calls]

    return asyncio.run(run())


@pytest.mark.parametrize("pauses", [True, False])
def test_after_a_small_move_the_star_is_waited_for(pauses: bool) -> None:
    fake = FakePhd2(settles_after_s=0.1)
    assert after_moves(fake, pauses=pauses) == [None]
    assert fake.log == BEFORE
    assert fake.state == "Guiding"


@pytest.mark.parametrize("state", ["Stopped", "Looping", "Selected", "Paused"])
def test_after_a_small_move_nothing_is_begun(state: str) -> None:
    fake = FakePhd2(state=state)
    assert after_moves(fake, pauses=True) == [None]
    assert (fake.log, fake.state) == (["get_app_state"], state)


@pytest.mark.parametrize("state", ["Guiding", "Stopped"])
def test_the_moves_of_a_run_ask_nothing_while_guiding_is_paused(state: str) -> None:
    fake = FakePhd2(state=state)
    assert after_moves(fake, pauses=True, calls="pm") == [None] * 2
    assert fake.log.count("get_app_state") == 1
    assert fake.log.count("get_settling") == (state == "Guiding")


def test_the_moves_of_a_run_are_waited_for_where_guiding_goes_on() -> None:
    fake = FakePhd2()
    assert after_moves(fake, pauses=False, calls="pmmr") == [None] * 4
    assert fake.log == BEFORE * 3


@pytest.mark.parametrize("state", ["Guiding", "Stopped"])
def test_small_moves_are_waited_for_again_after_a_run(state: str) -> None:
    fake = FakePhd2(state=state)
    assert after_moves(fake, pauses=True, calls="prm") == [None] * 3
    assert fake.log[-1] == {"Guiding": "get_settling", "Stopped": "get_app_state"}[state]


@pytest.mark.parametrize(
    ("fake", "reason"),
    [
        (FakePhd2(settles_after_s=None), "guides, but its star was not steady within 0.5 s."),
        (FakePhd2(drops=["get_settling"]), "dropped the connection"),
        (FakePhd2(refuses={"get_app_state": 1000}), "refuses get_app_state: cannot do that while settling"),
    ],
)
def test_a_star_that_is_not_steady_after_a_move_is_an_error(fake: FakePhd2, reason: str) -> None:
    (error,) = after_moves(fake, pauses=True, timeout_s=0.5)
    assert reason in str(error)


def test_a_dither_that_still_settles_after_a_small_move_is_waited_for() -> None:
    fake = FakePhd2(dithers_s=0.3)
    assert after_moves(fake, pauses=True) == [None]
    assert fake.log == BEFORE
