"""The daemon: waits for the devices, keeps the night with them, answers commands, reloads, and ends cleanly."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from typing import Any, TypeVar

import structlog

from alpaca_focus import __version__
from alpaca_focus.core.errors import ConfigurationError, DeviceError
from alpaca_focus.core.events import Event
from alpaca_focus.core.status import as_json
from alpaca_focus.daemon.commands import ExposureCommands, carried_out
from alpaca_focus.daemon.focus_runs import log_event
from alpaca_focus.daemon.gateway_link import DaemonGateway
from alpaca_focus.daemon.light_frames import count_frames
from alpaca_focus.daemon.notifications import Telling
from alpaca_focus.daemon.session import Session, Surroundings, opened
from alpaca_focus.daemon.status_publisher import StatusPublisher
from alpaca_focus.daemon.web_link import WebLink, draw_run, from_another_loop
from alpaca_focus.gateway.service import Gateway
from alpaca_focus.night.scheduler import RefocusScheduler
from alpaca_focus.ports import Clock
from alpaca_focus.service import systemd
from alpaca_focus.service.control_server import ControlServer
from alpaca_focus.service.control_wire import Request, socket_path
from alpaca_focus.service.log_output import forward_events
from alpaca_focus.service.ticker import Ticker
from alpaca_focus.settings.models import Settings
from alpaca_focus.web.source import NightSource

T = TypeVar("T")

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
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
        self._exposures = ExposureCommands(clock)
        self._stop, self._reload = asyncio.Event(), asyncio.Event()
        self._fed = -1
        self._replies: Callable[[], int] = lambda: 0
        self._publisher = StatusPublisher(clock)
        self.feed = self._publisher.feed
        directory = self._settings.storage.folder
        if directory is None:
            raise ConfigurationError("The night needs a place for its state and history: set storage.directory.")
        self._directory = directory
        self._around = Surroundings(
            directory=directory,
            clock=clock,
            publisher=self._publisher,
            reported=self._exposures.reported,
            tell=self._tell,
        )

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
            stack.callback(self._publisher.close)
            stack.enter_context(forward_events(lambda line: self.feed.publish("log", line)))
            beside = stack.enter_context(DaemonGateway(self._answer, self._clock))
            beside.follow(self._settings)
            telling = await stack.enter_async_context(Telling(self.feed, self._answer, self._clock))
            web = stack.enter_context(WebLink(self._shown()))
            _log.info("alpaca-focus has started", state=str(self._directory))
            self._publisher.publish()
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

    def _follow(self, beside: DaemonGateway) -> None:
        """Let the gateway follow new settings; the night goes on without it where that fails."""
        try:
            beside.follow(self._settings)
        except ConfigurationError as error:
            _log.error("There is no gateway", why=str(error))

    def _follow_web(self, web: WebLink) -> None:
        """Let the web server follow new settings; the night goes on without it where that fails."""
        self._publisher.preview.spectrum = self._settings.focus.spectrum
        try:
            web.follow(self._settings)
        except ConfigurationError as error:
            _log.error("There is no dashboard", why=str(error))

    def _shown(self) -> NightSource:
        """Return the night as the web server sees it."""
        publisher = self._publisher
        return NightSource(
            feed=publisher.feed,
            answer=from_another_loop(self._answer),
            directory=self._directory,
            curves=publisher.curves,
            runs=publisher.runs,
            picture=lambda: publisher.preview.last,
            draw=draw_run,
            viewers=publisher.viewers,
            version=__version__,
        )

    async def _session(self, settings: Settings, beside: DaemonGateway) -> bool:
        """Keep the night with one set of settings, until told to stop or to reload."""
        async with AsyncExitStack() as stack:
            session = await self._connect(stack, settings, beside.gateway)
            if session is None:
                return True
            scheduler = session.scheduler
            self._replies = session.replies
            self._publisher.begin(scheduler, session.model, session.gateway, stood_at=session.start)
            beside.link.scheduler = scheduler
            self._exposures.hand_over(scheduler)
            try:
                every_s = settings.night.poll_s / self._clock_rate
                async with Ticker(lambda: self._tick(session), every_s, self._clock):
                    await self._until_told(None)
            finally:
                ended = await scheduler.stop(STOP_WITHIN_S)
                self._publisher.scheduler = beside.link.scheduler = None
                self._publisher.publish()
        if not ended:
            _log.error("The focuser could not be brought home in time; the next start of alpaca-focus does it")
        return ended

    async def _tick(self, session: Session) -> None:
        scheduler = session.scheduler
        if session.incoming is not None:
            count_frames(scheduler, session.incoming.taken())
        await scheduler.tick()
        if session.gateway is not None and session.gateway.waits_for_gap:
            # A run that is interrupted does nothing for as long as the imaging program exposes, and is well.
            scheduler.progress += 1
        self._feed_watchdog(scheduler)
        self._publisher.note_curves()
        self._publisher.publish()

    def _feed_watchdog(self, scheduler: RefocusScheduler) -> None:
        """Feed the watchdog, but only when the work itself has gone on."""
        # A long exposure or move is nothing but its device's word that it is still under way.
        progress = scheduler.progress + self._replies()
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

    async def _connect(self, stack: AsyncExitStack, settings: Settings, gateway: Gateway | None) -> Session | None:
        """Wait for the devices for as long as it takes; `None`: told to stop or to reload before."""
        pause_s = FIRST_PAUSE_S
        attempts = 0
        while True:
            attempts += 1
            async with AsyncExitStack() as attempt:
                try:
                    session = await self._unless_told(opened(attempt, settings, gateway, self._around))
                except (DeviceError, ConfigurationError) as error:
                    if str(error) != self._publisher.waits_for:
                        _log.warning("Waiting for the devices", why=str(error))
                    self._publisher.waits_for = str(error)
                    self._publisher.publish()
                else:
                    if session is not None:
                        stack.push_async_exit(attempt.pop_all())
                        _log.info("All devices are connected", attempts=attempts)
                    return session
            systemd.watchdog()
            systemd.status(f"waiting: {self._publisher.waits_for}")
            if await self._until_told(pause_s / self._clock_rate):
                return None
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _tell(self, event: Event) -> None:
        scheduler = self._publisher.scheduler
        if scheduler is not None:
            scheduler.progress += 1
            self._feed_watchdog(scheduler)
        self._publisher.take(event)
        log_event(event)

    # Commands

    async def _answer(self, request: Request) -> Mapping[str, object]:
        if request.command == "status":
            return as_json(self._publisher.status())
        try:
            return await self._carried_out(request)
        finally:
            self._publisher.publish()

    async def _carried_out(self, request: Request) -> Mapping[str, object]:
        scheduler = self._publisher.scheduler
        if request.command == "exposure":
            return await self._exposures.carry_out(scheduler, request.arguments, self._settings)
        if scheduler is None:
            return {"error": f"The daemon still waits for the devices. {self._publisher.waits_for}"}
        ended = scheduler.runs_ended
        said = await carried_out(scheduler, request, self._settings)
        history = scheduler.state.history
        focused_at = "" if history.baseline is None else history.baseline.at.isoformat()
        return {**said, "runs_ended": ended, "images": history.images, "focused_at": focused_at}


async def _cancelled(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
