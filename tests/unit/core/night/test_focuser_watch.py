"""The position that the focuser reports against the one it was moved to."""

import math

import pytest

from alpaca_focus.core.night.focuser_watch import (
    FocuserReading,
    FocuserWatch,
    PositionJump,
    PositionRules,
    shifted_by_steps,
    watched,
)
from alpaca_focus.core.values import Position

RULES = PositionRules(tolerance_steps=3.0, own_steps=60.0, quiet_s=45.0)
HOME = 24920


def polls(
    *readings: FocuserReading | Position | None, expected: Position | None = HOME, watch: FocuserWatch | None = None
) -> tuple[FocuserWatch, Position | None]:
    """Return the watch after some polls."""
    watch = watch or FocuserWatch(read=expected)
    for each in readings:
        reading = FocuserReading(position=each) if isinstance(each, int) else each
        watch, expected = watched(watch, expected, reading, RULES, is_judged=True)
    return watch, expected


def test_the_first_reading_is_taken_for_the_position_if_none_is_known() -> None:
    watch, expected = polls(25000, 25000, expected=None)
    assert (expected, watch.read, watch.jump, watch.unverified) == (25000, 25000, None, "")


@pytest.mark.parametrize("here", [HOME, HOME - 3, HOME + 3])
def test_a_deviation_within_the_tolerance_is_none(here: Position) -> None:
    watch, expected = polls(here, here, here)
    assert (watch.jump, watch.quiet_s, expected) == (None, 0.0, HOME)


def test_a_move_by_others_is_a_jump_once_it_has_ended() -> None:
    watch, expected = polls(25300, 25700, 26000)
    assert (watch.jump, watch.differs, watch.quiet_s) == (None, True, 45.0)
    watch, expected = polls(26000, watch=watch)
    assert watch.jump == PositionJump(expected=HOME, found=26000)
    assert watch.unverified == "the focuser is at 26000 instead of 24920, moved by others"
    assert expected == HOME


def test_a_single_reading_is_none() -> None:
    watch, _ = polls(0, HOME, HOME)
    assert (watch.jump, watch.unverified, watch.differs) == (None, "", False)


def test_a_jump_that_was_undone_still_needs_a_refocus() -> None:
    watch, _ = polls(26000, 26000, HOME, HOME)
    assert watch.jump is None
    assert watch.unverified == "the focuser is at 26000 instead of 24920, moved by others"


def test_a_second_move_is_another_jump() -> None:
    watch, _ = polls(26000, 26000, 27000, 27000)
    assert watch.jump == PositionJump(expected=HOME, found=27000)
    assert "27000" in watch.unverified


@pytest.mark.parametrize("silent", [True, False])
def test_a_jump_with_a_new_connection_is_a_lost_zero(*, silent: bool) -> None:
    watch, _ = polls(None if silent else HOME, FocuserReading(position=26, reconnected=True), 26)
    assert watch.jump == PositionJump(expected=HOME, found=26, zero_lost=True)
    # Nobody has moved it, so nothing has to wait until that is over.
    assert watch.quiet_s == 0.0
    assert watch.unverified == "the focuser reports 26 instead of 24920 and may have lost its zero"


def test_a_new_connection_at_the_expected_position_is_no_suspicion_later() -> None:
    watch, _ = polls(FocuserReading(position=HOME, reconnected=True), HOME, 26000, 26000)
    assert watch.jump == PositionJump(expected=HOME, found=26000)


def test_the_focusers_own_compensation_moves_it_in_small_steps_only() -> None:
    own = [FocuserReading(position=HOME + 20 * k, compensates=True) for k in range(10)]
    watch, expected = polls(*own)
    assert (watch.jump, expected) == (None, HOME + 180)
    leap = FocuserReading(position=HOME + 1000, compensates=True)
    watch, expected = polls(leap, leap, expected=expected, watch=watch)
    assert watch.jump == PositionJump(expected=HOME + 180, found=HOME + 1000)


def test_nothing_is_judged_while_it_is_on_its_way() -> None:
    watch, expected = FocuserWatch(read=HOME), HOME
    for here in (25500, 26500, 26500, 26500):
        watch, known = watched(watch, expected, FocuserReading(position=here), RULES, is_judged=False)
        assert (watch.read, watch.jump, watch.quiet_s, known) == (here, None, 0.0, HOME)


@pytest.mark.parametrize(
    ("best", "before", "now", "steps"),
    [
        (40.4, 2.5, 2.6, -24880),
        (40.4, None, 2.6, -24880),
        (24900.0, 2.5, 2.6, None),
        (40.4, 2.5, 4.0, None),
        (40.4, math.nan, 2.6, None),
    ],
)
def test_best_focus_shows_whether_all_positions_have_shifted(
    best: float, before: float | None, now: float, steps: int | None
) -> None:
    jump = PositionJump(expected=HOME, found=26, zero_lost=True)
    assert shifted_by_steps(jump, best, before, now) == steps
    assert shifted_by_steps(None, best, before, now) is None
