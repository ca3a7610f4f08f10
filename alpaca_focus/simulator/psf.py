"""Images of a point: pixel-integrated, at every sub-pixel position, exact in flux.

The geometric model multiplies three transforms that are known in closed form: the defocused annular pupil, the Moffat
seeing disc and the square pixel. One cosine transform brings the product back to real space. So no grid
limits a small blur, and because the transform of a pixel vanishes at every whole frequency,
the samples of a star add up to its flux wherever it stands between the pixels.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, special

from alpaca_focus.simulator.telescope_optics import Defocus

WING_LOSS = 1.0e-3
"""Fraction of a Moffat disc beyond the stamp, which is folded back into the stamp."""

MAX_BLUR_PX = 4000.0
"""Widest blur drawn, px: beyond, a star is far below the sky and memory would run out."""

MAX_OVERSAMPLING = 16

MAX_RADIUS_SAMPLES = 2048
"""Most samples to the radius of a blur, which bounds the memory of large blurs."""


@dataclass(frozen=True, slots=True)
class PointSpread:
    """A star of unit flux as the pixels see it.

    Attributes:
        phases: Shape (k + 1, k + 1, n, n) for oversampling k: `phases[j, i]` is the stamp of a star that stands j/k px
            below and i/k px right of the centre of the stamp's middle pixel.
        half_px: The stamp reaches this many pixels from its middle, n = 2 half_px + 1.
        oversampling: Phases to a pixel on each axis.
    """

    phases: NDArray[np.float32]
    half_px: int
    oversampling: int

    def stamp(
        self, fraction_y: float, fraction_x: float, rows: slice = slice(None), columns: slice = slice(None)
    ) -> NDArray[np.float32]:
        """Return the stamp of a star, or some of its rows and columns, as a new array of unit flux.

        The star stands `fraction_y` below and `fraction_x` right of the centre of the middle pixel, 0 to 1 px. Between
        the phases the stamp is interpolated linearly, which keeps flux and centroid exact.
        """
        j, weight_y = _split(fraction_y * self.oversampling, self.oversampling)
        i, weight_x = _split(fraction_x * self.oversampling, self.oversampling)
        upper, lower = self.phases[j, :, rows, columns], self.phases[j + 1, :, rows, columns]
        image = upper[i] * np.float32((1.0 - weight_y) * (1.0 - weight_x))
        for part, weight in (
            (upper[i + 1], (1.0 - weight_y) * weight_x),
            (lower[i], weight_y * (1.0 - weight_x)),
            (lower[i + 1], weight_y * weight_x),
        ):
            if weight > 0.0:
                image += part * np.float32(weight)
        return np.asarray(image, dtype=np.float32)

    def line_profile(self) -> NDArray[np.float32]:
        """Return the cross-section of a line of light of unit flux per px; shape (2 half_px + 1,), sum 1."""
        return np.asarray(self.phases[0, 0].sum(axis=0), dtype=np.float32)


def _split(position: float, largest: int) -> tuple[int, float]:
    whole = min(int(position), largest - 1)
    return whole, position - whole


def moffat_alpha(fwhm: float, beta: float) -> float:
    """Return the scale radius of a Moffat profile (1 + r^2/alpha^2)^-beta, in the unit of `fwhm`."""
    return fwhm / (2.0 * math.sqrt(2.0 ** (1.0 / beta) - 1.0))


def moffat_transfer(frequency: NDArray[np.float64], fwhm: float, beta: float) -> NDArray[np.float64]:
    """Return the Fourier transform of a Moffat disc of unit flux; frequency in cycles per px, FWHM in px, beta above 1.

    With q = 2 pi alpha f it is 2 (q/2)^(beta-1) K_(beta-1)(q) / Gamma(beta-1), K the modified Bessel function of the
    second kind (the Hankel transform of the profile). It is tabulated, since K is slow.
    """
    order = beta - 1.0
    q = np.linspace(0.0, 40.0, 8001)
    table = np.zeros_like(q)
    table[0] = 1.0
    table[1:] = 2.0 * (q[1:] / 2.0) ** order * special.kv(order, q[1:]) / special.gamma(order)
    return np.asarray(np.interp(2.0 * math.pi * moffat_alpha(fwhm, beta) * frequency, q, table, right=0.0))


def moffat_radius(fwhm: float, beta: float, loss: float) -> float:
    """Return the radius beyond which a fraction `loss` of a Moffat disc lies, in the unit of `fwhm`."""
    return moffat_alpha(fwhm, beta) * math.sqrt(loss ** (1.0 / (1.0 - beta)) - 1.0)


def annulus_transfer(u: NDArray[np.float64], obstruction: float) -> NDArray[np.float64]:
    """Return the Fourier transform of an evenly lit annulus of unit flux, same shape as `u`.

    `u` is pi times the outer diameter times the frequency; for an ellipse, the root of the axes' sum of squares.
    """
    disc = _disc_transfer(u)
    if obstruction == 0.0:
        return disc
    hole = obstruction**2
    return np.asarray((disc - hole * _disc_transfer(obstruction * u)) / (1.0 - hole))


def _disc_transfer(u: NDArray[np.float64]) -> NDArray[np.float64]:
    transfer = np.ones_like(u)
    np.divide(2.0 * special.j1(u), u, out=transfer, where=u > 1.0e-6)
    return transfer


def optical_transfer(
    fx: NDArray[np.float64],
    fy: NDArray[np.float64],
    *,
    blur_px: tuple[float, float],
    obstruction: float,
    seeing_fwhm_px: float,
    moffat_beta: float,
) -> NDArray[np.float64]:
    """Return the Fourier transform of a star's image of unit flux in front of the sensor, shape (m, n).

    The frequencies have shapes (1, n) and (m, 1), cycles per px; `blur_px` are the outer diameters of the geometric
    blur along x and y.
    """
    transfer = moffat_transfer(np.hypot(fx, fy), seeing_fwhm_px, moffat_beta)
    transfer *= annulus_transfer(np.pi * np.hypot(blur_px[0] * fx, blur_px[1] * fy), obstruction)
    return transfer


def blur_diameters_px(defocus: Defocus, focal_ratio: float, pixel_um: float) -> tuple[float, float]:
    """Return the outer diameters of the geometric blur along x and y, px: defocus over focal ratio."""
    scale = 1.0 / (focal_ratio * pixel_um)
    return min(abs(defocus.x_um) * scale, MAX_BLUR_PX), min(abs(defocus.y_um) * scale, MAX_BLUR_PX)


def oversampling_for(fwhm_px: float, blur_px: float) -> int:
    """Return the phases to a pixel: fine enough for the seeing disc, coarser where a large blur allows it."""
    resolved = 2.5 / fwhm_px
    smooth = 10.0 / math.hypot(fwhm_px, blur_px / 8.0)
    affordable = max(int(2.0 * MAX_RADIUS_SAMPLES / max(blur_px, 1.0)), 1)
    return min(max(math.ceil(resolved), math.ceil(smooth), 1), affordable, MAX_OVERSAMPLING)


def geometric_point_spread(
    *,
    defocus: Defocus,
    focal_ratio: float,
    obstruction: float,
    pixel_um: float,
    seeing_fwhm_px: float,
    moffat_beta: float,
) -> PointSpread:
    """Return the ray-optics image of a star: the pupil's shadow, scaled by defocus, blurred by seeing and the pixel."""
    blur_x, blur_y = blur_diameters_px(defocus, focal_ratio, pixel_um)
    blur = max(blur_x, blur_y)
    oversampling = oversampling_for(seeing_fwhm_px, blur)
    reach = blur / 2.0 + moffat_radius(seeing_fwhm_px, moffat_beta, WING_LOSS) + 2.0
    half = fft.next_fast_len(math.ceil(reach) + 1, real=True) - 1
    quarter = oversampling * (half + 1)
    frequency = np.arange(quarter + 1) * (0.5 / (half + 1))
    fx, fy = frequency[np.newaxis, :], frequency[:, np.newaxis]
    transfer = optical_transfer(
        fx,
        fy,
        blur_px=(blur_x, blur_y),
        obstruction=obstruction,
        seeing_fwhm_px=seeing_fwhm_px,
        moffat_beta=moffat_beta,
    )
    transfer *= np.sinc(fx) * np.sinc(fy)
    # The DCT of type 1 is the Fourier transform of an even function given by one quarter.
    samples = fft.dctn(transfer.astype(np.float32), type=1)
    samples *= np.float32(1.0 / (2.0 * (half + 1)) ** 2)
    np.maximum(samples, 0.0, out=samples)
    return PointSpread(phases_of(_unfold(samples), half, oversampling), half, oversampling)


def _unfold(quarter: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the even function with this quarter, from (m + 1, m + 1) to (2 m, 2 m), centre at (m, m)."""
    lower = np.concatenate([quarter[:, :0:-1], quarter[:, :-1]], axis=1)
    return np.concatenate([lower[:0:-1], lower[:-1]], axis=0)


def phases_of(samples: NDArray[np.float32], half: int, oversampling: int) -> NDArray[np.float32]:
    """Return oversampled, pixel-integrated samples sorted by their phase, in the shape of `PointSpread.phases`.

    `samples` has shape (m, m) with m = 2 oversampling (half + 1), the star at index m/2 of both axes.
    """
    size = 2 * half + 1
    phases = np.empty((oversampling + 1, oversampling + 1, size, size), dtype=np.float32)
    first = oversampling
    for j in range(oversampling + 1):
        rows = slice(first - j, first - j + oversampling * (size - 1) + 1, oversampling)
        for i in range(oversampling + 1):
            columns = slice(first - i, first - i + oversampling * (size - 1) + 1, oversampling)
            phases[j, i] = samples[rows, columns]
    return phases
