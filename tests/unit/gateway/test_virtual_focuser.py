"""The virtual focuser, wheel and mount: what the imaging program moves itself is respected."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest

from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.core.night.program_autofocus import SERIES_PAUSE_S
from alpaca_focus.gateway.upstream import Upstream
from alpaca_focus.gateway.virtual_devices import STILL_WITHIN_S, VirtualMount
from alpaca_focus.gateway.virtual_focuser import HALT_WITHIN_S, WHEEL_WITHIN_S, VirtualFilterWheel, VirtualFocuser
from tests.gateway_scene import CameraScene, Client, FakeUpstream, settled

RUN_ENDS = "the imaging program moves the focuser"


class Focuser(FakeUpstream):
    """A focuser that takes two seconds for every move."""

    def __init__(self, scene: CameraScene) -> None:
        super().__init__(DeviceType.FOCUSER, {"maxstep": 9000, "position": 5000})
        self._clock = scene.clock
        self._ends_s = 0.0
        self.in_pieces = True

    def read(self, member: str) -> Any:
        if member == "devicestate":
            return [{"Name": "IsMoving", "Value": self.read("ismoving")}, {"Name": "Position", "Value": 5000}]
        return self._clock.now_s < self._ends_s if member == "ismoving" else super().read(member)

    def carry_out(self, member: str, parameters: dict[str, Any]) -> None:
        if member == "move":
            self.values["position"], self._ends_s = parameters["Position"], self._clock.now_s + 2.0
        elif member == "halt":
            self._ends_s = self._clock.now_s


class Scene(CameraScene):
    """The camera's scene with the other devices."""

    def __init__(self) -> None:
        super().__init__()
        self.focuser = Focuser(self)
        self.wheel = FakeUpstream(DeviceType.FILTERWHEEL, {"names": ["L", "R", "Ha"], "position": 0})
        self.mount = FakeUpstream(DeviceType.TELESCOPE)
        self.checks = 0
        self.measured: list[float] = []
        self.virtual_focuser = VirtualFocuser(cast("Upstream", self.focuser), self.engine, self.arbiter, self.clock)
        self.virtual_wheel = VirtualFilterWheel(
            cast("Upstream", self.wheel), self.engine, self.request_check, self.clock
        )
        self.virtual_mount = VirtualMount(cast("Upstream", self.mount), self.engine, self.request_check)
        self.at_focuser = Client(self.virtual_focuser)
        self.at_wheel = Client(self.virtual_wheel)
        self.at_mount = Client(self.virtual_mount)

    def request_check(self, after: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        self.checks += 1
        self.arbiter.request_check(after)

    def begin_work(self, kind: str) -> None:
        setattr(self.engine, kind, True)
        self.engine.at_rest.clear()

    def end_work(self) -> None:
        self.engine.focusing = self.engine.correcting = False
        self.engine.at_rest.set()

    async def move(self, position: int) -> None:
        await self.at_focuser.put("move", Position=position)

    async def close(self) -> None:
        for device in (self.virtual_focuser, self.virtual_wheel, self.virtual_mount):
            device.close()
        await super().close()


def played(play: Callable[[Scene], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        scene = Scene()
        try:
            await play(scene)
        finally:
            await scene.close()

    asyncio.run(whole())


def test_a_move_is_passed_on_and_watched_to_its_end() -> None:
    async def play(scene: Scene) -> None:
        await scene.move(6000)
        assert scene.engine.calls == ["the program moves"]
        assert scene.focuser.sent("move") == [{"Position": 6000}]
        assert await scene.at_focuser.get("ismoving")
        await scene.clock.pass_s(1.9)
        assert scene.engine.moved_to == []
        await scene.clock.pass_s(2)
        assert scene.engine.moved_to == [6000]
        assert not await scene.at_focuser.get("ismoving")

    played(play)


def test_a_move_that_is_refused_is_not_watched() -> None:
    async def play(scene: Scene) -> None:
        scene.focuser.refuses["move"] = AlpacaError(ErrorNumber.INVALID_OPERATION, "TempComp is on.")
        with pytest.raises(AlpacaError, match="TempComp"):
            await scene.move(6000)
        assert scene.engine.moved_to == [None]

    played(play)


def test_a_refused_move_leaves_the_one_before_watched() -> None:
    async def play(scene: Scene) -> None:
        await scene.move(6000)
        scene.focuser.refuses["move"] = AlpacaError(ErrorNumber.INVALID_OPERATION, "It moves.")
        with pytest.raises(AlpacaError, match="It moves"):
            await scene.move(7000)
        assert scene.engine.moved_to == []
        await scene.clock.pass_s(4)
        assert scene.engine.moved_to == [6000]

    played(play)


@pytest.mark.parametrize("kind", ["correcting", "focusing"])
def test_a_move_waits_for_what_is_under_way_and_is_made_after_it(kind: str) -> None:
    async def play(scene: Scene) -> None:
        scene.begin_work(kind)
        await scene.move(6000)
        await scene.clock.pass_s(5)
        assert scene.engine.calls == ["the program moves", RUN_ENDS]
        assert scene.focuser.sent("move") == []
        assert await scene.at_focuser.get("ismoving")
        state = {each["Name"]: each["Value"] for each in await scene.at_focuser.get("devicestate")}
        assert state == {"IsMoving": True, "Position": 5000}
        with pytest.raises(AlpacaError, match="0 to 9000"):
            await scene.move(9001)
        scene.end_work()
        await settled()
        assert scene.focuser.sent("move") == [{"Position": 6000}]
        await scene.clock.pass_s(4)
        assert scene.engine.moved_to == [6000]

    played(play)


def test_the_engine_makes_the_programs_moves_where_it_compensates_them() -> None:
    async def play(scene: Scene) -> None:
        scene.engine.compensates_moves, scene.engine.move_ends = True, asyncio.Event()
        await scene.move(6000)
        await scene.clock.pass_s(5)
        assert (scene.engine.moves, scene.focuser.puts, scene.engine.moved_to) == ([6000], [], [])
        assert await scene.at_focuser.get("ismoving")
        assert await scene.at_focuser.get("position") == 5000
        scene.focuser.values["position"] = 6000
        scene.engine.move_ends.set()
        await settled()
        assert not await scene.at_focuser.get("ismoving")
        await scene.clock.pass_s(2)
        assert scene.engine.moved_to == [6000]
        with pytest.raises(AlpacaError, match="0 to 9000"):
            await scene.move(9001)

    played(play)


def test_a_move_that_the_engine_cannot_make_is_passed_on() -> None:
    async def play(scene: Scene) -> None:
        scene.engine.compensates_moves, scene.engine.moves_itself = True, False
        await scene.move(6000)
        await scene.clock.pass_s(5)
        assert (scene.focuser.sent("move"), scene.engine.moved_to) == ([{"Position": 6000}], [6000])

    played(play)


def test_a_move_of_the_engine_that_fails_leaves_no_baseline_where_it_stands() -> None:
    async def play(scene: Scene) -> None:
        scene.engine.compensates_moves = scene.engine.move_fails = True
        await scene.move(6000)
        await scene.clock.pass_s(5)
        assert (scene.focuser.puts, scene.engine.moved_to) == ([], [None])
        scene.engine.move_fails = False
        await scene.move(6000)
        await scene.clock.pass_s(5)
        assert scene.engine.moved_to == [None, 5000]

    played(play)


@pytest.mark.parametrize("how", ["halt", "another move"])
def test_a_halt_or_another_move_ends_the_engines_move_before_anything_else(how: str) -> None:
    async def play(scene: Scene) -> None:
        scene.engine.compensates_moves, scene.engine.move_ends = True, asyncio.Event()
        await scene.move(6000)
        await settled()
        if how == "halt":
            await scene.at_focuser.put("halt")
            assert (scene.engine.calls[-1], [name for name, _ in scene.focuser.puts]) == ("halted", ["halt"])
            await scene.clock.pass_s(2)
            assert scene.engine.moved_to == [5000]
        else:
            await scene.move(7000)
            await settled()
            assert ("halted" in scene.engine.calls, scene.engine.moves) == (True, [6000, 7000])
            assert await scene.at_focuser.get("ismoving")
            scene.engine.move_ends.set()
            await settled()
        assert not await scene.at_focuser.get("ismoving")

    played(play)


def test_a_halt_of_an_engine_that_hangs_reaches_the_focuser() -> None:
    async def play(scene: Scene) -> None:
        scene.engine.compensates_moves, scene.engine.move_ends = True, asyncio.Event()
        await scene.move(6000)
        await settled()

        async def hang() -> None:
            await asyncio.get_running_loop().create_future()

        scene.engine.wait_until_idle = hang  # type: ignore[method-assign]
        halting = asyncio.create_task(scene.at_focuser.put("halt"))
        await scene.clock.pass_s(HALT_WITHIN_S)
        await halting
        assert [name for name, _ in scene.focuser.puts] == ["halt"]

    played(play)


def test_a_program_that_disconnects_during_its_move_waits_for_its_end() -> None:
    async def play(scene: Scene) -> None:
        scene.engine.compensates_moves, scene.engine.move_ends = True, asyncio.Event()
        await scene.move(6000)
        await settled()
        leaving = asyncio.create_task(scene.at_focuser.put("connected", Connected=False))
        await settled()
        assert not leaving.done()
        scene.engine.move_ends.set()
        await leaving
        assert "halted" not in scene.engine.calls

    played(play)


def test_an_image_that_begins_during_the_programs_move_waits_and_an_abort_leaves_the_move() -> None:
    async def play(scene: Scene) -> None:
        await scene.first_check()
        scene.engine.compensates_moves, scene.engine.move_ends = True, asyncio.Event()
        scene.engine.job = scene.engine.wait_until_idle
        await scene.move(6000)
        await settled()
        await scene.client.start(60)
        await settled()
        assert scene.arbiter.held
        await scene.client.put("abortexposure")
        assert not scene.arbiter.held
        await scene.client.start(60)
        scene.engine.move_ends.set()
        await settled()
        assert ("halted" in scene.engine.calls, len(scene.camera.began)) == (False, 2)

    played(play)


def test_the_last_of_several_moves_that_wait_is_made() -> None:
    async def play(scene: Scene) -> None:
        scene.begin_work("focusing")
        await scene.move(6000)
        await scene.move(7000)
        await settled()
        assert scene.virtual_focuser.is_waiting
        scene.end_work()
        await scene.clock.pass_s(5)
        assert scene.focuser.sent("move") == [{"Position": 7000}]
        assert not scene.virtual_focuser.is_waiting
        assert scene.engine.moved_to == [7000]

    played(play)


def test_a_move_that_waits_is_made_at_last_when_the_engine_hangs() -> None:
    async def play(scene: Scene) -> None:
        scene.begin_work("focusing")
        await scene.move(6000)
        await scene.clock.pass_s(STILL_WITHIN_S - 1)
        assert scene.focuser.sent("move") == []
        await scene.clock.pass_s(2)
        assert scene.focuser.sent("move") == [{"Position": 6000}]

    played(play)


def test_a_move_that_waits_and_is_refused_then_ends_the_wait() -> None:
    async def play(scene: Scene) -> None:
        scene.begin_work("correcting")
        await scene.move(6000)
        scene.focuser.refuses["move"] = AlpacaError(ErrorNumber.INVALID_OPERATION, "Stuck.")
        scene.end_work()
        await scene.clock.pass_s(5)
        assert not scene.virtual_focuser.is_waiting
        assert scene.engine.moved_to == [5000]

    played(play)


def test_a_halt_forgets_the_move_that_waits() -> None:
    async def play(scene: Scene) -> None:
        scene.begin_work("correcting")
        await scene.move(6000)
        await scene.at_focuser.put("halt")
        scene.end_work()
        await scene.clock.pass_s(5)
        assert [name for name, _ in scene.focuser.puts] == ["halt"]
        assert scene.engine.moved_to == [5000]

    played(play)


def test_a_halt_during_a_run_ends_it_and_lets_the_focuser_go_home() -> None:
    async def play(scene: Scene) -> None:
        await scene.clock.pass_s(30)
        await scene.arbiter.acquire()
        await scene.at_focuser.put("halt")
        assert scene.engine.calls == ["the imaging program halts the focuser"]
        assert scene.focuser.puts == []
        assert await scene.at_focuser.get("ismoving")
        await scene.arbiter.release()

    played(play)


def test_an_autofocus_of_the_programs_own_is_one_series() -> None:
    async def play(scene: Scene) -> None:
        for position in (6000, 6100, 6200, 6300):
            await scene.move(position)
            await scene.clock.pass_s(20)
        assert scene.engine.moved_to == [6000, 6100]
        await scene.clock.pass_s(SERIES_PAUSE_S)
        assert scene.engine.moved_to == [6000, 6100, 6300]

    played(play)


async def frames(scene: Scene, *steps: float) -> None:
    """Let the program move (an int, the position) and take light frames (a float, the seconds) one after the other."""
    for step in steps:
        if isinstance(step, int):
            await scene.move(step)
            await scene.clock.pass_s(4)
        else:
            await scene.client.start(step)
            await settled()
            await scene.clock.pass_s(step + 0.01)
            if scene.arbiter.exposures.passed() is not None:
                scene.measured.append(step)
            await scene.clock.pass_s(1)


@pytest.mark.parametrize("per_position", [1, 2])
def test_frames_of_the_programs_own_autofocus_are_no_images(per_position: int) -> None:
    async def play(scene: Scene) -> None:
        await frames(scene, 60.0)
        assert (scene.arbiter.exposures.images, scene.measured) == (1, [60.0])
        for position in (6000, 6100, 6200, 6300, 6150):
            await frames(scene, position, *[12.0] * per_position)
        await frames(scene, 60.0, 60.0)
        # With several frames at one position the first two are known only at the third.
        known_late = 2 * per_position if per_position > 1 else 0
        assert scene.arbiter.exposures.images - known_late == 3
        assert scene.measured[-2:] == [60.0, 60.0]
        assert len(scene.measured) - 3 <= known_late

    played(play)


def test_a_short_image_after_a_single_move_counts_before_the_next_begins() -> None:
    async def play(scene: Scene) -> None:
        await frames(scene, 20.0, 6000, 20.0)
        assert (scene.arbiter.exposures.images, scene.engine.decided[-1]) == (1, 1)
        await frames(scene, 20.0)
        assert (scene.arbiter.exposures.images, scene.engine.decided[-1]) == (3, 2)
        assert scene.measured == [20.0, 20.0]

    played(play)


def test_images_after_an_autofocus_count_however_short() -> None:
    async def play(scene: Scene) -> None:
        for position in (6000, 6100, 6200):
            await frames(scene, position, 12.0)
        await frames(scene, 20.0)
        assert (scene.arbiter.exposures.images, scene.measured) == (1, [20.0])

    played(play)


def test_a_long_image_after_each_of_the_programs_moves_counts_at_once() -> None:
    async def play(scene: Scene) -> None:
        for position in (6000, 6100, 6200):
            await frames(scene, position, 40.0)
        assert (scene.arbiter.exposures.images, scene.measured) == (3, [40.0] * 3)

    played(play)


def test_a_focuser_that_is_lost_during_a_move_has_an_unknown_position() -> None:
    async def play(scene: Scene) -> None:
        await scene.move(6000)
        scene.focuser.lost = True
        await scene.clock.pass_s(5)
        assert scene.engine.moved_to == [None]

    played(play)


@pytest.mark.parametrize("hangs_up", ["client", "server"])
def test_a_move_that_may_have_been_made_is_watched(hangs_up: str) -> None:
    async def play(scene: Scene) -> None:
        gate = scene.focuser.gates["move"] = asyncio.Event()
        if hangs_up == "server":
            scene.focuser.breaks_off.add("move")
        moving = asyncio.create_task(scene.at_focuser.reply("PUT", "move", Position="6000"))
        await settled()
        if hangs_up == "client":
            moving.cancel()
        gate.set()
        await scene.clock.pass_s(5)
        assert scene.engine.moved_to == [6000]
        assert moving.done()

    played(play)


def test_a_program_that_disconnects_from_the_focuser_or_the_wheel_ends_the_run() -> None:
    async def play(scene: Scene) -> None:
        for client in (scene.at_focuser, scene.at_wheel):
            scene.begin_work("focusing")
            leaving = asyncio.create_task(client.put("connected", Connected=False))
            await settled()
            assert not leaving.done()
            assert "disconnects" in scene.engine.calls[-1]
            scene.end_work()
            await leaving
            assert not await client.get("connected")

    played(play)


def test_the_wheel_turns_at_once_where_nothing_is_under_way() -> None:
    async def play(scene: Scene) -> None:
        await scene.at_wheel.put("position", Position=2)
        assert (scene.wheel.values["position"], scene.checks, scene.engine.calls) == (2, 1, [])
        assert await scene.at_wheel.get("position") == 2

    played(play)


def test_the_wheel_turns_while_it_waits_for_a_run_to_end() -> None:
    async def play(scene: Scene) -> None:
        scene.begin_work("focusing")
        scene.wheel.values["devicestate"] = [{"Name": "Position", "Value": 0}, "odd"]
        await scene.at_wheel.put("position", Position=1)
        assert await scene.at_wheel.get("position") == -1
        assert await scene.at_wheel.get("devicestate") == [{"Name": "Position", "Value": -1}, "odd"]
        with pytest.raises(AlpacaError, match="0 to 2"):
            await scene.at_wheel.put("position", Position=3)
        await settled()
        assert scene.wheel.values["position"] == 0
        scene.end_work()
        await settled()
        assert await scene.at_wheel.get("position") == 1
        assert scene.checks == 2

    played(play)


def test_an_exposure_through_a_wheel_that_still_turns_waits_until_its_filter_is_known() -> None:
    """INDI's driver for Ekos reports the wheel as arrived at once, and Ekos exposes a second later."""

    async def play(scene: Scene) -> None:
        await scene.first_check()
        seen = []

        async def look() -> None:
            seen.append(scene.wheel.values["position"])

        scene.engine.job = look
        await scene.at_wheel.put("position", Position=2)
        scene.wheel.values["position"] = -1
        await scene.client.start(60)
        await scene.clock.pass_s(4)
        assert (scene.arbiter.held, seen) == (True, [])
        scene.wheel.values["position"] = 2
        await scene.clock.pass_s(1)
        assert (scene.arbiter.held, seen, len(scene.camera.began)) == (False, [2], 2)
        # A wheel that never reports its position again holds up one exposure only.
        await scene.clock.pass_s(60)
        await scene.at_wheel.put("position", Position=1)
        scene.wheel.values["position"] = -1
        await scene.client.start(60)
        await scene.clock.pass_s(WHEEL_WITHIN_S + 1)
        assert (scene.arbiter.held, len(scene.camera.began)) == (False, 3)

    played(play)


def test_a_slew_ends_a_run_and_has_the_engine_request_check() -> None:
    async def play(scene: Scene) -> None:
        await scene.at_mount.put("slewtotargetasync")
        assert (scene.checks, scene.engine.calls) == (1, [])
        scene.engine.focusing = True
        await scene.at_mount.put("park")
        assert scene.engine.calls == ["the imaging program moves the mount (park)"]
        assert [name for name, _ in scene.mount.puts] == ["slewtotargetasync", "park"]
        await scene.at_mount.put("tracking", Tracking=True)
        assert scene.checks == 2

    played(play)


def test_actions_of_every_device_are_the_same() -> None:
    async def play(scene: Scene) -> None:
        for client in (scene.at_focuser, scene.at_wheel, scene.at_mount):
            assert await client.get("supportedactions") == ["Polish", "refocus", "pause", "resume", "status"]
            assert await client.put("action", Action="status", Parameters="") == "done: status"

    played(play)
