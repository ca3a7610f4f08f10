"""The daemon in process, over real HTTP against the simulated observatory, on the clock of the simulator."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import structlog
from astropy.io import fits
from structlog.testing import capture_logs
from structlog.typing import EventDict

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.daemon import daemon as daemon_module
from alpaca_focus.daemon import focus_runs, session
from alpaca_focus.daemon.daemon import Daemon
from alpaca_focus.devices.clock import ScaledClock
from alpaca_focus.night import compensator, poller, run_outcomes, scheduler
from alpaca_focus.run.restore_marker import RestoreMarker
from alpaca_focus.service.control_client import ask
from alpaca_focus.service.control_wire import socket_path
from alpaca_focus.settings.models import Settings
from alpaca_focus.simulator.faults import FaultRequest
from alpaca_focus.simulator.mechanics import Mechanism
from alpaca_focus.simulator.observatory import Observatory
from alpaca_focus.simulator.settings import FocuserSettings
from alpaca_focus.simulator.world import World
from alpaca_focus.store.run_store import RunStore
from tests.folder_polls import FolderPolls

START = 25400
PATIENCE_S = 30.0
Reply = dict[str, Any]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[EventDict]]:
    """Return the log entries of the daemon."""
    for module in (daemon_module, session, focus_runs, scheduler, run_outcomes, compensator, poller):
        monkeypatch.setattr(module, "_log", structlog.get_logger())
    with capture_logs() as entries:
        yield entries


def counted(log: list[EventDict]) -> Counter[str]:
    return Counter(line["event"] for line in log)


@dataclass
class Night:
    """A daemon to be started, and what a person and a settings file say to it."""

    observatory: Observatory
    directory: Path
    address: str
    timeout_s: float = 5.0
    """Long, so that a busy computer loses no device; short where one that is silent is waited for."""
    sections: dict[str, Any] = field(default_factory=dict)
    mistake: str = ""

    def settings(self) -> Settings:
        if self.mistake:
            raise ConfigurationError(self.mistake)
        usual: dict[str, Any] = {
            "telescope": {"focal_length_mm": 530, "aperture_mm": 106},
            "alpaca": {"address": self.address, "timeout_s": self.timeout_s},
            "camera": {"download_timeout_s": 5.0},
            "focuser": {"backlash": {"steps": 120}, "stall_timeout_s": 60.0, "settle_s": 0.1},
            "focus": {"exposure_s": 2.0, "max_duration_s": 3600.0},
            "mount": {},
            "safety_monitor": {},
            "storage": {"directory": str(self.directory)},
            "thermometer": {"every_s": 5.0, "readings": 3},
            "night": {"poll_s": 5.0, "watch_s": 5.0},
            "web": None,
        }
        return Settings.model_validate(usual | self.sections)

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[Daemon]:
        """Run the daemon while the block lasts, and see that it ends in time."""
        clock = self.observatory.world.clock
        daemon = Daemon(self.settings, ScaledClock(clock.factor, start=clock.utc()), clock_rate=clock.factor)
        running = asyncio.create_task(daemon.run())
        try:
            yield daemon
        finally:
            daemon.stop()
            assert await asyncio.wait_for(running, PATIENCE_S)

    async def send(self, command: str, **arguments: Any) -> Reply:
        return await asyncio.to_thread(ask, socket_path(self.directory), command, arguments, timeout_s=10.0)

    async def status_when(self, is_so: Callable[[Reply], object]) -> Reply:
        """Ask for the status until it is so."""
        status: Reply = {}
        ends_at = time.monotonic() + PATIENCE_S
        while time.monotonic() < ends_at:
            if socket_path(self.directory).exists():
                status = await self.send("status")
                if is_so(status):
                    return status
            await asyncio.sleep(0.05)
        raise AssertionError(f"it never came to pass: {status}")

    async def looks(self, count: int = 3) -> Reply:
        """Wait for that many looks more."""
        now = (await self.status_when(watching))["looks"]
        return await self.status_when(lambda status: status.get("looks", -1) >= now + count)

    def motor(self) -> int:
        world = self.observatory.world
        return int(world.mechanism.position(world.clock.now_s()))

    def put(self, member: str, **values: Any) -> None:
        answer = requests.put(f"http://{self.address}/api/v1/{member}", data=values, timeout=5).json()
        assert answer["ErrorNumber"] == 0, answer


def watching(status: Reply) -> bool:
    return "looks" in status and status["looks"] > 0


def waiting(status: Reply) -> bool:
    return bool(status["state"] == "waiting for the devices" and status["why"])


@pytest.fixture
def night(observatory_with: Callable[..., Observatory], tmp_path: Path) -> Night:
    observatory = observatory_with(focuser=FocuserSettings(start_position=START))
    return Night(observatory, tmp_path, observatory.address)


def lived(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(story())


def test_late_devices_are_waited_for_and_then_used(night: Night, log: list[EventDict]) -> None:
    port = night.observatory.running.port
    night.observatory.stop()

    async def story() -> None:
        async with night.kept():
            why = (await night.status_when(waiting))["why"]
            assert night.address in why
            assert (await night.send("refocus"))["error"].startswith("The daemon is still waiting for the devices. ")
            await asyncio.sleep(1.0)
            assert counted(log)["Waiting for the devices"] == 1
            await asyncio.to_thread(night.observatory.start, port=port)
            await night.status_when(watching)
            await night.send("refocus")
            status = await night.status_when(lambda status: status.get("runs_ended"))
            assert status["last_run"]["outcome"] == "focused", status["last_run"]

    lived(story)
    assert counted(log)["All devices are connected"] == 1
    (connected,) = (line for line in log if line["event"] == "All devices are connected")
    assert connected["attempts"] > 2


@pytest.mark.parametrize("way", ["no answer", "the server is started anew"])
def test_a_device_that_fails_and_answers_again_is_logged_once_each_way(
    way: str, night: Night, log: list[EventDict]
) -> None:
    world, port = night.observatory.world, night.observatory.running.port
    if way == "no answer":
        night.timeout_s = 1.0

    async def go() -> None:
        if way == "the server is started anew":
            await asyncio.to_thread(night.observatory.stop)
        else:
            world.faults.add(FaultRequest(kind="no-answer", device="telescope"))

    async def come_back() -> None:
        if way == "the server is started anew":
            await asyncio.to_thread(night.observatory.start, port=port)
        else:
            world.faults.clear()

    async def story() -> None:
        async with night.kept():
            await night.status_when(watching)
            await go()
            await night.send("refocus")
            status = await night.status_when(lambda status: any("telescope 0" in each for each in status["blocked_by"]))
            assert status["due"] == ["a refocus was requested"]
            await asyncio.sleep(0.5)
            assert (night.motor(), (await night.send("status"))["runs_ended"]) == (START, 0)
            await come_back()
            await night.status_when(lambda status: status["runs_ended"] == 1)

    lived(story)
    lines = [line["event"] for line in log if "telescope 0" in line.get("device", "")]
    assert lines == ["A device does not answer", "A device answers again"]


@pytest.mark.parametrize("member", ["connected", "connecting"])
def test_a_stop_while_a_device_is_waited_for_does_not_wait(member: str, night: Night) -> None:
    """A server that has hung up, and a device that goes on connecting for ever."""
    night.timeout_s = 60.0
    night.observatory.world.faults.add(FaultRequest(kind="no-answer", device="focuser", members=(member,)))

    async def story() -> None:
        async with night.kept() as daemon:
            await night.status_when(lambda status: status["state"] == "waiting for the devices")
            await asyncio.sleep(0.5)
            daemon.stop()
            stopped_s = time.monotonic()
        assert time.monotonic() - stopped_s < PATIENCE_S

    lived(story)


def names(status: Reply) -> list[str]:
    return [each["trigger"] for each in status.get("triggers", [])]


def test_good_settings_are_taken_over_and_the_night_goes_on(night: Night, log: list[EventDict]) -> None:
    async def story() -> None:
        async with night.kept() as daemon:
            await night.status_when(watching)
            await night.send("tell", what="image")
            await night.send("pause")
            night.sections["triggers"] = {"images": 30, "minutes": 90.0}
            daemon.reload()
            status = await night.status_when(lambda status: names(status) == ["asap", "position", "images", "time"])
            assert status["triggers"][2]["state"] == "[1/30]"
            assert status["paused"]

    lived(story)
    assert counted(log)["All devices are connected"] == 2


def test_settings_that_contradict_each_other_are_refused_at_once(night: Night) -> None:
    night.sections["compensation"] = {"enabled": True}

    async def story() -> None:
        with pytest.raises(ConfigurationError, match="needs the temperature coefficient"):
            async with night.kept():
                pass

    lived(story)


@pytest.mark.parametrize(
    "mistake",
    ["night.yaml:3:1: focsu: there is no such setting.", "another directory", "no coefficient"],
)
def test_wrong_settings_leave_the_old_ones_in_force(mistake: str, night: Night, log: list[EventDict]) -> None:
    night.sections["triggers"] = {"images": 30}

    async def story() -> None:
        async with night.kept() as daemon:
            await night.status_when(watching)
            if mistake == "another directory":
                night.sections["storage"] = {"directory": str(night.directory / "elsewhere")}
            elif mistake == "no coefficient":
                night.sections["compensation"] = {"enabled": True}
            else:
                night.mistake = mistake
            night.sections["triggers"] = {"minutes": 90.0}
            before = len(log)
            daemon.reload()
            assert names(await night.looks()) == ["asap", "position", "images"]
            (line,) = log[before:]
            assert line["log_level"] == "error"
            assert "the old" in line["event"]
            assert line.get("why", mistake) == mistake or "needs the temperature coefficient" in line["why"]

    lived(story)
    assert counted(log)["All devices are connected"] == 1


def test_settings_that_contradict_the_devices_are_waited_out(night: Night) -> None:
    night.sections["focuser"] = {"min_position": 50000}

    async def story() -> None:
        async with night.kept() as daemon:
            status = await night.status_when(waiting)
            assert "outside the limits 50000 to" in status["why"]
            del night.sections["focuser"]
            night.sections["triggers"] = {"temperature_c": 0.5}
            daemon.reload()
            assert names(await night.status_when(watching)) == ["asap", "position", "temperature"]

    lived(story)


def test_a_temperature_file_that_is_a_folder_is_reported(night: Night, tmp_path: Path) -> None:
    night.sections["thermometer"] = {"source": "external", "file": str(tmp_path)}

    async def story() -> None:
        async with night.kept():
            assert f"{tmp_path} is a folder" in (await night.status_when(waiting))["why"]

    lived(story)


def test_a_stop_during_a_focus_run_restores_the_focuser(night: Night, log: list[EventDict]) -> None:
    async def story() -> None:
        async with night.kept() as daemon:
            await night.status_when(watching)
            await night.send("tell", what="image")
            await night.send("refocus")
            await night.status_when(
                lambda status: status["state"] == "a focus run" and counted(log)["A frame was measured"] > 2
            )
            assert night.motor() != START
            daemon.stop()
        assert night.motor() == START

    lived(story)
    assert not socket_path(night.directory).exists()
    with RunStore(night.directory, read_only=True) as store:
        state = store.night()
        assert store.runs()[0].result.final_position == START
    assert state is not None
    assert '"images":1' in state
    assert RestoreMarker(night.directory, "any").left_by_interrupted_run() is None
    assert not any(each.name.startswith("focuser-belongs-at") for each in night.directory.iterdir())

    async def next_start() -> None:
        async with night.kept():
            # The request is kept, and no failed run makes it wait.
            status = await night.status_when(lambda status: status["state"] == "a focus run")
            assert (status["hold_s"], status["failures"], status["images"]) == (0, 0, 1)

    lived(next_start)


def test_a_focuser_that_dies_during_a_run_is_brought_home_at_its_first_answer(
    night: Night, log: list[EventDict]
) -> None:
    faults = night.observatory.world.faults

    async def story() -> None:
        async with night.kept():
            await night.status_when(watching)
            await night.send("refocus")
            await night.status_when(lambda _: counted(log)["A frame was measured"] > 2)
            faults.add(FaultRequest(kind="power-off", device="focuser"))
            status = await night.status_when(lambda status: status["runs_ended"] == 1)
            assert status["last_run"]["outcome"] == "stranded"
            await night.looks()
            assert night.motor() != START
            faults.clear()
            status = await night.status_when(lambda status: status["last_run"]["outcome"] == "cut off")
            assert f"back at position {START}" in status["last_run"]["reason"]
            status = await night.status_when(lambda status: status["runs_ended"] == 2)
            assert status["last_run"]["outcome"] == "focused"

    lived(story)
    with RunStore(night.directory, read_only=True) as store:
        verified, stranded = store.runs()
    assert (verified.trigger, stranded.trigger) == ("position", "asap")
    assert verified.result.start_position == START


def test_the_position_shown_is_the_focusers_and_a_move_by_another_client_makes_a_refocus_due(night: Night) -> None:
    elsewhere = START + 900

    async def story() -> None:
        async with night.kept():
            await night.status_when(watching)
            await night.send("pause")
            await asyncio.to_thread(night.put, "focuser/0/move", Position=elsewhere)
            status = await night.status_when(lambda status: status["position"] == elsewhere)
            assert status["expected_position"] in {START, None}
            status = await night.status_when(lambda status: status["due"])
            assert status["due"] == [f"the focuser is at {elsewhere} instead of {START}, moved by others"]
            assert status["expected_position"] == START
            await night.send("resume")
            status = await night.status_when(lambda status: status["runs_ended"] == 1)
            assert (status["last_focus"]["trigger"], status["expected_position"]) == ("position", None)
            assert status["position"] == night.motor()

    lived(story)


def lose_zero(world: World, *, position: int) -> None:
    """Let the focuser report another position where it stands."""
    focuser = world.settings.focuser
    shift = position - world.mechanism.position(world.clock.now_s())
    world.mechanism = Mechanism(position, focuser.backlash_steps, focuser.speed_steps_per_s)
    shifted = focuser.model_copy(update={"best_focus_steps": focuser.best_focus_steps + shift})
    world.settings = world.settings.model_copy(update={"focuser": shifted})


def test_a_focuser_that_lost_its_zero_is_focused_where_it_stands_and_the_shift_is_named(night: Night) -> None:
    world = night.observatory.world

    async def story() -> None:
        async with night.kept():
            await night.status_when(watching)
            await night.send("refocus")
            await night.status_when(lambda status: status["runs_ended"] == 1)
            focused_at = night.motor()
            await night.send("pause")
            world.faults.add(FaultRequest(kind="power-off", device="focuser"))
            await night.status_when(lambda status: status["silent"])
            lose_zero(world, position=4000)
            world.faults.clear()
            status = await night.status_when(lambda status: status["due"])
            assert status["due"] == [f"the focuser reports 4000 instead of {focused_at} and may have lost its zero"]
            await night.send("resume")
            status = await night.status_when(lambda status: status["runs_ended"] == 2)
            assert status["last_run"]["outcome"] == "focused"
            named = re.search(r"Positions have shifted by ([+-]\d+) steps", status["last_run"]["reason"])
            assert named is not None
            assert abs(int(named[1]) - (4000 - focused_at)) < 100

    lived(story)
    with RunStore(night.directory, read_only=True) as store:
        result = store.runs(last=1)[0].result
    # The known curve was sought where the focuser stood.
    assert all(abs(each.position - 4000) < 1000 for each in result.samples)
    assert len(result.samples) < 6


def test_nothing_happens_while_it_is_not_safe(night: Night) -> None:
    night.observatory.world.weather.safe = False
    night.sections["triggers"] = {"minutes": 60.0}

    async def story() -> None:
        async with night.kept():
            status = await night.status_when(watching)
            assert status["due"] == ["no focus of this night is known yet"]
            assert status["blocked_by"] == ["not safe"]
            status = await night.looks(5)
            assert (status["state"], status["ignored"], status["runs_ended"]) == ("watching", {"not safe": 1}, 0)
            assert night.motor() == START
            night.observatory.world.weather.safe = True
            status = await night.status_when(lambda status: status.get("runs_ended"))
            assert status["last_run"]["outcome"] == "focused"

    lived(story)


def test_the_devices_own_compensation_is_switched_off_when_ours_is_on(night: Night, log: list[EventDict]) -> None:
    def compensates() -> bool:
        return bool(requests.get(f"http://{night.address}/api/v1/focuser/0/tempcomp", timeout=5).json()["Value"])

    async def story() -> None:
        async with night.kept() as daemon:
            await night.status_when(watching)
            await asyncio.to_thread(night.put, "focuser/0/tempcomp", TempComp="true")
            await night.looks()
            assert await asyncio.to_thread(compensates)
            night.sections["compensation"] = {"enabled": True}
            night.sections["focuser"] = {"temperature_coefficient_steps_per_c": -30.0}
            daemon.reload()
            await night.status_when(lambda status: watching(status) and counted(log)["All devices are connected"] == 2)
            assert not await asyncio.to_thread(compensates)

    lived(story)
    assert any("own temperature compensation is switched off" in line["event"] for line in log)


# Beside an imaging program that reports its exposures


def test_a_reported_exposure_has_the_camera_and_the_next_one_waits_for_the_refocus(night: Night) -> None:
    night.sections["imaging"] = {"way": "told"}

    async def story() -> None:
        async with night.kept():
            await night.status_when(watching)
            assert (await night.send("exposure", what="begin", seconds=3600.0))["said"] == "The exposure begins."
            await night.send("refocus")
            status = await night.looks(3)
            assert (status["blocked_by"], status["state"]) == (["exposure running"], "watching")
            assert (await night.send("exposure", what="end", hfd_px=2.5))["said"].endswith("one image counted.")
            # The next one is status at once, so that no look of the daemon's own falls into the gap.
            assert (await night.send("exposure", what="begin"))["waits_for"] == "a focus run"
            status = await night.status_when(lambda status: status["runs_ended"] and status["state"] == "watching")
            assert status["last_run"]["outcome"] == "focused"
            assert (await night.send("exposure", what="begin", seconds=5.0))["said"] == "The exposure begins."
            for what, images in (("end", 0), ("end", 1), ("begin", 1), ("end", 2)):
                arguments = {"seconds": 60.0, "dark": False} if what == "begin" else {}
                await night.send("exposure", what=what, **arguments)
                assert (await night.send("status"))["images"] == images
            await night.send("exposure", what="begin", dark=True)
            assert "does not count" in (await night.send("exposure", what="end"))["said"]

    lived(story)


def test_an_exposure_is_reported_to_a_daemon_that_still_waits_for_its_devices(night: Night) -> None:
    night.sections["imaging"] = {"way": "told"}
    port = night.observatory.running.port
    night.observatory.stop()

    async def story() -> None:
        async with night.kept():
            await night.status_when(waiting)
            await night.send("exposure", what="begin")
            assert "one image counted" in (await night.send("exposure", what="end"))["said"]
            assert "still waiting" in (await night.send("exposure", what="begin"))["said"]
            await asyncio.to_thread(night.observatory.start, port=port)
            status = await night.status_when(watching)
            assert (status["images"], status["blocked_by"]) == (1, ["exposure running"])

    lived(story)


def test_what_does_not_go_with_the_settings_is_refused_in_one_sentence(night: Night) -> None:
    night.sections["filter_wheel"] = {}

    async def story() -> None:
        async with night.kept():
            await night.status_when(watching)
            for what in ("begin", "end"):
                assert "imaging.way is watch" in (await night.send("exposure", what=what))["error"]
            assert "filter_wheel" in (await night.send("filter", name="Ha"))["error"]

    lived(story)


def test_a_reported_filter_is_focused_through_with_its_own_settings(night: Night) -> None:
    night.sections["focus"] = {
        "exposure_s": 2.0,
        "max_duration_s": 3600.0,
        "filters": {"Ha": {"exposure_s": 3.0}, "SII": {"focus_through": "L"}},
    }
    night.sections["triggers"] = {"filter_change": "refocus"}

    async def story() -> None:
        async with night.kept():
            await night.status_when(watching)
            assert (await night.send("filter", name="Ha"))["said"] == "The filter: Ha."
            await night.send("refocus")
            status = await night.status_when(lambda status: status.get("runs_ended"))
            assert status["last_focus"]["filter_name"] == status["filter"] == "Ha"
        async with night.kept():
            assert (await night.status_when(watching))["filter"] == "Ha"
            assert "cannot" not in (await night.send("filter", name="L"))["said"]
            assert "Refocusing will fail" in (await night.send("filter", name="SII"))["said"]
            status = await night.status_when(lambda status: status.get("runs_ended"))
            assert status["last_run"]["outcome"] == "failed"
            assert "focus.filters.SII requires focusing through L" in status["last_run"]["reason"]

    lived(story)
    with RunStore(night.directory, read_only=True) as store:
        (run,) = store.runs()
        assert run.result.filter_name == "Ha"
        assert store.profile("530 mm f/5.0", "Ha") or run.result.fit is not None


def test_a_refocus_if_due_holds_the_imaging_up_only_where_it_can_be_made(night: Night) -> None:
    night.sections["triggers"] = {"images": 2}

    async def story() -> None:
        async with night.kept():
            await night.status_when(watching)
            status = await night.send("refocus", if_due=True)
            assert (status["said"], status["follows"]) == ("Nothing is due.", False)
            await night.send("pause")
            for _ in range(2):
                await night.send("tell", what="image")
            status = await night.send("refocus", if_due=True)
            assert (status["follows"], status["said"]) == (
                False,
                "A refocus is due (2 images since the last refocus) and waits for: paused.",
            )
            await asyncio.to_thread(night.put, "camera/0/startexposure", Duration=3600, Light="true")
            await night.send("resume")
            status = await night.send("refocus", if_due=True)
            assert (status["follows"], status["said"].endswith("follows after the exposure.")) == (True, True)
            await asyncio.to_thread(night.put, "camera/0/abortexposure")
            status = await night.send("refocus", if_due=True)
            assert status["follows"]
            await night.status_when(lambda status: status["runs_ended"] == 1)

    lived(story)


@pytest.mark.parametrize("way", ["watch", "told"])
def test_new_frames_of_the_folder_count_alone_and_feed_the_trigger(
    way: str, night: Night, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = FolderPolls(monkeypatch)
    folder = tmp_path / "frames"
    folder.mkdir()
    night.sections["imaging"] = {"way": way, "folder": str(folder)}
    night.sections["triggers"] = {"images": 50, "hfd_rise_percent": 30.0, "hfd_frames": 3}

    def save(name: str, at: datetime, **cards: object) -> None:
        unit = fits.PrimaryHDU(np.full((32, 32), 100, np.uint16))
        unit.header.update({"DATE-OBS": at.replace(tzinfo=None).isoformat(), "EXPTIME": 60.0} | cards)
        unit.writeto(folder / name)

    async def story() -> None:
        clock = night.observatory.world.clock
        save("old.fits", clock.utc())
        async with night.kept():
            await night.status_when(watching)
            await asyncio.to_thread(looks.wait)
            save("one.fits", clock.utc())
            save("dark.fits", clock.utc(), IMAGETYP="DARK")
            await night.status_when(lambda status: status["images"] == 1)
            assert "imaging.folder" in (await night.send("tell", what="image"))["said"]
            if way == "told":
                assert "imaging.folder" in (await night.send("exposure", what="end"))["said"]
            else:
                await asyncio.to_thread(night.put, "camera/0/startexposure", Duration=20, Light="true")
                await night.status_when(lambda status: status["blocked_by"])
                await night.status_when(lambda status: not status["blocked_by"])
            assert (await night.looks(3))["images"] == 1
            await night.send("tell", what="flat")
            save("flat perhaps.fits", clock.utc())
            save("light.fits", clock.utc() + timedelta(seconds=5), IMAGETYP="Light Frame")
            await night.status_when(lambda status: status["images"] == 2)

    lived(story)
