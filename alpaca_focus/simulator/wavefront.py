"""Images of a point by wave optics: diffraction at the pupil, aberrations, and long-exposure turbulence.

Fourier optics in the small-angle (paraxial) approximation: the image of a point is the squared modulus of the Fourier
transform of the pupil function; turbulence, the pixel and the spread of wavelengths act as factors and sums on
the optical transfer function.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, special

from alpaca_focus.simulator.psf import PointSpread, blur_diameters_px, phases_of
from alpaca_focus.simulator.telescope_optics import Defocus

WAVELENGTHS = 3
"""Number of wavelengths that represent the band, evenly spaced."""

REACH_FWHM = 12.0
"""The grid reaches this many seeing discs beyond the geometric blur; light beyond (0.1 %) is folded back."""

MAX_GRID = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """Telescope and turbulence for wave optics.

    Attributes:
        obstruction: Central obstruction as a fraction of the diameter.
        zernike: Noll index to waves rms at the band's centre, over the unobstructed pupil.
        fried_m: Fried parameter at the band's centre, see `fried_parameter_m`.
        outer_scale_m: Outer scale of the turbulence; none for Kolmogorov turbulence.
    """

    aperture_m: float
    focal_ratio: float
    obstruction: float
    zernike: Mapping[int, float]
    wavelength_um: float
    bandwidth_um: float
    fried_m: float
    outer_scale_m: float | None


def fried_parameter_m(seeing_fwhm_rad: float, wavelength_um: float) -> float:
    """Return Fried's r0 of a long-exposure Kolmogorov seeing disc, m: FWHM = 0.976 wavelength / r0 (Fried 1966)."""
    return 0.976 * wavelength_um * 1.0e-6 / seeing_fwhm_rad


def structure_function(
    separation_m: NDArray[np.float64], fried_m: float, outer_scale_m: float | None
) -> NDArray[np.float64]:
    """Return the phase structure function of the turbulence, rad^2, same shape as `separation_m`.

    Kolmogorov: 6.88 (r/r0)^(5/3) (Fried 1966). With an outer scale L0, von Karman's (Conan 2000, eq. 3.2), which
    levels off beyond L0 and makes the seeing disc smaller than r0 alone does.
    """
    if outer_scale_m is None:
        return np.asarray(6.8839 * (separation_m / fried_m) ** (5.0 / 3.0))
    gamma = special.gamma
    strength = (outer_scale_m / fried_m) ** (5.0 / 3.0) * 2.0 ** (1.0 / 6.0) * gamma(11.0 / 6.0)
    strength *= math.pi ** (-8.0 / 3.0) * (24.0 / 5.0 * gamma(6.0 / 5.0)) ** (5.0 / 6.0)
    level = gamma(5.0 / 6.0) / 2.0 ** (1.0 / 6.0)
    x = np.geomspace(1.0e-6, 60.0, 4000)
    table = strength * (level - x ** (5.0 / 6.0) * special.kv(5.0 / 6.0, x))
    return np.asarray(np.interp(2.0 * math.pi * separation_m / outer_scale_m, x, table, left=0.0))


def noll_indices(j: int) -> tuple[int, int]:
    """Return radial order n and azimuthal order m of Noll's index j (Noll 1976); m < 0 for sine terms."""
    n = math.ceil((math.sqrt(8.0 * j + 1.0) - 3.0) / 2.0)
    rank = j - n * (n + 1) // 2
    m = 2 * ((rank + n % 2) // 2) - n % 2 if n % 2 else 2 * (rank // 2)
    return n, m if j % 2 == 0 else -m


def zernike(j: int, radius: NDArray[np.float64], angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the Zernike polynomial of Noll's index j with unit rms over the full unit disc; shape as `radius`."""
    n, m = noll_indices(j)
    order = abs(m)
    radial = np.zeros_like(radius)
    for k in range((n - order) // 2 + 1):
        factor = (-1) ** k * math.factorial(n - k)
        factor //= math.factorial(k) * math.factorial((n + order) // 2 - k) * math.factorial((n - order) // 2 - k)
        radial += factor * radius ** (n - 2 * k)
    if m == 0:
        return np.asarray(math.sqrt(n + 1.0) * radial)
    wave = np.cos(order * angle) if m > 0 else np.sin(order * angle)
    return np.asarray(math.sqrt(2.0 * (n + 1.0)) * radial * wave)


def diffraction_point_spread(*, defocus: Defocus, wave: Wave, pixel_um: float, seeing_fwhm_px: float) -> PointSpread:
    """Return the wave-optics image of a star, long exposure, over a band of wavelengths.

    Defocus d is the wavefront d rho^2 / (8 N^2), rho the radius in the pupil (1 at its edge) and N the focal ratio.
    The seeing decides the size of the grid.
    """
    shortest_um = wave.wavelength_um - wave.bandwidth_um / 2.0
    # The intensity has no frequency above 1 / (wavelength N), so this sampling loses nothing.
    oversampling = max(math.ceil(2.0 * pixel_um / (shortest_um * wave.focal_ratio)), math.ceil(8.0 / seeing_fwhm_px), 1)
    half = _half_size(defocus, wave, pixel_um, seeing_fwhm_px, oversampling)
    size = 2 * oversampling * (half + 1)
    step_um = pixel_um / oversampling
    frequency = fft.fftfreq(size, step_um)
    transfer = np.zeros((size, size // 2 + 1), dtype=np.complex64)
    for wavelength_um in _wavelengths_um(wave):
        transfer += _transfer(frequency, wavelength_um, defocus, wave)
    transfer /= transfer[0, 0].real
    pixel = np.sinc(frequency * pixel_um).astype(np.float32)
    transfer *= pixel[:, np.newaxis] * pixel[np.newaxis, : size // 2 + 1]
    samples = fft.irfft2(transfer, s=(size, size))
    samples *= np.float32(oversampling**2)
    np.maximum(samples, 0.0, out=samples)
    return PointSpread(phases_of(fft.fftshift(samples), half, oversampling), half, oversampling)


def _half_size(defocus: Defocus, wave: Wave, pixel_um: float, seeing_fwhm_px: float, oversampling: int) -> int:
    blur = max(blur_diameters_px(defocus, wave.focal_ratio, pixel_um))
    aberration_waves = sum(abs(waves) for waves in wave.zernike.values())
    airy = wave.wavelength_um * wave.focal_ratio / pixel_um
    # A wave of rms error bends rays by some ten Airy radii at most for the low orders that matter.
    reach = blur / 2.0 + REACH_FWHM * seeing_fwhm_px + airy * (10.0 + 10.0 * aberration_waves)
    half = int(fft.next_fast_len(math.ceil(reach) + 1, real=True)) - 1
    return min(half, MAX_GRID // (2 * oversampling) - 1)


def _wavelengths_um(wave: Wave) -> NDArray[np.float64]:
    if wave.bandwidth_um == 0.0:
        return np.array([wave.wavelength_um])
    offsets = (np.arange(WAVELENGTHS) + 0.5) / WAVELENGTHS - 0.5
    return np.asarray(wave.wavelength_um + wave.bandwidth_um * offsets)


def _transfer(
    frequency: NDArray[np.float64], wavelength_um: float, defocus: Defocus, wave: Wave
) -> NDArray[np.complex64]:
    """Return the optical transfer function at one wavelength, shape (n, n // 2 + 1); frequencies per um."""
    to_pupil = 2.0 * wavelength_um * wave.focal_ratio
    x, y = to_pupil * frequency[np.newaxis, :], to_pupil * frequency[:, np.newaxis]
    radius = np.hypot(x, y)
    edge = to_pupil * frequency[1]
    amplitude = np.clip((1.0 - radius) / edge + 0.5, 0.0, 1.0)
    if wave.obstruction > 0.0:
        amplitude *= np.clip((radius - wave.obstruction) / edge + 0.5, 0.0, 1.0)
    phase = (defocus.x_um * x**2 + defocus.y_um * y**2) * (2.0 * np.pi / (8.0 * wave.focal_ratio**2 * wavelength_um))
    phase += _aberration_rad(x, y, radius, wave, wavelength_um)
    pupil = (amplitude * np.exp(1j * phase)).astype(np.complex64)
    field = fft.fft2(pupil)
    transfer = fft.rfft2(field.real**2 + field.imag**2)
    transfer /= transfer[0, 0].real
    fried_m = wave.fried_m * (wavelength_um / wave.wavelength_um) ** 1.2
    separation_m = radius[:, : frequency.size // 2 + 1] * wave.aperture_m / 2.0
    transfer *= np.exp(-0.5 * structure_function(separation_m, fried_m, wave.outer_scale_m)).astype(np.float32)
    return np.asarray(transfer, dtype=np.complex64)


def _aberration_rad(
    x: NDArray[np.float64], y: NDArray[np.float64], radius: NDArray[np.float64], wave: Wave, wavelength_um: float
) -> NDArray[np.float64] | float:
    if not wave.zernike:
        return 0.0
    angle = np.arctan2(y, x)
    inside = np.minimum(radius, 1.0)
    waves = sum(rms * zernike(j, inside, angle) for j, rms in wave.zernike.items())
    return np.asarray(waves * (2.0 * np.pi * wave.wavelength_um / wavelength_um))
