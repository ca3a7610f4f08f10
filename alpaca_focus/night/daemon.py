"""The daemon: waits for the devices, keeps the night with them, answers commands, reloads, and ends cleanly."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import structlog

from alpaca_focus import __version__
from alpaca_focus.core.compensation import Compensated
from alpaca_focus.core.errors import ConfigurationError, DeviceError, StorageTrouble
from alpaca_focus.core.events import CurveFitted, Event, FrameMeasured, Interlude, Moved, RestoreStarted, Resumed
from alpaca_focus.core.expectation import AVERAGE, defocus_by_now_steps, focus_by_now
from alpaca_focus.core.focus_model import FocusModel
from alpaca_focus.core.gaps import ADVICE
from alpaca_focus.core.night import NO_LIGHTS, Baseline, History
from alpaca_focus.core.values import FocusResult, Light, Position
from alpaca_focus.devices.camera_watch import AlpacaCameraWatch
from alpaca_focus.devices.sun import AstropySun
from alpaca_focus.devices.thermometer_file import FileThermometer
from alpaca_focus.devices.thermometer_url import UrlThermometer
from alpaca_focus.files.incoming import IncomingFrame, IncomingFrames
from alpaca_focus.focusing.circumstances import refuse_what_cannot_work
from alpaca_focus.focusing.connected import Devices, address_of, connected_devices
from alpaca_focus.focusing.filters import filter_in_light, way_through
from alpaca_focus.focusing.one_run import Order, focus_with
from alpaca_focus.gateway.service import Gateway
from alpaca_focus.night.commands import ExposureCommands, carried_out
from alpaca_focus.night.frame_preview import FramePreview
from alpaca_focus.night.gateway_link import BesideProgram, shared
from alpaca_focus.night.plan import night_settings
from alpaca_focus.night.telling import Telling
from alpaca_focus.night.web_link import WebLink, draw_run, from_another_loop
from alpaca_focus.ports import CameraWatch, Clock, Thermometer
from alpaca_focus.runtime import systemd
from alpaca_focus.runtime.control import ControlServer
from alpaca_focus.runtime.control_wire import Request, socket_path
from alpaca_focus.runtime.feed import Feed
from alpaca_focus.runtime.home_mark import HomeMark
from alpaca_focus.runtime.keeper import FOCUS_RUN, Keeper, Tools
from alpaca_focus.runtime.learning import MOST_RUNS, model_by_sensor
from alpaca_focus.runtime.lookout import Lookout, Sources
from alpaca_focus.runtime.night_curves import NightCurves
from alpaca_focus.runtime.run_news import RunNews, finite
from alpaca_focus.runtime.store import RunStore
from alpaca_focus.runtime.telemetry import told_to
from alpaca_focus.runtime.ticker import Ticker
from alpaca_focus.runtime.told_exposures import ToldCameraWatch
from alpaca_focus.runtime.wheel import turned_to
from alpaca_focus.settings.models import Settings
from alpaca_focus.web.source import Night, Viewers

T = TypeVar("T")

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
LAST_FRAME_S = 0.5
"""For the frame that is being measured when the watch of the folder ends."""
STOP_WITHIN_S = 8.0
"""For devices that say nothing any more: people wait for ten."""

_log = structlog.get_logger(__name__)


class Daemon:
    """Keeps one telescope in focus until it is told to stop.

    Args:
        load: Reads the settings, at the start and for each reload.
        clock: Time.
        clock_rate: Seconds of that clock to a real one.

    Attributes:
        feed: What is happening, for whoever wants to see it.

    Raises:
        ConfigurationError: The settings are wrong, or have no storage.directory.
    """

    def __init__(self, load: Callable[[], Settings], clock: Clock, *, clock_rate: float = 1.0) -> None:
        self._load = load
        self._settings = load()
        self._clock = clock
        self._clock_rate = clock_rate
        self._keeper: Keeper | None = None
        self._waits_for = ""
        self._exposures = ExposureCommands(clock)
        self._incoming: IncomingFrames | None = None
        self._stop, self._reload = asyncio.Event(), asyncio.Event()
        self._fed = -1
        self._replies: Callable[[], int] = lambda: 0
        self._gateway: Gateway | None = None
        self.feed = Feed(clock.wall)
        self._news = RunNews(lambda told: self.feed.publish("run", told), clock.wall)
        self._curves = NightCurves()
        self._model: _Model | None = None
        self._stood_at: Position | None = None
        self._viewers = Viewers()
        self._preview = FramePreview(lambda: self._viewers.count > 0, lambda facts: self.feed.publish("frame", facts))
        directory = self._settings.storage.folder
        if directory is None:
            raise ConfigurationError("The night needs a place for its state and history: set storage.directory.")
        self._directory = directory

    def stop(self) -> None:
        """End soon, with the focuser at a good position."""
        self._stop.set()

    def reload(self) -> None:
        """Read the settings anew; if they are wrong, the old ones stay."""
        try:
            settings = self._load()
        except ConfigurationError as error:
            _log.error("The new settings are wrong; the old ones stay", why=str(error))
            return
        if settings.storage.folder != self._directory:
            _log.error("storage.directory cannot be changed while it runs; the old settings stay. Start it anew")
            return
        self._settings = settings
        self._reload.set()

    async def run(self) -> bool:
        """Keep the night until told to stop.

        Returns:
            Whether everything has ended in time; if not, the next start brings the focuser home.
        """
        ended = True
        async with ControlServer(socket_path(self._directory), self._answer), AsyncExitStack() as stack:
            stack.callback(self._preview.close)
            stack.enter_context(told_to(lambda line: self.feed.publish("log", line)))
            beside = stack.enter_context(BesideProgram(self._answer, self._clock))
            beside.follow(self._settings)
            telling = await stack.enter_async_context(Telling(self.feed, self._answer, self._clock))
            web = stack.enter_context(WebLink(self._shown()))
            _log.info("alpaca-focus has started", state=str(self._directory))
            self._show()
            systemd.ready()
            while not self._stop.is_set() and ended:
                self._reload.clear()
                self._follow(beside)
                await telling.follow(self._settings)
                self._follow_web(web)
                ended = await self._session(self._settings, beside)
            systemd.stopping()
        if ended:
            _log.info("alpaca-focus has stopped; the focuser is where it belongs")
        return ended

    def _follow(self, beside: BesideProgram) -> None:
        """Let the gateway follow new settings; the night goes on without it where that fails."""
        try:
            beside.follow(self._settings)
        except ConfigurationError as error:
            _log.error("There is no gateway", why=str(error))

    def _follow_web(self, web: WebLink) -> None:
        """Let the web server follow new settings; the night goes on without it where that fails."""
        self._preview.spectrum = self._settings.focus.spectrum
        try:
            web.follow(self._settings)
        except ConfigurationError as error:
            _log.error("There is no dashboard", why=str(error))

    def _shown(self) -> Night:
        """Return the night as the web server sees it."""
        return Night(
            feed=self.feed,
            answer=from_another_loop(self._answer),
            directory=self._directory,
            curves=self._curves,
            news=self._news,
            picture=lambda: self._preview.last,
            draw=draw_run,
            viewers=self._viewers,
            version=__version__,
        )

    async def _session(self, settings: Settings, beside: BesideProgram) -> bool:
        """Keep the night with one set of settings, until told to stop or to reload."""
        async with AsyncExitStack() as stack:
            keeper = await self._connect(stack, settings, beside.gateway)
            if keeper is None:
                return True
            self._keeper, self._waits_for = keeper, ""
            self._gateway, beside.link.keeper = beside.gateway, keeper
            self._exposures.hand_over(keeper)
            try:
                every_s = settings.night.poll_s / self._clock_rate
                async with Ticker(lambda: self._tick(keeper), every_s, self._clock):
                    await self._until_told(None)
            finally:
                ended = await keeper.stop(STOP_WITHIN_S)
                self._keeper = beside.link.keeper = None
                self._show()
        if not ended:
            _log.error("The focuser could not be brought home in time; the next start of alpaca-focus does it")
        return ended

    async def _tick(self, keeper: Keeper) -> None:
        if self._incoming is not None:
            _count(keeper, self._incoming.taken())
        await keeper.tick()
        if self._gateway is not None and self._gateway.waits_for_gap:
            # A run that is interrupted does nothing for as long as the imaging program exposes, and is well.
            keeper.progress += 1
        self._feed(keeper)
        self._note_curves(keeper)
        self._show()

    def _feed(self, keeper: Keeper) -> None:
        """Feed the watchdog, but only when the work itself has gone on."""
        # A long exposure or move is nothing but its device's word that it is still under way.
        progress = keeper.progress + self._replies()
        if progress != self._fed:
            self._fed = progress
            systemd.watchdog()

    async def _until_told(self, within_s: float | None) -> bool:
        """Wait until told to stop or to reload; whether that came within the time."""
        waits = [asyncio.create_task(event.wait()) for event in (self._stop, self._reload)]
        try:
            done, _ = await asyncio.wait(waits, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _cancelled(*waits)
        return bool(done)

    async def _unless_told(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Carry something out, or leave it when told to stop or to reload before: `None`."""
        working, told = asyncio.create_task(work), asyncio.create_task(self._until_told(None))
        try:
            await asyncio.wait({working, told}, return_when=asyncio.FIRST_COMPLETED)
            return working.result() if working.done() else None
        finally:
            await _cancelled(working, told)

    async def _connect(self, stack: AsyncExitStack, settings: Settings, gateway: Gateway | None) -> Keeper | None:
        """Wait for the devices for as long as it takes; `None`: told to stop or to reload before."""
        pause_s = FIRST_PAUSE_S
        attempts = 0
        while True:
            attempts += 1
            async with AsyncExitStack() as attempt:
                try:
                    keeper = await self._unless_told(self._made(attempt, settings, gateway))
                except (DeviceError, ConfigurationError) as error:
                    if str(error) != self._waits_for:
                        _log.warning("Waiting for the devices", why=str(error))
                    self._waits_for = str(error)
                    self._show()
                else:
                    if keeper is not None:
                        stack.push_async_exit(attempt.pop_all())
                        _log.info("All devices are connected", attempts=attempts)
                    return keeper
            systemd.watchdog()
            systemd.status(f"waiting: {self._waits_for}")
            if await self._until_told(pause_s / self._clock_rate):
                return None
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def _made(self, stack: AsyncExitStack, settings: Settings, gateway: Gateway | None) -> Keeper:
        clock = self._clock
        devices = await stack.enter_async_context(connected_devices(settings, clock))
        self._replies = lambda: devices.camera.replies + devices.focuser.replies
        watch = AlpacaCameraWatch(address_of(settings.camera, settings), clock, timeout_s=settings.alpaca.timeout_s)
        stack.push_async_callback(watch.close)
        await watch.connect()
        thermometers = _thermometers(settings, devices)
        for thermometer in thermometers:
            # Harmless for the one that is connected already; the others have their setting checked.
            await thermometer.connect()
        store = stack.enter_context(RunStore(self._directory))
        if store.notice:
            _log.warning(store.notice)
        lookout = Lookout(
            Sources(
                camera=self._watch_of(watch, settings, gateway),
                focuser=devices.focuser,
                focuser_counts=settings.thermometer.source != "external",
                thermometers=thermometers,
                filter_wheel=devices.filter_wheel,
                mount=devices.mount,
                safety_monitor=devices.safety_monitor,
                sun=_sun(settings),
            ),
            clock,
            watch_s=settings.night.watch_s,
            least_image_s=settings.night.least_image_s,
        )

        async def focus(triggers: str) -> FocusResult:
            before = _newest_number(store)
            try:
                with self._news.of_run(triggers, number=None if before is None else before + 1):
                    return await focused(triggers)
            finally:
                now = _newest_number(store)
                self._news.kept(None if now == before else now)

        async def focused(triggers: str) -> FocusResult:
            await refuse_what_cannot_work(devices)
            wanted = await filter_in_light(devices, told=keeper.state.told_filter)
            way = way_through(settings, devices, wanted)
            order = Order(
                settings=settings,
                way=way,
                emit=self._tell,
                clock=clock,
                trigger=triggers,
                temperatures_c=self._average(),
                seen=self._preview.offer,
            )
            if gateway is None:
                async with turned_to(devices.filter_wheel, way.filter_name, wanted):
                    result = await focus_with(devices, order)
            else:
                result = await focus_with(devices, await shared(order, devices, gateway, wanted))
            model.learn()
            return result

        model = self._model = _Model(store)
        tools = Tools(
            focuser=devices.focuser,
            lookout=lookout,
            focus=focus,
            store=store,
            home_mark=HomeMark(self._directory, devices.focuser.name),
            clock=clock,
            guider=devices.guider,
            probable_defocus=model.probable_defocus,
            light=self._tell_light,
            changed=self._show,
        )
        start = self._stood_at = await devices.focuser.position()
        keeper = Keeper(tools, night_settings(settings, devices, start=start))
        self._incoming = self._watched_folder(stack, settings)
        if self._incoming is not None:
            lookout.leave_counting()
        return keeper

    def _watched_folder(self, stack: AsyncExitStack, settings: Settings) -> IncomingFrames | None:
        """Begin to watch the folder that the imaging program saves its frames in, if there is one."""
        wanted = settings.imaging
        if wanted.folder is None:
            return None
        frames = IncomingFrames(
            Path(wanted.folder).expanduser(),
            wanted.folder_pattern,
            least_s=settings.night.least_image_s,
            since=self._clock.wall(),
        )
        frames.start()
        stack.push_async_callback(asyncio.to_thread, frames.stop, LAST_FRAME_S)
        return frames

    def _watch_of(self, camera: CameraWatch, settings: Settings, gateway: Gateway | None) -> CameraWatch:
        """Return the watch for the way in which the imaging program's exposures are known."""
        if gateway is not None:
            return gateway.watch(camera)
        return ToldCameraWatch(camera, self._exposures.told) if settings.imaging.way == "told" else camera

    def _average(self) -> dict[str, float]:
        """Return the temperature that the night goes by, for the history."""
        average_c = None if self._keeper is None else self._keeper.state.history.followed.latest_c
        return {} if average_c is None else {AVERAGE: average_c}

    def _tell(self, event: Event) -> None:
        if self._keeper is not None:
            self._keeper.progress += 1
            self._feed(self._keeper)
        self._news.take(event)
        match event:
            case Moved(position=position):
                self._stood_at = position
                _log.info("The focuser has moved", position=position)
            case FrameMeasured(sample=sample):
                measured = sample.measurement
                _log.info(
                    "A frame was measured",
                    position=sample.position,
                    purpose=sample.purpose,
                    metric=measured.metric,
                    value=round(measured.value, 3),
                    stars=measured.star_count,
                    trouble=measured.reason,
                )
            case CurveFitted(fit=fit):
                _log.info(
                    "A curve was fitted",
                    model=fit.model,
                    best_position=round(fit.best_position, 1),
                    stderr_steps=round(fit.best_position_stderr, 1),
                )
            case Interlude(number=number, home_position=position, left_s=left_s, needed_s=needed_s):
                _log.info(
                    "The focus run is interrupted for the imaging program",
                    number=number,
                    position=position,
                    left_s=round(left_s, 1),
                    needed_s=round(needed_s, 1),
                )
            case Resumed(number=number, position=position, lasted_s=lasted_s):
                _log.info("The focus run goes on", number=number, position=position, lasted_s=round(lasted_s, 1))
            case RestoreStarted(position=position, reason=reason):
                _log.warning("The focuser goes back", position=position, why=reason)
            case _:
                pass

    # For whoever wants to see it

    def _show(self) -> None:
        self.feed.publish("status", self._status())

    def _note_curves(self, keeper: Keeper) -> None:
        if keeper.doing == FOCUS_RUN:
            # A search is no part of where the focuser belonged in the night.
            return
        history = keeper.state.history
        self._curves.note(
            self._clock.wall(),
            temperature_c=finite(history.followed.latest_c),
            position=self._position(keeper),
            expected_position=None if self._model is None else finite(self._model.focus_by_now(history)),
        )

    def _position(self, keeper: Keeper) -> Position | None:
        """Return where the focuser stands as far as is known without asking it."""
        baseline = keeper.state.history.baseline
        if baseline is None or keeper.doing == FOCUS_RUN:
            return self._stood_at
        return baseline.position + keeper.state.compensated.moved_steps

    def _tell_light(self, light: Light) -> None:
        self.feed.publish(
            "light",
            {
                "at": light.ended_at.isoformat(),
                "hfd_px": light.hfd_px,
                "position": light.position,
                "filter_name": light.filter_name,
                "temperature_c": light.temperature_c,
            },
        )

    # Commands

    async def _answer(self, request: Request) -> Mapping[str, object]:
        if request.command == "status":
            return self._status()
        try:
            return await self._carried_out(request)
        finally:
            self._show()

    async def _carried_out(self, request: Request) -> Mapping[str, object]:
        keeper = self._keeper
        if request.command == "exposure":
            return await self._exposures.carry_out(keeper, request.arguments, self._settings)
        if keeper is None:
            return {"error": f"The daemon still waits for the devices. {self._waits_for}"}
        ended = keeper.runs_ended
        said = await carried_out(keeper, request, self._settings)
        history = keeper.state.history
        focused_at = "" if history.baseline is None else history.baseline.at.isoformat()
        return {**said, "runs_ended": ended, "images": history.images, "focused_at": focused_at}

    def _status(self) -> Mapping[str, object]:
        keeper = self._keeper
        if keeper is None:
            return {"state": "waiting for the devices", "why": self._waits_for}
        night, decision, snapshot = keeper.state, keeper.decision, keeper.snapshot
        history, compensated = night.history, night.compensated
        baseline = history.baseline
        last_run = keeper.last_run
        return {
            "state": keeper.doing or "watching",
            "looks": keeper.progress,
            "paused": night.paused,
            "plan": night.plan,
            "due": [] if decision is None else [each.reason for each in decision.due],
            "blocked_by": [] if decision is None else list(decision.blocked_by),
            "triggers": [] if decision is None else [asdict(each) for each in decision.verdicts],
            "exposing": snapshot is not None and snapshot.exposing,
            "silent": [] if snapshot is None else list(snapshot.silent),
            "position": self._position(keeper),
            "temperature_c": history.followed.latest_c,
            "temperature_trouble": history.sieve.trouble,
            "filter": history.filter_name,
            "altitude_deg": history.altitude_deg,
            "sun_altitude_deg": None if snapshot is None else snapshot.sun_altitude_deg,
            "last_focus": None if baseline is None else _told_baseline(baseline),
            "since_s": history.since_s,
            "images": history.images,
            "compensation": {
                "moved_steps": compensated.moved_steps,
                "carried_steps": compensated.carried_steps,
                "stopped": compensated.stopped,
                "enabled": keeper.can_follow and night.follows,
                "switched_off": keeper.can_follow and not night.follows,
            },
            "gateway": None if self._gateway is None else self._gateway.status(),
            "advice": ADVICE if history.squeeze.is_told else "",
            "failures": history.failures,
            "hold_s": history.hold_s,
            "ignored": dict(history.ignored),
            "runs_ended": keeper.runs_ended,
            "last_run": None if last_run is None else asdict(last_run),
        }


async def _cancelled(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _count(keeper: Keeper, frames: Sequence[IncomingFrame]) -> None:
    """Count new frames, and take the sizes of their stars."""
    for frame in frames:
        if keeper.state.plan in NO_LIGHTS and not frame.is_named_light:
            continue
        if frame.hfd_px is None:
            keeper.tell_image(None)
        else:
            keeper.tell_hfd(frame.hfd_px, frame.ended_at)


def _told_baseline(baseline: Baseline) -> dict[str, object]:
    return {**asdict(baseline), "at": baseline.at.isoformat(), "value": finite(baseline.value)}


def _newest_number(store: RunStore) -> int | None:
    """Return the number of the newest run of the history, 0 where there is none; `None`: it cannot be read."""
    try:
        newest = store.runs(last=1)
    except StorageTrouble as error:
        _log.warning("The number of the run in the history is not known", why=str(error))
        return None
    return newest[0].number if newest else 0


class _Model:
    """The focus model, learned anew after each run."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._model: FocusModel | None = None
        self.learn()

    def learn(self) -> None:
        try:
            self._model = model_by_sensor(self._store.runs(last=MOST_RUNS), AVERAGE)
        except StorageTrouble as error:
            _log.warning("Nothing is learned from the history", why=str(error))

    def probable_defocus(self, history: History, compensated: Compensated) -> float | None:
        return None if self._model is None else defocus_by_now_steps(self._model, history, compensated)

    def focus_by_now(self, history: History) -> float | None:
        return None if self._model is None else focus_by_now(self._model, history)


def _thermometers(settings: Settings, devices: Devices) -> tuple[Thermometer, ...]:
    """Return the external thermometer, if it counts.

    Raises:
        ConfigurationError: It counts, and there is none.
    """
    wanted = settings.thermometer
    if wanted.source == "focuser":
        return ()
    if wanted.file is not None:
        return (FileThermometer(Path(wanted.file).expanduser()),)
    if wanted.url is not None:
        return (UrlThermometer(wanted.url, timeout_s=settings.alpaca.timeout_s),)
    if devices.thermometer is not None:
        return (devices.thermometer,)
    raise ConfigurationError(
        f"thermometer.source is {wanted.source}, and there is no external thermometer: set observing_conditions, "
        "thermometer.file or thermometer.url."
    )


def _sun(settings: Settings) -> AstropySun | None:
    site = settings.site
    if site is None or settings.night.sun_altitude_deg is None:
        return None
    return AstropySun(site.latitude_deg, site.longitude_deg)
