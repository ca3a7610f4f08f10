"""The virtual camera: nothing of a focus run is to be seen, and the imaging program always wins."""

import asyncio
from typing import Any

import pytest

from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from tests.gateway_scene import IDLE_S, CameraScene, Client, played, settled

SEEN = ("binx", "biny", "startx", "starty", "numx", "numy", "gain", "readoutmode", "lastexposureduration")


async def seen(scene: CameraScene) -> dict[str, Any]:
    return {member: await scene.client.get(member) for member in SEEN}


async def shown(scene: CameraScene) -> tuple[int, bool, int]:
    """What the camera shows, which is the same in its properties and in its DeviceState."""
    state = {each["Name"]: each["Value"] for each in await scene.client.get("devicestate")}
    one_by_one = [await scene.client.get(name.lower()) for name in ("CameraState", "ImageReady", "PercentCompleted")]
    assert [state[name] for name in ("CameraState", "ImageReady", "PercentCompleted")] == one_by_one
    return one_by_one[0], one_by_one[1], one_by_one[2]


async def begin_run(scene: CameraScene, duration_s: float = 20.0) -> asyncio.Task[None]:
    await scene.clock.pass_s(IDLE_S)
    running = asyncio.create_task(scene.run(duration_s))
    await settled()
    assert scene.arbiter.leased
    return running


def test_while_an_exposure_waits_the_camera_waits_and_has_no_image() -> None:
    async def play(scene: CameraScene) -> None:
        before = await seen(scene)
        scene.engine.job = scene.run
        await scene.client.start(60)
        for _ in range(2):
            assert await shown(scene) == (1, False, 0)
            with pytest.raises(AlpacaError, match="has not begun yet"):
                await scene.client.get("imagearray")
            assert await seen(scene) == before
            await settled()
        assert scene.arbiter.leased

    played(play)


def test_while_a_run_has_the_camera_it_is_idle_and_so_it_stays_until_the_next_exposure() -> None:
    async def play(scene: CameraScene) -> None:
        before = await seen(scene)
        running = await begin_run(scene)
        for _ in range(2):
            assert await shown(scene) == (0, False, 0)
            with pytest.raises(AlpacaError, match="used for focusing"):
                await scene.client.get("imagearray")
            assert await seen(scene) == before
            await scene.clock.pass_s(21)
        await running
        again = await begin_run(scene)
        assert await seen(scene) == before
        await scene.clock.pass_s(21)
        await again
        await scene.client.start(5)
        await scene.clock.pass_s(6)
        assert await shown(scene) == (0, True, 100)
        assert await scene.client.get("lastexposureduration") == 5

    played(play)


def test_a_camera_that_is_stale_does_not_show_the_image_of_a_run() -> None:
    async def play(scene: CameraScene) -> None:
        scene.camera.stale_s = 0.5
        scene.engine.job = scene.run
        await scene.client.start(60)
        await scene.clock.pass_s(20)
        assert len(scene.camera.began) == 1
        assert scene.camera.read("imageready")
        assert await scene.client.get("camerastate") == 2
        assert not await scene.client.get("imageready")
        with pytest.raises(AlpacaError, match="still under way"):
            await scene.client.get("imagearray")
        await scene.clock.pass_s(61)
        assert await shown(scene) == (0, True, 100)
        assert await scene.client.get("imagearray") == [[1]]

    played(play)


@pytest.mark.parametrize("command", ["abortexposure", "stopexposure"])
def test_an_exposure_that_waits_can_be_given_up(command: str) -> None:
    async def play(scene: CameraScene) -> None:
        before = scene.camera.settings()
        scene.engine.job = scene.run
        await scene.client.start(60)
        await scene.clock.pass_s(5)
        await scene.client.put(command)
        assert scene.engine.calls == ["the imaging program has aborted its exposure"]
        await scene.clock.pass_s(100)
        assert (scene.camera.began, scene.camera.settings()) == ([], before)
        assert (scene.arbiter.leased, scene.arbiter.held) == (False, False)
        assert await shown(scene) == (0, False, 0)
        scene.engine.job = None
        await scene.client.start(30)
        await settled()
        assert [each[0] for each in scene.camera.began] == [30]

    played(play)


def test_an_abort_while_the_engine_only_checks_is_not_passed_to_the_camera() -> None:
    async def play(scene: CameraScene) -> None:
        scene.camera.refuses["abortexposure"] = AlpacaError(ErrorNumber.NOT_IMPLEMENTED, "No abort.")
        await scene.client.start(60)
        await scene.client.put("abortexposure")
        await settled()
        assert scene.camera.began == []

    played(play)


def test_an_abort_while_the_exposure_is_just_beginning_reaches_the_camera_after_it() -> None:
    async def play(scene: CameraScene) -> None:
        gate = scene.camera.gates["startexposure"] = asyncio.Event()
        await scene.client.start(60)
        await settled()
        aborting = asyncio.create_task(scene.client.put("abortexposure"))
        await settled()
        assert not aborting.done()
        gate.set()
        await aborting
        assert [name for name, _ in scene.camera.puts] == ["startexposure", "abortexposure"]
        assert not scene.arbiter.exposing
        assert not scene.arbiter.held

    played(play)


def test_an_abort_while_a_run_has_the_camera_ends_it_and_it_does_not_begin_again_at_once() -> None:
    async def play(scene: CameraScene) -> None:
        running = await begin_run(scene)
        await scene.client.put("abortexposure")
        await settled()
        await running
        assert scene.camera.sent("abortexposure") == []
        assert not scene.arbiter.is_free

    played(play)


@pytest.mark.parametrize("way", [("connected", {"Connected": False}), ("disconnect", {})])
def test_a_program_that_disconnects_wins(way: tuple[str, dict[str, bool]]) -> None:
    async def play(scene: CameraScene) -> None:
        before = scene.camera.settings()
        scene.engine.job = scene.run
        await scene.client.start(60)
        await scene.clock.pass_s(5)
        member, parameters = way
        await scene.client.put(member, **parameters)
        assert not scene.arbiter.leased
        assert scene.camera.settings() == before
        assert not await scene.client.get("connected")
        scene.camera.values["connected"] = True
        assert not await scene.client.get("connected")
        await scene.clock.pass_s(200)
        assert scene.camera.began == []
        await scene.client.put("connected", Connected=True)
        assert await scene.client.get("connected")

    played(play)


def test_a_disconnect_does_not_wait_for_ever_for_a_run_that_hangs() -> None:
    async def play(scene: CameraScene) -> None:
        await scene.clock.pass_s(IDLE_S)
        await scene.arbiter.acquire()
        leaving = asyncio.create_task(scene.client.put("connected", Connected=False))
        await scene.clock.pass_s(10)
        assert not leaving.done()
        await scene.clock.pass_s(10)
        await leaving

    played(play)


def test_a_disconnect_aborts_the_exposure_that_is_just_beginning() -> None:
    async def play(scene: CameraScene) -> None:
        gate = scene.camera.gates["startexposure"] = asyncio.Event()
        await scene.client.start(60)
        await settled()
        leaving = asyncio.create_task(scene.client.put("disconnect"))
        await settled()
        gate.set()
        await leaving
        assert [name for name, _ in scene.camera.puts] == ["startexposure", "abortexposure", "disconnect"]

    played(play)


def test_a_disconnect_in_the_middle_of_an_exposure_leaves_it_known() -> None:
    async def play(scene: CameraScene) -> None:
        await scene.client.start(60)
        await settled()
        await scene.client.put("disconnect")
        assert scene.arbiter.exposing

    played(play)


ASCOM_NAMES = {
    "binx": "BinX",
    "biny": "BinY",
    "gain": "Gain",
    "numx": "NumX",
    "readoutmode": "ReadoutMode",
    "startx": "StartX",
}


def test_settings_made_while_a_run_has_the_camera_are_checked_kept_and_put_back() -> None:
    async def play(scene: CameraScene) -> None:
        running = await begin_run(scene)
        for member, value in (("binx", 2), ("biny", 3), ("gain", 150), ("numx", 200), ("readoutmode", 1)):
            await scene.client.put(member, **{ASCOM_NAMES[member]: value})
            assert await scene.client.get(member) == value
        assert scene.camera.values["gain"] == 7
        for member, value in (("binx", 9), ("gain", 301), ("startx", 1000), ("readoutmode", 2)):
            with pytest.raises(AlpacaError) as refusal:
                await scene.client.put(member, **{ASCOM_NAMES[member]: value})
            assert refusal.value.number == ErrorNumber.INVALID_VALUE
        with pytest.raises(AlpacaError) as refusal:
            await scene.client.put("offset", Offset=3)
        assert refusal.value.number == ErrorNumber.NOT_IMPLEMENTED
        await scene.clock.pass_s(21)
        await running
        now = scene.camera.settings()
        assert {"binx": 2, "biny": 3, "gain": 150, "numx": 200, "readoutmode": 1}.items() <= now.items()

    played(play)


def test_a_camera_that_bins_symmetrically_gets_one_binning() -> None:
    async def play(scene: CameraScene) -> None:
        scene.camera.values["canasymmetricbin"] = False
        running = await begin_run(scene)
        await scene.client.put("binx", BinX=3)
        assert await scene.client.get("biny") == 3
        await scene.clock.pass_s(21)
        await running
        assert (scene.camera.values["binx"], scene.camera.values["biny"]) == (3, 3)

    played(play)


def test_the_same_binning_set_again_leaves_the_subframe_to_be_put_back() -> None:
    async def play(scene: CameraScene) -> None:
        before = scene.camera.settings()
        running = await begin_run(scene)
        await scene.client.put("binx", BinX=1)
        await scene.client.put("biny", BinY=1)
        await scene.clock.pass_s(21)
        await running
        assert scene.camera.settings() == before

    played(play)


def test_one_setting_that_is_not_taken_back_does_not_keep_the_others_from_it() -> None:
    async def play(scene: CameraScene) -> None:
        before = scene.camera.settings()
        running = await begin_run(scene)
        scene.camera.refuses["binx"] = AlpacaError(ErrorNumber.INVALID_OPERATION, "Not now.")
        await scene.clock.pass_s(21)
        await running
        assert scene.camera.settings() == before | {"binx": 2}

    played(play)


def test_a_setting_that_comes_while_the_camera_is_read_or_put_back_is_not_lost() -> None:
    async def play(scene: CameraScene) -> None:
        await scene.clock.pass_s(IDLE_S)
        taking = asyncio.create_task(scene.arbiter.acquire())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await scene.client.put("gain", Gain=111)
        await taking
        await scene.misuse()
        giving = asyncio.create_task(scene.arbiter.release())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await scene.client.put("numx", NumX=123)
        await giving
        assert (scene.camera.values["gain"], scene.camera.values["numx"]) == (111, 123)

    played(play)


@pytest.mark.parametrize("member", ["StartExposure", "STARTEXPOSURE"])
def test_members_in_capitals_do_not_bypass_the_virtual_camera(member: str) -> None:
    async def play(scene: CameraScene) -> None:
        assert (await scene.client.reply("PUT", member, Duration=60.0, Light=True)).status == 400
        assert scene.camera.sent("startexposure") == []

    played(play)


@pytest.mark.parametrize("parameters", [{"Duration": "long", "Light": "True"}, {"duration": "60", "Light": "True"}])
def test_parameters_that_make_no_sense_are_refused_and_never_reach_the_camera(parameters: dict[str, str]) -> None:
    async def play(scene: CameraScene) -> None:
        assert (await scene.client.reply("PUT", "startexposure", **parameters)).status == 400
        assert not scene.arbiter.held
        assert scene.camera.sent("startexposure") == []

    played(play)


def test_a_lost_camera_hangs_up() -> None:
    async def play(scene: CameraScene) -> None:
        running = await begin_run(scene)
        scene.camera.lost = True
        assert (await scene.client.reply("GET", "supportedactions")).hang_up
        assert (await scene.client.reply("PUT", "gain", Gain=3)).hang_up
        scene.camera.lost = False
        await scene.clock.pass_s(21)
        await running

    played(play)


def test_actions_are_listed_carried_out_and_passed_on() -> None:
    async def play(scene: CameraScene) -> None:
        actions = await scene.client.get("supportedactions")
        assert actions == ["Polish", "refocus", "pause", "resume", "status"]
        assert await scene.client.put("action", Action="Refocus", Parameters="") == "done: refocus"
        await scene.client.put("action", Action="Polish", Parameters="twice")
        assert len(scene.camera.sent("action")) == 1
        scene.engine.refuses = "The night has not begun."
        with pytest.raises(AlpacaError, match="has not begun") as refusal:
            await scene.client.put("action", Action="pause", Parameters="")
        assert refusal.value.number == ErrorNumber.INVALID_OPERATION
        scene.camera.values["supportedactions"] = AlpacaError(ErrorNumber.NOT_IMPLEMENTED, "None.")
        assert await scene.client.get("supportedactions") == ["refocus", "pause", "resume", "status"]

    played(play)


def test_a_camera_without_device_state_refuses_it_itself() -> None:
    async def play(scene: CameraScene) -> None:
        scene.engine.job = scene.run
        await scene.client.start(60)
        read = scene.camera.read
        refusal = AlpacaError(ErrorNumber.NOT_IMPLEMENTED, "No state.")
        scene.camera.read = lambda member: refusal if member == "devicestate" else read(member)  # type: ignore[method-assign]
        with pytest.raises(AlpacaError, match="No state"):
            await scene.client.get("devicestate")

    played(play)


def test_a_new_binning_finds_the_camera_as_the_program_left_it_and_chooses_its_subframe() -> None:
    async def play(scene: CameraScene) -> None:
        carry_out = scene.camera.carry_out

        def scaling(member: str, parameters: dict[str, Any]) -> None:
            """A camera that scales its subframe with the binning."""
            before = scene.camera.values[member] if member in {"binx", "biny"} else 1
            carry_out(member, parameters)
            if member in {"binx", "biny"}:
                axis = member[-1]
                for name in (f"start{axis}", f"num{axis}"):
                    scene.camera.values[name] = scene.camera.values[name] * before // scene.camera.values[member]

        scene.camera.carry_out = scaling  # type: ignore[method-assign]
        running = await begin_run(scene)
        await scene.client.put("binx", BinX=2)
        await scene.client.put("biny", BinY=4)
        await scene.clock.pass_s(21)
        await running
        now = scene.camera.settings()
        assert {"binx": 2, "biny": 4, "startx": 5, "starty": 5, "numx": 300, "numy": 100}.items() <= now.items()
        assert now["gain"] == 100

    played(play)


def test_two_clients_see_the_same_camera_and_either_may_abort() -> None:
    async def play(scene: CameraScene) -> None:
        other = Client(scene.device)
        scene.engine.job = scene.run
        await scene.client.start(60)
        assert await other.get("camerastate") == 1
        await other.put("abortexposure")
        await scene.clock.pass_s(30)
        assert scene.camera.began == []
        assert await scene.client.get("camerastate") == 0

    played(play)
