"""Finds and measures the stars of a frame at any defocus, and counts the rejected ones by reason."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

import numpy as np

from alpaca_focus.core.robust import weighted_median
from alpaca_focus.core.values import Pixels
from alpaca_focus.imaging.detection import Detection, alone, detect, thinned
from alpaca_focus.imaging.photometry import Photometry, centres, measure
from alpaca_focus.imaging.sky_background import filling, search_map, with_even_noise, without_sky
from alpaca_focus.imaging.stamps import Flags, Floats, Geometry, Stamps, cut, fits_in, geometry_for
from alpaca_focus.imaging.star_profile import (
    fit_moffat,
    half_flux_bias,
    half_flux_bias_of_rings,
    stacked,
    width_changes,
)

MOST_STARS = 64
MOST_CELLS = 1_500_000
"""Cells of all stamps together: of very large rings, fewer are measured."""
LARGEST_MAP_PX = 4_000_000
"""Frames with more pixels are searched in bins of 2 x 2, 4 x 4 and so on; stars are always measured on full pixels."""
APART_SIZES = 2.5
"""Stars nearer to one another than this many of their diameters are rejected as blended."""
PIECES = 1.3
RING_SIZE = 1.4
"""Diameter of a ring's rim, in HFD."""
SATURATED_SHARE = 0.98
PILED_UP_STARS, PILED_UP_SHARE, PLATEAU_PX, PILED_UP_SPREAD = 2, 0.985, 4, 1.3
LONE_CELL_SHARE = 0.6
SMALLEST_HFD_PX = 1.0
FAINTEST_SNR = 10.0
LARGEST_ELONGATION = 1.8
"""Ratio of the axes above which an object is a trail, a pair or a galaxy."""
LARGEST_LOPSIDEDNESS, LOPSIDED_BY_NOISE = 0.05, 2.5
"""Largest dipole of a single star, as a share of its light, and the part added by noise, times the SNR."""
TYPICAL = 0.2
"""Largest departure from the median HFD of the stars in the mean profile."""
CREDIBLE = 0.5
OFF_CENTRE_CELLS = 2.0
PILOTS, PILOT_GROUPS, PILOT_ROUNDS = 8, 4, 10
PILOT_AGREES, FRAME_AGREES = 0.08, 0.12


class Flag(StrEnum):
    """Why a candidate is not measured."""

    SATURATED = "saturated"
    EDGE = "edge"
    LONE_PIXEL = "lone pixel"
    ELONGATED = "elongated"
    FAINT = "faint"
    UNCERTAIN = "uncertain"
    BLENDED = "blended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Star:
    """A measured star.

    Attributes:
        x_px: Column of the centre.
        y_px: Row of the centre.
        flux_adu: Light above the sky within the aperture.
        snr: Flux over the sky's noise in the aperture.
        hfd_px: Half-flux diameter of the light on the sensor, without the width of the pixels.
        hfd_stderr_px: Standard error from the noise of the sky and of the star's own light.
        fwhm_px: Full width at half maximum of the Moffat profile; NaN if the frame's stars are rings or discs.
        fwhm_stderr_px: Standard error from the sky's noise; NaN as well.
        eccentricity: From the light's second moments: 0 round, 0.6 an axis ratio of 0.8.
        angle_deg: Direction of the long axis from the columns' axis towards higher rows, -90 to 90.
    """

    x_px: float
    y_px: float
    flux_adu: float
    snr: float
    hfd_px: float
    hfd_stderr_px: float
    fwhm_px: float
    fwhm_stderr_px: float
    eccentricity: float
    angle_deg: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredStars:
    """The stars of a frame, and the rejected candidates.

    Attributes:
        stars: Brightest first.
        left_out: Number of rejected candidates by flag.
        sky_adu: Level of the sky.
        candidates: Number of candidates before any rejection.
        correction: Share by which the HFD was reduced to correct for cells, aperture and wings.
        lone_pixels: Number of lone pixels that were taken out of the frame before.
    """

    stars: tuple[Star, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    sky_adu: float
    candidates: int = 0
    correction: float = 0.0
    lone_pixels: int = 0

    @property
    def artefacts(self) -> int:
        """Number of objects unlike stars: hot pixels, cosmic rays, trails."""
        return (
            sum(self.left_out.get(flag, 0) for flag in (Flag.LONE_PIXEL, Flag.ELONGATED, Flag.UNCERTAIN))
            - self.lone_pixels
        )

    @property
    def credibility(self) -> float:
        """Share of stars among the classified objects: if it is low, even the stars may be artefacts."""
        return len(self.stars) / max(len(self.stars) + self.artefacts, 1)

    @property
    def is_conclusive(self) -> bool:
        """Whether most detections are classified, so that a search at another scale is unnecessary."""
        plain = sum(self.left_out.get(flag, 0) for flag in (Flag.SATURATED, Flag.ELONGATED))
        return plain > self.candidates / 2


@dataclass(frozen=True, slots=True)
class _Image:
    """A frame in memory order, with the facts for its measurement."""

    pixels: Pixels
    fill: np.float32 | None
    saturation_adu: float
    electrons_per_adu: float


def find_stars(pixels: Pixels, *, saturation_adu: float, electrons_per_adu: float = 1.0) -> MeasuredStars:
    """Find the stars of a frame and measure the brightest isolated ones.

    Args:
        pixels: ADU, shape (rows, columns), in C order or, as from ImageBytes, in Fortran order.
        saturation_adu: Value at which a pixel is saturated.
        electrons_per_adu: Gain of the converter, for the counting noise of the stars' light.
    """
    turned = pixels.flags.f_contiguous and not pixels.flags.c_contiguous
    lying = pixels.T if turned else pixels
    factor = 1
    while lying.size > LARGEST_MAP_PX * factor**2:
        factor *= 2
    sky_free, sky_adu = without_sky(search_map(lying, factor))
    image = _Image(lying, filling(lying), saturation_adu, electrons_per_adu)
    best = MeasuredStars(sky_adu=sky_adu)
    for detection in detect(with_even_noise(sky_free)):
        attempt = _measured(image, _on_pixels(detection, factor), sky_adu)
        if attempt.credibility > best.credibility or not best.candidates:
            best = attempt
        # Crowded rings or hot pixels can mislead the choice of the scale; then the next best scale is tried.
        if best.credibility > CREDIBLE or best.is_conclusive:
            break
    return replace(best, stars=tuple(_turned(star) for star in best.stars)) if turned else best


def _on_pixels(detection: Detection, factor: int) -> Detection:
    """Convert positions on a map of `factor` x `factor` bins to positions on the frame."""
    centre = (factor - 1) / 2
    return replace(
        detection,
        x_px=detection.x_px * factor + centre,
        y_px=detection.y_px * factor + centre,
        scale_px=detection.scale_px * factor,
    )


def _measured(image: _Image, detection: Detection, sky_adu: float) -> MeasuredStars:
    """Measure the brightest detections at one scale."""
    lonely = alone(detection, APART_SIZES * detection.scale_px)
    order = np.argsort(~lonely, kind="stable")
    hfd_px = _pilot(image, detection.x_px[order], detection.y_px[order], detection.scale_px)
    if hfd_px is not None and hfd_px > PIECES * detection.scale_px:
        # The detections may be pieces of the rims of rings larger than the scale.
        detection = thinned(detection, RING_SIZE * hfd_px)
        lonely = alone(detection, APART_SIZES * hfd_px)
    left_out: Counter[str] = Counter({Flag.BLENDED: int((~lonely).sum())})
    x_px, y_px = detection.x_px[lonely], detection.y_px[lonely]
    batch = _Batch.of(image, x_px, y_px, detection.scale_px if hfd_px is None else hfd_px)
    if batch is not None and batch.good.any():
        again_px = batch.typical_hfd_px(batch.good)
        if abs(again_px / batch.hfd_px - 1) > FRAME_AGREES:
            batch = _Batch.of(image, x_px, y_px, again_px)
    stars: tuple[Star, ...] = ()
    correction = 0.0
    if batch is None:
        left_out[Flag.EDGE] += len(x_px)
    else:
        left_out += batch.left_out
        if batch.good.any():
            stars, correction = batch.stars()
    return MeasuredStars(
        stars=stars,
        left_out=MappingProxyType({flag: count for flag, count in left_out.items() if count}),
        sky_adu=sky_adu,
        candidates=len(detection),
        correction=correction,
    )


def _pilot(image: _Image, x_px: Floats, y_px: Floats, hfd_px: float) -> float | None:
    """Return the HFD of a few stars, with an aperture adapted to it until both agree; `None` without stars."""
    for first in range(0, min(len(x_px), PILOTS * PILOT_GROUPS), PILOTS):
        pilot_px = _converged(image, x_px[first : first + PILOTS], y_px[first : first + PILOTS], hfd_px)
        if pilot_px is not None:
            return pilot_px
    return None


def _converged(image: _Image, x_px: Floats, y_px: Floats, hfd_px: float) -> float | None:
    for _ in range(PILOT_ROUNDS):
        batch = _Batch.of(image, x_px, y_px, hfd_px)
        if batch is None or not batch.light.any():
            return None
        # In an aperture that is still too small, large rings look lopsided and are not yet good.
        trusted = batch.good if batch.good.any() else batch.light
        measured_px = batch.typical_hfd_px(trusted)
        if abs(measured_px / hfd_px - 1) < PILOT_AGREES:
            return measured_px if batch.good.any() else None
        hfd_px = measured_px
        x_px, y_px = (at[batch.light] for at in _positions(batch.stamps, batch.photometry))
    return hfd_px


@dataclass(frozen=True, slots=True)
class _Batch:
    """Stars measured together with one aperture."""

    hfd_px: float
    stamps: Stamps
    photometry: Photometry
    light: Flags
    good: Flags
    left_out: Counter[str]

    @classmethod
    def of(cls, image: _Image, x_px: Floats, y_px: Floats, hfd_px: float) -> "_Batch | None":
        """Measure the stars at some positions, most significant first, with an aperture for this HFD.

        Returns:
            The stars, or `None` if all positions are too near the edge.
        """
        geometry = geometry_for(hfd_px)
        inside = fits_in(image.pixels.shape, x_px, y_px, geometry)
        if not inside.any():
            return None
        most = min(MOST_STARS, max(PILOTS, MOST_CELLS // geometry.size**2))
        x_px, y_px = x_px[inside][: most * 3 // 2], y_px[inside][: most * 3 // 2]
        stamps = _centred(image, x_px, y_px, geometry)
        photometry = measure(stamps, hfd_px / geometry.binning, image.electrons_per_adu)
        left_out, light, good = _judged(stamps, photometry, image.saturation_adu)
        left_out[Flag.EDGE] += int((~inside).sum())
        good &= np.cumsum(good) <= most
        return cls(hfd_px, stamps, photometry, light, good, left_out)

    def typical_hfd_px(self, chosen: Flags) -> float:
        """Return the median half-flux diameter of some of the stars, weighted by their precision."""
        some = self.photometry.where(chosen)
        diameter = weighted_median(some.half_flux_diameter, some.half_flux_diameter / some.half_flux_noise)
        return diameter * self.stamps.geometry.binning

    def stars(self) -> tuple[tuple[Star, ...], float]:
        """Return the good stars, corrected for the bias of the measurement, and that correction as a share."""
        stamps, whole = self.stamps.where(self.good), self.photometry.where(self.good)
        size = stamps.geometry.binning
        x_px, y_px = _positions(stamps, whole)
        hfd_cells = self.typical_hfd_px(self.good) / size
        away = np.abs(whole.half_flux_diameter / hfd_cells - 1)
        typical = away <= max(TYPICAL, float(away.min()))
        profile = stacked(stamps.where(typical), whole.where(typical), hfd_cells)
        curve = fit_moffat(profile, hfd_cells)
        if curve is None:
            bias = half_flux_bias_of_rings(profile, hfd_cells)
            fwhm_px = fwhm_error_px = np.full(len(away), np.nan)
        else:
            bias = half_flux_bias(curve, stamps.geometry)
            wider, error = width_changes(stamps, whole, profile, hfd_cells)
            fwhm_px, fwhm_error_px = curve.fwhm * size * (1 + wider), curve.fwhm * size * error
        stars = tuple(
            Star(
                x_px=float(x_px[k]),
                y_px=float(y_px[k]),
                flux_adu=float(whole.flux_adu[k]),
                snr=float(whole.flux_adu[k] / whole.noise_adu[k]),
                hfd_px=float(whole.half_flux_diameter[k] / bias) * size,
                hfd_stderr_px=float(whole.half_flux_noise[k]) * size,
                fwhm_px=float(fwhm_px[k]),
                fwhm_stderr_px=float(fwhm_error_px[k]),
                eccentricity=math.sqrt(1 - 1 / float(whole.elongation[k]) ** 2),
                angle_deg=float(whole.angle_deg[k]),
            )
            for k in np.argsort(-whole.flux_adu)
        )
        return stars, bias - 1


def _centred(image: _Image, x_px: Floats, y_px: Floats, geometry: Geometry) -> Stamps:
    """Cut stamps around some positions, and again if the stars are not in their middles."""
    stamps = cut(image.pixels, x_px, y_px, geometry, image.fill)
    x, y = centres(stamps)
    if len(x) and max(np.abs(x).max(), np.abs(y).max()) > OFF_CENTRE_CELLS:
        x_px, y_px = stamps.x_px + x * geometry.binning, stamps.y_px + y * geometry.binning
        inside = fits_in(image.pixels.shape, x_px, y_px, geometry)
        return cut(
            image.pixels, np.where(inside, x_px, stamps.x_px), np.where(inside, y_px, stamps.y_px), geometry, image.fill
        )
    return stamps


def _judged(stamps: Stamps, photometry: Photometry, saturation_adu: float) -> tuple[Counter[str], Flags, Flags]:
    """Return the number of stars rejected by flag, which stars have light to measure, and which are good."""
    binning = stamps.geometry.binning
    piled_up_adu = _piled_up(stamps, photometry)
    with np.errstate(invalid="ignore", divide="ignore"):
        snr = np.maximum(photometry.flux_adu, 0) / photometry.noise_adu
        verdicts = {
            # Noise that reaches a limit set too low is no saturated star.
            Flag.SATURATED: (stamps.brightest_adu >= min(SATURATED_SHARE * saturation_adu, piled_up_adu))
            & (snr >= FAINTEST_SNR),
            Flag.FAINT: snr < FAINTEST_SNR,
            Flag.UNCERTAIN: ~photometry.measurable,
            Flag.LONE_PIXEL: (photometry.peak_share > LONE_CELL_SHARE)
            | (photometry.half_flux_diameter * binning < SMALLEST_HFD_PX),
            Flag.ELONGATED: photometry.elongation > LARGEST_ELONGATION,
            Flag.BLENDED: (photometry.lopsidedness > LARGEST_LOPSIDEDNESS + LOPSIDED_BY_NOISE / snr)
            | _repeated(stamps, photometry),
        }
    left_out: Counter[str] = Counter()
    good = np.ones(len(stamps.values), dtype=bool)
    for flag, bad in verdicts.items():
        left_out[flag] += int((good & bad).sum())
        good &= ~bad
    return left_out, ~(verdicts[Flag.SATURATED] | verdicts[Flag.FAINT] | verdicts[Flag.UNCERTAIN]), good


def _piled_up(stamps: Stamps, photometry: Photometry) -> float:
    """Return the value at which the sensor itself saturates, below the limit of its converter; infinite if unknown.

    Its sign is stars of different light that all reach the same value, each in several pixels.
    """
    if len(stamps.values) < PILED_UP_STARS:
        return math.inf
    limit = PILED_UP_SHARE * float(stamps.brightest_adu.max())
    full = (stamps.brightest_adu >= limit) & (stamps.plateau >= PLATEAU_PX) & photometry.measurable
    if full.sum() < PILED_UP_STARS:
        return math.inf
    light = photometry.flux_adu[full]
    return limit if light.max() > PILED_UP_SPREAD * light.min() else math.inf


def _repeated(stamps: Stamps, photometry: Photometry) -> Flags:
    """Return for each star whether it repeats an earlier one."""
    x_px, y_px = _positions(stamps, photometry)
    near = np.hypot(x_px[:, None] - x_px, y_px[:, None] - y_px) < stamps.geometry.aperture * stamps.geometry.binning / 3
    return np.asarray(np.tril(near, -1).any(axis=1))


def _positions(stamps: Stamps, photometry: Photometry) -> tuple[Floats, Floats]:
    """Return columns and rows of the stars' centres, in pixels of the frame."""
    size = stamps.geometry.binning
    return stamps.x_px + photometry.x * size, stamps.y_px + photometry.y * size


def _turned(star: Star) -> Star:
    """Return a star of a transposed frame on the frame itself."""
    angle_deg = 90.0 - star.angle_deg
    return replace(star, x_px=star.y_px, y_px=star.x_px, angle_deg=angle_deg - 180.0 if angle_deg > 90 else angle_deg)
