from collections.abc import Iterable
from dataclasses import replace

import pytest

from alpaca_focus.devices.arrival import ArrivalRules, MoveProgress, MoveWatch, legs

RULES = ArrivalRules(tolerance_steps=1, disbelief_s=3.0, start_patience_s=2.5, stall_timeout_s=30.0)
POLL_S = 0.1


def follow(
    start: int, target: int, readings: Iterable[tuple[int, bool]], rules: ArrivalRules = RULES
) -> tuple[MoveProgress, float]:
    """Feed (position, is moving) readings a poll apart; the last one stays for ever."""
    watch = MoveWatch(target, start, 0.0, rules)
    now_s, last = 0.0, (start, False)
    steady = iter(readings)
    while now_s < 1000.0:
        now_s += POLL_S
        last = next(steady, last)
        progress = watch.update(last[0], now_s, is_moving=last[1])
        if progress is not MoveProgress.UNDER_WAY:
            return progress, now_s
    raise AssertionError("the move was never judged")


def ramp(start: int, target: int, step: int, *, is_moving: bool) -> list[tuple[int, bool]]:
    return [(position, is_moving) for position in range(start, target, step)]


def test_an_honest_move_is_over_at_the_second_reading_at_rest() -> None:
    progress, now_s = follow(0, 1000, [*ramp(0, 1000, 100, is_moving=True), (1000, False)])
    assert progress is MoveProgress.ARRIVED
    assert now_s == pytest.approx(1.2)


def test_passing_through_the_target_is_no_arrival() -> None:
    overshoot = [(900, True), (1000, True), (1100, True), (1050, True), (1000, False)]
    progress, now_s = follow(0, 1000, overshoot)
    assert progress is MoveProgress.ARRIVED
    assert now_s == pytest.approx(0.6)


def test_a_late_first_motion_is_waited_for() -> None:
    progress, _ = follow(0, 1000, [*[(0, False)] * 20, (500, True), (1000, False)])
    assert progress is MoveProgress.ARRIVED


def test_a_focuser_that_never_reports_moving_arrives() -> None:
    progress, _ = follow(0, 1000, [*ramp(0, 1000, 10, is_moving=False), (1000, False)])
    assert progress is MoveProgress.ARRIVED


def test_a_slow_focuser_that_never_reports_moving_has_not_stopped() -> None:
    slowly = [(position, False) for position in range(20) for _ in range(20)]
    assert follow(0, 20, [*slowly, (20, False)])[0] is MoveProgress.ARRIVED


def test_a_focuser_that_always_reports_moving_arrives_in_the_end() -> None:
    progress, now_s = follow(0, 1000, [(500, True), (1000, True)])
    assert progress is MoveProgress.ARRIVED
    assert now_s == pytest.approx(0.2 + RULES.disbelief_s, abs=0.15)


def test_a_move_of_one_step_is_not_over_before_it_began() -> None:
    progress, now_s = follow(1000, 1001, [*[(1000, False)] * 5, (1001, True), (1001, False)])
    assert progress is MoveProgress.ARRIVED
    assert now_s == pytest.approx(0.7)


def test_a_rest_one_step_off_is_an_arrival_after_a_while() -> None:
    progress, now_s = follow(0, 1000, [(999, False)])
    assert progress is MoveProgress.ARRIVED
    assert now_s >= RULES.start_patience_s


def test_a_rest_within_the_tolerance_is_an_arrival() -> None:
    rules = replace(RULES, tolerance_steps=3)
    assert follow(0, 1000, [(500, False), (997, False)], rules)[0] is MoveProgress.ARRIVED
    assert follow(0, 1000, [(500, False), (996, False)], rules)[0] is MoveProgress.STOPPED_SHORT


def test_a_focuser_that_has_reported_moving_is_believed_when_it_stops_within_the_tolerance() -> None:
    progress, now_s = follow(0, 1000, [(500, True), (998, True), (998, False)], replace(RULES, tolerance_steps=3))
    assert progress is MoveProgress.ARRIVED
    assert now_s == pytest.approx(0.3)


def test_a_rest_elsewhere_is_a_stop() -> None:
    assert follow(0, 1000, [(500, True), (900, False)])[0] is MoveProgress.STOPPED_SHORT


def test_a_focuser_that_reports_moving_and_stands_still_has_stalled() -> None:
    progress, now_s = follow(0, 1000, [(500, True)])
    assert progress is MoveProgress.STALLED
    assert now_s == pytest.approx(0.1 + RULES.stall_timeout_s, abs=0.15)


def test_a_focuser_that_trembles_without_coming_nearer_has_stalled() -> None:
    assert follow(0, 1000, [(500 + i % 3, True) for i in range(1000)])[0] is MoveProgress.STALLED


@pytest.mark.parametrize(
    ("start", "target", "longest", "expected"),
    [
        (0, 1000, 1000, (1000,)),
        (0, 1000, 400, (400, 800, 1000)),
        (1000, 0, 400, (600, 200, 0)),
        (0, 800, 400, (400, 800)),
        (5, 5, 10, (5,)),
        (0, 1000, 0, (1000,)),
    ],
)
def test_long_moves_are_split(start: int, target: int, longest: int, expected: tuple[int, ...]) -> None:
    assert legs(start, target, longest) == expected
