"""Measures focus from a 2D slit spectrum: the width of its trace, and the light through the slit.

The width is the FWHM of a Gaussian across the trace. NSIG is the light of the trace above its background, as the mean
over the columns of the slice, per second of exposure; the mean and not the sum, so that it does not depend on the slice
chosen for each frame.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

import numpy as np

from alpaca_focus.core.values import Frame, Pixels
from alpaca_focus.imaging.sky_background import TYPICAL_ELECTRONS_PER_ADU, Image, filling, frame_problem, native
from alpaca_focus.imaging.spectrum_profile import (
    SIGMA_TO_FWHM,
    FittedProfile,
    TraceLine,
    exposed_columns,
    fit_profile,
    refined_line,
)
from alpaca_focus.imaging.spectrum_trace import Floats, Trace, find_trace

SATURATED_SHARE, SATURATED_PX = 0.98, 3
EDGE_FWHM = 1.5
"""Distance from the edge of the frame, in FWHM, within which a trace is cut."""
WINDOW_FWHM = 2.0
"""Half width of the window in which the light is summed."""
LEAST_SNR = 5.0
ASTRAY_SIGMAS = 3.0
"""Largest distance of a fit from the detected trace; beyond, it has fitted something else."""
MANY = 4
"""Number of peaks beside the highest from which on they are sky lines."""


class TraceAxis(StrEnum):
    """The axis of the frame along which the light is dispersed."""

    AUTO = "auto"
    HORIZONTAL = "horizontal"
    VERTICAL = "vertical"


class SpectrumFlag(StrEnum):
    """A finding about a spectrum."""

    TRACE_LOST = "trace lost"
    SATURATED = "saturated"
    EDGE = "edge"
    NO_EXPOSURE_TIME = "no exposure time"
    TWO_TRACES = "two traces"


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectrumSettings:
    """How to measure a spectrum.

    Attributes:
        x0: First pixel of the slice along the dispersion; `None`: the best exposed part.
        x1: Last pixel of the slice + 1; `None`: likewise.
        reference_flux: Divisor of NSIG, for example the light that a guide camera measured meanwhile.
    """

    axis: TraceAxis = TraceAxis.AUTO
    x0: int | None = None
    x1: int | None = None
    reference_flux: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectrumReport:
    """The measurements of a spectrum; NaN where one failed.

    Attributes:
        x0: First pixel of the slice along the dispersion.
        x1: Last pixel of the slice + 1.
        trace_row: Position of the trace across the dispersion, in the middle of the slice, in pixels.
        slant: Pixels across the dispersion per pixel along it.
        fwhm_px: Full width at half maximum across the trace, without the width of the pixels.
        fwhm_arcsec: The same on the sky; NaN if the image scale is unknown.
        nsig: Light of the trace in a column, ADU per second.
        snr: Light of the trace in the slice over its error.
        background_adu: Level of the sky.
        profile: Distances from the trace in pixels, and the mean profile there in ADU.
        model: The fitted Gaussian in ADU, at the same distances.
        flags: Number of findings by kind.
        usable: Whether the numbers may be used in a fit.
        reason: Why not, in one clause; empty if usable.
    """

    axis: TraceAxis = TraceAxis.HORIZONTAL
    x0: int = 0
    x1: int = 0
    trace_row: float = math.nan
    slant: float = math.nan
    fwhm_px: float = math.nan
    fwhm_stderr_px: float = math.nan
    fwhm_arcsec: float = math.nan
    nsig: float = math.nan
    nsig_stderr: float = math.nan
    snr: float = math.nan
    background_adu: float = math.nan
    profile: tuple[Floats, Floats] = (np.empty(0), np.empty(0))
    model: Floats = field(default_factory=lambda: np.empty(0))
    flags: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    usable: bool = True
    reason: str = ""


DEFAULT = SpectrumSettings()


def measure_spectrum(frame: Frame, settings: SpectrumSettings = DEFAULT) -> SpectrumReport:
    """Measure the trace of the star in a 2D slit spectrum.

    Returns:
        The report; not usable, with the reason, without a trace, or if it is saturated or cut by the edge.
    """
    problem = frame_problem(frame.pixels)
    if problem:
        return SpectrumReport(usable=False, reason=problem)
    lost = SpectrumReport(flags=MappingProxyType({SpectrumFlag.TRACE_LOST: 1}), usable=False)
    image = _as_float(frame.pixels)
    detected = _detected(image, settings.axis)
    if detected is None:
        return replace(lost, reason="no trace found: the star is off the slit, or the exposure is too short")
    axis, trace = detected
    lying = image if axis is TraceAxis.HORIZONTAL else image.T
    line = TraceLine((lying.shape[1] - 1) / 2, trace.row, trace.slant)
    (x0, x1), reason = _slice(lying, line, trace.sigma, settings)
    if reason:
        return SpectrumReport(axis=axis, usable=False, reason=reason)
    line = refined_line(lying, line, trace.sigma, x0, x1)
    gain = frame.electrons_per_adu or TYPICAL_ELECTRONS_PER_ADU
    fitted = fit_profile(lying, line, trace.sigma, x0=x0, x1=x1, electrons_per_adu=gain)
    if fitted is None or fitted.flux_adu <= 0 or abs(fitted.centre) > ASTRAY_SIGMAS * trace.sigma + 1:
        reason = "the candidate trace has no Gaussian profile: the star may be off the slit"
        return replace(lost, axis=axis, x0=x0, x1=x1, reason=reason)
    report = _report(fitted, line, axis=axis, x0=x0, x1=x1, frame=frame, settings=settings)
    return _judged(report, lying, line, trace, frame)


def _as_float(pixels: Pixels) -> Image:
    image = native(pixels).astype(np.float32)
    fill = filling(pixels)
    return image if fill is None else np.where(np.isfinite(image), image, fill)


def _detected(image: Image, axis: TraceAxis) -> tuple[TraceAxis, Trace] | None:
    if axis is not TraceAxis.AUTO:
        trace = find_trace(np.ascontiguousarray(image if axis is TraceAxis.HORIZONTAL else image.T))
        return None if trace is None else (axis, trace)
    both = (_detected(image, each) for each in (TraceAxis.HORIZONTAL, TraceAxis.VERTICAL))
    return max(filter(None, both), key=lambda pair: _likelihood(pair[0], pair[1], image.shape), default=None)


def _likelihood(axis: TraceAxis, trace: Trace, shape: tuple[int, ...]) -> tuple[bool, float]:
    """Rate a trace against one along the other axis, where sky lines may look like traces.

    Sky lines are many, stars in the slit are few, and detectors are longer along the dispersion.
    """
    rows, columns = shape if axis is TraceAxis.HORIZONTAL else shape[::-1]
    are_few = len(trace.others) < MANY
    return are_few, trace.significance * (columns / rows) ** 2 / (1 + len(trace.others)) ** 2


def _slice(image: Image, line: TraceLine, sigma: float, settings: SpectrumSettings) -> tuple[tuple[int, int], str]:
    """Return the slice to measure, and why it is impossible, if it is."""
    columns = image.shape[1]
    if settings.x0 is None and settings.x1 is None:
        return exposed_columns(image, line, sigma), ""
    x0 = 0 if settings.x0 is None else settings.x0
    x1 = columns if settings.x1 is None else settings.x1
    if not 0 <= x0 < x1 <= columns or x1 - x0 < 8:
        return (0, 0), (
            f"the slice from {x0} to {x1} does not lie in the frame with its {columns} pixels along the dispersion, or "
            "is less than 8 wide"
        )
    return (x0, x1), ""


def _report(
    fitted: FittedProfile,
    line: TraceLine,
    *,
    axis: TraceAxis,
    x0: int,
    x1: int,
    frame: Frame,
    settings: SpectrumSettings,
) -> SpectrumReport:
    fwhm_px = SIGMA_TO_FWHM * fitted.sigma
    light, light_error = _light(fitted, x1 - x0)
    seconds = frame.exposure_s if math.isfinite(frame.exposure_s) and frame.exposure_s > 0 else math.nan
    unit = seconds * (settings.reference_flux or 1.0)
    return SpectrumReport(
        axis=axis,
        x0=x0,
        x1=x1,
        trace_row=float(line.rows(np.array([(x0 + x1 - 1) // 2]))[0]) + fitted.centre,
        slant=line.slant,
        fwhm_px=fwhm_px,
        fwhm_stderr_px=SIGMA_TO_FWHM * fitted.sigma_stderr,
        fwhm_arcsec=fwhm_px * (frame.image_scale_arcsec or math.nan),
        nsig=light / unit,
        nsig_stderr=light_error / unit,
        snr=light / light_error if light_error > 0 else math.inf,
        background_adu=fitted.background_adu,
        profile=(fitted.rows - fitted.centre, fitted.adu),
        model=fitted.model_adu,
    )


def _light(fitted: FittedProfile, columns: int) -> tuple[float, float]:
    """Return the sum of the profile in its window, and the standard error.

    The bins of a straightened profile overlap: each row counts once, however many bins share it.
    """
    fwhm = SIGMA_TO_FWHM * fitted.sigma
    inside = np.abs(fitted.rows - fitted.centre) <= WINDOW_FWHM * fwhm + 0.5
    outside = np.abs(fitted.rows - fitted.centre) > WINDOW_FWHM * fwhm + 0.5
    share = fitted.weights[inside] / columns
    light = float(np.sum(fitted.adu[inside] * share))
    # Pixels rejected as cosmic rays are missing in the sum; the model fills them in.
    whole = float(np.sum(fitted.model_adu[inside] * share))
    light += fitted.flux_adu - whole if whole > 0 else 0.0
    variance = float(np.sum((fitted.errors_adu[inside] * share) ** 2))
    sky_error = 1 / math.sqrt(max(float(np.sum(1 / fitted.errors_adu[outside] ** 2)), 1e-12)) if outside.any() else 0.0
    return light, math.sqrt(variance + (sky_error * 2 * WINDOW_FWHM * fwhm) ** 2)


def _judged(report: SpectrumReport, image: Image, line: TraceLine, trace: Trace, frame: Frame) -> SpectrumReport:
    """Return the report with its flags, usable or with the reason why not."""
    flags: dict[str, int] = {}
    saturated = _saturated_pixels(image, line, report, SATURATED_SHARE * frame.saturation_adu)
    if saturated >= SATURATED_PX:
        flags[SpectrumFlag.SATURATED] = saturated
    ends = line.rows(np.array([report.x0, report.x1 - 1]))
    nearest = min(float(ends.min()), image.shape[0] - 1 - float(ends.max()))
    if nearest < EDGE_FWHM * report.fwhm_px:
        flags[SpectrumFlag.EDGE] = 1
    if math.isnan(report.nsig):
        flags[SpectrumFlag.NO_EXPOSURE_TIME] = 1
    if trace.others:
        flags[SpectrumFlag.TWO_TRACES] = 1
    if report.snr < LEAST_SNR:
        flags[SpectrumFlag.TRACE_LOST] = 1
    reasons = {
        SpectrumFlag.TRACE_LOST: "the trace is too faint for this exposure",
        SpectrumFlag.SATURATED: f"{saturated} pixels of the trace are saturated: expose less",
        SpectrumFlag.EDGE: "the trace is cut by the edge of the frame",
    }
    reason = next((reasons[flag] for flag in reasons if flag in flags), "")
    return replace(report, flags=MappingProxyType(flags), usable=not reason, reason=reason)


def _saturated_pixels(image: Image, line: TraceLine, report: SpectrumReport, limit_adu: float) -> int:
    columns = np.arange(report.x0, report.x1)
    reach = max(1, math.ceil(report.fwhm_px))
    rows = np.round(line.rows(columns)).astype(int) + np.arange(-reach, reach + 1)[:, None]
    return int((image[np.clip(rows, 0, image.shape[0] - 1), columns] >= limit_adu).sum())
