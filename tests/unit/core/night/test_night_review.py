"""The review of a night, of runs and frames that a formula generates."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from alpaca_focus.core.curves.calibration import Estimate
from alpaca_focus.core.night.night_review import (
    ReviewedNight,
    advice,
    bounds_of,
    by_curves,
    by_stars,
    intervals,
    night_of,
    not_known,
    troubles,
)
from alpaca_focus.core.values import FocusResult, Outcome, SavedNotice, SavedRun
from tests.kept_nights import BEGINS, STEPS_PER_C, KeptNight, result

LEARNED = Estimate(value=-14.0, stderr=0.5, count=30)


def reviewed(*results: FocusResult, **more: Any) -> ReviewedNight:
    runs = tuple(SavedRun(number=7 + index, trigger="time", result=each) for index, each in enumerate(results))
    return ReviewedNight(telescope="Big Dob", date=night_of(BEGINS, timedelta(0)), runs=runs, **more)


def test_a_night_goes_from_noon_to_noon_of_the_place() -> None:
    hawaii = timedelta(hours=-10.4)
    evening = datetime(2026, 3, 5, 6, 0, tzinfo=UTC)
    assert night_of(evening, hawaii).isoformat() == "2026-03-04"
    assert night_of(evening + timedelta(hours=8), hawaii).isoformat() == "2026-03-04"
    begins, ends = bounds_of(night_of(evening, hawaii), hawaii)
    assert begins <= evening < ends
    assert night_of(begins, hawaii) != night_of(begins - timedelta(seconds=1), hawaii)
    assert ends - begins == timedelta(days=1)


def test_what_went_wrong_is_named() -> None:
    at = BEGINS + timedelta(hours=1)
    good = result(at, Outcome.FOCUSED, start=25400, final=25400)
    restored = result(at, Outcome.RESTORED, start=25400, final=25400, reason="No stars. The focuser is back.")
    stranded = result(at, Outcome.STRANDED, start=25400, final=None, reason="It stalls.")
    notices = (
        SavedNotice(at=at, kind="focus_failed", title="A refocus failed", text="No stars. The focuser is back."),
        SavedNotice(at=at, kind="focus_failed", title="A refocus failed", text="Nothing answers."),
        SavedNotice(at=at, kind="device_lost", title="Focus is not kept", text="No device answers. Retrying."),
        SavedNotice(at=at, kind="night_report", title="The night", text="All is well."),
    )
    assert troubles(reviewed(good, restored, stranded, notices=notices)) == (
        "Run 9 left the focuser stranded.",
        "Runs 8 and 9 of 3 failed.",
        f"{at:%H:%M} A refocus failed. Nothing answers.",
        f"{at:%H:%M} Focus is not kept. No device answers. Retrying.",
    )
    assert troubles(reviewed(good)) == ()


def test_frames_are_compared_with_those_right_after_the_refocus(rng: np.random.Generator) -> None:
    kept = KeptNight(rng)
    often, seldom = kept.runs(60), kept.runs(270)
    in_focus = by_stars(reviewed(*often, lights=tuple(kept.lights(often))))
    drifted = by_stars(reviewed(*seldom, lights=tuple(kept.lights(seldom))))
    assert in_focus.share is not None
    assert drifted.share is not None
    assert in_focus.share > 0.95
    assert drifted.share < in_focus.share - 0.1


def test_frames_that_cannot_be_compared_are_counted_apart(rng: np.random.Generator) -> None:
    kept = KeptNight(rng)
    (first, *_) = kept.runs(60)
    late = replace(first, started_at=first.started_at + timedelta(hours=8))
    lights = kept.lights([late])
    share = by_stars(reviewed(late, lights=tuple(lights)))
    before = sum(light.ended_at < late.started_at + timedelta(seconds=late.duration_s) for light in lights)
    assert (share.whole, share.left_out) == (len(lights) - before, before)
    assert by_stars(reviewed(lights=tuple(lights))).share is None


def test_the_curves_show_how_far_focus_had_drifted(rng: np.random.Generator) -> None:
    kept = KeptNight(rng)
    night = reviewed(*kept.runs(60), zone_steps=20.0)
    first = next(iter(intervals(night)))
    drift = kept.best(BEGINS + timedelta(hours=1)) - kept.best(BEGINS)
    assert first.number == 8
    assert first.away_steps == pytest.approx(-drift, abs=8)
    assert first.lasted_s == pytest.approx(3600 - 95)
    share = by_curves(night)
    assert share is not None
    assert share.share is not None
    assert 0.5 < share.share < 1
    wide = by_curves(replace(night, zone_steps=200.0))
    assert wide is not None
    assert wide.share == 1
    assert by_curves(replace(night, zone_steps=None)) is None


def test_other_filters_and_failed_runs_are_no_drift(rng: np.random.Generator) -> None:
    kept = KeptNight(rng)
    first, second, *_ = kept.runs(60)
    through_ha = replace(second, filter_name="Ha")
    failed = result(second.started_at, Outcome.RESTORED, start=25400, final=25400, filter_name="L")
    assert list(intervals(reviewed(first, through_ha))) == []
    assert list(intervals(reviewed(first, failed))) == []
    assert len(list(intervals(reviewed(first, failed, second)))) == 1


def test_a_quiet_night_has_no_advice(rng: np.random.Generator) -> None:
    kept = KeptNight(rng)
    runs = kept.runs(120)
    night = reviewed(
        *runs,
        lights=tuple(kept.lights(runs)),
        zone_steps=60.0,
        learned=LEARNED,
        set_steps_per_c=STEPS_PER_C,
        compensates=True,
    )
    assert advice(night) == ()
    assert not_known(night) == ("Effect of the seeing: stars that it enlarges count as out of focus here.",)


def test_advice_has_its_numbers(rng: np.random.Generator) -> None:
    kept = KeptNight(rng)
    runs = kept.runs(60)
    night = reviewed(*runs, zone_steps=600.0, learned=LEARNED, set_steps_per_c=-10.0)
    some = " ".join(advice(replace(night, ignored={"exposing": 300, "paused": 2})))
    assert "is -10.00, but the history shows -14.00 \u00b1 0.50 steps a degree, from 30 runs: set that." in some
    assert "compensation.enabled: true" in some
    assert 'fewer would do. The most frequent trigger is "time" (9).' in some
    assert 'had to wait 300 times, with the reason "exposing"' in some


def test_a_coefficient_that_is_set_right_is_left_alone() -> None:
    night = reviewed(learned=LEARNED, set_steps_per_c=-13.2, compensates=True)
    assert advice(night) == ()
    (unset,) = advice(replace(night, set_steps_per_c=None))
    assert unset.startswith("Focus moves with temperature: set focuser.temperature_coefficient_steps_per_c to -14.00")


def test_late_doubtful_and_failed_runs_are_pointed_out(rng: np.random.Generator) -> None:
    kept = KeptNight(rng)
    first, second, third = kept.runs(180)
    failed = result(BEGINS + timedelta(hours=4), Outcome.RESTORED, start=25400, final=25400)
    again = replace(failed, started_at=BEGINS + timedelta(hours=5))
    night = reviewed(first, replace(second, doubtful=True), failed, again, third, zone_steps=8.0)
    found = " ".join((*advice(night), *troubles(night)))
    assert "Refocuses came late: run 8 began" in found
    assert "Run 8 missed focus at first" in found
    assert "Runs 9 and 10 of 5 failed" in found


def test_an_empty_night_lists_what_is_not_known() -> None:
    sentences = not_known(reviewed())
    assert [sentence.split(":")[0] for sentence in sentences] == [
        "Size of the stars on the light frames",
        "Time within the critical focus zone",
        "Movement of focus with temperature",
    ]
    assert advice(reviewed()) == ()
