"""Star fields drawn for tests, by another way than the simulator's, with the truth by brute force on a fine grid."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

OVERSAMPLING = 5


@dataclass(frozen=True)
class DrawnField:
    pixels: NDArray[np.uint16]
    hfd_px: float
    places: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Blur:
    """The light of one star on a fine grid, all of it being one."""

    light: NDArray[np.float64]
    oversampling: int

    @property
    def hfd_px(self) -> float:
        """Diameter that holds half of the light, before any pixel: from the fine grid's growth curve."""
        half = self.light.shape[0] // 2
        y, x = np.mgrid[-half : half + 1, -half : half + 1] / self.oversampling
        radius = np.hypot(x, y).ravel()
        order = np.argsort(radius)
        growth = np.cumsum(self.light.ravel()[order])
        near = np.searchsorted(growth, (0.48, 0.52))
        # A straight line through the growth against the area is smoother than the steps of the fine grid.
        area = radius[order][near[0] : near[1]] ** 2
        slope, start = np.polyfit(growth[near[0] : near[1]], area, 1)
        return 2 * float(np.sqrt(start + slope * 0.5))


def drawn_blur(
    *, disc_px: float = 0.0, obstruction: float = 0.0, seeing_fwhm_px: float = 2.8, moffat: float | None = None
) -> Blur:
    """Draw a disc or ring blurred by the air: by a Gaussian, or by a Moffat profile of this exponent."""
    oversampling = 9 if disc_px + seeing_fwhm_px < 12 else OVERSAMPLING if disc_px < 60 else 3
    wings = 3.0 if moffat is None else 14.0
    half = int(np.ceil((disc_px / 2 + wings * seeing_fwhm_px + 2) * oversampling))
    y, x = np.mgrid[-half : half + 1, -half : half + 1] / oversampling
    radius = np.hypot(x, y)
    if moffat is None:
        air = np.exp(-4 * np.log(2) * (radius / seeing_fwhm_px) ** 2)
    else:
        air = (1 + 4 * (2 ** (1 / moffat) - 1) * (radius / seeing_fwhm_px) ** 2) ** -moffat
    if disc_px > 0:
        # Soft by one fine cell, so that the rim has no teeth.
        rim = np.clip((disc_px / 2 - radius) * oversampling + 0.5, 0, 1)
        hole = np.clip((radius - obstruction * disc_px / 2) * oversampling + 0.5, 0, 1) if obstruction else 1.0
        size = [fft.next_fast_len(2 * (2 * half + 1), real=True)] * 2
        product = fft.rfft2(air, size) * fft.rfft2(rim * hole, size)
        air = np.maximum(fft.irfft2(product, size)[half : 3 * half + 1, half : 3 * half + 1], 0)
    return Blur(air / air.sum(), oversampling)


def drawn_stars(
    rng: np.random.Generator,
    blur: Blur,
    *,
    fluxes: NDArray[np.float64],
    shape: tuple[int, int],
    sky: float = 500.0,
    read_noise: float = 3.0,
) -> DrawnField:
    """Draw stars on a jittered grid, with photon noise; as many as `fluxes`, in electrons."""
    rows, columns = shape
    side = int(np.ceil(np.sqrt(len(fluxes))))
    image = np.full(shape, float(sky))
    places = []
    for index, flux in enumerate(rng.permutation(fluxes)):
        x = (index % side + 0.5 + rng.uniform(-0.1, 0.1)) * columns / side
        y = (index // side + 0.5 + rng.uniform(-0.1, 0.1)) * rows / side
        places.append(add_star(image, blur, x, y, flux))
    noisy = rng.poisson(image) + rng.normal(0, read_noise, shape)
    return DrawnField(np.clip(np.rint(noisy), 0, 65535).astype(np.uint16), blur.hfd_px, tuple(places))


def add_star(image: NDArray[np.float64], blur: Blur, x: float, y: float, flux: float) -> tuple[float, float]:
    """Sum the fine grid into the pixels, and return the place, which is kept to a fine cell."""
    size, half = blur.oversampling, blur.light.shape[0] // 2
    fine_x, fine_y = (int(np.floor((at + 0.5) * size)) for at in (x, y))
    first_column, first_row = (fine_x - half) // size, (fine_y - half) // size
    before_x, before_y = fine_x - half - first_column * size, fine_y - half - first_row * size
    extent = 2 * half + 1
    width, height = (-(-(before + extent) // size) for before in (before_x, before_y))
    padded = np.zeros((height * size, width * size))
    padded[before_y : before_y + extent, before_x : before_x + extent] = blur.light
    pixels = padded.reshape(height, size, width, size).sum(axis=(1, 3))
    rows = np.arange(first_row, first_row + height)
    columns = np.arange(first_column, first_column + width)
    inside_y = (rows >= 0) & (rows < image.shape[0])
    inside_x = (columns >= 0) & (columns < image.shape[1])
    image[np.ix_(rows[inside_y], columns[inside_x])] += flux * pixels[np.ix_(inside_y, inside_x)]
    return (fine_x + 0.5) / size - 0.5, (fine_y + 0.5) / size - 0.5


def drawn_field(
    rng: np.random.Generator,
    *,
    blur_px: float,
    seeing_sigma_px: float = 1.2,
    obstruction: float = 0.0,
    stars: int = 9,
    size_px: int = 600,
    flux: float = 2e5,
    sky: float = 500.0,
) -> DrawnField:
    """Draw equal stars: a disc or ring of diameter `blur_px`, blurred by a Gaussian, with photon noise."""
    blur = drawn_blur(disc_px=blur_px, obstruction=obstruction, seeing_fwhm_px=2.3548 * seeing_sigma_px)
    return drawn_stars(rng, blur, fluxes=np.full(stars, flux), shape=(size_px, size_px), sky=sky)


def random_blur(rng: np.random.Generator, hfd_px: float) -> Blur:
    """Draw stars of about this HFD: refractor or obstructed, air with narrow or wide wings."""
    seeing_px = rng.uniform(1.7, 5.0)
    obstruction = rng.choice([0.0, 0.35])
    moffat = rng.choice([None, 2.5, 3.5, 4.765])
    if hfd_px < 1.35 * seeing_px:
        return drawn_blur(seeing_fwhm_px=hfd_px / 1.1, moffat=moffat)
    disc_px = float(np.sqrt(max(hfd_px**2 - (1.1 * seeing_px) ** 2, 1.0))) * (1.41 if obstruction == 0 else 1.33)
    return drawn_blur(disc_px=disc_px, obstruction=obstruction, seeing_fwhm_px=seeing_px, moffat=moffat)


def random_field(
    rng: np.random.Generator, smallest_px: float, largest_px: float, blur: Blur | None = None
) -> DrawnField:
    """Draw 1 to 40 stars of SNR 50 to 500, of a random HFD between two, or of a blur given, under a random sky."""
    blur = blur or random_blur(rng, float(np.exp(rng.uniform(np.log(smallest_px), np.log(largest_px)))))
    room_px = 4.5 * blur.hfd_px + 30
    stars = round(float(np.exp(rng.uniform(0, np.log(40)))))
    side_px = int(np.clip(np.ceil(np.sqrt(stars)) * room_px, 300, 900))
    stars = min(stars, max(int(side_px // room_px) ** 2, 1))
    sky = float(rng.uniform(50, 2000))
    snr = np.exp(rng.uniform(np.log(50), np.log(500), stars))
    noise = np.sqrt(sky * np.pi) * (1.5 * blur.hfd_px + 4)
    fluxes = np.minimum(snr * noise, 3e4 * blur.hfd_px**2)
    return drawn_stars(rng, blur, fluxes=fluxes, shape=(side_px, side_px), sky=sky)
