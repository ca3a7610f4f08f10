"""From what is happening to messages, with pictures and the report of the night; over real HTTP."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog
from structlog.testing import capture_logs
from structlog.typing import EventDict

from alpaca_focus.core.night.notices import Kind, Notice
from alpaca_focus.core.status import LastRun, PolledDevice, Waiting
from alpaca_focus.core.values import Outcome
from alpaca_focus.daemon import notifications
from alpaca_focus.daemon.night_report import FOLDER
from alpaca_focus.daemon.notifications import Notifications
from alpaca_focus.devices.clock import ScaledClock
from alpaca_focus.feed.feed import Entry, Feed
from alpaca_focus.settings.models import Settings
from alpaca_focus.store.run_store import RunStore
from tests.kept_nights import BEGINS, KeptNight, result, sample
from tests.statuses import a_status
from tests.web_hook import WebHook

FACTOR = 2000.0
DAWN = datetime(2026, 1, 15, 6, 0, tzinfo=UTC)
PATIENCE_S = 20.0
GONE = (PolledDevice(kind="camera", name="camera 0 (QHY)", server="10.0.0.1:11111", answers=False),)


@pytest.fixture
def hook() -> Iterator[WebHook]:
    with WebHook() as hook:
        yield hook


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[EventDict]]:
    monkeypatch.setattr(notifications, "_log", structlog.get_logger())
    with capture_logs() as told:
        yield told


class Observatory:
    """What is told of it, and who is told."""

    def __init__(self, directory: Path, hook: WebHook) -> None:
        self.directory = directory
        self.hook = hook
        self.sections: dict[str, Any] = {}
        self.clock = ScaledClock(FACTOR, start=DAWN)
        self.feed = Feed(self.clock.wall)

    def settings(self) -> Settings:
        usual: dict[str, Any] = {
            "telescope": {"name": "Big Dob", "focal_length_mm": 530, "aperture_mm": 106},
            "storage": {"directory": str(self.directory)},
            "messages": {"services": [self.hook.url]},
        }
        return Settings.model_validate(usual | self.sections)

    @asynccontextmanager
    async def told(self) -> AsyncIterator[Notifications]:
        async def answer(_request: object) -> dict[str, object]:
            return {}

        async with Notifications(self.feed, answer, self.clock) as some:
            await some.follow(self.settings())
            yield some

    def shows(self, **changes: Any) -> None:
        self.feed.publish("status", a_status(**changes))

    async def until(self, is_so: Callable[[], object], **changes: Any) -> None:
        """Show the same again and again, as each tick does, until something has come of it."""
        async with asyncio.timeout(PATIENCE_S):
            while not is_so():
                self.shows(**changes)
                await asyncio.sleep(0.01)

    def notice(self) -> Entry | None:
        return self.feed.latest.get("notice")


@pytest.fixture
def observatory(tmp_path: Path, hook: WebHook) -> Observatory:
    return Observatory(tmp_path, hook)


def lived(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(story())


def test_a_failed_run_is_reported_with_its_curve(observatory: Observatory, hook: WebHook) -> None:
    reason = "The V-curve has no arms. The focuser is back at position 25400, where the run began."
    samples = tuple(sample(25300 + 50 * index, 3.0 + index % 2, "point") for index in range(5))

    async def story() -> None:
        async with observatory.told():
            observatory.shows()
            await asyncio.sleep(0.05)
            with RunStore(observatory.directory) as store:
                failed = result(DAWN, Outcome.RESTORED, start=25400, final=25400, reason=reason, samples=samples)
                number = store.save(failed, trigger="time")
            last_run = LastRun(outcome="restored", reason=reason)
            await observatory.until(lambda: hook.told, runs_ended=1, last_run=last_run)
            entry = observatory.notice()
            assert entry is not None
            assert isinstance(entry.data, Notice)
            assert (entry.data.kind, entry.data.run) == (Kind.FOCUS_FAILED, number)

    lived(story)
    (told,) = hook.told
    assert (told["title"], told["message"], told["type"]) == ("Big Dob: A refocus failed", reason, "failure")
    (picture,) = told["attachments"]
    assert picture["filename"] == "run-1.png"
    assert base64.b64decode(picture["base64"]).startswith(b"\x89PNG")


def test_a_lost_device_is_reported_with_its_reason_and_its_return(observatory: Observatory, hook: WebHook) -> None:
    async def story() -> None:
        async with observatory.told():
            observatory.shows()
            await observatory.until(lambda: len(hook.told) == 1, devices=GONE)
            await observatory.until(lambda: len(hook.told) == 2)

    lived(story)
    assert [each["title"] for each in hook.told] == [
        "Big Dob: Focus is not kept",
        "Big Dob: Focus is kept again",
    ]
    assert hook.told[0]["message"] == "Camera 0 (QHY) does not answer. Retrying; check power and cables."
    with RunStore(observatory.directory) as store:
        saved = store.notices(since=DAWN)
    assert [each.kind for each in saved] == [Kind.DEVICE_LOST, Kind.DEVICE_BACK]


def test_devices_that_the_daemon_waits_for_are_lost(observatory: Observatory, hook: WebHook) -> None:
    waiting = Waiting(why="The focuser does not answer.")

    async def story() -> None:
        async with observatory.told():
            async with asyncio.timeout(PATIENCE_S):
                while not hook.told:
                    observatory.feed.publish("status", waiting)
                    await asyncio.sleep(0.01)

    lived(story)
    assert hook.told[0]["title"] == "Big Dob: Focus is not kept"
    assert hook.told[0]["message"].startswith("The focuser does not answer. ")


def test_a_disabled_kind_is_shown_and_not_sent(observatory: Observatory, hook: WebHook) -> None:
    observatory.sections["messages"] = {"services": [hook.url], "device_lost": False}

    async def story() -> None:
        async with observatory.told():
            await observatory.until(observatory.notice, devices=GONE)
            await asyncio.sleep(0.2)

    lived(story)
    assert hook.told == []


def test_new_settings_are_followed(observatory: Observatory, hook: WebHook, log: list[EventDict]) -> None:
    secret = observatory.directory / "services"

    async def story() -> None:
        observatory.sections["messages"] = {"services_file": str(secret)}
        async with observatory.told() as some:
            secret.write_text(f"# where to\n\n{hook.url}\n")
            await some.follow(observatory.settings())
            await observatory.until(lambda: hook.told, devices=GONE)

    lived(story)
    assert [line["event"] for line in log] == ["Messages are off"]
    assert "cannot be read" in log[0]["why"]


def test_the_report_is_made_at_dawn_and_sent_once(
    observatory: Observatory, hook: WebHook, rng: np.random.Generator, log: list[EventDict]
) -> None:
    observatory.sections["site"] = {"latitude_deg": 47.0, "longitude_deg": 8.0}
    night = KeptNight(rng)
    runs = night.runs()
    with RunStore(observatory.directory) as store:
        for each in runs:
            store.save(each, trigger="time")
        for light in night.lights(runs):
            store.save_light(light)

    async def story() -> None:
        async with observatory.told():
            await asyncio.to_thread(hook.messages, 1)
            await asyncio.sleep(1.0)

    lived(story)
    (told,) = hook.told
    report = observatory.directory / FOLDER / f"{BEGINS:%Y-%m-%d}.html"
    assert told["title"] == "Big Dob: The night of 14 January"
    assert told["message"].startswith("9 of 9 refocuses were good. ")
    assert base64.b64decode(told["attachments"][0]["base64"]) == report.read_bytes()
    assert [line["event"] for line in log] == ["The report of the night was written"]


@pytest.mark.parametrize("hours", [0.5, 3.0])
def test_without_the_sun_a_night_is_over_when_nothing_goes_on(
    hours: float, observatory: Observatory, hook: WebHook, rng: np.random.Generator
) -> None:
    observatory.sections |= {"site": {"latitude_deg": 47.0, "longitude_deg": 8.0}, "night": {"sun_altitude_deg": None}}
    night = KeptNight(rng, begins=DAWN - timedelta(hours=hours), hours=hours)
    runs = night.runs(30)
    with RunStore(observatory.directory) as store:
        for each in runs:
            store.save(each, trigger="time")
        for light in night.lights(runs):
            store.save_light(light)

    async def story() -> None:
        async with observatory.told():
            ends_s = observatory.clock.monotonic() + 2 * 3600
            while observatory.clock.monotonic() < ends_s and not hook.told:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    lived(story)
    assert len(hook.told) == (hours > 1)
