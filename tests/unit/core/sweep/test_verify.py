"""What the verifying frame must show."""

import math
from dataclasses import replace

import pytest

from alpaca_focus.core.sweep.generator import better_earlier_frame, matches_prediction
from alpaca_focus.core.values import Fit, Measurement, Sample

PREDICTION = Fit(
    model="hyperbola",
    best_position=1000.0,
    best_position_stderr=3.0,
    best_value=2.0,
    parameters={"slope": 0.04},
    r_squared=0.99,
    residuals=(),
)


def frame(value: float, *, metric: str = "hfd", nsig: float | None = None, position: int = 1000) -> Sample:
    details = {} if nsig is None else {"nsig": nsig}
    measurement = Measurement(metric=metric, value=value, stderr=0.02 * value, star_count=30, details=details)
    return Sample(position=position, measurement=measurement, purpose="verify")


@pytest.mark.parametrize(("value", "matches"), [(1.5, True), (2.0, True), (2.5, True), (3.3, False), (6.0, False)])
def test_a_frame_matches_the_prediction_within_the_error_and_the_seeing(value: float, matches: bool) -> None:
    assert matches_prediction(frame(value).measurement, PREDICTION) is matches


def test_a_high_signal_matches_the_prediction() -> None:
    prediction = replace(PREDICTION, model="hyperbola of the reciprocal", best_value=500.0)

    def matches(signal: float) -> bool:
        measured = replace(frame(signal, metric="nsig").measurement, lower_is_better=False, unit="ADU/s")
        return matches_prediction(measured, prediction)

    assert [matches(signal) for signal in (700.0, 500.0, 420.0, 300.0)] == [True, True, True, False]


def test_a_frame_without_stars_matches_no_prediction() -> None:
    dark = Measurement(metric="hfd", value=math.nan, stderr=math.nan, usable=False, reason="no stars found")
    assert not matches_prediction(dark, PREDICTION)


def test_a_focus_that_is_worse_than_the_start_is_none() -> None:
    start, end = frame(2.0, position=900), frame(3.2)
    assert better_earlier_frame(end, [start, end]) is start
    assert better_earlier_frame(frame(2.4), [start]) is None
    assert better_earlier_frame(end, [end]) is None


def test_a_narrow_spectrum_needs_its_signal_as_well() -> None:
    bright = frame(3.0, metric="spectrum_fwhm", nsig=400.0, position=900)
    assert better_earlier_frame(frame(2.0, metric="spectrum_fwhm", nsig=250.0), [bright]) is bright
    assert better_earlier_frame(frame(2.0, metric="spectrum_fwhm", nsig=390.0), [bright]) is None
