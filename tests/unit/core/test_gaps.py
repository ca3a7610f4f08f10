"""An imaging program that leaves no gap: told once a night, and only when it really leaves none."""

from hypothesis import given
from hypothesis import strategies as st

from alpaca_focus.core.gaps import IMAGES_WITHOUT_A_GAP, NIGHT_S, Squeeze

LOOKS = st.lists(st.tuples(st.booleans(), st.integers(0, 1)), max_size=60)


def looked(squeeze: Squeeze, *looks: tuple[bool, int]) -> Squeeze:
    for waits, exposures in looks:
        squeeze = squeeze.looked(waits=waits, exposures=exposures)
    return squeeze


def test_three_images_without_a_gap_are_too_many() -> None:
    squeeze = looked(Squeeze(), (True, 1), (True, 1), (True, 0), (True, 1))
    assert not squeeze.is_to_be_told
    assert looked(squeeze, (True, 1)).is_to_be_told


def test_one_gap_begins_the_count_anew() -> None:
    squeeze = looked(Squeeze(), (True, 0), (True, 1), (True, 1), (False, 0), (True, 1), (True, 1), (True, 1))
    assert not squeeze.is_to_be_told


def test_a_lost_gap_is_told_at_once_and_forgotten_by_a_good_focus() -> None:
    assert Squeeze().gap_lost().is_to_be_told
    assert not Squeeze().gap_lost().refocused().is_to_be_told


def test_it_is_told_once_a_night() -> None:
    squeeze = Squeeze().gap_lost().told().refocused().gap_lost()
    assert (squeeze.is_to_be_told, squeeze.is_told) == (False, True)
    later = squeeze.later(NIGHT_S)
    assert (later.is_to_be_told, later.is_told) == (True, False)


@given(LOOKS)
def test_it_takes_that_many_images_in_one_wait(looks: list[tuple[bool, int]]) -> None:
    squeeze, longest, here = Squeeze(), 0, None
    for waits, exposures in looks:
        squeeze = squeeze.looked(waits=waits, exposures=exposures)
        here = None if not waits else 0 if here is None else here + exposures
        longest = max(longest, here or 0)
        assert squeeze.is_to_be_told is ((here or 0) >= IMAGES_WITHOUT_A_GAP)
    assert longest <= len(looks)
