"""What holds for the gateway's camera whatever the imaging program, the engine and the time do."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from alpaca_focus.alpaca.errors import AlpacaError
from alpaca_focus.alpaca.standard import INTERFACES, DeviceType
from alpaca_focus.gateway.camera_arbiter import GRACE_S
from tests.gateway_scene import IDLE_S, PATIENCE_S, CameraScene, played, settled

calls = st.one_of(
    st.tuples(st.just("start"), st.sampled_from([5.0, 60.0, 90.0]), st.booleans()),
    st.sampled_from([("abortexposure",), ("stopexposure",), ("disconnect",)]),
    st.tuples(st.just("set"), st.sampled_from(["binx", "biny"]), st.integers(1, 4)),
    st.tuples(st.just("set"), st.just("gain"), st.integers(0, 300)),
    st.just(("look",)),
    st.tuples(st.just("wait"), st.sampled_from([0.3, 3.0, 15.0, 40.0, 100.0])),
    st.tuples(
        st.just("engine"), st.sampled_from(["nothing", "run", "handovers", "hangs", "hangs with the camera", "raises"])
    ),
    st.tuples(st.just("due"), st.booleans()),
    st.just(("idle run",)),
    st.just(("breath",)),
)


class Night:
    """Plays one random night, and checks after every step."""

    def __init__(self, scene: CameraScene, run_s: float) -> None:
        self.scene = scene
        self.run_s = run_s
        self.wanted: dict[str, Any] = scene.camera.settings()
        self.accepted: list[float] = []
        self.given_up: list[float] = []
        self.number = 0
        self.tasks: list[asyncio.Task[None]] = []
        carry_out = scene.camera.carry_out

        def watched(member: str, parameters: dict[str, Any]) -> None:
            if member == "startexposure":
                assert not scene.arbiter.leased, "an exposure began while a run had the camera"
                assert scene.camera.settings() == self.wanted, "an exposure began with the settings of a run"
            carry_out(member, parameters)

        scene.camera.carry_out = watched  # type: ignore[method-assign]

    async def step(self, call: tuple[Any, ...]) -> None:
        scene, client = self.scene, self.scene.client
        match call:
            case ("wait", duration_s):
                await scene.clock.pass_s(duration_s)
            case ("engine", how):
                scene.engine.job = self._jobs()[how]
            case ("due", is_due):
                scene.engine.wants_gap = is_due
            case ("idle run",):
                self.tasks.append(asyncio.create_task(self._run()))
            case ("breath",):
                await asyncio.sleep(0)
            case ("look",):
                scene.arbiter.request_check()
            case ("start", exposure_s, light):
                await self._start(exposure_s, light=light)
            case ("set", member, value):
                (parameter,) = INTERFACES[DeviceType.CAMERA].members["PUT", member].parameters
                await client.put(member, **{parameter.name: value})
                self.wanted[member] = value
            case _:
                await self._give_up(call[0])
        await self.look()

    async def _start(self, exposure_s: float, *, light: bool) -> None:
        # No two are alike, so that each can be found again at the camera.
        self.number += 1
        one_s = exposure_s + self.number / 1024
        try:
            await self.scene.client.start(one_s, light=light)
        except AlpacaError:
            return
        self.accepted.append(one_s)

    async def _give_up(self, how: str) -> None:
        # What waits now, or is just beginning, need not reach the camera any more.
        if self.scene.arbiter.held:
            self.given_up.append(self.accepted[-1])
        giving_up = asyncio.create_task(self.scene.client.put(how))
        await self.scene.clock.pass_s(20 if how == "disconnect" else 0)
        await giving_up
        if how == "disconnect":
            await self.scene.client.put("connected", Connected=True)

    def _jobs(self) -> dict[str, Callable[[], Awaitable[None]] | None]:
        return {
            "nothing": None,
            "run": self._run,
            "handovers": self._handovers,
            "hangs": self.scene.hanging,
            "hangs with the camera": self._hang,
            "raises": self._fail,
        }

    async def _run(self) -> None:
        self.scene.engine.gives_way.clear()
        await self.scene.run(self.run_s)

    async def _handovers(self) -> None:
        for _ in range(3):
            await self._run()

    async def _hang(self) -> None:
        await self.scene.arbiter.acquire()
        await self.scene.misuse()
        await self.scene.hanging()

    async def _fail(self) -> None:
        raise RuntimeError("the engine is broken")

    async def look(self) -> None:
        """What the imaging program sees is its own."""
        scene = self.scene
        for member, value in self.wanted.items():
            assert await scene.client.get(member) == value
        duration_s = await scene.client.get("lastexposureduration")
        assert duration_s != 2.0
        if scene.arbiter.held or scene.arbiter.leased:
            state = await scene.client.get("camerastate")
            assert state in {0, 1, 2}

    async def end(self) -> None:
        scene = self.scene
        # A run that still waits for a gap is called off; one that has the camera ends by itself.
        await scene.clock.pass_s(3 * (PATIENCE_S + GRACE_S + 10))
        scene.engine.give_way("the night ends")
        for task in self.tasks:
            if not task.done():
                task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        # The engine's own runs may have waited for those: three of them, each after an idle time.
        await scene.clock.pass_s(3 * (IDLE_S + self.run_s))
        began = Counter(each[0] for each in scene.camera.began)
        assert all(count == 1 for count in began.values()), "an exposure began twice"
        assert set(began) <= set(self.accepted), "an exposure began that was not accepted"
        missing = set(self.accepted) - set(began) - set(self.given_up)
        assert not missing, f"accepted exposures never began: {missing}"
        assert not scene.arbiter.held


@settings(max_examples=150)
@given(st.lists(calls, max_size=25), st.sampled_from([0.5, 20.0, 55.0, 65.0, 300.0]))
def test_the_imaging_program_gets_every_exposure_as_it_wants_it(play: list[tuple[Any, ...]], run_s: float) -> None:
    async def whole(scene: CameraScene) -> None:
        night = Night(scene, run_s)
        for call in play:
            await night.step(call)
        await night.end()
        await settled()
        has_hung = any(call == ("engine", "hangs with the camera") for call in play)
        assert has_hung or not scene.arbiter.leased
        if not scene.arbiter.leased:
            assert scene.camera.settings() == night.wanted

    played(whole)
