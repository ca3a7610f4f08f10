from datetime import UTC, datetime, timedelta

from alpaca_focus.feed.night_curves import APART_S, NightCurves, thinned

BEGIN = datetime(2026, 3, 1, 22, 0, tzinfo=UTC)


def test_points_are_recorded_some_time_apart() -> None:
    curves = NightCurves()
    for second in range(0, 241, 2):
        curves.note(
            BEGIN + timedelta(seconds=second), temperature_c=5 - second / 100, position=1000, expected_position=None
        )
    begin_s = BEGIN.timestamp()
    assert [at_s - begin_s for at_s, _ in curves.temperature()] == [0.0, 60.0, 120.0, 180.0, 240.0]
    assert [value for _, value in curves.temperature()] == [5.0, 4.4, 3.8, 3.2, 2.6]
    assert len(curves.position()) == 5
    assert curves.model() == ()


def test_a_move_is_noted_at_once() -> None:
    curves = NightCurves()
    for second, position in ((0, 1000), (2, 1000), (4, 1003), (6, 1003), (8, None)):
        curves.note(
            BEGIN + timedelta(seconds=second), temperature_c=None, position=position, expected_position=position
        )
    assert [value for _, value in curves.position()] == [1000, 1003]
    assert [value for _, value in curves.model()] == [1000]


def test_a_clock_that_is_put_back_does_not_end_it() -> None:
    curves = NightCurves()
    for hours in (0, -3):
        curves.note(BEGIN + timedelta(hours=hours), temperature_c=1.0, position=None, expected_position=None)
    assert len(curves.temperature()) == 2


def test_many_points_become_few_with_both_ends() -> None:
    points = [(APART_S * index, float(index)) for index in range(3000)]
    few = thinned(points, 1000)
    assert len(few) == 1000
    assert (few[0], few[-1]) == (points[0], points[-1])
    assert few == sorted(set(few))
    assert thinned(points[:7], 1000) == points[:7]
