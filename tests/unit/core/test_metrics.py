"""The table of metrics, and what derives from it."""

import math

import pytest

from alpaca_focus.core.metrics import (
    COLUMNS,
    CURVES,
    METRICS,
    Blur,
    blur_of,
    blur_width,
    fitted_curves,
    label_of,
    relative_width_error,
    result_text,
)
from alpaca_focus.core.values import Measurement


def test_the_table_has_the_metrics_of_the_field() -> None:
    assert list(METRICS) == ["hfd", "fwhm", "invpower", "spectrum_fwhm", "nsig"]
    assert [name for name, metric in METRICS.items() if not metric.lower_is_better] == ["nsig"]


def test_every_judge_comes_from_the_same_measurement() -> None:
    judged = [row for row in METRICS.values() if row.judge]
    assert judged
    assert all(METRICS[row.judge].measured_as == row.measured_as for row in judged)


def test_the_columns_of_tables_are_those_that_scripts_read() -> None:
    assert {
        "stars": (
            *("hfd_px", "hfd_stderr_px", "fwhm_px", "fwhm_stderr_px"),
            *("stars", "eccentricity", "sky_adu", "median_snr"),
        ),
        "spectrum": ("fwhm_px", "fwhm_stderr_px", "fwhm_arcsec", "nsig", "nsig_stderr", "trace_row", "snr"),
        "invpower": ("invpower", "invpower_stderr"),
    } == COLUMNS
    assert list(CURVES) == ["hfd", "hfr", "fwhm", "nsig", "invpower"]


def test_what_is_fitted_is_the_first_metric_and_what_judges_it() -> None:
    assert {name: fitted_curves(name) for name in COLUMNS} == {
        "stars": ("hfd",),
        "spectrum": ("fwhm", "nsig"),
        "invpower": ("invpower",),
    }


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("hfd", "HFD"),
        ("invpower", "InvPower"),
        ("spectrum_fwhm", "spectrum FWHM"),
        ("my_hfr", "my HFR"),
        ("size", "size"),
    ],
)
def test_names_are_written_as_the_field_writes_them(name: str, label: str) -> None:
    assert label_of(name) == label


@pytest.mark.parametrize(
    ("metric", "lower", "blur"),
    [
        ("hfd", True, Blur.WIDTH),
        ("invpower", True, Blur.AREA),
        ("nsig", False, Blur.RECIPROCAL),
        ("size", True, Blur.WIDTH),
        ("light", False, Blur.RECIPROCAL),
    ],
)
def test_any_metric_is_a_width_of_the_blur(metric: str, lower: bool, blur: Blur) -> None:
    measured = Measurement(metric=metric, value=4.0, stderr=0.4, lower_is_better=lower)
    assert blur_of(measured) is blur
    assert blur_width(measured) == pytest.approx(4.0**blur.power)
    assert relative_width_error(measured) == pytest.approx(0.1 * abs(blur.power))


def test_a_frame_that_shows_nothing_is_infinitely_far_from_focus() -> None:
    dark = Measurement(metric="hfd", value=math.nan, stderr=math.nan, usable=False, reason="no stars found")
    lost = Measurement(metric="nsig", value=-1.0, stderr=5.0, lower_is_better=False)
    assert (blur_width(dark), blur_width(lost)) == (math.inf, math.inf)
    assert result_text(dark) == "nothing (no stars found)"


def test_a_small_value_is_written_with_its_digits() -> None:
    tiny = Measurement(metric="invpower", value=1.25e-6, stderr=1e-8, unit="1/ADU^2")
    assert result_text(tiny) == "InvPower 1.25e-06 1/ADU^2"
