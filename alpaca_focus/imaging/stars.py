"""Measures focus by the stars of a frame: HFD and FWHM with standard errors, or the reason why there is none."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from alpaca_focus.core.metrics import STAR_SIZE
from alpaca_focus.core.robust import MAD_TO_SIGMA, weighted_median
from alpaca_focus.core.values import Frame, Measurement, Pixels, Subframe
from alpaca_focus.imaging.hot_pixels import shows_light, without_lone_pixels
from alpaca_focus.imaging.sky_background import TYPICAL_ELECTRONS_PER_ADU, binned, frame_problem
from alpaca_focus.imaging.star_field import Flag, MeasuredStars, Star, find_stars

OUTLIER_SIGMAS = 3.5
CORRECTION_UNCERTAINTY = 0.05
"""Relative error of the correction for cells, aperture and wings."""
SYSTEMATIC = 0.0005
"""Relative error of the HFD common to all stars, as measured on synthetic fields."""
BELIEF = 8.0
"""Number of stars at which the scatter counts as much for the standard error as the stars' own errors."""
LEAST_CREDIBLE = 0.08
"""Smallest share of stars among the objects at which the stars are trusted."""
STAR_SCATTER = 0.0015
"""Relative difference of the HFD of stars of one frame for reasons other than noise, before the scatter is known."""
EDGE_HFD = 3.0
"""Smallest distance of a star inside a part of the frame from its rim, in HFD."""
FEW_STARS, MANY_LONE_PIXELS = 6, 8
"""With fewer stars and more lone pixels, the frame is measured without these: their heaps look like large stars."""
FEWEST_IN_REGION, REGION_SHARE = 10, 0.2
UNKNOWN_TIME = datetime(1970, 1, 1, tzinfo=UTC)


def measure_stars(
    pixels: Pixels, *, saturation_adu: float, bayer: bool = False, electrons_per_adu: float | None = None
) -> Measurement:
    """Measure the half-flux diameter of the stars of a frame.

    Args:
        pixels: ADU, shape (rows, columns), any number type, C or Fortran order; not written to.
        saturation_adu: Value at which a pixel is saturated.
        bayer: Whether neighbouring pixels see different colours; then blocks of 2 x 2 are measured.
        electrons_per_adu: Gain of the converter; by default about one.

    Returns:
        The frame's HFD in pixels of the frame, or an unusable measurement with the reason. The details are `fwhm_px`
        and `fwhm_stderr_px` (NaN for rings), `eccentricity`, `sky_adu`, `median_snr`, `flux_adu`.
    """
    frame = Frame(
        pixels=pixels,
        exposure_s=math.nan,
        started_at=UNKNOWN_TIME,
        binning=1,
        saturation_adu=saturation_adu,
        bayer=bayer,
        electrons_per_adu=electrons_per_adu,
    )
    return summarise_stars(frame, find_frame_stars(frame))


def find_frame_stars(frame: Frame) -> MeasuredStars | None:
    """Return the stars of a frame, in its pixels; `None` if it cannot be measured."""
    if frame_problem(frame.pixels):
        return None
    field = _find_stars(frame, frame.pixels)
    if len(field.stars) < FEW_STARS and field.candidates:
        pixels, lone = without_lone_pixels(frame.pixels)
        if lone > max(MANY_LONE_PIXELS, len(field.stars)):
            field = _find_stars(frame, pixels)
            left_out = {**field.left_out, Flag.LONE_PIXEL: field.left_out.get(Flag.LONE_PIXEL, 0) + lone}
            field = replace(field, left_out=MappingProxyType(left_out), lone_pixels=lone)
        elif not field.stars and not shows_light(frame.pixels):
            field = replace(field, left_out=MappingProxyType({}), candidates=0)
    return field


def _find_stars(frame: Frame, pixels: Pixels) -> MeasuredStars:
    scale = 2 if frame.bayer else 1
    field = find_stars(
        binned(pixels, scale) if frame.bayer else pixels,
        saturation_adu=frame.saturation_adu,
        electrons_per_adu=(frame.electrons_per_adu or TYPICAL_ELECTRONS_PER_ADU) * scale**2,
    )
    return replace(field, stars=tuple(_scaled(star, scale) for star in field.stars)) if frame.bayer else field


def summarise_stars(frame: Frame, field: MeasuredStars | None) -> Measurement:
    """Combine all or some of the stars from `find_frame_stars` into one measurement of the frame."""
    if field is None:
        return _unusable(frame_problem(frame.pixels))
    if not field.stars:
        return _unusable(_why_none(field), flags=field.left_out)
    if field.credibility < LEAST_CREDIBLE:
        objects = field.artefacts + len(field.stars)
        return _unusable(
            f"only {len(field.stars)} of {objects} objects look like stars, the others like hot pixels or trails",
            flags=field.left_out,
        )
    hfd = central([star.hfd_px for star in field.stars], [star.hfd_stderr_px for star in field.stars])
    kept = [star for star, kept in zip(field.stars, hfd.kept, strict=True) if kept]
    fwhm = _central_fwhm(kept)
    systematic = math.hypot(CORRECTION_UNCERTAINTY * field.correction, SYSTEMATIC)
    flags = dict(field.left_out)
    if len(kept) < len(field.stars):
        flags["outlier"] = len(field.stars) - len(kept)
    return Measurement(
        metric=STAR_SIZE,
        value=hfd.value,
        stderr=math.hypot(hfd.stderr, hfd.value * systematic),
        star_count=len(kept),
        flags=MappingProxyType(flags),
        details=MappingProxyType(
            {
                "fwhm_px": fwhm.value,
                "fwhm_stderr_px": fwhm.stderr,
                "eccentricity": float(np.median([star.eccentricity for star in kept])),
                "sky_adu": field.sky_adu,
                "median_snr": float(np.median([star.snr for star in kept])),
                "flux_adu": float(sum(star.flux_adu for star in kept)),
            }
        ),
        region=best_region(frame, kept),
    )


def best_region(frame: Frame, stars: Sequence[Star]) -> Subframe | None:
    """Return a quarter of the frame with many good stars, in pixels of the sensor; `None` if none has enough."""
    rows, columns = frame.pixels.shape[:2]
    width, height = columns // 2, rows // 2
    x, y = np.array([star.x_px for star in stars]), np.array([star.y_px for star in stars])
    # The next frame's stars may be larger, so that stars near the rim of the part would be cut.
    margin_px = EDGE_HFD * float(np.median([star.hfd_px for star in stars]))

    def count(corner: tuple[int, int]) -> int:
        across, down = x - corner[0], y - corner[1]
        inside = (across > margin_px) & (across < width - margin_px) & (down > margin_px) & (down < height - margin_px)
        return int(inside.sum())

    corners = [(i * (columns - width) // 4, j * (rows - height) // 4) for j in range(5) for i in range(5)]
    best = max(corners, key=count)
    if count(best) < max(FEWEST_IN_REGION, REGION_SHARE * len(stars)):
        return None
    return Subframe(x=best[0] + frame.left_px, y=best[1] + frame.top_px, width=width, height=height)


def _scaled(star: Star, scale: int) -> Star:
    """Convert a star's position and size from pixel blocks to pixels."""
    shift_px = (scale - 1) / 2
    return replace(
        star,
        x_px=star.x_px * scale + shift_px,
        y_px=star.y_px * scale + shift_px,
        hfd_px=star.hfd_px * scale,
        hfd_stderr_px=star.hfd_stderr_px * scale,
        fwhm_px=star.fwhm_px * scale,
        fwhm_stderr_px=star.fwhm_stderr_px * scale,
    )


@dataclass(frozen=True, slots=True)
class Central:
    """A robust mean, its standard error, and a flag for each value that it used."""

    value: float
    stderr: float
    kept: NDArray[np.bool_]


def central(values: Sequence[float], errors: Sequence[float]) -> Central:
    """Return the robust mean of a value of several stars.

    Each star is weighted by its own error and by the scatter among the stars, which field curvature and unresolved
    blends raise above the noise. Outliers are rejected. With many stars the standard error comes from the scatter; with
    few, whose scatter is uncertain, mostly from their own errors.

    Args:
        values: One a star, at least one.
        errors: Their standard errors.
    """
    value, error = np.array(values), np.array(errors)
    trust = 1 / np.hypot(error, STAR_SCATTER * value)
    middle = weighted_median(value, trust)
    spread = max(MAD_TO_SIGMA * weighted_median(np.abs(value - middle), trust), STAR_SCATTER * abs(middle))
    kept = np.abs(value - middle) <= OUTLIER_SIGMAS * np.hypot(spread, error)
    value, error = value[kept], np.hypot(error[kept], STAR_SCATTER * middle)
    count = len(value)
    excess = max(0.0, float(np.var(value, ddof=1)) - float(np.mean(error**2))) if count > 1 else 0.0
    weights = 1 / (error**2 + excess)
    mean = float(np.average(value, weights=weights))
    by_errors = 1 / float(np.sum(weights))
    if count < 2:
        return Central(mean, math.sqrt(by_errors), kept)
    by_scatter = float(np.sum((weights * (value - mean)) ** 2)) / float(np.sum(weights)) ** 2 * count / (count - 1)
    variance = ((count - 1) * by_scatter + BELIEF * by_errors) / (count - 1 + BELIEF)
    return Central(mean, math.sqrt(variance), kept)


def _central_fwhm(stars: Sequence[Star]) -> Central:
    finite = [star for star in stars if math.isfinite(star.fwhm_px) and star.fwhm_px > 0]
    if not finite:
        return Central(math.nan, math.nan, np.zeros(0, dtype=bool))
    return central([star.fwhm_px for star in finite], [star.fwhm_stderr_px for star in finite])


def _why_none(field: MeasuredStars) -> str:
    if not field.stars and field.lone_pixels:
        return "no stars found, only hot pixels or cosmic rays"
    if not field.candidates:
        return "no stars found"
    flag, count = max(field.left_out.items(), key=lambda item: item[1], default=("", 0))
    reasons = {
        Flag.SATURATED: "all stars are saturated: expose less",
        Flag.EDGE: "too defocused: all stars are too near to the edge for their size",
        Flag.FAINT: "all stars are too faint for this exposure",
        Flag.LONE_PIXEL: "no stars found, only hot pixels or cosmic rays",
        Flag.ELONGATED: "all stars are trailed",
        Flag.BLENDED: "too crowded or too defocused: the stars run into one another",
    }
    return reasons.get(Flag(flag), "no star could be measured") if count else "no star could be measured"


def _unusable(reason: str, flags: Mapping[str, int] | None = None) -> Measurement:
    return Measurement(
        metric=STAR_SIZE, value=math.nan, stderr=math.nan, usable=False, reason=reason, flags=dict(flags or {})
    )
