"""Measures the defocus of a frame from the shape of its rings alone."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from alpaca_focus.core.optics import OpticalTrain
from alpaca_focus.core.robust import MAD_TO_SIGMA
from alpaca_focus.core.values import Frame
from alpaca_focus.imaging.ring_template import RingProfiles, RingTemplates
from alpaca_focus.imaging.star_field import MeasuredStars, Star

Array = NDArray[np.float64]

FEWEST_STARS, MOST_STARS = 3, 24
RADIUS_HFD, RADIUS_PX = 1.15, 4.0
"""Radius up to which a star is fitted: so many HFD plus so many pixels."""
BINS = 60
SMALLEST_BLUR = 2.0
"""Smallest ratio of the ring's geometric diameter to that of the seeing at which the shape is meaningful."""
LARGEST_MISFIT = 0.08
"""Largest rms departure of the mean profile from the template, as a share of its peak."""
MODEL_ERROR = 0.003
"""Share of the peak by which perfect optics depart from the template, for colour and pixels."""
SEEING_ARCSEC = (0.7, 8.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rings:
    """The result of a fit to the rings of a frame.

    Attributes:
        defocus_um: Distance from focus, without a sign.
        seeing_arcsec: FWHM of the seeing disc.
        misfit: Rms departure from the template, as a share of its peak.
        star_count: Number of fitted stars.
    """

    defocus_um: float
    stderr_um: float
    seeing_arcsec: float
    misfit: float
    star_count: int


@dataclass(frozen=True, slots=True)
class _Profile:
    """The mean light per pixel of a star of unit flux, by radius, with errors."""

    radii_px: Array
    light: Array
    error: Array


def fit_rings(frame: Frame, field: MeasuredStars, train: OpticalTrain) -> Rings | None:
    """Fit diffraction rings blurred by turbulence to the mean profile of the good stars.

    Args:
        frame: The frame, with square pixels as large as the train's.
        field: Its stars.
        train: The optics.

    Returns:
        The fit; `None` without rings of the expected shape: aberrations, trails, crowding.
    """
    if not field.stars or frame.bayer:
        return None
    hfd_px = float(np.median([star.hfd_px for star in field.stars]))
    half_flux_share = math.sqrt((1 + train.central_obstruction**2) / 2)
    first_um = hfd_px * train.pixel_size_um * train.focal_ratio / half_flux_share
    profile, count = _mean_profile(frame, field, RADIUS_HFD * hfd_px + RADIUS_PX)
    if profile is None:
        return None
    templates = RingTemplates(train, largest_defocus_um=1.5 * first_um, seeing_arcsec=SEEING_ARCSEC)
    return _fitted(templates.at(profile.radii_px), profile, train, first_um, count)


def _fitted(
    profiles: RingProfiles, profile: _Profile, train: OpticalTrain, first_um: float, count: int
) -> Rings | None:
    def scaled(parameters: Array) -> Array:
        """Return the template with the best-fitting flux and background."""
        defocus_um, seeing = _limited(parameters, first_um)
        template = profiles.profile(defocus_um, seeing)
        design = np.column_stack([template, np.ones_like(template)]) / profile.error[:, None]
        factors, *_ = np.linalg.lstsq(design, profile.light / profile.error, rcond=None)
        return np.asarray(factors[0] * template + factors[1])

    def away(parameters: Array) -> Array:
        return np.asarray((scaled(parameters) - profile.light) / profile.error)

    start = np.array([math.log(0.9), math.log(2.5)])
    solution = least_squares(away, start, diff_step=1e-3, max_nfev=40)
    defocus_um, seeing = _limited(np.asarray(solution.x), first_um)
    jacobian = np.asarray(solution.jac)
    excess = max(1.0, 2 * float(solution.cost) / max(len(profile.light) - 4, 1))
    variance = float(np.linalg.pinv(jacobian.T @ jacobian)[0, 0]) * excess
    peak = float(profile.light.max())
    misfit = float(np.sqrt(np.mean((scaled(np.asarray(solution.x)) - profile.light) ** 2))) / peak
    seeing_um = seeing * train.focal_length_mm * 1000 / 206_265
    blurred_enough = defocus_um / train.focal_ratio >= SMALLEST_BLUR * seeing_um
    if misfit > LARGEST_MISFIT or not blurred_enough or not math.isfinite(variance):
        return None
    return Rings(
        defocus_um=defocus_um,
        stderr_um=defocus_um * math.sqrt(variance),
        seeing_arcsec=seeing,
        misfit=misfit,
        star_count=count,
    )


def _limited(parameters: Array, first_um: float) -> tuple[float, float]:
    log_defocus, log_seeing = (float(value) for value in parameters)
    defocus_um = first_um * math.exp(min(max(log_defocus, math.log(0.3)), math.log(1.5)))
    return defocus_um, math.exp(min(max(log_seeing, math.log(SEEING_ARCSEC[0])), math.log(SEEING_ARCSEC[1])))


def _mean_profile(frame: Frame, field: MeasuredStars, radius_px: float) -> tuple[_Profile | None, int]:
    """Average the stars, weighted by their light, in rings of even width around their centres."""
    stars = [star for star in field.stars if _fits(frame, star, radius_px)][:MOST_STARS]
    if len(stars) < FEWEST_STARS:
        return None, 0
    electrons_per_adu = frame.electrons_per_adu or 1.0
    sums = np.zeros((4, BINS))
    sky_adu2 = _sky_variance(frame, stars, radius_px)
    for star in stars:
        radii, light = _pixels(frame, star, radius_px, field.sky_adu)
        bins = np.minimum((radii / radius_px * BINS).astype(int), BINS - 1)
        noise = np.maximum(light, 0) / electrons_per_adu + sky_adu2
        for row, values in enumerate((light, noise, np.full_like(light, star.flux_adu), radii * star.flux_adu)):
            sums[row] += np.bincount(bins, values, BINS)
    filled = sums[2] > 0
    light, noise, flux, radii = sums[:, filled]
    mean = light / flux
    error = np.hypot(np.sqrt(noise) / flux, MODEL_ERROR * float(mean.max()))
    return _Profile(radii / flux, mean, error), len(stars)


def _fits(frame: Frame, star: Star, radius_px: float) -> bool:
    rows, columns = frame.pixels.shape[:2]
    reach = radius_px + 1
    return bool(reach <= star.x_px < columns - reach and reach <= star.y_px < rows - reach)


def _pixels(frame: Frame, star: Star, radius_px: float, sky_adu: float) -> tuple[Array, Array]:
    """Return the distances of a star's pixels from its centre, and their light above the sky."""
    left, top = math.floor(star.x_px - radius_px), math.floor(star.y_px - radius_px)
    size = 2 * math.ceil(radius_px) + 2
    part = np.asarray(frame.pixels[top : top + size, left : left + size], dtype=float) - sky_adu
    rows, columns = np.indices(part.shape)
    radii = np.hypot(columns + left - star.x_px, rows + top - star.y_px)
    inside = radii < radius_px
    return radii[inside], part[inside]


def _sky_variance(frame: Frame, stars: list[Star], radius_px: float) -> float:
    """Return the variance of the sky in a pixel, from the rims of the stars' parts."""
    rim = []
    for star in stars:
        radii, light = _pixels(frame, star, radius_px, 0.0)
        rim.append(light[radii > 0.93 * radius_px])
    values = np.concatenate(rim)
    return float((MAD_TO_SIGMA * np.median(np.abs(values - np.median(values)))) ** 2)
