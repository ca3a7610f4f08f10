"""What a poll of the observatory makes of the answers of the devices, and of those that do not answer."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from alpaca_focus.core.night.focuser_watch import FocuserReading
from alpaca_focus.core.night.state import PierSide, Plan, Snapshot
from alpaca_focus.night import poller as poller_module
from alpaca_focus.night.poller import Poller, Sources
from alpaca_focus.night.reported_exposures import ReportedExposure, ReportedExposures
from alpaca_focus.ports import CameraActivity
from tests.fakes import FakeClock, FakeFocuser
from tests.night_scene import FakeCameraWatch, FakeMount, FakeSafety, FakeThermometer, FakeWheel, played

POLL_S = 2.0
WATCH_S = 10.0


@pytest.fixture(autouse=True)
def _fresh_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the module a logger that no earlier test has made final."""
    monkeypatch.setattr(poller_module, "_log", structlog.get_logger())


class FakeSun:
    def __init__(self) -> None:
        self.asked: list[datetime] = []

    def altitude_deg(self, at: datetime) -> float:
        self.asked.append(at)
        return -30.0


class WallClock(FakeClock):
    """Its time of day can be set."""

    at = datetime(2026, 6, 1, 22, tzinfo=UTC)

    def wall(self) -> datetime:
        return self.at


class Scene:
    def __init__(self, *, clock: FakeClock | None = None, **sources: Any) -> None:
        self.clock = clock or FakeClock()
        self.camera = FakeCameraWatch()
        self.focuser = FakeFocuser()
        usual: dict[str, Any] = {"camera": self.camera, "focuser": self.focuser, "focuser_counts": False}
        self.poller = Poller(Sources(**(usual | sources)), self.clock, watch_s=WATCH_S, least_image_s=10.0)
        self.plan = Plan.LIGHT

    async def poll(self, *, after_s: float = POLL_S, fresh: bool = False) -> Snapshot:
        self.clock.now_s += after_s
        return await self.poller.poll(self.plan, fresh=fresh)

    def shows(self, **what: Any) -> None:
        self.camera.shown = replace(self.camera.shown, **what)

    async def exposure(self, started: str | None, exposure_s: float | None = 60.0, *, polls: int = 2) -> int:
        """Let the camera take an image; how many were counted meanwhile and at its end."""
        self.shows(busy=True)
        images = 0
        for _ in range(polls):
            images += (await self.poll()).images
        self.camera.shown = CameraActivity(busy=False, preparing=False, exposure_started=started, exposure_s=exposure_s)
        return images + (await self.poll()).images + (await self.poll()).images


# Images


@pytest.mark.parametrize("starts", [("22:01", "22:03", "22:05"), (None, None, None)], ids=["known", "unknown"])
@pytest.mark.parametrize("polls", [1, 4])
def test_each_image_counts_once(starts: tuple[str | None, ...], polls: int) -> None:
    scene = Scene()

    async def night() -> None:
        await scene.poll()
        assert [await scene.exposure(start, polls=polls) for start in starts] == [1, 1, 1]
        assert (await scene.poll()).images == 0

    played(night)


def test_an_image_between_two_polls_is_known_by_its_start_alone() -> None:
    scene = Scene()

    async def night() -> None:
        scene.shows(exposure_started="21:59", exposure_s=60.0)
        assert (await scene.poll()).images == 0
        assert await scene.exposure("22:00", polls=0) == 1
        # An aborted exposure leaves the start of the image before.
        assert await scene.exposure("22:00") == 0

    played(night)


def test_an_image_that_was_under_way_at_the_first_poll_counts() -> None:
    scene = Scene()

    async def night() -> None:
        assert await scene.exposure("22:00") == 1

    played(night)


@pytest.mark.parametrize(("exposure_s", "count"), [(9.9, 0), (10.0, 1), (None, 1)])
def test_test_shots_do_not_count(exposure_s: float | None, count: int) -> None:
    scene = Scene()

    async def night() -> None:
        await scene.poll()
        assert await scene.exposure("22:00", exposure_s) == count

    played(night)


@pytest.mark.parametrize(
    ("plan", "count"),
    [(Plan.LIGHT, 1), (Plan.UNKNOWN, 1), (Plan.IDLE, 1), (Plan.DARK, 0), (Plan.FLAT, 0), (Plan.BIAS, 0)],
)
def test_frames_without_starlight_do_not_count(plan: Plan, count: int) -> None:
    scene = Scene()
    scene.plan = plan

    async def night() -> None:
        await scene.poll()
        assert await scene.exposure("22:00") == count
        # Nor are they counted afterwards.
        scene.plan = Plan.LIGHT
        assert (await scene.poll()).images == 0

    played(night)


@pytest.mark.parametrize("reports_start", [True, False])
def test_frames_of_our_own_do_not_count(reports_start: bool) -> None:
    scene = Scene()

    async def night() -> None:
        await scene.poll()
        assert await scene.exposure("22:00" if reports_start else None) == 1
        # A focus run: there is no poll, and the camera shows its last frame then.
        scene.shows(exposure_started="22:10" if reports_start else None, exposure_s=60.0)
        scene.poller.ignore_own_exposures()
        assert (await scene.poll()).images == 0
        assert await scene.exposure("22:11" if reports_start else None) == 1

    played(night)


def test_the_image_that_begins_right_after_our_own_frames_counts() -> None:
    scene = Scene()

    async def night() -> None:
        await scene.poll()
        scene.poller.ignore_own_exposures()
        assert await scene.exposure("22:11") == 1

    played(night)


def test_images_that_the_gateway_has_counted_count_instead_of_the_cameras() -> None:
    counted: list[int] = []
    scene = Scene(new_images=lambda: counted.pop() if counted else 0)

    async def images(count: int, **shown: Any) -> int:
        counted.append(count)
        scene.shows(**shown)
        return (await scene.poll()).images

    async def night() -> None:
        assert await images(0) == 0
        assert await images(2, exposure_started="22:00", exposure_s=60.0) == 2
        counted.append(1)
        scene.poller.ignore_own_exposures()
        assert (await scene.poll()).images == 0
        scene.camera.is_gone = True
        assert await images(3) == 3
        scene.plan = Plan.FLAT
        assert await images(1) == 0
        scene.plan = Plan.LIGHT
        assert await images(0) == 0
        counted.append(2)
        assert (scene.poller.new_program_images(Plan.LIGHT), (await scene.poll()).images) == (2, 0)

    played(night)


def test_images_that_are_reported_are_not_counted_here() -> None:
    scene = Scene()

    async def night() -> None:
        await scene.poll()
        assert await scene.exposure("22:00") == 1
        scene.poller.stop_counting()
        assert await scene.exposure("22:01") == 0

    played(night)


def test_a_reported_exposure_keeps_the_camera_and_only_reports_count_images() -> None:
    clock = FakeClock()
    reported = ReportedExposures(clock)
    scene = Scene(clock=clock, reported=reported)

    async def night() -> None:
        assert not (await scene.poll()).exposing
        reported.begin(ReportedExposure(), download_s=30.0)
        snapshot = await scene.poll()
        assert (snapshot.exposing, snapshot.camera_free, snapshot.images) == (True, True, 0)
        reported.end()
        assert not (await scene.poll()).exposing
        assert await scene.exposure("22:01") == 0
        scene.shows(busy=True, exposure_started="22:03", exposure_s=60.0)
        assert (await scene.poll()).exposing

    played(night)


def test_an_image_counts_although_the_camera_was_gone_during_it() -> None:
    scene = Scene()

    async def night() -> None:
        await scene.poll()
        scene.shows(busy=True)
        await scene.poll()
        scene.camera.is_gone = True
        assert (await scene.poll()).silent == (scene.camera.name,)
        scene.camera.is_gone = False
        assert await scene.exposure("22:00", polls=0) == 1

    played(night)


@pytest.mark.parametrize(
    ("busy", "preparing", "exposing"), [(False, False, False), (True, False, True), (False, True, True)]
)
def test_a_camera_that_waits_to_begin_is_as_good_as_exposing(busy: bool, preparing: bool, exposing: bool) -> None:
    scene = Scene()

    async def night() -> None:
        scene.shows(busy=busy, preparing=preparing)
        assert (await scene.poll()).exposing is exposing

    played(night)


# Temperatures


@pytest.fixture
def thermometers() -> tuple[FakeThermometer, FakeThermometer]:
    return FakeThermometer("tube", 4.0), FakeThermometer("air", 7.0)


@pytest.mark.parametrize("way", ["silent", "no reading", "not a number"])
def test_the_mean_does_not_jump_when_one_thermometer_drops_out(
    way: str, thermometers: tuple[FakeThermometer, FakeThermometer]
) -> None:
    tube, air = thermometers
    scene = Scene(thermometers=thermometers)

    async def night() -> None:
        assert (await scene.poll(fresh=True)).temperature_c == pytest.approx(5.5)
        air.is_gone = way == "silent"
        air.reading_c = {"no reading": None, "not a number": float("nan")}.get(way, 7.0)
        assert (await scene.poll(fresh=True)).temperature_c == pytest.approx(5.5)
        tube.reading_c = 3.0
        assert (await scene.poll(fresh=True)).temperature_c == pytest.approx(4.5)
        air.is_gone, air.reading_c = False, 6.0
        assert (await scene.poll(fresh=True)).temperature_c == pytest.approx(4.5)
        tube.is_gone = True
        air.reading_c = 5.0
        assert (await scene.poll(fresh=True)).temperature_c == pytest.approx(3.5)
        air.is_gone = True
        assert (await scene.poll(fresh=True)).temperature_c is None

    played(night)


def test_one_thermometer_of_two_that_never_spoke_is_no_mean(
    thermometers: tuple[FakeThermometer, FakeThermometer],
) -> None:
    scene = Scene(thermometers=thermometers)

    async def night() -> None:
        thermometers[1].reading_c = None
        assert (await scene.poll()).temperature_c is None
        thermometers[1].reading_c = 7.0
        assert (await scene.poll(fresh=True)).temperature_c == pytest.approx(5.5)

    played(night)


@pytest.mark.parametrize(("counts", "temperature_c"), [(True, 6.0), (False, 4.0)])
def test_the_focusers_sensor_counts_if_the_settings_select_it(counts: bool, temperature_c: float) -> None:
    scene = Scene(focuser_counts=counts, thermometers=(FakeThermometer("tube", 4.0),))

    async def eight() -> float:
        return 8.0

    async def night() -> None:
        scene.focuser.temperature_c = eight  # type: ignore[method-assign]
        assert (await scene.poll()).temperature_c == pytest.approx(temperature_c)

    played(night)


# The other devices


def test_a_device_that_goes_and_comes_back_is_logged_once_each_way() -> None:
    mount = FakeMount()
    scene = Scene(mount=mount)

    async def night() -> None:
        for is_gone in (False, True, True, True, False, False):
            mount.is_gone = is_gone
            snapshot = await scene.poll(fresh=True)
            assert snapshot.silent == ((mount.name,) if is_gone else ())
            assert (snapshot.pier_side is PierSide.UNKNOWN) is is_gone

    with capture_logs() as log:
        played(night)
    assert [(line["event"], line["device"]) for line in log] == [
        ("A device does not answer", mount.name),
        ("A device answers again", mount.name),
    ]
    assert log[0]["why"] == f"{mount.name} does not answer."


def test_the_answers_of_the_devices_are_combined() -> None:
    mount, wheel, safety = FakeMount(), FakeWheel(), FakeSafety()
    scene = Scene(mount=mount, filter_wheel=wheel, safety_monitor=safety)

    async def night() -> None:
        wheel.now = 1
        mount.shown = replace(mount.shown, slewing=True, parked=None, tracking=False, altitude_deg=33.0)
        snapshot = await scene.poll()
        assert (snapshot.filter_name, snapshot.safe) == ("Ha", True)
        assert (snapshot.slewing, snapshot.parked, snapshot.tracking) == (True, None, False)
        assert (snapshot.altitude_deg, snapshot.pier_side) == (33.0, PierSide.EAST)
        wheel.now = 7
        assert (await scene.poll(fresh=True)).filter_name is None

    played(night)


def test_every_device_is_listed_with_the_age_of_its_last_answer() -> None:
    wheel, thermometer = FakeWheel(), FakeThermometer()
    scene = Scene(filter_wheel=wheel, thermometers=(thermometer,))

    async def night() -> None:
        assert all(each.answers for each in scene.poller.devices())
        await scene.poll(after_s=WATCH_S)
        wheel.is_gone = True
        await scene.poll(after_s=WATCH_S)
        scene.clock.now_s += 3.0
        devices = {each.kind: each for each in scene.poller.devices()}
        assert list(devices) == ["camera", "focuser", "filter_wheel", "thermometer"]
        gone, camera = devices["filter_wheel"], devices["camera"]
        assert (gone.answers, gone.age_s, gone.server) == (False, WATCH_S + 3.0, wheel.server)
        assert "does not answer" in gone.why
        assert (camera.answers, camera.age_s, camera.why) == (True, 3.0, "")
        wheel.is_gone = False
        await scene.poll(after_s=WATCH_S)
        assert all(each.answers for each in scene.poller.devices())

    played(night)


def test_missing_devices_cause_no_error() -> None:
    async def night() -> None:
        snapshot = await Scene().poll()
        assert (snapshot.safe, snapshot.filter_name, snapshot.tracking, snapshot.sun_altitude_deg) == (None,) * 4
        assert snapshot.silent == ()

    played(night)


@pytest.mark.parametrize(
    ("is_gone", "reading", "safe"), [(False, True, True), (False, False, False), (True, True, None)]
)
def test_no_answer_of_the_safety_monitor_is_unknown_and_not_its_word(
    is_gone: bool, reading: bool, safe: bool | None
) -> None:
    monitor = FakeSafety()
    scene = Scene(safety_monitor=monitor)

    async def night() -> None:
        monitor.is_gone, monitor.safe = is_gone, reading
        snapshot = await scene.poll()
        assert (snapshot.safe, snapshot.safety_unknown) == (safe, is_gone)

    played(night)


@pytest.mark.parametrize(
    ("at", "is_asked"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), False),
        (datetime(2025, 12, 31, 23, 59, tzinfo=UTC), False),
        (datetime(2026, 1, 1, tzinfo=UTC), True),
    ],
)
def test_the_sun_is_not_asked_before_the_clock_was_put_right(at: datetime, is_asked: bool) -> None:
    clock, sun = WallClock(), FakeSun()
    clock.at = at
    scene = Scene(clock=clock, sun=sun)

    async def night() -> None:
        assert (await scene.poll()).sun_altitude_deg == (-30.0 if is_asked else None)
        assert sun.asked == [at] * is_asked

    played(night)


# How often


class CountingMount(FakeMount):
    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    async def state(self) -> Any:
        self.asked += 1
        return await super().state()


def test_the_camera_is_asked_at_each_poll_and_the_others_every_watch_s() -> None:
    mount = CountingMount()
    scene = Scene(mount=mount)

    async def night() -> None:
        asked = []
        for poll in range(11):
            scene.shows(busy=poll % 2 == 1)
            snapshot = await scene.poll()
            assert snapshot.exposing is (poll % 2 == 1)
            assert snapshot.pier_side is PierSide.EAST
            asked.append(mount.asked)
        assert asked == [1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3]

    played(night)


def test_a_fresh_poll_asks_all_devices_and_restarts_the_wait() -> None:
    mount = CountingMount()
    scene = Scene(mount=mount)

    async def night() -> None:
        await scene.poll()
        await scene.poll(after_s=8.0)
        mount.shown = replace(mount.shown, slewing=True)
        assert (await scene.poll(after_s=1.0)).slewing is False
        assert (await scene.poll(after_s=0.0, fresh=True)).slewing is True
        await scene.poll(after_s=9.0)
        assert mount.asked == 2
        await scene.poll(after_s=1.0)
        assert mount.asked == 3

    played(night)


def test_the_time_that_passed_is_that_of_the_clock_that_never_jumps() -> None:
    clock = WallClock()
    scene = Scene(clock=clock)

    async def night() -> None:
        assert (await scene.poll()).passed_s == POLL_S
        clock.at = datetime(2031, 1, 1, tzinfo=UTC)
        assert (await scene.poll(after_s=3.0)).passed_s == pytest.approx(3.0)
        clock.at = datetime(2026, 1, 1, tzinfo=UTC)
        snapshot = await scene.poll(after_s=4.0)
        assert snapshot.passed_s == pytest.approx(4.0)
        assert snapshot.at == clock.at

    played(night)


def test_a_mount_that_refuses_every_question_is_as_good_as_gone() -> None:
    mount = FakeMount()
    scene = Scene(mount=mount)

    async def night() -> None:
        assert (await scene.poll(fresh=True)).silent == ()
        mount.shown = replace(
            mount.shown, tracking=None, parked=None, slewing=None, altitude_deg=None, pier_side=PierSide.UNKNOWN
        )
        assert (await scene.poll(fresh=True)).silent == (mount.name,)
        mount.shown = replace(mount.shown, tracking=True)
        assert (await scene.poll(fresh=True)).silent == ()

    played(night)


# The focuser's position


def test_the_position_is_read_at_each_poll_and_less_often_while_the_focuser_is_silent() -> None:
    scene = Scene()
    asked: list[float] = []
    position = scene.focuser.position

    async def noted() -> int:
        asked.append(scene.clock.now_s)
        return await position()

    async def polls() -> None:
        scene.focuser.position = noted  # type: ignore[method-assign]
        for motor in (25000, 25100, 25200):
            scene.focuser.motor = motor
            assert (await scene.poll()).focuser == FocuserReading(position=motor)
        scene.focuser.is_gone = True
        asked.clear()
        for _ in range(10):
            snapshot = await scene.poll()
            assert snapshot.focuser is None
            assert snapshot.silent == (scene.focuser.name,)
        assert len(asked) == 3
        scene.focuser.is_gone = False
        scene.focuser.connections += 1
        snapshots = [await scene.poll() for _ in range(6)]
        readings = [each.focuser for each in snapshots if each.focuser is not None]
        assert [each.reconnected for each in readings] == [True, *[False] * (len(readings) - 1)]

    played(polls)


@pytest.mark.parametrize(("motor", "reconnected"), [(0, True), (25000, False)])
def test_a_first_reading_of_zero_may_be_a_lost_zero(motor: int, *, reconnected: bool) -> None:
    scene = Scene()
    scene.focuser.motor = motor

    async def polls() -> None:
        assert (await scene.poll()).focuser == FocuserReading(position=motor, reconnected=reconnected)
        assert (await scene.poll()).focuser == FocuserReading(position=motor)

    played(polls)


def test_the_focusers_own_compensation_is_known() -> None:
    scene = Scene()
    scene.focuser.compensating = True

    async def polls() -> None:
        assert (await scene.poll()).focuser == FocuserReading(position=25000, compensates=True)
        scene.focuser.compensating = False
        assert (await scene.poll()).focuser == FocuserReading(position=25000, compensates=True)
        assert (await scene.poll(after_s=WATCH_S)).focuser == FocuserReading(position=25000)

    played(polls)
