"""The table of metrics: one row each, so that a new one is one function and one row."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

from alpaca_focus.core.values import Frame, Measurement
from alpaca_focus.imaging import invpower, stars
from alpaca_focus.imaging.spectrum import SpectrumReport, SpectrumSettings, measure_spectrum

ANY_SPECTRUM = SpectrumSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """How one measure of focus is taken from a frame.

    Attributes:
        function: From a frame to its measurement; never raises for what a frame holds.
        unit: Unit of the value.
        lower_is_better: Sense of the metric.
        description: What it is.
    """

    function: Callable[[Frame], Measurement]
    unit: str
    lower_is_better: bool
    description: str


def _hfd(frame: Frame) -> Measurement:
    return stars.measure_stars(
        frame.pixels,
        saturation_adu=frame.saturation_adu,
        bayer=frame.bayer,
        electrons_per_adu=frame.electrons_per_adu,
    )


def _fwhm(frame: Frame) -> Measurement:
    measured = _hfd(frame)
    fwhm_px = measured.details.get("fwhm_px", math.nan)
    if not measured.usable:
        return replace(measured, metric="fwhm")
    if math.isnan(fwhm_px):
        reason = "too defocused: the stars are rings or discs, which have no FWHM"
        return replace(measured, metric="fwhm", value=math.nan, stderr=math.nan, usable=False, reason=reason)
    return replace(measured, metric="fwhm", value=fwhm_px, stderr=measured.details["fwhm_stderr_px"])


def measuring(name: str, spectrum: SpectrumSettings) -> Callable[[Frame], Measurement]:
    """Return how a metric is taken from a frame, with these settings where it is one of spectra."""
    by_settings = {"spectrum_fwhm": _spectrum_fwhm, "nsig": _nsig}
    return partial(by_settings[name], settings=spectrum) if name in by_settings else METRICS[name].function


def _spectrum_fwhm(frame: Frame, settings: SpectrumSettings = ANY_SPECTRUM) -> Measurement:
    report = measure_spectrum(frame, settings)
    return replace(_of_spectrum(report), metric="spectrum_fwhm", value=report.fwhm_px, stderr=report.fwhm_stderr_px)


def _nsig(frame: Frame, settings: SpectrumSettings = ANY_SPECTRUM) -> Measurement:
    report = measure_spectrum(frame, settings)
    measured = replace(
        _of_spectrum(report),
        metric="nsig",
        value=report.nsig,
        stderr=report.nsig_stderr,
        unit="ADU/s",
        lower_is_better=False,
    )
    if measured.usable and math.isnan(report.nsig):
        return replace(measured, usable=False, reason="the exposure time is not known, which NSIG is divided by")
    return measured


def _of_spectrum(report: SpectrumReport) -> Measurement:
    return Measurement(
        metric="",
        value=math.nan,
        stderr=math.nan,
        usable=report.usable,
        reason=report.reason,
        flags=MappingProxyType(dict(report.flags)),
        details=MappingProxyType(
            {name: getattr(report, name) for name in ("fwhm_px", "fwhm_arcsec", "nsig", "trace_row", "snr")}
        ),
    )


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "hfd": Metric(function=_hfd, unit="px", lower_is_better=True, description="half-flux diameter of the stars"),
        "fwhm": Metric(
            function=_fwhm, unit="px", lower_is_better=True, description="full width at half maximum of the stars"
        ),
        "invpower": Metric(
            function=invpower.inverse_power,
            unit=invpower.UNIT,
            lower_is_better=True,
            description="inverse power of the whole frame, where stars cannot be separated",
        ),
        "spectrum_fwhm": Metric(
            function=_spectrum_fwhm,
            unit="px",
            lower_is_better=True,
            description="full width at half maximum of a spectrum across its trace",
        ),
        "nsig": Metric(
            function=_nsig,
            unit="ADU/s",
            lower_is_better=False,
            description="signal of a spectrum above its background, to a second",
        ),
    }
)
OF_STARS = frozenset({"hfd", "fwhm"})
OF_SPECTRA = frozenset({"spectrum_fwhm", "nsig"})
