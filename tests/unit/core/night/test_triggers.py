"""Each trigger on a night that is made poll by poll; no clock runs."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from alpaca_focus.core.night.decisions import Decision, decided, inhibitors
from alpaca_focus.core.night.state import (
    Baseline,
    CorrectionMove,
    History,
    NightState,
    Patience,
    PierSide,
    Plan,
    Reading,
    Snapshot,
)
from alpaca_focus.core.night.transitions import (
    correction_done,
    decision_made,
    filter_change_declined,
    image_reported,
    polled,
    refocus_requested,
    refocused,
    run_aborted,
    run_failed,
)
from alpaca_focus.core.night.triggers import (
    AfterImages,
    AfterTime,
    AltitudeChange,
    FilterChange,
    FocusUncertainty,
    HfdRise,
    TemperatureChange,
    as_soon_as_possible,
    meridian_flip,
)

EVENING = datetime(2026, 1, 15, 20, tzinfo=UTC)
READING = Reading(every_s=10.0, count=60, followed_count=6)


class Night:
    """A night made of polls."""

    def __init__(self, **baseline: Any) -> None:
        self.now_s = 0.0
        self.reading = READING
        self.state = refocused(NightState(), Baseline(at=EVENING, position=25000, **baseline))

    @property
    def history(self) -> History:
        return self.state.history

    def poll(self, times: int = 1, *, passed_s: float = 10.0, **shown: Any) -> History:
        for _ in range(times):
            self.now_s += passed_s
            at = EVENING + timedelta(seconds=self.now_s)
            self.state = polled(self.state, Snapshot(at=at, passed_s=passed_s, **shown), self.reading)
        return self.history

    def image(self, *hfds_px: float) -> History:
        for hfd_px in hfds_px:
            self.state = image_reported(self.state, hfd_px)
        return self.history


def test_the_temperature_is_averaged_over_a_window_and_acts_when_it_is_full() -> None:
    night, trigger = Night(temperature_c=5.0), TemperatureChange(limit_c=0.4, readings=60)
    night.poll(59, temperature_c=4.6)
    verdict = trigger(night.history)
    assert (verdict.due, verdict.state) == (False, "[-0.4 #59]")
    verdict = trigger(night.poll(temperature_c=4.6))
    assert verdict.due
    assert verdict.state == "[-0.4 #00*]"
    assert trigger(night.poll(temperature_c=4.6)).state == "[-0.4 #01*]"


def test_short_spells_of_wind_do_not_trigger() -> None:
    night, trigger = Night(temperature_c=5.0), TemperatureChange(limit_c=0.4, readings=60)
    for _ in range(5):
        night.poll(50, temperature_c=4.9)
        assert not trigger(night.poll(10, temperature_c=3.5)).due


def test_readings_are_taken_at_their_own_pace() -> None:
    night = Night(temperature_c=5.0)
    night.poll(30, passed_s=2.0, temperature_c=5.0)
    assert len(night.history.window.readings_c) == 6


def test_a_lost_sensor_stops_the_count_and_nothing_else() -> None:
    night, trigger = Night(temperature_c=5.0), TemperatureChange(limit_c=0.4, readings=60)
    night.poll(200, temperature_c=None)
    assert night.history.outliers.ignored == 200
    assert night.history.since_s == 2000
    assert trigger(night.history).state == "[? #00]"
    assert trigger(night.poll(60, temperature_c=4.0)).due


def test_without_a_known_temperature_drifts_count_from_the_first_average() -> None:
    night, trigger = Night(), TemperatureChange(limit_c=0.4, readings=60)
    assert not trigger(night.poll(60, temperature_c=5.0)).due
    assert trigger(night.poll(60, temperature_c=4.5)).due


def test_images_and_time() -> None:
    night = Night()
    night.poll(4, images=1)
    assert not AfterImages(5)(night.history).due
    assert AfterImages(5)(night.poll(images=1)).due
    assert not AfterTime(60.0)(night.history).due
    assert AfterTime(60.0)(night.poll()).due
    assert AfterTime(60.0)(night.history).state == "[1/1 min]"


def test_where_there_was_no_focus_yet_time_is_up() -> None:
    assert AfterTime(3600.0)(History()).due


def test_a_filter_change_by_the_plan_is_due_at_once() -> None:
    night = Night(filter_name="L")
    assert not FilterChange()(night.poll(filter_name="L", plan=Plan.LIGHT)).due
    assert not FilterChange()(night.poll(filter_name=None, plan=Plan.LIGHT)).due
    assert FilterChange(ask_s=60.0)(night.poll(filter_name="Ha", plan=Plan.LIGHT)).due
    assert not FilterChange()(night.poll(filter_name="L", plan=Plan.LIGHT)).due


def test_the_first_filter_seen_is_no_change() -> None:
    history = polled(NightState(), Snapshot(at=EVENING, filter_name="Ha"), READING).history
    assert not FilterChange()(history).due


@pytest.mark.parametrize("then", [True, False])
def test_a_filter_change_by_hand_is_asked_about(then: bool) -> None:
    night, trigger = Night(filter_name="L"), FilterChange(ask_s=60.0, by_hand=then)
    night.poll(filter_name="L", plan=Plan.IDLE)
    night.poll(filter_name="Ha", plan=Plan.IDLE)
    verdict = trigger(night.poll(3, filter_name="Ha", plan=Plan.IDLE))
    assert not verdict.due
    assert verdict.state == f"[Ha by hand? 30 s, then {'refocus' if then else 'nothing'}]"
    assert not trigger(filter_change_declined(night.state).history).due
    assert trigger(night.poll(3, filter_name="Ha", plan=Plan.IDLE)).due is then


def test_without_a_word_a_busy_camera_is_a_plan() -> None:
    night = Night(filter_name="L")
    night.poll(exposing=True, filter_name="L")
    assert not night.poll(filter_name="Ha").by_hand
    late = Night(filter_name="L")
    late.poll(100, filter_name="L")
    assert late.poll(filter_name="Ha").by_hand


def test_an_offset_takes_the_place_of_a_refocus() -> None:
    night = Night(filter_name="L")
    night.poll(images=3, filter_name="Ha", plan=Plan.LIGHT)
    history = correction_done(night.state, CorrectionMove(target=25025, steps=25, what="offset"), 25025).history
    assert history.baseline is not None
    assert (history.baseline.position, history.baseline.filter_name, history.images) == (25025, "Ha", 3)
    assert not FilterChange()(history).due


def test_a_flip_is_a_change_of_side_while_tracking() -> None:
    night, trigger = Night(), meridian_flip
    night.poll(pier_side=PierSide.EAST, tracking=True)
    assert not trigger(night.poll(pier_side=PierSide.UNKNOWN, tracking=True)).due
    assert not trigger(night.poll(pier_side=PierSide.WEST, tracking=True, slewing=True)).due
    assert trigger(night.poll(pier_side=PierSide.WEST, tracking=True, slewing=False)).due


def test_a_parked_mount_does_not_flip() -> None:
    night = Night()
    night.poll(pier_side=PierSide.EAST, tracking=True)
    assert not night.poll(pier_side=PierSide.WEST, tracking=False, parked=True).flipped


def test_as_soon_as_possible_clears_itself() -> None:
    state = refocus_requested(Night().state)
    assert as_soon_as_possible(state.history).due
    assert not as_soon_as_possible(refocused(state, Baseline(at=EVENING, position=1)).history).due
    assert not as_soon_as_possible(run_failed(state, Patience()).history).due


def test_stars_that_grow_are_seen_and_one_bad_frame_is_not(rng: np.random.Generator) -> None:
    night, trigger = Night(), HfdRise(share=0.15, frames=5)
    for value in rng.normal(3.0, 0.05, 8):
        night.image(float(value))
    assert not trigger(night.image(6.0)).due
    assert not trigger(night.image(3.0)).due
    for value in rng.normal(3.7, 0.05, 5):
        night.image(float(value))
    assert trigger(night.history).due


def test_seeing_that_scatters_as_much_as_it_rises_is_no_defocus() -> None:
    night, trigger = Night(), HfdRise(share=0.15, frames=5)
    night.image(2.0, 3.4, 2.6, 4.0, 3.0)
    assert not trigger(night.image(2.6, 4.4, 3.5, 5.0, 3.4)).due


def test_altitude_and_uncertainty() -> None:
    night = Night(altitude_deg=60.0)
    assert not AltitudeChange(20.0)(night.poll(altitude_deg=45.0)).due
    assert AltitudeChange(20.0)(night.poll(altitude_deg=39.0)).due
    assert not FocusUncertainty(30.0)(night.poll(probable_defocus_steps=29.0)).due
    assert FocusUncertainty(30.0)(night.poll(probable_defocus_steps=31.0)).due
    assert not FocusUncertainty(30.0)(night.poll()).due


def test_failed_runs_make_the_triggers_wait_twice_as_long_each_time() -> None:
    state, patience = Night().state, Patience(first_s=600.0, longest_s=2000.0)
    waits = []
    for _ in range(4):
        state = run_failed(state, patience)
        waits.append(state.history.hold_s)
    assert waits == [600.0, 1200.0, 2000.0, 2000.0]
    assert refocused(state, Baseline(at=EVENING, position=1)).history.failures == 0
    assert run_aborted(Night().state, patience).history.failures == 0


def test_a_failed_run_leaves_what_was_due_due() -> None:
    night = Night()
    night.poll(images=7)
    state = run_failed(night.state, Patience(first_s=600.0))
    assert state.history.images == 7
    assert "waiting after a failed run" in inhibitors(state.history, Snapshot(at=EVENING), -18.0, paused=False)
    state = polled(state, Snapshot(at=EVENING, passed_s=600.0), READING)
    assert inhibitors(state.history, Snapshot(at=EVENING), -18.0, paused=False) == ()


@pytest.mark.parametrize(
    ("shown", "reason"),
    [
        ({"safe": False}, "not safe"),
        ({"safety_unknown": True}, "safety unknown: the monitor does not answer"),
        ({"parked": True, "tracking": False}, "mount parked"),
        ({"tracking": False}, "mount not tracking"),
        ({"slewing": True}, "mount slewing"),
        ({"sun_altitude_deg": -17.9}, "not night"),
        ({"plan": Plan.FLAT}, "the plan takes flat frames"),
        ({"exposing": True}, "exposure running"),
        ({"camera_free": False}, "no gap in the imaging yet"),
        ({"exposing": True, "test_shots": True}, "only test shots are coming"),
        ({"camera_free": False, "test_shots": True}, "only test shots are coming"),
        ({"silent": ("camera 0",)}, "no answer from camera 0"),
    ],
)
def test_each_reason_to_wait_has_a_name(shown: dict[str, Any], reason: str) -> None:
    free = Snapshot(at=EVENING, sun_altitude_deg=-30.0, tracking=True, parked=False, safe=True)
    assert inhibitors(History(), free, -18.0, paused=False) == ()
    assert inhibitors(History(), replace(free, **shown), -18.0, paused=False) == (reason,)


def test_pause_waits_and_the_sun_may_be_ignored() -> None:
    day = Snapshot(at=EVENING, sun_altitude_deg=20.0)
    assert inhibitors(History(), day, None, paused=True) == ("paused",)


def test_waits_are_counted_by_reason_once_for_each_spell() -> None:
    state = refocus_requested(Night().state)
    night, day = Snapshot(at=EVENING), Snapshot(at=EVENING, sun_altitude_deg=3.0)

    def decision_on(snapshot: Snapshot) -> Decision:
        return decided(state.history, snapshot, (as_soon_as_possible,), -18.0, paused=False)

    for snapshot in (day, day, day, night, day):
        state = decision_made(state, snapshot, decision_on(snapshot))
    assert dict(state.history.ignored) == {"not night": 2}
    assert decision_on(night).refocus
    assert decision_on(night).reason == "a refocus was requested"
