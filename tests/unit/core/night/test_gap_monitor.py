"""An imaging program that leaves no gap: advised once a night, and only when it really leaves none."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from alpaca_focus.core.night.state import IMAGES_WITHOUT_A_GAP, NIGHT_S, GapMonitor, NightState
from alpaca_focus.core.night.transitions import gap_advice_logged, gap_lost

POLLS = st.lists(st.tuples(st.booleans(), st.integers(0, 1)), max_size=60)


def polled(gaps: GapMonitor, *polls: tuple[bool, int]) -> GapMonitor:
    for waits, exposures in polls:
        gaps = gaps.polled(waits=waits, exposures=exposures)
    return gaps


def test_three_images_without_a_gap_are_too_many() -> None:
    gaps = polled(GapMonitor(), (True, 1), (True, 1), (True, 0), (True, 1))
    assert not gaps.needs_advice
    assert polled(gaps, (True, 1)).needs_advice


def test_one_gap_restarts_the_count() -> None:
    gaps = polled(GapMonitor(), (True, 0), (True, 1), (True, 1), (False, 0), (True, 1), (True, 1), (True, 1))
    assert not gaps.needs_advice


def test_a_lost_gap_needs_advice_at_once_and_is_forgotten_by_a_good_focus() -> None:
    gaps = gap_lost(NightState()).history.gaps
    assert gaps.needs_advice
    assert not gaps.refocused().needs_advice


def test_advice_is_logged_once_a_night() -> None:
    state = gap_advice_logged(gap_lost(NightState()))
    gaps = gap_lost(replace(state, history=replace(state.history, gaps=state.history.gaps.refocused()))).history.gaps
    assert (gaps.lost_gaps, gaps.needs_advice, gaps.is_advised) == (1, False, True)
    later = replace(gaps, advised_s=gaps.advised_s + NIGHT_S)
    assert (later.needs_advice, later.is_advised) == (True, False)


@given(POLLS)
def test_it_takes_that_many_images_in_one_wait(polls: list[tuple[bool, int]]) -> None:
    gaps, longest, here = GapMonitor(), 0, None
    for waits, exposures in polls:
        gaps = gaps.polled(waits=waits, exposures=exposures)
        here = None if not waits else 0 if here is None else here + exposures
        longest = max(longest, here or 0)
        assert gaps.needs_advice is ((here or 0) >= IMAGES_WITHOUT_A_GAP)
    assert longest <= len(polls)
