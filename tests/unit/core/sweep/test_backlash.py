import pytest

from alpaca_focus.core.sweep.backlash import Backlash, Direction, Limits, approach, reachable

LIMITS = Limits(lowest=0, highest=10000)
INWARD = Backlash(steps=100, arrive=Direction.IN)
OUTWARD = Backlash(steps=100, arrive=Direction.OUT)


def legs(current: int, target: int, backlash: Backlash, *, backlash_taken_up: bool = True) -> tuple[int, ...]:
    return approach(current, target, backlash=backlash, limits=LIMITS, backlash_taken_up=backlash_taken_up)


def test_a_move_in_the_direction_of_arrival_is_direct() -> None:
    assert legs(5000, 4990, INWARD) == (4990,)
    assert legs(5000, 5010, OUTWARD) == (5010,)


def test_a_move_against_it_goes_past_and_comes_back() -> None:
    assert legs(5000, 5010, INWARD) == (5110, 5010)
    assert legs(5000, 4990, OUTWARD) == (4890, 4990)


def test_a_short_move_after_an_unknown_one_takes_up_the_backlash_first() -> None:
    assert legs(5000, 4990, INWARD, backlash_taken_up=False) == (5090, 4990)
    assert legs(5000, 4800, INWARD, backlash_taken_up=False) == (4800,)


def test_staying_needs_no_move_unless_the_backlash_is_unknown() -> None:
    assert legs(5000, 5000, INWARD) == ()
    assert legs(5000, 5000, INWARD, backlash_taken_up=False) == (5100, 5000)


def test_no_leg_passes_a_limit() -> None:
    assert legs(9000, 9950, INWARD) == (10000, 9950)
    assert legs(9000, 10000, INWARD) == (10000,)


@pytest.mark.parametrize(
    ("backlash", "lowest", "highest"),
    [(INWARD, 0, 9900), (OUTWARD, 100, 10000), (Backlash(steps=0, arrive=Direction.IN), 0, 10000)],
)
def test_reachable_leaves_room_for_the_overshoot(backlash: Backlash, lowest: int, highest: int) -> None:
    assert reachable(LIMITS, backlash) == Limits(lowest=lowest, highest=highest)
