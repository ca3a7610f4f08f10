"""A daemon that is killed at random moments of a night goes on where it was: `make soak` does it a thousand times."""

import os

import pytest

from tests.bench.kills import TRIGGERS, KilledNight
from tests.bench.night import COMPENSATION, observed

KILLS = int(os.environ.get("ALPACA_FOCUS_KILLS", "6"))


def test_after_each_kill_position_and_counters_are_right(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    with observed(seed, compensation=COMPENSATION, triggers=TRIGGERS) as scene:
        night = KilledNight(scene.config, scene.address, scene.directory, seed)
        night.focus_first()
        for number in range(1, KILLS + 1):
            night.live_and_kill()
            if number % 100 == 0:
                with capsys.disabled():
                    print(f"{number} kills: {night.during}")
    print(night.during)
