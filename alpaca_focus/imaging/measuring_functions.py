"""The measuring function of each metric, registered under the name of its row in `core.metrics`.

What a function is given follows from the kind of its metric: the HFD measurement for stars, the `SpectrumReport` for a
spectrum, the `Frame` for the frame as a whole. So stars and spectra are measured once for all of their metrics. Name,
unit and sense of the measurement that it returns are put in by the row.
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
from alpaca_focus.imaging.following import StarFollower
from alpaca_focus.imaging.invpower import inverse_power
from alpaca_focus.imaging.spectrum import SpectrumReport, SpectrumSettings, measure_spectrum
from alpaca_focus.imaging.stars import found_in, summarised

MeasuringFunction = Callable[[Any], Measurement]

ANY_SPECTRUM = SpectrumSettings()
_registered: dict[str, MeasuringFunction] = {}
FUNCTIONS: Mapping[str, MeasuringFunction] = MappingProxyType(_registered)
"""The functions by the name of their metric; they never raise for what a frame holds."""


def measures(name: str) -> Callable[[MeasuringFunction], MeasuringFunction]:
    """Register a function as the measuring function of a metric.

    Args:
        name: The name of the metric's row.
    """

    def register(function: MeasuringFunction) -> MeasuringFunction:
        _registered[name] = function
        return function

    return register


def measure_metric(name: str, frame: Frame, spectrum: SpectrumSettings = ANY_SPECTRUM) -> Measurement:
    """Measure one metric of a frame, with these settings where it is one of spectra."""
    return _evaluated(METRICS[name], _basis(METRICS[name].kind, frame, spectrum))


def measure_all(measured_as: str, frame: Frame, spectrum: SpectrumSettings = ANY_SPECTRUM) -> tuple[Measurement, ...]:
    """Measure all metrics that come from one measurement of a frame.

    Args:
        measured_as: A name in `core.metrics.MEASUREMENTS`.
        frame: The frame.
        spectrum: How to measure it where it is a spectrum.

    Returns:
        The measurements, in the order of the metrics there.
    """
    metrics = MEASUREMENTS[measured_as]
    basis = _basis(metrics[0].kind, frame, spectrum)
    return tuple(_evaluated(metric, basis) for metric in metrics)


def measuring(
    name: str, spectrum: SpectrumSettings = ANY_SPECTRUM, rings: OpticalTrain | None = None
) -> Callable[[Frame], Measurement]:
    """Return how the frames of one run are measured; the size of stars by the same ones through the whole run.

    Args:
        name: The metric.
        spectrum: How to measure a spectrum.
        rings: The optics, when rings of stars are to be fitted.
    """
    return StarFollower(rings) if name == STAR_SIZE else partial(measure_metric, name, spectrum=spectrum)


def _basis(kind: MetricKind, frame: Frame, spectrum: SpectrumSettings) -> Measurement | SpectrumReport | Frame:
    match kind:
        case MetricKind.STARS:
            return summarised(frame, found_in(frame))
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
