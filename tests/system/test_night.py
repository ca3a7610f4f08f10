"""Part of a night over real HTTP, with clouds, a thermometer that fails, and two kills; `make bench` has all of one."""

from alpaca_focus.core.values import Outcome
from tests.bench.night import MODES, lived

HOURS = 1.0


def test_a_night_stays_in_focus_through_clouds_faults_and_kills(seed: int) -> None:
    night = lived(seed, HOURS, **MODES["compensation and triggers"])
    print(night.log)
    print([f"{each.away_zones:.2f}" for each in night.images], night.kills)
    assert len(night.kills) == 2
    assert len(night.images) >= 6
    assert night.share_within(1.0) >= 0.9
    assert night.runs[0].result.outcome is Outcome.FOCUSED
    assert "asap" in night.runs[0].trigger
    assert "Traceback" not in night.log
