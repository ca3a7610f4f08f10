"""Which temperatures are believed, and their averages."""

import math

import numpy as np
import pytest

from alpaca_focus.core.night.outlier_filter import ACCEPTED_AFTER, OutlierFilter, Window, steady_mean


def filtered(*readings: float | None) -> OutlierFilter:
    outliers = OutlierFilter()
    for reading in readings:
        outliers = outliers.take(reading)
    return outliers


def test_steady_readings_are_believed() -> None:
    assert filtered(4.0, 3.9, 3.7) == OutlierFilter(last_c=3.7)


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (None, "no temperature"),
        (math.nan, "no temperature"),
        (85.0, "impossible"),
        (-127.0, "impossible"),
        (24.0, "jumped from 4.0"),
    ],
)
def test_an_impossible_reading_is_ignored_and_counted_with_the_reason(bad: float | None, why: str) -> None:
    outliers = filtered(4.0, bad)
    assert outliers.last_c == 4.0
    assert outliers.ignored == 1
    assert why in outliers.rejection
    healed = outliers.take(4.1)
    assert (healed.last_c, healed.rejection, healed.ignored) == (4.1, "", 1)


def test_a_jump_that_stays_is_believed_in_the_end() -> None:
    jumped = [24.0 + 0.1 * number for number in range(ACCEPTED_AFTER)]
    assert filtered(4.0, *jumped[:-1]).last_c == 4.0
    assert filtered(4.0, *jumped).last_c == jumped[-1]


def test_a_flickering_sensor_is_never_believed() -> None:
    assert filtered(4.0, *[24.0, 40.0, 12.0] * 10).last_c == 4.0


def test_a_window_acts_when_it_is_full_and_begins_anew() -> None:
    window = Window()
    for number in range(7):
        window = window.take(1.0 + number, size=3)
    assert window == Window(readings_c=(7.0,), mean_c=5.0, filled=2)
    assert window.latest_c == 5.0
    assert Window().take(2.0, size=3).latest_c == 2.0
    assert Window().latest_c is None


def test_a_gust_does_not_move_an_average(rng: np.random.Generator) -> None:
    calm = rng.normal(3.0, 0.05, 50)
    gusts = rng.uniform(0.5, 1.5, 10)
    assert steady_mean((*calm, *gusts)) == pytest.approx(3.0, abs=0.05)
