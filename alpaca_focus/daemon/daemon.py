"""The daemon: connects the devices, runs the night's sessions, answers commands, reloads, and stops in order."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from typing import Any, TypeVar

import structlog

from alpaca_focus import __version__
from alpaca_focus.core.errors import ConfigurationError, DeviceError
from alpaca_focus.core.events import Event
from alpaca_focus.core.status import as_json
from alpaca_focus.daemon.commands import ExposureCommands, carry_out
from alpaca_focus.daemon.focus_runs import log_event
from alpaca_focus.daemon.gateway_link import DaemonGateway
from alpaca_focus.daemon.light_frames import count_frames
from alpaca_focus.daemon.notifications import Notifications
from alpaca_focus.daemon.session import Session, SessionContext, open_session
from alpaca_focus.daemon.status_publisher import StatusPublisher
from alpaca_focus.daemon.web_link import WebLink, answer_from_any_loop, draw_run
from alpaca_focus.gateway.service import Gateway
from alpaca_focus.night.scheduler import RefocusScheduler
from alpaca_focus.ports import Clock
from alpaca_focus.service import systemd
from alpaca_focus.service.control_server import ControlServer
from alpaca_focus.service.control_wire import Request, socket_path
from alpaca_focus.service.log_output import forward_events
from alpaca_focus.service.ticker import Ticker
from alpaca_focus.settings.contradictions import refuse_obstacles
from alpaca_focus.settings.models import Settings
from alpaca_focus.web.source import NightSource

T = TypeVar("T")

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
STOP_WITHIN_S = 8.0
"""Limit for devices that no longer answer; `docker stop` kills after ten seconds."""

_log = structlog.get_logger(__name__)


class Daemon:
    """Keeps one telescope in focus until `stop` is called.

    Args:
        load: Reads the settings, at the start and for each reload.
        clock_rate: Seconds of the clock for each real second.

    Raises:
        ConfigurationError: The settings are wrong or contradictory, or have no storage.directory.
    """

    def __init__(self, load: Callable[[], Settings], clock: Clock, *, clock_rate: float = 1.0) -> None:
        self._load = load
        self._settings = refuse_obstacles(load())
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
            raise ConfigurationError("The state and the history need a folder. Set storage.directory.")
        self._directory = directory
        self._context = SessionContext(
            directory=directory,
            clock=clock,
            publisher=self._publisher,
            reported=self._exposures.reported,
            emit=self._take,
        )

    def stop(self) -> None:
        """Stop soon, with the focuser restored."""
        self._stop.set()

    def reload(self) -> None:
        """Reload the settings; if they are wrong, the old ones stay."""
        try:
            settings = refuse_obstacles(self._load())
        except ConfigurationError as error:
            _log.error("The new settings are wrong; the old ones stay", why=str(error))
            return
        if settings.storage.folder != self._directory:
            _log.error("storage.directory was changed, which needs a restart; the old settings stay")
            return
        self._settings = settings
        self._reload.set()

    async def run(self) -> bool:
        """Run sessions until `stop` is called.

        Returns:
            Whether everything has ended in time; if not, the next start restores the focuser.
        """
        ended = True
        async with ControlServer(socket_path(self._directory), self._answer), AsyncExitStack() as stack:
            stack.callback(self._publisher.close)
            stack.enter_context(forward_events(lambda line: self.feed.publish("log", line)))
            gateway_link = stack.enter_context(DaemonGateway(self._answer, self._clock))
            gateway_link.follow(self._settings)
            notifications = await stack.enter_async_context(Notifications(self.feed, self._answer, self._clock))
            web = stack.enter_context(WebLink(self._web_source()))
            _log.info("alpaca-focus has started", state=str(self._directory))
            self._publisher.publish()
            systemd.notify("READY=1")
            while not self._stop.is_set() and ended:
                self._reload.clear()
                self._publisher.preview.spectrum = self._settings.focus.spectrum
                self._apply("gateway", gateway_link)
                await notifications.follow(self._settings)
                self._apply("dashboard", web)
                ended = await self._session(self._settings, gateway_link)
            systemd.notify("STOPPING=1")
        if ended:
            _log.info("alpaca-focus has stopped; the focuser is where it belongs")
        return ended

    def _apply(self, name: str, link: DaemonGateway | WebLink) -> None:
        """Apply new settings to the gateway or the web server; after an error the night continues without it."""
        try:
            link.follow(self._settings)
        except ConfigurationError as error:
            _log.error(f"The {name} is off", why=str(error))

    def _web_source(self) -> NightSource:
        """Return the web server's view of the night."""
        publisher = self._publisher
        return NightSource(
            feed=publisher.feed,
            answer=answer_from_any_loop(self._answer),
            directory=self._directory,
            curves=publisher.curves,
            runs=publisher.runs,
            picture=lambda: publisher.preview.last,
            draw=draw_run,
            viewers=publisher.viewers,
            version=__version__,
        )

    async def _session(self, settings: Settings, gateway_link: DaemonGateway) -> bool:
        """Run the night with one set of settings, until a stop or reload."""
        async with AsyncExitStack() as stack:
            session = await self._connect(stack, settings, gateway_link.gateway)
            if session is None:
                return True
            scheduler = session.scheduler
            self._replies = session.replies
            self._publisher.begin(scheduler, session.model, session.gateway, stood_at=session.start)
            gateway_link.link.scheduler = scheduler
            self._exposures.hand_over(scheduler)
            try:
                every_s = settings.night.poll_s / self._clock_rate
                async with Ticker(lambda: self._tick(session), every_s, self._clock):
                    await self._until_signalled(None)
            finally:
                ended = await scheduler.stop(STOP_WITHIN_S)
                self._publisher.scheduler = gateway_link.link.scheduler = None
                self._publisher.publish()
        if not ended:
            _log.error("The focuser could not be restored in time; the next start of alpaca-focus restores it")
        return ended

    async def _tick(self, session: Session) -> None:
        scheduler = session.scheduler
        if session.incoming is not None:
            count_frames(scheduler, session.incoming.taken())
        await scheduler.tick()
        if session.gateway is not None and session.gateway.waits_for_gap:
            # During a camera handover a run makes no progress for as long as the imaging program exposes.
            scheduler.progress += 1
        self._feed_watchdog(scheduler)
        self._publisher.note_curves()
        self._publisher.publish()

    def _feed_watchdog(self, scheduler: RefocusScheduler) -> None:
        """Feed the watchdog, but only after progress of the work itself (decision 0023)."""
        # During a long exposure or move the device's replies are the only progress.
        progress = scheduler.progress + self._replies()
        if progress != self._fed:
            self._fed = progress
            systemd.notify("WATCHDOG=1")

    async def _until_signalled(self, within_s: float | None) -> bool:
        """Wait for a stop or reload; return whether one came within the time."""
        waits = [asyncio.create_task(event.wait()) for event in (self._stop, self._reload)]
        try:
            done, _ = await asyncio.wait(waits, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _cancel(*waits)
        return bool(done)

    async def _unless_signalled(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Return the result of some work, or cancel it at a stop or reload and return `None`."""
        working, signalled = asyncio.create_task(work), asyncio.create_task(self._until_signalled(None))
        try:
            await asyncio.wait({working, signalled}, return_when=asyncio.FIRST_COMPLETED)
            return working.result() if working.done() else None
        finally:
            await _cancel(working, signalled)

    async def _connect(self, stack: AsyncExitStack, settings: Settings, gateway: Gateway | None) -> Session | None:
        """Connect the devices, with retries without end; return `None` at a stop or reload."""
        pause_s = FIRST_PAUSE_S
        attempts = 0
        while True:
            attempts += 1
            async with AsyncExitStack() as attempt:
                try:
                    session = await self._unless_signalled(open_session(attempt, settings, gateway, self._context))
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
            systemd.notify("WATCHDOG=1")
            systemd.notify(f"STATUS=waiting: {self._publisher.waits_for}")
            if await self._until_signalled(pause_s / self._clock_rate):
                return None
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _take(self, event: Event) -> None:
        """Publish and log an event of a run; it counts as progress for the watchdog."""
        if (scheduler := self._publisher.scheduler) is not None:
            scheduler.progress += 1
            self._feed_watchdog(scheduler)
        self._publisher.take(event)
        log_event(event)

    # Commands

    async def _answer(self, request: Request) -> Mapping[str, object]:
        if request.command == "status":
            return as_json(self._publisher.status())
        try:
            return await self._carry_out(request)
        finally:
            self._publisher.publish()

    async def _carry_out(self, request: Request) -> Mapping[str, object]:
        scheduler = self._publisher.scheduler
        if request.command == "exposure":
            return await self._exposures.carry_out(scheduler, request.arguments, self._settings)
        if scheduler is None:
            return {"error": f"The daemon is still waiting for the devices. {self._publisher.waits_for}"}
        ended = scheduler.outcomes.runs_ended
        reply = await carry_out(scheduler, request, self._settings)
        history = scheduler.state.history
        focused_at = "" if history.baseline is None else history.baseline.at.isoformat()
        return {**reply, "runs_ended": ended, "images": history.images, "focused_at": focused_at}


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
