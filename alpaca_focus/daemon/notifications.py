"""Sends messages, publishes over MQTT and writes the report of each night.

The night never waits for any of this, and continues when it fails.
"""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Self

import structlog

from alpaca_focus.core.errors import AlpacaFocusError, ConfigurationError, StorageError
from alpaca_focus.core.night.notice_log import NoticeLog, Situation, new_notices
from alpaca_focus.core.night.notices import EndedRun, Kind, Notice, ended_run
from alpaca_focus.core.night.triggers import position_problem_of
from alpaca_focus.core.status import LastRun, Status, Waiting
from alpaca_focus.core.values import SavedNotice, SavedRun
from alpaca_focus.daemon.night_report import ReportSchedule, last_night, review_night, summary, write_report
from alpaca_focus.daemon.night_settings import sun_of
from alpaca_focus.feed.feed import Entry, Feed
from alpaca_focus.files.pictures import curve_of_run, write_picture
from alpaca_focus.notify.messages import Message, Messenger
from alpaca_focus.notify.mqtt import MqttLink
from alpaca_focus.notify.notification_settings import mqtt_settings, services_of
from alpaca_focus.ports import Clock
from alpaca_focus.service.control_server import Handler
from alpaca_focus.settings.interface_models import MessagesSection
from alpaca_focus.settings.models import Settings
from alpaca_focus.store.run_store import RunStore

REPORT_EVERY_S = 300.0
"""Interval between two checks whether a report is due."""

_log = structlog.get_logger(__name__)


class Notifications:
    """Follows the feed and sends notifications; an asynchronous context manager, constructed in the daemon's loop."""

    def __init__(self, feed: Feed, answer: Handler, clock: Clock) -> None:
        self._feed = feed
        self._answer = answer
        self._clock = clock
        self._settings: Settings | None = None
        self._messenger: Messenger | None = None
        self._report_schedule: ReportSchedule | None = None
        self._mqtt = AsyncExitStack()
        self._watched = NoticeLog()
        self._last_run: EndedRun | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        """Begin to follow the feed; nothing is sent before the first `follow`."""
        self._tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self._write_reports())]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop following the feed and disconnect."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._mqtt.aclose()
        await self._follow_messages(None)

    async def follow(self, settings: Settings) -> None:
        """Apply new settings; a service whose settings are wrong is left out, and the error logged."""
        before, self._settings = self._settings, settings
        self._report_schedule = ReportSchedule(settings, sun_of(settings))
        # The contents of a secrets file may have changed, too.
        messages, mqtt = settings.messages, settings.mqtt
        is_other = before is None or before.messages != messages
        if is_other or (messages is not None and messages.services_file is not None):
            await self._follow_messages(messages)
        is_other = before is None or (before.mqtt, before.telescope.name) != (mqtt, settings.telescope.name)
        if is_other or (mqtt is not None and mqtt.password_file is not None):
            await self._follow_mqtt(settings)

    async def _follow_messages(self, wanted: MessagesSection | None) -> None:
        before, self._messenger = self._messenger, None
        if before is not None:
            await asyncio.to_thread(before.close)
        if wanted is None:
            return
        try:
            services = await asyncio.to_thread(services_of, wanted)
        except ConfigurationError as error:
            _log.error("Messages are off", why=str(error))
            return
        for each in services:
            if not each.is_known:
                _log.error("Apprise does not know the URL of a message service", service=each.name)
        self._messenger = Messenger(services)

    async def _follow_mqtt(self, settings: Settings) -> None:
        await self._mqtt.aclose()
        if settings.mqtt is None:
            return
        try:
            wanted = await asyncio.to_thread(mqtt_settings, settings)
        except ConfigurationError as error:
            _log.error("MQTT is off", why=str(error))
            return
        await self._mqtt.enter_async_context(MqttLink(wanted, self._feed, self._answer))

    # Notices

    async def _watch(self) -> None:
        with self._feed.subscribe() as entries:
            async for entry in entries:
                try:
                    await self._take(entry)
                except Exception:  # noqa: BLE001 - the next entry may succeed
                    _log.exception("A notification failed")

    async def _take(self, entry: Entry) -> None:
        status, settings = entry.data, self._settings
        if settings is None or not isinstance(status, Status | Waiting):
            return
        seen = await self._seen(status, settings)
        repeat_s = (settings.messages or MessagesSection()).repeat_s
        self._watched, notices = new_notices(self._watched, seen, now_s=self._clock.monotonic(), repeat_s=repeat_s)
        for notice in notices:
            await asyncio.to_thread(_save, settings.storage.folder, notice, self._clock.wall())
            self.publish(notice)

    async def _seen(self, status: Status | Waiting, settings: Settings) -> Situation:
        if isinstance(status, Waiting):
            return Situation(waits_for=status.why)
        last_run = status.last_run
        if last_run is not None and self._watched.runs_ended != status.runs_ended:
            self._last_run = await asyncio.to_thread(_ended, settings.storage.folder, last_run)
        sun_deg, limit_deg = status.sun_altitude_deg, settings.night.sun_altitude_deg
        position_problem = position_problem_of(status.triggers)
        return Situation(
            devices=status.devices,
            temperature_problem=status.temperature_trouble,
            position_problem=position_problem,
            # Where others have moved it, it stays.
            belongs_at=None if position_problem else status.expected_position,
            daylight=sun_deg is not None and limit_deg is not None and sun_deg > limit_deg,
            runs_ended=status.runs_ended,
            run=None if last_run is None else self._last_run,
        )

    def publish(self, notice: Notice) -> None:
        """Publish a notice in the feed, and send it as a message if it is news and its kind is switched on."""
        self._feed.publish("notice", replace(notice, file=Path(notice.file).name))
        settings = self._settings
        if self._messenger is None or settings is None or settings.messages is None:
            return
        if settings.messages.is_on(notice.kind) and not notice.is_repeat:
            title = f"{settings.telescope.name}: {notice.title}"
            attachment = _attachment(notice, settings.storage.folder)
            self._messenger.enqueue(Message(title=title, text=notice.text, kind=notice.kind, attachment=attachment))

    # The report

    async def _write_reports(self) -> None:
        problem = ""
        while True:
            await self._clock.sleep(REPORT_EVERY_S)
            try:
                notice = await asyncio.to_thread(self._write_report_if_due)
            except AlpacaFocusError as error:
                if str(error) != problem:
                    _log.error("The report of the night failed", why=str(error))
                problem = str(error)
            except Exception:  # noqa: BLE001 - an unexpected error would recur at every check; it is logged with its traceback
                _log.exception("The report of the night failed; no more reports until the next start")
                return
            else:
                if notice is not None:
                    self.publish(notice)

    def _write_report_if_due(self) -> Notice | None:
        """Write the report if it is due, and return the notice on it."""
        settings, schedule, now = self._settings, self._report_schedule, self._clock.wall()
        path = None if schedule is None else schedule.report_due(now)
        if settings is None or schedule is None or path is None:
            return None
        night = review_night(settings, last_night(settings, now), now)
        write_report(path, night, now)
        schedule.made(now)
        _log.info("The report of the night was written", file=str(path))
        return Notice(
            kind=Kind.NIGHT_REPORT,
            title=f"The night of {night.date:%d %B}",
            text=f"{summary(night)} The report is saved as {path.name}.",
            file=str(path),
        )


def _save(directory: Path | None, notice: Notice, at: datetime) -> None:
    """Save a notice for the report of the night; a failure is logged, and the notice is sent."""
    try:
        if directory is not None:
            with RunStore(directory) as store:
                store.save_notice(SavedNotice(at=at, kind=notice.kind, title=notice.title, text=notice.text))
    except StorageError as error:
        _log.warning("A notice is not in the report of the night", why=str(error))


def _ended(directory: Path | None, last_run: LastRun) -> EndedRun:
    """Return how the last run ended, with its number and result if the history holds them."""
    newest: tuple[SavedRun, ...] = ()
    try:
        if directory is not None:
            with RunStore(directory, read_only=True) as store:
                newest = store.runs(last=1)
    except AlpacaFocusError as error:
        _log.warning("The history cannot be read; the message on the last run has no details", why=str(error))
    for kept in newest:
        if kept.result.reason == last_run.reason:
            return ended_run(last_run, number=kept.number, result=kept.result)
    return ended_run(last_run, number=None, result=None)


def _attachment(notice: Notice, directory: Path | None) -> Callable[[Path], Path | None]:
    if notice.file:
        return lambda _: Path(notice.file)
    if notice.run is None or directory is None:
        return lambda _: None
    return partial(_picture, directory, notice.run)


def _picture(directory: Path, number: int, folder: Path) -> Path | None:
    """Draw the V-curve of a run and return its path; `None` if the run has no samples."""
    with RunStore(directory, read_only=True) as store:
        kept = store.run(number)
    if kept is None or not kept.result.samples:
        return None
    path = folder / f"run-{number}.png"
    fitted, title = curve_of_run(number, kept.result)
    write_picture(path, fitted, title=title)
    return path
