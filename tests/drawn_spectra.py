"""2D slit spectra drawn for tests, with the truth that they were drawn from."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from alpaca_focus.core.values import Frame

FINE = 7


@dataclass(frozen=True)
class DrawnSpectrum:
    pixels: NDArray[np.uint16]
    row: float
    light_adu: NDArray[np.float64]


def drawn_spectrum(
    rng: np.random.Generator,
    *,
    fwhm_px: float = 4.0,
    row: float = 100.3,
    shape: tuple[int, int] = (200, 600),
    slant: float = 0.0,
    light_adu: float = 2000.0,
    sky_adu: float = 100.0,
    read_noise: float = 5.0,
    second: tuple[float, float] | None = None,
    sky_lines: int = 12,
) -> DrawnSpectrum:
    """Draw a horizontal trace with a continuum that falls off to both ends, sky lines across the slit, and noise.

    `light_adu` is the light of a column where the trace is brightest; `second` is the row of another star and its share
    of the light. The Gaussian is summed over seven lines in each pixel.
    """
    rows, columns = shape
    x = np.arange(columns)
    light = light_adu * np.exp(-(((x - 0.55 * columns) / (0.45 * columns)) ** 4)) * (1 + 0.05 * np.sin(x / 17))
    sky = np.full(columns, float(sky_adu))
    for at in rng.integers(0, columns, sky_lines):
        sky += sky_adu * rng.uniform(0.5, 8) * np.exp(-(((x - at) / 1.5) ** 2))
    fine = (np.arange(rows * FINE) + 0.5) / FINE - 0.5
    sigma = fwhm_px / 2.3548
    image = np.tile(sky, (rows, 1))
    for middle, share in ((row, 1.0), *([second] if second else [])):
        distance = fine[:, None] - (middle + slant * (x - (columns - 1) / 2))
        profile = np.exp(-0.5 * (distance / sigma) ** 2) / (sigma * np.sqrt(2 * np.pi))
        image += share * light * profile.reshape(rows, FINE, columns).mean(axis=1)
    noisy = rng.poisson(image) + rng.normal(0, read_noise, shape) + 300
    return DrawnSpectrum(np.clip(np.rint(noisy), 0, 65535).astype(np.uint16), row, light)


def as_frame(pixels: NDArray[np.generic], *, exposure_s: float = 10.0, image_scale_arcsec: float | None = 0.9) -> Frame:
    return Frame(
        pixels=pixels,
        exposure_s=exposure_s,
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        binning=1,
        saturation_adu=65535,
        electrons_per_adu=1.0,
        image_scale_arcsec=image_scale_arcsec,
    )
