"""The measuring function of each metric, registered under the name of its row in `core.metrics`.

The kind of the metric decides the argument: the HFD measurement for stars, the `SpectrumReport` for a spectrum, the
`Frame` for the frame as a whole, so that stars and spectra are measured once for all of their metrics. Name, unit and
sense of the returned measurement come from the row.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

from alpaca_focus.core.metrics import MEASUREMENTS, METRICS, STAR_SIZE, Metric, MetricKind
from alpaca_focus.core.optics import OpticalTrain
from alpaca_focus.core.values import Frame, Measurement
from alpaca_focus.imaging.invpower import inverse_power
from alpaca_focus.imaging.spectrum import SpectrumReport, SpectrumSettings, measure_spectrum
from alpaca_focus.imaging.star_tracking import StarTracker
from alpaca_focus.imaging.stars import find_frame_stars, summarise_stars

MeasuringFunction = Callable[[Any], Measurement]

ANY_SPECTRUM = SpectrumSettings()
_registered: dict[str, MeasuringFunction] = {}
FUNCTIONS: Mapping[str, MeasuringFunction] = MappingProxyType(_registered)
"""The functions by the name of their metric; they never raise, whatever the frame holds."""


def measures(name: str) -> Callable[[MeasuringFunction], MeasuringFunction]:
    """Register the decorated function for the metric with this name."""

    def register(function: MeasuringFunction) -> MeasuringFunction:
        _registered[name] = function
        return function

    return register


def measure_metric(name: str, frame: Frame, spectrum: SpectrumSettings = ANY_SPECTRUM) -> Measurement:
    """Measure one metric of a frame; the settings apply to metrics of spectra."""
    return _evaluated(METRICS[name], _basis(METRICS[name].kind, frame, spectrum))


def measure_all(measured_as: str, frame: Frame, spectrum: SpectrumSettings = ANY_SPECTRUM) -> tuple[Measurement, ...]:
    """Measure all metrics of `core.metrics.MEASUREMENTS[measured_as]`, in their order."""
    metrics = MEASUREMENTS[measured_as]
    basis = _basis(metrics[0].kind, frame, spectrum)
    return tuple(_evaluated(metric, basis) for metric in metrics)


def measuring(
    name: str, spectrum: SpectrumSettings = ANY_SPECTRUM, rings: OpticalTrain | None = None
) -> Callable[[Frame], Measurement]:
    """Return the measuring function for the frames of one run; for the HFD it tracks the same stars through the run.

    Args:
        name: The metric.
        spectrum: How to measure a spectrum.
        rings: The optics, if rings of stars are to be fitted.
    """
    return StarTracker(rings) if name == STAR_SIZE else partial(measure_metric, name, spectrum=spectrum)


def _basis(kind: MetricKind, frame: Frame, spectrum: SpectrumSettings) -> Measurement | SpectrumReport | Frame:
    match kind:
        case MetricKind.STARS:
            return summarise_stars(frame, find_frame_stars(frame))
        case MetricKind.SPECTRUM:
            return measure_spectrum(frame, spectrum)
        case MetricKind.FRAME:
            return frame


def _evaluated(metric: Metric, basis: Measurement | SpectrumReport | Frame) -> Measurement:
    measured = FUNCTIONS[metric.name](basis)
    return replace(measured, metric=metric.name, unit=metric.unit, lower_is_better=metric.lower_is_better)


@measures(STAR_SIZE)
def _hfd(stars: Measurement) -> Measurement:
    return stars


@measures("fwhm")
def _fwhm(stars: Measurement) -> Measurement:
    fwhm_px = stars.details.get("fwhm_px", math.nan)
    if not stars.usable:
        return stars
    if math.isnan(fwhm_px):
        reason = "too defocused: the stars are rings or discs, which have no FWHM"
        return replace(stars, value=math.nan, stderr=math.nan, usable=False, reason=reason)
    return replace(stars, value=fwhm_px, stderr=stars.details["fwhm_stderr_px"])


measures("invpower")(inverse_power)


@measures("spectrum_fwhm")
def _spectrum_fwhm(report: SpectrumReport) -> Measurement:
    return _of_spectrum(report, report.fwhm_px, report.fwhm_stderr_px)


@measures("nsig")
def _nsig(report: SpectrumReport) -> Measurement:
    measured = _of_spectrum(report, report.nsig, report.nsig_stderr)
    if measured.usable and math.isnan(report.nsig):
        return replace(measured, usable=False, reason="the exposure time is not known, which NSIG is divided by")
    return measured


def _of_spectrum(report: SpectrumReport, value: float, stderr: float) -> Measurement:
    return Measurement(
        metric="",
        value=value,
        stderr=stderr,
        usable=report.usable,
        reason=report.reason,
        flags=MappingProxyType(dict(report.flags)),
        details=MappingProxyType(
            {name: getattr(report, name) for name in ("fwhm_px", "fwhm_arcsec", "nsig", "trace_row", "snr")}
        ),
    )
