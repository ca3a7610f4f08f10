"""A session: the night with one set of settings, its devices connected and the scheduler running on them."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import structlog

from alpaca_focus.core.events import Event
from alpaca_focus.core.values import Position
from alpaca_focus.daemon.focus_runs import NightFocusRuns
from alpaca_focus.daemon.night_settings import night_settings, sun_of
from alpaca_focus.daemon.status_publisher import StatusPublisher
from alpaca_focus.devices.read_only import AlpacaCameraWatch
from alpaca_focus.devices.text_thermometers import FileThermometer, UrlThermometer
from alpaca_focus.files.incoming import IncomingFrames
from alpaca_focus.gateway.service import Gateway
from alpaca_focus.night.dependencies import Dependencies
from alpaca_focus.night.poller import Poller, Sources
from alpaca_focus.night.reported_exposures import ReportedExposures
from alpaca_focus.night.scheduler import RefocusScheduler
from alpaca_focus.ports import Clock, Thermometer
from alpaca_focus.run.camera_marker import camera_marker, restore_left_settings
from alpaca_focus.run.device_adapters import Devices, address_of, connected_devices
from alpaca_focus.run.restore_marker import RestoreMarker
from alpaca_focus.settings.models import Settings
from alpaca_focus.store.learned_model import LearnedModel
from alpaca_focus.store.run_store import RunStore

LAST_FRAME_S = 0.5
"""Wait for the frame that is being measured when the session ends."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionContext:
    """The dependencies that outlive a reload of the settings.

    Attributes:
        reported: The exposures that scripts report.
        emit: Called with each event of a run.
    """

    directory: Path
    clock: Clock
    publisher: StatusPublisher
    reported: ReportedExposures
    emit: Callable[[Event], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The night with one set of settings.

    Attributes:
        gateway: `None`: the imaging program uses the devices directly.
        incoming: The folder in which the imaging program saves its frames; `None`: not watched.
        start: Position of the focuser at the beginning.
        replies: Returns the number of replies from the camera and the focuser, for the watchdog.
    """

    scheduler: RefocusScheduler
    model: LearnedModel
    gateway: Gateway | None
    incoming: IncomingFrames | None
    start: Position
    replies: Callable[[], int]


async def open_session(
    stack: AsyncExitStack, settings: Settings, gateway: Gateway | None, context: SessionContext
) -> Session:
    """Connect the devices and return the session; `stack` closes it.

    Raises:
        ConfigurationError: A device cannot be used with these settings.
        DeviceError: A device does not answer.
    """
    clock = context.clock
    devices = await stack.enter_async_context(connected_devices(settings, clock))
    watch = AlpacaCameraWatch(address_of(settings.camera, settings), clock, timeout_s=settings.alpaca.timeout_s)
    stack.push_async_callback(watch.close)
    await watch.connect()
    thermometers = _thermometers(settings, devices)
    for thermometer in thermometers:
        # Does nothing to one that is connected already; checks the settings of the others.
        await thermometer.connect()
    store = stack.enter_context(RunStore(context.directory))
    if store.notice:
        _log.warning(store.notice)
    poller = Poller(
        Sources(
            camera=watch if gateway is None else gateway.watch(watch),
            focuser=devices.focuser,
            focuser_counts=settings.thermometer.source != "external",
            thermometers=thermometers,
            filter_wheel=devices.filter_wheel,
            mount=devices.mount,
            safety_monitor=devices.safety_monitor,
            sun=sun_of(settings),
            reported=context.reported if settings.imaging.way == "told" else None,
            new_images=None if gateway is None else gateway.new_images,
        ),
        clock,
        watch_s=settings.night.watch_s,
        least_image_s=settings.night.least_image_s,
    )
    model = LearnedModel(store)
    refocuses = NightFocusRuns(
        settings=settings,
        devices=devices,
        gateway=gateway,
        store=store,
        clock=clock,
        publisher=context.publisher,
        emit=context.emit,
        night=lambda: scheduler.state,
        learn=model.learn,
    )

    async def restore_camera() -> bool:
        # The gateway restores the camera itself, before the imaging program's exposure.
        if gateway is None:
            if (await watch.activity()).busy:
                return False
            await restore_left_settings(devices.camera, camera_marker(settings))
        return True

    dependencies = Dependencies(
        focuser=devices.focuser,
        poller=poller,
        focus=refocuses.run,
        store=store,
        restore_marker=RestoreMarker(context.directory, devices.focuser.name),
        restore_camera=restore_camera,
        clock=clock,
        guider=devices.guider,
        probable_defocus=model.probable_defocus,
        light=context.publisher.publish_light,
        changed=context.publisher.publish,
    )
    start = await devices.focuser.position()
    scheduler = RefocusScheduler(dependencies, night_settings(settings, devices, start=start))
    incoming = _watched_folder(stack, settings, clock)
    if incoming is not None:
        poller.stop_counting()
    return Session(
        scheduler=scheduler,
        model=model,
        gateway=gateway,
        incoming=incoming,
        start=start,
        replies=lambda: devices.camera.replies + devices.focuser.replies,
    )


def _watched_folder(stack: AsyncExitStack, settings: Settings, clock: Clock) -> IncomingFrames | None:
    """Watch the folder in which the imaging program saves its frames, if one is set."""
    wanted = settings.imaging
    if wanted.folder is None:
        return None
    folder, least_s = Path(wanted.folder), settings.night.least_image_s
    frames = IncomingFrames(folder, wanted.folder_pattern, least_s=least_s, since=clock.wall())
    frames.start()
    stack.push_async_callback(asyncio.to_thread, frames.stop, LAST_FRAME_S)
    return frames


def _thermometers(settings: Settings, devices: Devices) -> tuple[Thermometer, ...]:
    """Return the external thermometer, if the settings use one."""
    wanted = settings.thermometer
    if wanted.source == "focuser":
        return ()
    if wanted.file is not None:
        return (FileThermometer(Path(wanted.file)),)
    if wanted.url is not None:
        return (UrlThermometer(wanted.url, timeout_s=settings.alpaca.timeout_s),)
    return () if devices.thermometer is None else (devices.thermometer,)
