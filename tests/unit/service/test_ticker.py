"""The tick of the night goes on, whatever becomes of the computer's clock."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Self

import pytest
import structlog
from apscheduler.schedulers import base
from structlog.testing import capture_logs

from alpaca_focus.devices.clock import SystemClock
from alpaca_focus.service import ticker
from alpaca_focus.service.ticker import Ticker

EVERY_S = 0.05
WATCH_S = 0.1
PATIENCE_S = 30.0


class Wall:
    """A computer's clock that can be put right."""

    def __init__(self) -> None:
        self.put_right_by = timedelta(0)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.put_right_by


class PuttableClock(SystemClock):
    def __init__(self, wall: Wall) -> None:
        self._wall = wall

    def wall(self) -> datetime:
        return self._wall.now()


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    """The one clock that the ticker and APScheduler read."""
    wall = Wall()

    class PuttableDatetime(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls.fromtimestamp(wall.now().timestamp(), tz)

    monkeypatch.setattr(base, "datetime", PuttableDatetime)
    monkeypatch.setattr(ticker, "datetime", PuttableDatetime)
    monkeypatch.setattr(ticker, "WATCH_S", WATCH_S)
    monkeypatch.setattr(ticker, "_log", structlog.get_logger())
    return wall


class Counted:
    """What is called: it counts, and may take its time."""

    def __init__(self, lasts_s: float = 0.0) -> None:
        self.begun = self.ended = 0
        self.lasts_s = lasts_s
        self.at_once = self.most_at_once = 0

    async def __call__(self) -> None:
        self.begun += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await asyncio.sleep(self.lasts_s)
            self.ended += 1
        finally:
            self.at_once -= 1

    async def comes_to(self, count: int) -> bool:
        """Wait until it was called so often; whether that came to pass."""
        return await comes_true(lambda: self.begun >= count)


async def comes_true(is_so: Callable[[], object]) -> bool:
    """Wait until it is so; whether that came to pass."""
    ends_s = time.monotonic() + PATIENCE_S
    while not is_so() and time.monotonic() < ends_s:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    return bool(is_so())


def ticked(
    counted: Counted, wall: Wall, while_it_ticks: Callable[[], Awaitable[None]], every_s: float = EVERY_S
) -> None:
    async def main() -> None:
        async with Ticker(counted, every_s, PuttableClock(wall)):
            await while_it_ticks()
        ended = counted.ended
        assert counted.begun == ended
        await asyncio.sleep(3 * EVERY_S)
        assert counted.begun == ended

    asyncio.run(main())


def test_the_first_tick_comes_at_once(wall: Wall) -> None:
    counted = Counted()

    async def first() -> None:
        assert await counted.comes_to(1)
        await asyncio.sleep(3 * EVERY_S)
        assert counted.begun == 1

    ticked(counted, wall, first, every_s=3600.0)


def test_the_others_follow_after_an_interval_each(wall: Wall) -> None:
    counted = Counted()
    began_s = time.monotonic()

    async def third() -> None:
        assert await counted.comes_to(3)
        # A hundredth for two clocks that do not tick alike.
        assert time.monotonic() - began_s >= 2 * 0.2 - 0.01

    ticked(counted, wall, third, every_s=0.2)


@pytest.mark.parametrize("hours", [-50_000, -5, 5, 50_000])
def test_ticks_go_on_when_the_clock_is_put_right(wall: Wall, hours: int) -> None:
    counted = Counted()

    def steps() -> list[object]:
        return [line["step_s"] for line in events if line["event"] == "The computer's clock was set"]

    async def jump() -> None:
        assert await counted.comes_to(3)
        wall.put_right_by = timedelta(hours=hours)
        before, jumped_s = counted.begun, time.monotonic()
        assert await counted.comes_to(before + 5)
        # Neither a pause, nor all the ticks that the new time of day has left out.
        passed_s = time.monotonic() - jumped_s
        assert counted.begun <= before + 8 + passed_s / EVERY_S
        assert await comes_true(steps)

    with capture_logs() as events:
        ticked(counted, wall, jump)
    assert steps() == [pytest.approx(3600 * hours, abs=1)]


def test_a_clock_that_is_put_right_again_and_again_stops_nothing(wall: Wall, seed: int) -> None:
    counted, chance = Counted(), random.Random(seed)

    async def jumps() -> None:
        for _ in range(5):
            wall.put_right_by += timedelta(hours=chance.choice((-3, 3)))
            assert await counted.comes_to(counted.begun + chance.randint(1, 3))

    ticked(counted, wall, jumps)


def test_a_clock_that_jumps_and_at_once_jumps_back_stops_nothing(wall: Wall, monkeypatch: pytest.MonkeyPatch) -> None:
    """The watcher sees no step at all, and the next tick has been put far away."""
    monkeypatch.setattr(ticker, "WATCH_S", 1.0)
    counted = Counted()

    async def there_and_back() -> None:
        wall.put_right_by = timedelta(hours=3)
        assert await counted.comes_to(4)
        wall.put_right_by = timedelta(0)
        assert await counted.comes_to(counted.begun + 4)

    ticked(counted, wall, there_and_back)


def test_small_steps_of_the_clock_are_not_logged(wall: Wall) -> None:
    async def drift() -> None:
        for _ in range(3):
            wall.put_right_by += timedelta(seconds=0.5)
            await asyncio.sleep(WATCH_S)

    with capture_logs() as events:
        ticked(Counted(), wall, drift)
    assert events == []


def test_ticks_are_left_out_while_a_call_runs(wall: Wall, caplog: pytest.LogCaptureFixture) -> None:
    counted = Counted(lasts_s=6 * EVERY_S)

    async def wait() -> None:
        assert await counted.comes_to(3)

    began_s = time.monotonic()
    with caplog.at_level(logging.WARNING):
        ticked(counted, wall, wait)
    assert counted.most_at_once == 1
    assert time.monotonic() - began_s >= 2 * 6 * EVERY_S
    assert caplog.records == []


def test_the_end_waits_for_a_call_that_is_under_way(wall: Wall) -> None:
    counted = Counted(lasts_s=0.5)

    async def leave_during_the_call() -> None:
        assert await counted.comes_to(1)
        assert counted.ended == 0

    ticked(counted, wall, leave_during_the_call)
    assert counted.ended == 1


def test_a_call_that_hangs_does_not_keep_the_end_waiting(
    wall: Wall, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ticker, "LAST_CALL_S", 0.1)
    counted = Counted(lasts_s=60.0)

    async def main() -> None:
        async with Ticker(counted, EVERY_S, PuttableClock(wall)):
            assert await counted.comes_to(1)
        assert (counted.at_once, counted.ended) == (0, 0)

    began_s = time.monotonic()
    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    assert time.monotonic() - began_s < counted.lasts_s
    assert caplog.records == []


def test_leaving_at_any_moment_cuts_no_call_off(wall: Wall, seed: int) -> None:
    chance = random.Random(seed)
    counted = Counted(lasts_s=0.0005)

    async def main() -> None:
        for _ in range(200):
            async with Ticker(counted, 0.001, PuttableClock(wall)):
                await asyncio.sleep(chance.uniform(0.0, 0.003))
            assert counted.begun == counted.ended

    asyncio.run(main())


def test_a_call_that_fails_is_called_again_and_the_end_raises_nothing(
    wall: Wall, caplog: pytest.LogCaptureFixture
) -> None:
    counted = Counted()

    async def failing() -> None:
        await counted()
        raise RuntimeError("a bug")

    async def main() -> None:
        async with Ticker(failing, EVERY_S, PuttableClock(wall)):
            assert await counted.comes_to(3)

    with caplog.at_level(logging.ERROR):
        asyncio.run(main())
    assert "a bug" in caplog.text


def test_an_error_inside_is_passed_on(wall: Wall) -> None:
    async def main() -> None:
        async with Ticker(Counted(), EVERY_S, PuttableClock(wall)):
            raise ValueError("as it came")

    with pytest.raises(ValueError, match="as it came"):
        asyncio.run(main())
