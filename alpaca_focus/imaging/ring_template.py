"""The mean profile of a defocused star: diffraction at an annular pupil, long-exposure turbulence, and the pixel.

Everything is symmetric about the axis, so that one-dimensional sums replace two-dimensional transforms. The
amplitude in the image at radius r is the sum over the pupil of exp(i phase) J0(pi r rho / (wavelength N)), where a
defocus d adds the phase 2 pi d rho^2 / (8 N^2 wavelength) at the radius rho of the pupil (1 at its edge). Turbulence
and the pixel are factors on the transform of the intensity: exp(-3.44 (wavelength f / r0)^(5/3)) for Kolmogorov's, f in
cycles a radian and r0 = 0.976 wavelength / FWHM (Fried, J. Opt. Soc. Am. 56, 1372, 1966), and the mean over all
directions of the square pixel's, which is sinc(f p)^2 turned, to second order exp(-(pi f p)^2 / 6).
"""

import math
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import j0

from alpaca_focus.core.optics import ARCSEC_PER_RADIAN, OpticalTrain

Array = NDArray[np.float64]

WAVELENGTHS_UM = (0.517, 0.55, 0.583)
"""Three wavelengths that represent a broad band about 0.55 um."""
PUPIL_SAMPLES = 160
FRIED, KOLMOGOROV = 0.976, 3.44
SEEING_REACH = 6.0
"""Extent of the grid of radii beyond the rim of the ring, in seeing discs."""
SMALLEST_TRANSFER = 1e-4


class RingTemplates:
    """Profiles of stars through one telescope, up to a largest defocus and seeing.

    Args:
        train: The optics.
        largest_defocus_um: Largest defocus of any template.
        seeing_arcsec: Smallest and largest FWHM of the seeing.
    """

    def __init__(
        self, train: OpticalTrain, *, largest_defocus_um: float, seeing_arcsec: tuple[float, float] = (0.7, 8.0)
    ) -> None:
        self._train = train
        self._um_per_arcsec = train.focal_length_mm * 1000 / ARCSEC_PER_RADIAN
        step_um = 0.4 * min(WAVELENGTHS_UM) * train.focal_ratio
        reach_um = largest_defocus_um / (2 * train.focal_ratio) + SEEING_REACH * seeing_arcsec[1] * self._um_per_arcsec
        self._radii_um = step_um * (np.arange(math.ceil(reach_um / step_um)) + 0.5)
        self._step_um = step_um
        self._sharpest_arcsec = seeing_arcsec[0]

    @cached_property
    def _pupil(self) -> tuple[Array, Array]:
        """Squared radii of the pupil in steps of equal area, and the radii."""
        hole = self._train.central_obstruction**2
        squared = hole + (1 - hole) * (np.arange(PUPIL_SAMPLES) + 0.5) / PUPIL_SAMPLES
        return squared, np.sqrt(squared)

    @cached_property
    def _waves(self) -> tuple[Array, ...]:
        """J0 over image radii and pupil radii, for each wavelength."""
        _, rho = self._pupil
        return tuple(
            j0(np.pi * np.outer(self._radii_um, rho) / (wavelength * self._train.focal_ratio))
            for wavelength in WAVELENGTHS_UM
        )

    @cached_property
    def _frequencies(self) -> Array:
        """Cycles per micrometre up to the limit of the sharpest seeing, evenly spaced."""
        cut_off = 1 / (min(WAVELENGTHS_UM) * self._train.focal_ratio)
        fried_um_rad = FRIED / (self._sharpest_arcsec * self._um_per_arcsec)
        # The transform is below SMALLEST_TRANSFER from here on.
        blurred = fried_um_rad * (-math.log(SMALLEST_TRANSFER) / KOLMOGOROV) ** 0.6
        largest = min(cut_off, blurred)
        step = 1 / (2.5 * self._radii_um[-1])
        return np.asarray(step * (np.arange(math.ceil(largest / step)) + 0.5))

    @cached_property
    def _forward(self) -> Array:
        """The matrix from intensity at the radii to its transform at the frequencies."""
        kernel = j0(2 * np.pi * np.outer(self._frequencies, self._radii_um))
        return np.asarray(kernel * (2 * np.pi * self._step_um * self._radii_um))

    def transfer(self, defocus_um: float) -> Array:
        """Return the transform of the image without seeing at the template's frequencies, about 1 at zero."""
        squared, _ = self._pupil
        intensity = np.zeros_like(self._radii_um)
        for wavelength, wave in zip(WAVELENGTHS_UM, self._waves, strict=True):
            phase = 2 * np.pi * defocus_um * squared / (8 * self._train.focal_ratio**2 * wavelength)
            intensity += np.abs(wave @ np.exp(1j * phase)) ** 2 / wavelength**2
        intensity /= np.sum(2 * np.pi * self._step_um * self._radii_um * intensity)
        return np.asarray(self._forward @ intensity)

    def at(self, radii_px: Array) -> "RingProfiles":
        """Return these templates at fixed radii, in pixels of the camera."""
        return RingProfiles(self, radii_px)

    def blurred(self, transfer: Array, seeing_arcsec: float) -> Array:
        """Return a transform multiplied by those of the seeing and of the pixel."""
        fried = FRIED / (seeing_arcsec * self._um_per_arcsec)
        air = np.exp(-KOLMOGOROV * (self._frequencies / fried) ** (5 / 3))
        pixel = np.exp(-((np.pi * self._frequencies * self._train.pixel_size_um) ** 2) / 6)
        return np.asarray(transfer * air * pixel)

    def backward(self, radii_px: Array) -> Array:
        """Return the matrix from a transform to the light per pixel of a star of unit flux, at radii in pixels."""
        pixel_um = self._train.pixel_size_um
        step = float(self._frequencies[1] - self._frequencies[0])
        kernel = j0(2 * np.pi * np.outer(radii_px * pixel_um, self._frequencies))
        return np.asarray(kernel * (2 * np.pi * step * self._frequencies) * pixel_um**2)


class RingProfiles:
    """Templates at fixed radii, so that repeated calls of `profile` in a fit are fast."""

    def __init__(self, templates: RingTemplates, radii_px: Array) -> None:
        self._templates = templates
        self._backward = templates.backward(radii_px)

    def profile(self, defocus_um: float, seeing_arcsec: float) -> Array:
        """Return the light per pixel at each radius of a star of unit flux."""
        transfer = self._templates.transfer(defocus_um)
        return np.asarray(self._backward @ self._templates.blurred(transfer, seeing_arcsec))
