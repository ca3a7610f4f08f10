"""The light of a slit spectrograph on its sensor: a star's spectrum along the rows, and the lines of the sky.

The telescope forms the star on the slit. The image of the star, integrated over the width of the slit, has the
throughput as its sum, which falls as seeing and defocus grow, and the spatial profile of the spectrum as its shape.
The lines are images of the slit, so their width does not depend on the telescope's focus. The slit always sees ray
optics and a Moffat seeing disc, whatever the optical model of the telescope.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage, special

from alpaca_focus.simulator.psf import WING_LOSS, blur_diameters_px, moffat_alpha, moffat_radius, optical_transfer
from alpaca_focus.simulator.sensor import SensorWindow
from alpaca_focus.simulator.settings import SensorSettings, SkySettings, SpectrographSettings, TelescopeSettings
from alpaca_focus.simulator.telescope_optics import (
    ARCSEC_PER_RADIAN,
    PHOTONS_PER_S_CM2_ANGSTROM,
    collecting_area_cm2,
    local_defocus,
)

FWHM_PER_SIGMA = 2.0 * math.sqrt(2.0 * math.log(2.0))

ABSORPTION_LINES = (
    (410.17, 0.45, 2.0),
    (434.05, 0.50, 2.0),
    (486.13, 0.50, 1.8),
    (517.27, 0.10, 0.8),
    (589.29, 0.15, 0.8),
    (656.28, 0.45, 1.6),
    (687.20, 0.35, 1.5),
    (760.50, 0.70, 3.0),
)
"""Hydrogen, magnesium, sodium and the oxygen bands of the air: wavelength nm, depth, FWHM nm."""

PROFILE_OVERSAMPLING = 8
SPECTRUM_OVERSAMPLING = 4
REFERENCE_NM = 550.0


@dataclass(frozen=True, slots=True)
class SlitProfile:
    """The star along the slit behind the slit, per unit of light in front of the slit.

    Attributes:
        offset_px: Distance from the star along the slit, px, rising, shape (n,).
        density: Light of a pixel at that distance, shape (n,).
        throughput: Fraction of the light that passes the slit.
    """

    offset_px: NDArray[np.float64]
    density: NDArray[np.float64]
    throughput: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Slit:
    """The slit and its star; lengths in rows of the spectrum (px), blurs as outer diameters.

    Attributes:
        obstruction: Central obstruction as a fraction of the diameter.
        decentre_px: Distance of the star from the middle of the slit, across the slit.
        camera_fwhm_px: FWHM of the spectrograph's own blur.
    """

    blur_across_px: float
    blur_along_px: float
    obstruction: float
    seeing_fwhm_px: float
    moffat_beta: float
    width_px: float
    decentre_px: float
    camera_fwhm_px: float


def slit_profile(slit: Slit) -> SlitProfile:
    """Return the image of the star integrated over the width of the slit.

    In the frequency domain that is an integral across the slit with a sinc as weight (Parseval), after which one
    cosine transform gives the profile along it.
    """
    blur = max(slit.blur_across_px, slit.blur_along_px)
    reach = blur / 2.0 + moffat_radius(slit.seeing_fwhm_px, slit.moffat_beta, WING_LOSS) + 2.0
    reach += slit.width_px + 2.0 * slit.camera_fwhm_px
    half = fft.next_fast_len(math.ceil(reach), real=True)
    spacing = 0.5 / half
    along = np.arange(PROFILE_OVERSAMPLING * half + 1) * spacing
    # Beyond this frequency the seeing disc has no contrast left (exp -25).
    highest = 25.0 / (2.0 * math.pi * moffat_alpha(slit.seeing_fwhm_px, slit.moffat_beta))
    across = np.arange(min(math.ceil(highest / spacing), 4096) + 1) * spacing
    transfer = optical_transfer(
        across[np.newaxis, :],
        along[:, np.newaxis],
        blur_px=(slit.blur_across_px, slit.blur_along_px),
        obstruction=slit.obstruction,
        seeing_fwhm_px=slit.seeing_fwhm_px,
        moffat_beta=slit.moffat_beta,
    )
    weight = np.sinc(slit.width_px * across) * np.cos(2.0 * math.pi * slit.decentre_px * across)
    weight[1:] *= 2.0
    passed = transfer @ weight * (slit.width_px * spacing)
    throughput = float(passed[0])
    sigma = slit.camera_fwhm_px / FWHM_PER_SIGMA
    passed *= np.sinc(along) * np.exp(-2.0 * (math.pi * sigma * along) ** 2)
    density = np.maximum(fft.dct(passed, type=1) * spacing, 0.0)
    offset = np.arange(density.size) / PROFILE_OVERSAMPLING
    return SlitProfile(
        np.concatenate([-offset[:0:-1], offset]), np.concatenate([density[:0:-1], density]), min(throughput, 1.0)
    )


def star_spectrum(
    spectrograph: SpectrographSettings, telescope: TelescopeSettings, sensor: SensorSettings
) -> NDArray[np.float64]:
    """Return the electrons a second of a star in each column, without losses at the slit; shape (width_px,).

    A black body scaled to the star's magnitude, absorption lines, and the response of the spectrograph, blurred
    by the image of the slit.
    """
    k = SPECTRUM_OVERSAMPLING
    column = (np.arange(sensor.width_px * k) + 0.5) / k - 0.5
    wavelength_nm = wavelength_of_column_nm(spectrograph, sensor, column)
    density = black_body(wavelength_nm, spectrograph.star_temperature_k) * (wavelength_nm > 0.0)
    density /= black_body(np.array([REFERENCE_NM]), spectrograph.star_temperature_k)[0]
    for line_nm, depth, fwhm_nm in ABSORPTION_LINES:
        sigma_nm = fwhm_nm / FWHM_PER_SIGMA
        density *= 1.0 - depth * np.exp(-0.5 * ((wavelength_nm - line_nm) / sigma_nm) ** 2)
    width = max(round(slit_width_px(spectrograph) * k), 1)
    density = ndimage.uniform_filter1d(density, width, mode="nearest")
    density = ndimage.gaussian_filter1d(density, spectrograph.camera_fwhm_px / FWHM_PER_SIGMA * k, mode="nearest")
    flux = PHOTONS_PER_S_CM2_ANGSTROM * 10.0 ** (-0.4 * spectrograph.star_magnitude) * collecting_area_cm2(telescope)
    per_column = density.reshape(sensor.width_px, k).mean(axis=1) * flux * spectrograph.dispersion_angstrom_per_px
    return np.asarray(per_column * response(spectrograph, sensor, np.arange(sensor.width_px)))


def sky_spectrum(
    spectrograph: SpectrographSettings, telescope: TelescopeSettings, sensor: SensorSettings, sky: SkySettings
) -> NDArray[np.float64]:
    """Return the electrons a second of the sky's continuum in one row of each column; shape (width_px,)."""
    area_arcsec2 = spectrograph.slit_width_arcsec * spectrograph.spatial_scale_arcsec_per_px
    flux = PHOTONS_PER_S_CM2_ANGSTROM * 10.0 ** (-0.4 * sky.sky_mag_per_arcsec2) * collecting_area_cm2(telescope)
    per_column = flux * area_arcsec2 * spectrograph.dispersion_angstrom_per_px
    return np.asarray(per_column * response(spectrograph, sensor, np.arange(sensor.width_px)))


def black_body(wavelength_nm: NDArray[np.float64], temperature_k: float) -> NDArray[np.float64]:
    """Return the photons per wavelength of a black body in arbitrary units, same shape (Planck's law)."""
    safe_nm = np.maximum(wavelength_nm, 50.0)
    return np.asarray(safe_nm**-4.0 / np.expm1(1.438777e7 / (safe_nm * temperature_k)))


def wavelength_of_column_nm(
    spectrograph: SpectrographSettings, sensor: SensorSettings, column: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the wavelength at columns of the unbinned sensor, nm, same shape."""
    middle = (sensor.width_px - 1) / 2.0
    step_nm = spectrograph.dispersion_angstrom_per_px / 10.0
    return np.asarray(spectrograph.central_wavelength_nm + step_nm * (column - middle))


def response(
    spectrograph: SpectrographSettings, sensor: SensorSettings, column: NDArray[np.float64] | NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the electrons per photon behind the slit at columns of the sensor: a Gaussian about mid-sensor."""
    wavelength_nm = wavelength_of_column_nm(spectrograph, sensor, column.astype(np.float64))
    sigma_nm = spectrograph.response_fwhm_nm / FWHM_PER_SIGMA
    bell = np.exp(-0.5 * ((wavelength_nm - spectrograph.central_wavelength_nm) / sigma_nm) ** 2)
    return np.asarray(spectrograph.efficiency * sensor.quantum_efficiency * bell)


def slit_width_px(spectrograph: SpectrographSettings) -> float:
    """Return the width of the slit's image on the sensor, px, for the same scale along and across the slit."""
    return spectrograph.slit_width_arcsec / spectrograph.spatial_scale_arcsec_per_px


def slit_for(
    spectrograph: SpectrographSettings,
    telescope: TelescopeSettings,
    sky: SkySettings,
    *,
    defocus_um: float,
    seeing_fwhm_arcsec: float,
    decentre_arcsec: float,
) -> Slit:
    """Return the slit and the star in one exposure; `defocus_um` is that of the telescope at the slit."""
    scale = spectrograph.spatial_scale_arcsec_per_px
    row_um = scale / ARCSEC_PER_RADIAN * telescope.focal_length_mm * 1000.0
    along = local_defocus(telescope, defocus_um, 0.0)
    across = local_defocus(telescope, defocus_um, spectrograph.astigmatism_um)
    return Slit(
        blur_across_px=blur_diameters_px(across, telescope.focal_ratio, row_um)[0],
        blur_along_px=blur_diameters_px(along, telescope.focal_ratio, row_um)[1],
        obstruction=telescope.central_obstruction,
        seeing_fwhm_px=seeing_fwhm_arcsec / scale,
        moffat_beta=sky.moffat_beta,
        width_px=slit_width_px(spectrograph),
        decentre_px=decentre_arcsec / scale,
        camera_fwhm_px=spectrograph.camera_fwhm_px,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SpectrumLight:
    """The light of a spectrograph on its sensor in one exposure.

    Attributes:
        star_e: Electrons of the star in each column before the slit's losses, shape (width_px,).
        sky_e: Electrons of the sky's continuum in one row of each column, shape (width_px,).
        line_factor: Electrons of a sky line in a row over its photons a second before the response.
        shift_px: Shift of the star along the slit, px.
    """

    spectrograph: SpectrographSettings
    sensor: SensorSettings
    profile: SlitProfile
    star_e: NDArray[np.float64]
    sky_e: NDArray[np.float64]
    line_factor: float
    shift_px: float

    def light(self, window: SensorWindow) -> NDArray[np.float32]:
        """Return the expected electrons in a window, shape (height, width)."""
        lit = self._lit_rows(window)
        image = np.outer(lit, self.sky_e[window.x : window.x + window.width]).astype(np.float32)
        for line in self.spectrograph.sky_lines:
            self._add_line(image, window, lit, line.wavelength_nm, line.photons_per_s * self.line_factor)
        self._add_star(image, window)
        return image

    def _lit_rows(self, window: SensorWindow) -> NDArray[np.float64]:
        """Return the fraction of each row that the slit lights; the slit is centred on the sensor."""
        half = self.spectrograph.slit_length_arcsec / self.spectrograph.spatial_scale_arcsec_per_px / 2.0
        row = np.arange(window.y, window.y + window.height) - (self.sensor.height_px - 1) / 2.0
        return np.asarray(np.clip(half + 0.5 - np.abs(row), 0.0, 1.0))

    def _add_line(
        self,
        image: NDArray[np.float32],
        window: SensorWindow,
        lit: NDArray[np.float64],
        wavelength_nm: float,
        photons: float,
    ) -> None:
        step_nm = self.spectrograph.dispersion_angstrom_per_px / 10.0
        middle = (self.sensor.width_px - 1) / 2.0
        column = middle + (wavelength_nm - self.spectrograph.central_wavelength_nm) / step_nm
        electrons = photons * float(response(self.spectrograph, self.sensor, np.array([column]))[0])
        row = np.arange(window.y, window.y + window.height) - (self.sensor.height_px - 1) / 2.0
        centre = column - window.x + row * math.tan(math.radians(self.spectrograph.line_tilt_deg))
        width, blur = slit_width_px(self.spectrograph), self.spectrograph.camera_fwhm_px
        reach = math.ceil(width / 2.0 + 2.5 * blur) + 1
        columns = np.floor(centre).astype(np.int64)[:, np.newaxis] + np.arange(-reach, reach + 2)
        light = line_image(columns - centre[:, np.newaxis], width, blur) * (electrons * lit)[:, np.newaxis]
        inside = (columns >= 0) & (columns < window.width)
        rows = np.broadcast_to(np.arange(window.height)[:, np.newaxis], columns.shape)
        image[rows[inside], columns[inside]] += light[inside].astype(np.float32)

    def _add_star(self, image: NDArray[np.float32], window: SensorWindow) -> None:
        column = np.arange(window.x, window.x + window.width)
        slope = math.tan(math.radians(self.spectrograph.slant_deg))
        row = self.spectrograph.spatial_position * self.sensor.height_px - 0.5 + self.shift_px - window.y
        centre = row + slope * (column - (self.sensor.width_px - 1) / 2.0)
        reach = math.ceil(self.profile.offset_px[-1])
        first = max(math.floor(centre.min()) - reach, 0)
        last = min(math.ceil(centre.max()) + reach + 1, window.height)
        if first >= last:
            return
        offset = np.arange(first, last)[:, np.newaxis] - centre[np.newaxis, :]
        density = np.interp(offset, self.profile.offset_px, self.profile.density, left=0.0, right=0.0)
        image[first:last] += (density * self.star_e[column]).astype(np.float32)


def line_image(offset_px: NDArray[np.float64], slit_px: float, camera_fwhm_px: float) -> NDArray[np.float64]:
    """Return the light of a line of unit flux, the image of a slit blurred by a Gaussian, in pixels; same shape.

    The integral of the blurred slit from the left is (s/w) [G((x + w/2)/s) - G((x - w/2)/s)] with
    G(t) = t Phi(t) + phi(t), Phi the normal distribution and phi its density; a pixel takes the difference at
    its edges.
    """
    sigma = camera_fwhm_px / FWHM_PER_SIGMA

    def ramp(x: NDArray[np.float64]) -> NDArray[np.float64]:
        t = x / sigma
        return np.asarray(t * special.ndtr(t) + np.exp(-0.5 * t**2) / math.sqrt(2.0 * math.pi))

    def integral(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return sigma / slit_px * (ramp(x + slit_px / 2.0) - ramp(x - slit_px / 2.0))

    return integral(offset_px + 0.5) - integral(offset_px - 0.5)
