"""The measuring functions: every row of the table of metrics can be used alike."""

import math
from dataclasses import replace

import numpy as np
import pytest

from alpaca_focus.core.metrics import METRICS, MetricKind
from alpaca_focus.imaging.measuring_functions import FUNCTIONS, measure_metric
from tests.drawn_spectra import as_frame, drawn_spectrum
from tests.synthetic import drawn_field


def test_every_row_has_its_function() -> None:
    assert FUNCTIONS.keys() == METRICS.keys()


@pytest.mark.parametrize("name", METRICS)
def test_a_measurement_agrees_with_its_row(name: str, rng: np.random.Generator) -> None:
    pixels = (
        drawn_spectrum(rng).pixels
        if METRICS[name].kind is MetricKind.SPECTRUM
        else drawn_field(rng, blur_px=0.0).pixels
    )
    found = measure_metric(name, as_frame(pixels))
    assert found.usable, found.reason
    assert (found.metric, found.unit, found.lower_is_better) == (
        name,
        METRICS[name].unit,
        METRICS[name].lower_is_better,
    )
    assert found.value > 0
    assert found.stderr > 0


@pytest.mark.parametrize("name", METRICS)
def test_what_cannot_be_measured_has_a_reason_and_its_name(name: str) -> None:
    found = measure_metric(name, as_frame(np.zeros((80, 80), np.uint16)))
    assert not found.usable
    assert found.metric == name
    assert found.reason
    assert math.isnan(found.value)


def test_rings_have_no_fwhm(rng: np.random.Generator) -> None:
    found = measure_metric("fwhm", as_frame(drawn_field(rng, blur_px=25.0, obstruction=0.35).pixels))
    assert not found.usable
    assert "too defocused" in found.reason


def test_nsig_needs_an_exposure_time(rng: np.random.Generator) -> None:
    found = measure_metric("nsig", replace(as_frame(drawn_spectrum(rng).pixels), exposure_s=math.nan))
    assert not found.usable
    assert "exposure time" in found.reason
