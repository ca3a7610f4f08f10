"""Which changes of the night's state must be on disk at once."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from alpaca_focus.core.night.focuser_watch import FocuserReading
from alpaca_focus.core.night.save_marks import kept_across_nights, must_save
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
    after_absence,
    compensation_switched,
    correction_begun,
    correction_done,
    correction_refused,
    filter_reported,
    flip_reported,
    gap_advice_logged,
    gap_lost,
    hfd_reported,
    image_reported,
    moved_by_program,
    pause_switched,
    plan_reported,
    polled,
    refocus_requested,
    refocused,
    returned,
    run_aborted,
    run_failed,
)

EVENING = datetime(2026, 1, 15, 20, tzinfo=UTC)
BASELINE = Baseline(at=EVENING, position=25000)
MOVE = CorrectionMove(target=24970, steps=-30, what="compensation")
ELSEWHERE = FocuserReading(position=26000, reconnected=True)
READING = Reading(every_s=10.0, count=60, followed_count=12)


def quiet_poll(state: NightState, **shown: object) -> NightState:
    return polled(state, replace(Snapshot(at=EVENING, passed_s=10.0, temperature_c=5.0), **shown), READING)


STATE = quiet_poll(refocused(NightState(), BASELINE))


@pytest.mark.parametrize(
    "after",
    [
        refocus_requested(STATE),
        pause_switched(STATE, on=True),
        compensation_switched(STATE, on=False),
        plan_reported(STATE, Plan.FLAT),
        filter_reported(STATE, "Ha"),
        flip_reported(STATE),
        image_reported(STATE),
        hfd_reported(STATE, 2.5),
        refocused(STATE, replace(BASELINE, position=25001)),
        run_failed(STATE, Patience()),
        run_aborted(STATE, Patience()),
        gap_lost(STATE),
        gap_advice_logged(STATE),
        moved_by_program(STATE, 25010, EVENING),
        correction_begun(STATE, MOVE),
        correction_done(STATE, MOVE, MOVE.target),
        correction_done(STATE, replace(MOVE, what="offset"), MOVE.target),
        returned(STATE, 25000, is_verified=False),
        quiet_poll(quiet_poll(STATE, focuser=ELSEWHERE), focuser=ELSEWHERE),
        correction_refused(STATE, "compensation", "It is at its limit."),
        quiet_poll(STATE, images=1),
        quiet_poll(STATE, pier_side=PierSide.WEST),
        quiet_poll(STATE, filter_name="L"),
    ],
)
def test_an_event_is_saved_at_once(after: NightState) -> None:
    assert must_save(STATE, after)
    assert not must_save(after, after)


def test_time_and_single_readings_wait_for_the_next_write() -> None:
    state = run_failed(gap_advice_logged(STATE), Patience())
    after = quiet_poll(state)
    assert after.history.hold_s < state.history.hold_s
    assert after.history.gaps.advised_s > state.history.gaps.advised_s
    assert not must_save(state, after)


def test_a_longer_absence_than_a_night_keeps_what_people_switched_and_an_unfinished_move() -> None:
    state = correction_begun(filter_reported(pause_switched(image_reported(STATE), on=True), "Ha"), MOVE)
    assert after_absence(state, 13 * 3600.0) == NightState(
        paused=True, reported_filter="Ha", unfinished_move=MOVE, expected_position=25000
    )
    assert kept_across_nights(NightState()) == {
        "paused": False,
        "follows": True,
        "reported_filter": None,
        "unfinished_move": None,
        "expected_position": None,
    }


def test_a_shorter_absence_counts_as_time() -> None:
    state = run_failed(image_reported(STATE), Patience(first_s=600.0))
    history = after_absence(state, 300.0).history
    assert (history.images, history.hold_s) == (1, 300.0)
    assert history.since_s == state.history.since_s + 300.0
    assert isinstance(history, History)
