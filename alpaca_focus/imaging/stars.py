"""The size of the stars of a frame: half-flux diameter with its standard error, at any defocus."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from alpaca_focus.core.values import Measurement, Pixels
from alpaca_focus.imaging.background import MAD_TO_SIGMA, binned, without_sky
from alpaca_focus.imaging.detection import Detection, detect, isolated, without_lone_pixels
from alpaca_focus.imaging.photometry import Flag, Star, measure_star

METRIC = "hfd"
MOST_STARS = 80
SMALLEST_FRAME_PX = 32
LARGE_FRAME_PX = 3_000_000
"""Frames with more pixels are searched in a map of 2 x 2 or 4 x 4 bins; stars are measured on full pixels always."""


@dataclass(frozen=True, slots=True)
class StarField:
    """The stars of a frame and what was left out.

    Attributes:
        stars: Brightest first.
        left_out: Count by flag of what was found and not measured.
        sky_adu: Level of the sky.
        found: Candidates before anything was left out.
    """

    stars: tuple[Star, ...]
    left_out: Mapping[str, int]
    sky_adu: float
    found: int


def measure_stars(pixels: Pixels, *, saturation_adu: float, bayer: bool = False) -> Measurement:
    """Measure the half-flux diameter of the stars of a frame.

    Args:
        pixels: ADU, shape (rows, columns), any number type, C or Fortran order; not written to.
        saturation_adu: Value at which a pixel is saturated.
        bayer: Whether neighbouring pixels see different colours; then blocks of 2 x 2 are measured.

    Returns:
        The frame's HFD in pixels of the frame as given, or a measurement that is not usable with the reason.
    """
    trouble = _trouble(pixels)
    if trouble:
        return _unusable(trouble)
    scale = 2 if bayer else 1
    field = find_stars(binned(pixels, 2) if bayer else pixels, saturation_adu=saturation_adu)
    if not field.stars:
        return _unusable(_why_none(field), flags=field.left_out)
    hfd_px, stderr_px, kept = _central(field.stars)
    flags = dict(field.left_out)
    if len(kept) < len(field.stars):
        flags["outlier"] = len(field.stars) - len(kept)
    return Measurement(
        metric=METRIC,
        value=hfd_px * scale,
        stderr=stderr_px * scale,
        star_count=len(kept),
        flags=MappingProxyType(flags),
        details=MappingProxyType(
            {
                "sky_adu": field.sky_adu,
                "median_snr": float(np.median([star.snr for star in kept])),
                "flux_adu": float(sum(star.flux_adu for star in kept)),
                "elongation": float(np.median([star.elongation for star in kept])),
            }
        ),
    )


def find_stars(pixels: Pixels, *, saturation_adu: float) -> StarField:
    """Find the stars of a frame and measure the brightest that stand alone.

    Args:
        pixels: ADU, shape (rows, columns); frames off the wire are in Fortran order, which costs nothing.
        saturation_adu: Value at which a pixel is saturated.
    """
    turned = pixels.flags.f_contiguous and not pixels.flags.c_contiguous
    image = pixels.T if turned else pixels
    factor = 1 if image.size <= LARGE_FRAME_PX else 2 if image.size <= 4 * LARGE_FRAME_PX else 4
    search_map, sky_adu = without_sky(binned(np.nan_to_num(image) if _may_be_nan(image) else image, factor))
    field = StarField((), MappingProxyType({}), sky_adu, 0)
    for detection in detect(without_lone_pixels(search_map)):
        attempt = _measured(image, detection, factor, sky_adu=sky_adu, saturation_adu=saturation_adu)
        if attempt.stars:
            stars = tuple(_turned(star) for star in attempt.stars) if turned else attempt.stars
            return replace(attempt, stars=stars)
        # Where rings crowd one another the frame's scale can be misjudged; the next best one is tried then.
        field = field if field.found else attempt
    return field


def _measured(image: Pixels, detection: Detection, factor: int, *, sky_adu: float, saturation_adu: float) -> StarField:
    """Measure the brightest of what was found at one scale on a map of `factor` x `factor` bins."""
    lonely, blended = isolated(detection, 2.5 * detection.scale_px)
    centre = (factor - 1) / 2
    left_out: Counter[str] = Counter()
    if blended:
        left_out[Flag.BLENDED] = blended
    stars: list[Star] = []
    for candidate in lonely[: 3 * MOST_STARS]:
        star = measure_star(
            image,
            candidate.x_px * factor + centre,
            candidate.y_px * factor + centre,
            start_hfd_px=detection.scale_px * factor,
            saturation_adu=saturation_adu,
        )
        if isinstance(star, Flag):
            left_out[star] += 1
        else:
            stars.append(star)
        if len(stars) == MOST_STARS:
            break
    return StarField(tuple(stars), MappingProxyType(dict(left_out)), sky_adu, len(detection.candidates))


def _turned(star: Star) -> Star:
    return replace(star, x_px=star.y_px, y_px=star.x_px)


def _may_be_nan(image: NDArray[np.generic]) -> bool:
    return image.dtype.kind == "f"


def _trouble(pixels: Pixels) -> str:
    """Say why a frame cannot hold stars at all; empty when it may."""
    if pixels.ndim != 2:
        return f"the frame has {pixels.ndim} axes where an image has 2"
    if min(pixels.shape) < SMALLEST_FRAME_PX:
        return f"the frame of {pixels.shape[1]} x {pixels.shape[0]} pixels is too small"
    if pixels.dtype.kind not in "uif":
        return "the frame does not hold numbers"
    if _may_be_nan(pixels) and not np.isfinite(pixels).mean() > 0.5:
        return "most pixels have no value"
    sample = pixels[::7, ::7]
    if sample.min() == sample.max() and pixels.min() == pixels.max():
        return "all pixels have the same value"
    return ""


def _central(stars: tuple[Star, ...]) -> tuple[float, float, list[Star]]:
    """Central HFD of the stars, its standard error, and the stars that took part.

    Each star counts by its own error and by the scatter of the stars among themselves, which has more causes than
    noise: the field's curvature, blends that were not seen. The standard error is the larger one of what the errors
    say and what the scatter says.
    """
    values = np.array([star.hfd_px for star in stars])
    errors = np.array([star.hfd_stderr_px for star in stars])
    middle = float(np.median(values))
    spread = np.maximum(MAD_TO_SIGMA * float(np.median(np.abs(values - middle))), 0.01 * middle)
    keep = np.abs(values - middle) <= 3.5 * np.hypot(spread, errors)
    values, errors = values[keep], errors[keep]
    excess = max(0.0, float(np.var(values)) - float(np.mean(errors**2)))
    weights = 1 / (errors**2 + excess + (0.003 * middle) ** 2)
    centre = float(np.average(values, weights=weights))
    by_errors = 1 / float(np.sum(weights))
    by_scatter = float(np.sum((weights * (values - centre)) ** 2)) / float(np.sum(weights)) ** 2
    count = len(values)
    if count > 2:
        by_scatter *= count / (count - 1)
    kept = [star for star, kept in zip(stars, keep, strict=True) if kept]
    return centre, math.sqrt(max(by_errors, by_scatter)), kept


def _why_none(field: StarField) -> str:
    if not field.found:
        return "no stars found"
    flag, count = max(field.left_out.items(), key=lambda item: item[1], default=("", 0))
    reasons = {
        Flag.SATURATED: "all stars are saturated: expose less",
        Flag.EDGE: "all stars are too near to the edge for their size",
        Flag.FAINT: "all stars are too faint: expose longer",
        Flag.LONE_PIXEL: "no stars found, only hot pixels or cosmic rays",
        Flag.ELONGATED: "all stars are trailed",
        Flag.BLENDED: "all stars run into one another",
    }
    return reasons.get(Flag(flag), "no star could be measured") if count else "no star could be measured"


def _unusable(reason: str, flags: Mapping[str, int] | None = None) -> Measurement:
    return Measurement(
        metric=METRIC, value=math.nan, stderr=math.nan, usable=False, reason=reason, flags=dict(flags or {})
    )
