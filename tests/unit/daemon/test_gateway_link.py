"""The gateway and the night, each in its thread: neither waits for the other for ever, nor falls with it."""

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self, TypeVar, cast

import numpy as np
import pytest

from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.core.errors import AlpacaFocusError, ConfigurationError, DeviceUnreachable
from alpaca_focus.core.night.state import PierSide
from alpaca_focus.core.status import GatewayStatus
from alpaca_focus.core.values import Position
from alpaca_focus.daemon import engine_link
from alpaca_focus.daemon.engine_link import EngineLink
from alpaca_focus.daemon.focus_runs import share_camera
from alpaca_focus.daemon.gateway_link import DaemonGateway, gateway_settings
from alpaca_focus.gateway.engine import LightFrame
from alpaca_focus.gateway.service import Gateway
from alpaca_focus.night.exclusive_job import FOCUS_RUN
from alpaca_focus.night.scheduler import RefocusScheduler
from alpaca_focus.ports import MountState
from alpaca_focus.run.device_adapters import Devices
from alpaca_focus.run.filter_choice import FilterChoice
from alpaca_focus.run.focus_run import RunRequest, run_with_devices
from alpaca_focus.service.control_wire import Request
from alpaca_focus.settings.loader import parse_yaml
from alpaca_focus.settings.models import Settings
from tests.fakes import FakeCamera, FakeClock, FakeFocuser, FakeSky
from tests.ports import free_port

T = TypeVar("T")


@dataclass
class FakeScheduler:
    """Notes what it is told, and in which thread."""

    wants_gap: bool = True
    doing: str = ""
    compensates_program: bool = True
    hangs: threading.Event = field(default_factory=threading.Event)
    halted: asyncio.Event = field(default_factory=asyncio.Event)
    fails: bool = False
    told: list[object] = field(default_factory=list)
    threads: set[int] = field(default_factory=set)

    @property
    def requests(self) -> Self:
        """Itself: it is told that, too."""
        return self

    def _note(self, *what: object) -> None:
        self.told.append(what)
        self.threads.add(threading.get_ident())

    def decide_before_exposure(self) -> None:
        self._note("decide")
        if self.fails:
            raise RuntimeError("a bug")

    async def use_gap(self) -> None:
        self._note("use_gap")
        if self.fails:
            raise RuntimeError("a bug")

    async def at_rest(self, within_s: float | None = None) -> bool:
        self._note("at_rest", within_s)
        return True

    def give_way(self, why: str) -> None:
        self._note("give_way", why)

    async def move_for_program(self, target: Position) -> bool:
        self._note("move", target)
        try:
            if target < 0:
                self.hangs.set()
                await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            self.halted.set()
            raise
        return self.compensates_program

    def program_moves(self) -> None:
        self._note("program_moves")

    def program_has_moved(self, position: Position | None) -> None:
        self._note("program_has_moved", position)

    def report_hfd(self, hfd_px: float, ended_at: datetime | None) -> None:
        self._note("report_hfd", hfd_px, ended_at)


class FakeImage:
    def __init__(self, pixels: Any) -> None:
        self._pixels = pixels
        self.released = threading.Event()

    @property
    def pixels(self) -> Any:
        if isinstance(self._pixels, Exception):
            raise self._pixels
        return self._pixels

    def release(self) -> None:
        self.released.set()


async def answered(request: Request) -> Mapping[str, object]:
    told: dict[str, dict[str, object]] = {
        "status": {"state": "watching", "at": datetime(2026, 1, 1, tzinfo=UTC)},
        "pause": {"said": "Paused."},
        "refocus": {"error": "There is no night yet."},
    }
    return told[request.command]


def elsewhere(work: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
    """Carry something out in another thread's loop, as the gateway does."""

    async def whole() -> T:
        return await asyncio.to_thread(asyncio.run, work)

    return whole()


@contextlib.contextmanager
def linked(scheduler: FakeScheduler | None) -> Iterator[EngineLink]:
    link = EngineLink(answered)
    link.scheduler = cast("RefocusScheduler | None", scheduler)
    try:
        yield link
    finally:
        link.close()


def frame(image: FakeImage) -> LightFrame:
    return LightFrame(
        image=cast("Any", image), exposure_s=60.0, started_at=datetime(2026, 1, 1, tzinfo=UTC), facts={"binx": 2.0}
    )


def test_what_the_keeper_does_is_seen() -> None:
    async def play() -> None:
        scheduler = FakeScheduler()
        with linked(scheduler) as link:
            seen = []
            for doing in ("", FOCUS_RUN, "a small move"):
                scheduler.doing = doing
                seen.append((link.wants_gap, link.focusing, link.correcting))
            assert seen == [(True, False, False), (True, True, False), (True, False, True)]

    asyncio.run(play())


def test_everything_is_carried_out_in_the_engines_thread() -> None:
    async def play() -> None:
        scheduler = FakeScheduler()
        with linked(scheduler) as link:

            async def gateway() -> None:
                await link.decide()
                await link.use_gap()
                await link.wait_until_idle()
                link.give_way("why")
                link.program_moves()
                link.program_has_moved(7)

            await elsewhere(gateway())
            await asyncio.sleep(0)
        assert scheduler.told == [
            ("decide",),
            ("use_gap",),
            ("at_rest", engine_link.STILL_WITHIN_S),
            ("give_way", "why"),
            ("program_moves",),
            ("program_has_moved", 7),
        ]
        assert scheduler.threads == {threading.get_ident()}

    asyncio.run(play())


def test_a_move_is_made_in_the_engines_thread_and_a_cancelled_call_halts_it() -> None:
    async def play() -> None:
        scheduler = FakeScheduler()
        with linked(scheduler) as link:

            async def gateway() -> None:
                assert (link.compensates_moves, await link.move_focuser(7)) == (True, True)
                hanging = asyncio.create_task(link.move_focuser(-1))
                await asyncio.to_thread(scheduler.hangs.wait)
                hanging.cancel()

            await elsewhere(gateway())
            await scheduler.halted.wait()
        assert scheduler.threads == {threading.get_ident()}

    asyncio.run(play())


def test_without_a_night_everything_passes() -> None:
    async def play() -> None:
        with linked(None) as link:
            assert (link.wants_gap, link.focusing, link.correcting) == (False, False, False)
            assert (link.compensates_moves, await elsewhere(link.move_focuser(7))) == (False, False)
            await elsewhere(link.decide())
            await elsewhere(link.use_gap())
            await elsewhere(link.wait_until_idle())
            link.give_way("why")

    asyncio.run(play())


def test_a_failure_of_the_engine_is_logged_and_the_program_continues(capsys: pytest.CaptureFixture[str]) -> None:
    async def play() -> None:
        with linked(FakeScheduler(fails=True)) as link:
            await elsewhere(link.use_gap())
            await elsewhere(link.decide())

    asyncio.run(play())
    assert capsys.readouterr().out.count("RuntimeError: a bug") == 2


def test_an_exposure_does_not_wait_long_for_an_engine_that_hangs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(engine_link, "DECIDE_WITHIN_S", 0.05)

    async def play() -> None:
        scheduler = FakeScheduler()
        with linked(scheduler) as link:
            # The daemon's loop itself hangs.
            thread = threading.Thread(target=lambda: asyncio.run(link.decide()))
            thread.start()
            thread.join()
        await asyncio.sleep(0)

    asyncio.run(play())
    assert "No decision in time" in capsys.readouterr().out


def test_actions_are_answered() -> None:
    async def play() -> None:
        with linked(FakeScheduler()) as link:
            assert json.loads(await elsewhere(link.run_action("status")))["state"] == "watching"
            assert await elsewhere(link.run_action("pause")) == "Paused."
            with pytest.raises(AlpacaFocusError, match="no night yet"):
                await elsewhere(link.run_action("refocus"))

    asyncio.run(play())


def test_after_the_end_of_the_engine_everything_passes_and_nothing_is_left() -> None:
    async def made() -> EngineLink:
        link = EngineLink(answered)
        link.scheduler = cast("RefocusScheduler", FakeScheduler())
        link.close()
        return link

    link = asyncio.run(made())

    async def gateway() -> None:
        await link.decide()
        await link.use_gap()
        await link.wait_until_idle()
        link.give_way("why")
        with pytest.raises(ConfigurationError, match="just stopped"):
            await link.run_action("status")

    asyncio.run(gateway())


def test_a_light_frame_is_measured_and_released(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_link, "measure_light_frame", lambda taken, report: report(3.0 * taken.binning))

    async def play() -> None:
        scheduler, image = FakeScheduler(), FakeImage(np.zeros((4, 4), np.uint16))
        with linked(scheduler) as link:
            link.measure_frame(frame(image))
        await asyncio.sleep(0)
        assert image.released.is_set()
        assert scheduler.told == [("report_hfd", 6.0, datetime(2026, 1, 1, 0, 1, tzinfo=UTC))]

    asyncio.run(play())


def test_a_frame_that_cannot_be_measured_is_released(capsys: pytest.CaptureFixture[str]) -> None:
    async def play() -> None:
        image = FakeImage(ValueError("the header does not fit"))
        with linked(FakeScheduler()) as link:
            link.measure_frame(frame(image))
        assert image.released.is_set()

    asyncio.run(play())
    assert "could not be measured" in capsys.readouterr().out


def test_a_frame_that_there_is_no_time_or_no_use_for_is_released(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    monkeypatch.setattr(engine_link, "measure_light_frame", lambda _taken, _tell: gate.wait(10))

    async def play() -> None:
        images = [FakeImage(np.zeros((4, 4), np.uint16)) for _ in range(3)]
        with linked(FakeScheduler()) as link:
            for image in images[:2]:
                link.measure_frame(frame(image))
            assert [image.released.is_set() for image in images[:2]] == [False, True]
            link.measures_stars = False
            link.measure_frame(frame(images[2]))
            assert images[2].released.is_set()
            gate.set()
        assert images[0].released.is_set()

    asyncio.run(play())


# Settings


def settings(port: int, *, way: str = "gateway", more: str = "") -> Settings:
    text = (
        "telescope: {name: C8, focal_length_mm: 530, aperture_mm: 106}\n"
        f"imaging: {{way: {way}}}\n"
        f"gateway: {{port: {port}, discovery: false, allow: [192.168.1.20, 10.0.0.0/8]}}\n{more}"
    )
    return parse_yaml(text, Settings, source="night.yaml")


def test_the_gateway_gets_its_settings() -> None:
    more = (
        "filter_wheel: {device_number: 2}\nmount: {address: '10.0.0.7:32323', unique_id: abc}\n"
        "night: {least_image_s: 7}\n"
    )
    how, devices = gateway_settings(settings(1234, more=more))
    assert (how.listen, how.port, how.location, how.least_image_s) == ("127.0.0.1", 1234, "C8", 7.0)
    assert [str(network) for network in how.allowed] == ["127.0.0.0/8", "::1/128", "192.168.1.20/32", "10.0.0.0/8"]
    assert {each.device_type for each in devices} == {
        DeviceType.CAMERA,
        DeviceType.FOCUSER,
        DeviceType.FILTERWHEEL,
        DeviceType.TELESCOPE,
    }
    by_type = {each.device_type: each for each in devices}
    assert by_type[DeviceType.FILTERWHEEL].device_number == 2
    assert (by_type[DeviceType.TELESCOPE].authority, by_type[DeviceType.TELESCOPE].unique_id) == (
        "10.0.0.7:32323",
        "abc",
    )


def test_the_gateway_stays_open_as_long_as_its_settings_stay() -> None:
    async def play() -> None:
        port = free_port()
        with DaemonGateway(answered, FakeClock()) as beside:
            assert beside.gateway is None
            beside.follow(settings(port))
            first = beside.gateway
            assert first is not None
            assert first.address == f"127.0.0.1:{port}"
            assert first.status() == GatewayStatus(
                address=first.address, waits=False, taken=False, interrupted=False, images=0
            )
            beside.follow(settings(port, more="focus: {metric: invpower}\n"))
            assert beside.gateway is first
            assert not beside.link.measures_stars
            beside.follow(settings(free_port()))
            assert beside.gateway not in {None, first}
            beside.follow(settings(port, way="watch"))
            assert beside.gateway is None
            beside.follow(settings(port))
        assert beside.gateway is None
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))

    asyncio.run(play())


def test_a_port_in_use_is_reported_with_the_settings_to_check() -> None:
    async def play() -> None:
        with socket.socket() as listener, DaemonGateway(answered, FakeClock()) as beside:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            port = listener.getsockname()[1]
            with pytest.raises(ConfigurationError, match=r"another program uses that port.*gateway\.port"):
                beside.follow(settings(port))
            assert beside.gateway is None
            listener.close()
            beside.follow(settings(port))
            assert beside.gateway is not None

    asyncio.run(play())


# The run


class FakeWheel:
    name = "filter wheel 0 (fake)"
    names = ("L", "R", "Ha")
    focus_offsets_steps = (0, 12, 25)

    def __init__(self) -> None:
        self.now: int | None = 0

    async def slot(self) -> int | None:
        return self.now


class FakeMount:
    name = "telescope 0 (fake)"

    def __init__(self) -> None:
        self.side = PierSide.EAST
        self.parked = False
        self.error: Exception | None = None

    async def state(self) -> MountState:
        if self.error is not None:
            raise self.error
        return MountState(tracking=True, parked=self.parked, slewing=False, pier_side=self.side, altitude_deg=50.0)


class FakeGateway:
    def sharing(self) -> str:
        return "the gateway's sharing"


def run_request(filter_name: str | None) -> RunRequest:
    choice = FilterChoice(filter_name=filter_name, offset_steps=0)
    return RunRequest(
        settings=settings(1), filter_choice=choice, emit=lambda _: None, clock=FakeClock(), filter_before="L"
    )


def observatory(wheel: FakeWheel | None, mount: FakeMount | None) -> Devices:
    focuser = FakeFocuser()
    connected: dict[str, Any] = {
        "camera": FakeCamera(FakeSky(focuser, np.random.default_rng()), FakeClock()),
        "focuser": focuser,
        "filter_wheel": wheel,
        "mount": mount,
    }
    return Devices(connected={section: device for section, device in connected.items() if device is not None})


def test_a_run_takes_turns_and_asks_whether_its_frames_are_still_good() -> None:
    async def play() -> None:
        wheel, mount = FakeWheel(), FakeMount()
        request = await share_camera(run_request("L"), observatory(wheel, mount), cast("Gateway", FakeGateway()))
        assert cast("Any", request.sharing) == "the gateway's sharing"
        assert await request.still_valid() == ""
        wheel.now = 1
        assert await request.still_valid() == "The filter is R now."
        wheel.now, mount.side = 0, PierSide.WEST
        assert "flipped" in await request.still_valid()
        mount.parked = True
        assert "parked" in await request.still_valid()
        mount.error = DeviceUnreachable(mount.name, "No answer.")
        assert await request.still_valid() == "No answer."

    asyncio.run(play())


def test_a_run_through_another_filter_stays_valid_with_either_filter() -> None:
    async def play() -> None:
        wheel = FakeWheel()
        devices = observatory(wheel, None)
        request = await share_camera(run_request("Ha"), devices, cast("Gateway", FakeGateway()))
        for slot in (0, 2):
            wheel.now = slot
            assert await request.still_valid() == ""
        with pytest.raises(ConfigurationError, match="no filter OIII"):
            await run_with_devices(devices, run_request("OIII"))

    asyncio.run(play())
