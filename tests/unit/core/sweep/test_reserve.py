"""How much time a run still needs, from what it has seen."""

import pytest

from alpaca_focus.core.sweep.reserve import FIRST_OVERHEAD_S, FIRST_RESTORE_S, MARGIN_S, Reserve


def test_before_anything_was_seen_it_is_guessed() -> None:
    assert Reserve(4.0).needed_s(500) == 4.0 + FIRST_OVERHEAD_S + FIRST_RESTORE_S + MARGIN_S


def test_the_longest_cycle_counts() -> None:
    reserve = Reserve(4.0)
    for at_s in (0.0, 9.0, 15.0):
        reserve.exposing(4.0, at_s)
    assert reserve.needed_s(0) == 4.0 + 5.0 + FIRST_RESTORE_S + MARGIN_S


def test_another_exposure_time_changes_only_itself() -> None:
    reserve = Reserve(4.0)
    for at_s in (0.0, 9.0):
        reserve.exposing(4.0, at_s)
    assert reserve.needed_s(0, 12.0) - reserve.needed_s(0) == 8.0
    reserve.exposing(12.0, 18.0)
    assert reserve.needed_s(0) == 12.0 + 5.0 + FIRST_RESTORE_S + MARGIN_S


def test_rests_and_handovers_belong_to_no_cycle() -> None:
    reserve = Reserve(4.0)
    reserve.exposing(4.0, 0.0)
    reserve.rested(20.0)
    reserve.exposing(4.0, 30.0)
    reserve.interrupted()
    reserve.exposing(4.0, 1000.0)
    assert reserve.needed_s(0) == 4.0 + 6.0 + FIRST_RESTORE_S + MARGIN_S


def test_the_way_home_is_twice_the_longest_move() -> None:
    reserve = Reserve(4.0)
    reserve.moved(300, 3.0)
    reserve.moved(200, 4.0)
    assert reserve.needed_s(250) == 4.0 + FIRST_OVERHEAD_S + 8.0 + MARGIN_S


def test_many_small_moves_away_are_a_long_way_home() -> None:
    reserve = Reserve(4.0)
    reserve.moved(100, 1.0)
    assert reserve.needed_s(600) == pytest.approx(4.0 + FIRST_OVERHEAD_S + 12.0 + MARGIN_S)


def test_a_move_to_the_same_position_counts_by_its_time_only() -> None:
    reserve = Reserve(4.0)
    reserve.moved(0, 1.0)
    assert reserve.needed_s(600) == 4.0 + FIRST_OVERHEAD_S + 2.0 + MARGIN_S


def test_a_guider_that_takes_long_is_reckoned_with() -> None:
    reserve = Reserve(4.0)
    before_s = reserve.needed_s(0)
    reserve.guided(7.0)
    reserve.guided(3.0)
    assert reserve.needed_s(0) - before_s == 7.0
