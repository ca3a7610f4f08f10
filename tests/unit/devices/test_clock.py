import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from alpaca_focus.devices.clock import ScaledClock, SystemClock


def test_the_system_clock_is_utc_and_goes_on() -> None:
    clock = SystemClock()
    assert abs(clock.wall() - datetime.now(UTC)) < timedelta(minutes=1)
    before_s = clock.monotonic()
    asyncio.run(clock.sleep(0.01))
    assert clock.monotonic() - before_s >= 0.009


def test_scaled_time_passes_for_sleepers_as_for_readers() -> None:
    clock = ScaledClock(1000.0)
    before_s, before = clock.monotonic(), clock.wall()
    asyncio.run(clock.sleep(20.0))
    assert clock.monotonic() - before_s >= 20.0 - 0.001
    assert clock.wall() - before >= timedelta(seconds=19.9)


@pytest.mark.parametrize("duration_s", [0.0, -5.0])
def test_no_time_gives_way_once(duration_s: float) -> None:
    seen = []

    async def other() -> None:
        seen.append("other")

    async def main() -> None:
        task = asyncio.create_task(other())
        await SystemClock().sleep(duration_s)
        seen.append("sleeper")
        await task

    asyncio.run(main())
    assert seen == ["other", "sleeper"]


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan")])
def test_time_cannot_stand_still(factor: float) -> None:
    with pytest.raises(ValueError, match="factor has to be above zero"):
        ScaledClock(factor)
