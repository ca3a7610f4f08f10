"""Polls all devices and combines their answers into one Snapshot.

The camera and the focuser's position are polled each time, the other devices less often. A device that does not answer
leaves its part of the snapshot empty; that is logged once, and once more when it answers again.
"""

import math
import statistics
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

import structlog

from alpaca_focus.core.errors import DeviceError, DeviceMisbehaved
from alpaca_focus.core.night.focuser_watch import FocuserReading
from alpaca_focus.core.night.state import NO_LIGHTS, Plan, Snapshot
from alpaca_focus.core.status import REQUIRED, PolledDevice
from alpaca_focus.night.reported_exposures import ReportedExposures
from alpaca_focus.ports import (
    CameraActivity,
    CameraWatch,
    Clock,
    Device,
    FilterWheel,
    Focuser,
    Mount,
    MountState,
    SafetyMonitor,
    Sun,
    Thermometer,
)

T = TypeVar("T")

CLOCK_VALID_FROM = datetime(2026, 1, 1, tzinfo=UTC)
"""A computer without a clock battery starts in the past; until its clock is set, the sun is ignored."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The devices to poll; `None` where there is none.

    Attributes:
        camera: The camera that the imaging program uses.
        focuser_counts: Whether the temperature of the focuser is part of the mean.
        thermometers: The others in the mean.
        safety_monitor: While it does not answer, no refocus is made.
        reported: The exposures that scripts report; then images are counted from reports alone.
        new_images: Returns how many images the gateway has counted since it was last called; `None`: there is no
            gateway, and they are counted from the camera.
    """

    camera: CameraWatch
    focuser: Focuser
    focuser_counts: bool = True
    thermometers: tuple[Thermometer, ...] = ()
    filter_wheel: FilterWheel | None = None
    mount: Mount | None = None
    safety_monitor: SafetyMonitor | None = None
    sun: Sun | None = None
    reported: ReportedExposures | None = None
    new_images: Callable[[], int] | None = None

    @property
    def devices(self) -> tuple[tuple[str, Device], ...]:
        """Each device with its kind, as in `PolledDevice`."""
        kinds: dict[str, Device | None] = {
            "camera": self.camera,
            "focuser": self.focuser,
            "filter_wheel": self.filter_wheel,
            "mount": self.mount,
            "safety_monitor": self.safety_monitor,
        }
        known = [(kind, device) for kind, device in kinds.items() if device is not None]
        return (*known, *(("thermometer", each) for each in self.thermometers))


class Poller:
    """Polls the observatory.

    Attributes:
        answers: How many requests the devices have answered.

    Args:
        watch_s: Seconds between two polls of the other devices, and of a focuser that does not answer.
        least_image_s: Shorter exposures are test shots and do not count.
    """

    def __init__(self, sources: Sources, clock: Clock, *, watch_s: float, least_image_s: float) -> None:
        self._sources = sources
        self._clock = clock
        self._watch_s = watch_s
        self._least_image_s = least_image_s
        self.answers = 0
        self._last_poll_s = clock.monotonic()
        self._polled_others_s = -math.inf
        self._latest = Snapshot(at=clock.wall())
        self._counts_images = sources.reported is None
        self._silent: dict[str, str] = {}
        # The devices have just been connected.
        self._answered_s = dict.fromkeys((device.name for _, device in sources.devices), self._last_poll_s)
        self._activity: CameraActivity | None = None
        self._counted: str | None = None
        self._from_mean_c: dict[str, float] = {}
        self._connections: int | None = None
        self._compensates = False

    def stop_counting(self) -> None:
        """Stop counting images: the imaging program reports its own."""
        self._counts_images = False

    def ignore_own_exposures(self) -> None:
        """Leave out the camera's exposures so far: a focus run took them."""
        self._activity = None
        if self._sources.new_images is not None:
            self._sources.new_images()

    async def is_exposing(self) -> bool:
        """Poll the camera alone; return whether the imaging program exposes, False if the camera does not answer."""
        activity = await self._ask(self._sources.camera, self._sources.camera.activity)
        return activity is not None and (activity.busy or activity.preparing)

    async def poll(self, plan: Plan, *, reported_filter: str | None = None, fresh: bool = False) -> Snapshot:
        """Return the result of one poll; `fresh` polls all devices, however recent their last answers are.

        A reported filter is used only without a filter wheel.
        """
        now_s = self._clock.monotonic()
        passed_s, self._last_poll_s = now_s - self._last_poll_s, now_s
        focuser: FocuserReading | None = None
        polls_others = fresh or now_s - self._polled_others_s >= self._watch_s
        # One that does not answer would take seconds of each poll.
        if polls_others or self._sources.focuser.name not in self._silent:
            focuser = await self._focuser_reading(polls_others=polls_others)
        if polls_others:
            self._polled_others_s = now_s
            self._latest = await self._poll_others()
        activity = await self._ask(self._sources.camera, self._sources.camera.activity)
        # Before the images, which replace the previous activity.
        exposures = self._new_exposures(activity)
        images = self._new_images(activity, plan) + self.new_program_images(plan)
        reported = self._sources.reported
        reports_exposure = reported is not None and reported.busy
        exposing = activity is not None and (activity.busy or activity.preparing or reports_exposure)
        snapshot = self._latest
        if self._sources.filter_wheel is None:
            snapshot = replace(snapshot, filter_name=reported_filter, filter_is_reported=reported_filter is not None)
        return replace(
            snapshot,
            at=self._clock.wall(),
            passed_s=passed_s,
            exposing=exposing,
            camera_free=activity is None or activity.free,
            test_shots=activity is not None and activity.test_shots,
            images=images,
            exposures=exposures,
            plan=plan,
            focuser=focuser,
            silent=self._silent_required(),
        )

    async def _poll_others(self) -> Snapshot:
        sources, at = self._sources, self._clock.wall()
        snapshot = Snapshot(at=at, temperature_c=await self._temperature_c())
        if (wheel := sources.filter_wheel) is not None:
            slot = await self._ask(wheel, wheel.slot)
            name = wheel.names[slot] if slot is not None and slot < len(wheel.names) else None
            snapshot = replace(snapshot, filter_name=name)
        if sources.mount is not None:
            state = await self._ask(sources.mount, partial(_state_of, sources.mount))
            if state is not None:
                snapshot = replace(snapshot, **asdict(state))
        if sources.safety_monitor is not None:
            safe = await self._ask(sources.safety_monitor, sources.safety_monitor.is_safe)
            snapshot = replace(snapshot, safe=safe, safety_unknown=safe is None)
        if sources.sun is not None and at >= CLOCK_VALID_FROM:
            snapshot = replace(snapshot, sun_altitude_deg=sources.sun.altitude_deg(at))
        return snapshot

    async def _focuser_reading(self, *, polls_others: bool) -> FocuserReading | None:
        focuser = self._sources.focuser
        position = await self._ask(focuser, focuser.position)
        if position is None:
            return None
        if polls_others and focuser.info.has_temperature_compensation:
            self._compensates = bool(await self._ask(focuser, focuser.temperature_compensation))
        before, self._connections = self._connections, focuser.connections
        reconnected = position == 0 if before is None else before != focuser.connections
        return FocuserReading(position=position, reconnected=reconnected, compensates=self._compensates)

    async def _temperature_c(self) -> float | None:
        """Return the mean of the thermometers."""
        # While one does not answer, its last difference from the mean is assumed to hold: otherwise the mean would jump
        # to that of the others, and the compensation would follow.
        focuser = self._sources.focuser
        polled: list[Focuser | Thermometer] = [focuser] if self._sources.focuser_counts else []
        polled += self._sources.thermometers
        answers = {each.name: await self._ask(each, each.temperature_c) for each in polled}
        read = {name: reading for name, reading in answers.items() if reading is not None and math.isfinite(reading)}
        if len(read) == len(answers) and read:
            mean_c = statistics.fmean(read.values())
            self._from_mean_c = {name: reading - mean_c for name, reading in read.items()}
            return mean_c
        known = [reading - self._from_mean_c[name] for name, reading in read.items() if name in self._from_mean_c]
        return statistics.fmean(known) if known else None

    async def _ask(self, device: Device, question: Callable[[], Awaitable[T]]) -> T | None:
        try:
            answer = await question()
        except DeviceError as error:
            if device.name not in self._silent:
                _log.warning("A device does not answer", device=device.name, why=str(error))
            self._silent[device.name] = str(error)
            return None
        self.answers += 1
        self._answered_s[device.name] = self._clock.monotonic()
        if self._silent.pop(device.name, None) is not None:
            _log.info("A device answers again", device=device.name)
        return answer

    def new_program_images(self, plan: Plan) -> int:
        """Return how many images the gateway has counted since the previous call, or the end of the last run."""
        count = 0 if self._sources.new_images is None else self._sources.new_images()
        return count if self._counts_images and plan not in NO_LIGHTS else 0

    def devices(self) -> tuple[PolledDevice, ...]:
        """Return all devices as they were last polled, with the age of their answers by now; nothing is polled."""
        now_s = self._clock.monotonic()
        return tuple(
            PolledDevice(
                kind=kind,
                name=device.name,
                server=device.server,
                answers=device.name not in self._silent,
                age_s=now_s - self._answered_s.get(device.name, now_s),
                why=self._silent.get(device.name, ""),
            )
            for kind, device in self._sources.devices
        )

    def _silent_required(self) -> tuple[str, ...]:
        return tuple(each.name for each in self.devices() if each.kind in REQUIRED and not each.answers)

    def _new_exposures(self, activity: CameraActivity | None) -> int:
        """Return 1 if an exposure has followed another one, gap or no gap; 0 if the camera reports no start times."""
        before = self._activity
        if before is None or activity is None or before.exposure_started is None:
            return 0
        return int(self._is_long(activity) and activity.exposure_started not in {None, before.exposure_started})

    def _new_images(self, activity: CameraActivity | None, plan: Plan) -> int:
        """Return how many light frames have ended since the previous poll."""
        before, self._activity = self._activity, activity or self._activity
        if activity is None or activity.busy or self._sources.new_images is not None:
            return 0
        counted_start, self._counted = self._counted, activity.exposure_started
        if before is None:
            return 0
        is_new = before.busy if activity.exposure_started is None else activity.exposure_started != counted_start
        return int(is_new and self._counts_images and self._is_long(activity) and plan not in NO_LIGHTS)

    def _is_long(self, activity: CameraActivity) -> bool:
        return activity.exposure_s is None or activity.exposure_s >= self._least_image_s


async def _state_of(mount: Mount) -> MountState:
    """Return the state of the mount.

    Raises:
        DeviceError: It does not answer, or refuses every request: then it probably has no power.
    """
    state = await mount.state()
    if (state.tracking, state.parked, state.slewing, state.altitude_deg) == (None, None, None, None):
        raise DeviceMisbehaved(
            mount.name,
            f"{mount.name} reports neither whether it tracks, is parked or slews, nor where it points. Check its "
            "power; if it can report none of that, take mount out of the settings.",
        )
    return state
