"""The light of a star field on the sensor: sky, stars, a satellite."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alpaca_focus.simulator.psf import PointSpread, geometric_point_spread
from alpaca_focus.simulator.sensor import SensorWindow
from alpaca_focus.simulator.settings import SensorSettings, SkySettings, TelescopeSettings
from alpaca_focus.simulator.sky import FieldStars
from alpaca_focus.simulator.telescope_optics import (
    ARCSEC_PER_RADIAN,
    focus_offset_range_um,
    focus_offset_um,
    local_defocus,
    photons_per_s,
    plate_scale_arcsec_per_px,
)
from alpaca_focus.simulator.wavefront import Wave, diffraction_point_spread, fried_parameter_m

FOCUS_LEVEL_PX = 0.25
"""Stars share an image when their blur differs by less than this through the local focus, px."""

MAX_FOCUS_LEVELS = {"geometric": 24, "diffraction": 8}

BAYER_RED_GREEN_BLUE = (0.30, 0.45, 0.32)
"""Mean transmission of the colour filters for white light."""

SKY_COLOUR = 0.3
STAR_COLOUR_DEX = 0.15
"""Loss in blue and gain in red of a colour of 1, decimal logarithm."""


def bayer_mosaic(colour: float) -> NDArray[np.float32]:
    """Return the transmission of the RGGB cell for a colour from -1 (blue) to 1 (red), shape (2, 2)."""
    red, green, blue = BAYER_RED_GREEN_BLUE
    tint = 10.0 ** (STAR_COLOUR_DEX * colour)
    return np.array([[red * tint, green], [green, blue / tint]], dtype=np.float32)


def apply_mosaic(image: NDArray[np.float32], x: int, y: int, mosaic: NDArray[np.float32]) -> None:
    """Multiply an image, whose first pixel is column `x` and row `y` of the sensor, by a cell, in place."""
    for j in range(2):
        for i in range(2):
            image[j::2, i::2] *= mosaic[(y + j) % 2, (x + i) % 2]


class PointSpreads:
    """The images of a point over the field during one exposure, computed where they are needed.

    The local focus over the field is divided into levels that do not depend on the part of the sensor read out.
    `moffat_beta` is the exponent of the seeing disc of the geometric model.
    """

    def __init__(
        self,
        telescope: TelescopeSettings,
        sensor: SensorSettings,
        *,
        moffat_beta: float,
        defocus_um: float,
        seeing_fwhm_arcsec: float,
    ) -> None:
        self._telescope = telescope
        self._sensor = sensor
        self._moffat_beta = moffat_beta
        self._defocus_um = defocus_um
        self._seeing_fwhm_arcsec = seeing_fwhm_arcsec
        least, greatest = focus_offset_range_um(telescope, sensor)
        blur_px = (greatest - least) / (telescope.focal_ratio * sensor.pixel_size_um)
        count = min(1 + math.ceil(blur_px / FOCUS_LEVEL_PX), MAX_FOCUS_LEVELS[telescope.optical_model])
        self._offsets_um = np.linspace(least, greatest, count)
        self._images: dict[int, PointSpread] = {}

    def at(self, x_px: float, y_px: float) -> PointSpread:
        """Return the image of a point at a position of the unbinned sensor."""
        offset = focus_offset_um(self._telescope, self._sensor, x_px, y_px)
        level = int(np.argmin(np.abs(self._offsets_um - offset)))
        if level not in self._images:
            self._images[level] = self._image(float(self._offsets_um[level]))
        return self._images[level]

    def _image(self, offset_um: float) -> PointSpread:
        telescope, pixel_um = self._telescope, self._sensor.pixel_size_um
        defocus = local_defocus(telescope, self._defocus_um, offset_um)
        seeing_px = self._seeing_fwhm_arcsec / plate_scale_arcsec_per_px(telescope, self._sensor)
        if telescope.optical_model == "geometric":
            return geometric_point_spread(
                defocus=defocus,
                focal_ratio=telescope.focal_ratio,
                obstruction=telescope.central_obstruction,
                pixel_um=pixel_um,
                seeing_fwhm_px=seeing_px,
                moffat_beta=self._moffat_beta,
            )
        wavelength_um = telescope.wavelength_nm / 1000.0
        wave = Wave(
            aperture_m=telescope.aperture_mm / 1000.0,
            focal_ratio=telescope.focal_ratio,
            obstruction=telescope.central_obstruction,
            zernike=telescope.zernike,
            wavelength_um=wavelength_um,
            bandwidth_um=telescope.bandwidth_nm / 1000.0,
            fried_m=fried_parameter_m(self._seeing_fwhm_arcsec / ARCSEC_PER_RADIAN, wavelength_um),
            outer_scale_m=telescope.outer_scale_m,
        )
        return diffraction_point_spread(defocus=defocus, wave=wave, pixel_um=pixel_um, seeing_fwhm_px=seeing_px)


@dataclass(frozen=True, slots=True, kw_only=True)
class Satellite:
    """A straight track through a position of the sensor, at an angle to the rows; light per px of its length."""

    x_px: float
    y_px: float
    angle_rad: float
    electrons_per_px: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StarLight:
    """The light of a star field on the sensor in one exposure.

    Attributes:
        electrons: Electrons of each star, shape (n,), before any colour matrix.
        sky_e_per_px: Mean light of the sky in a pixel, electrons.
        sky_gradient: Change of the sky from corner to corner as a fraction.
    """

    sensor: SensorSettings
    stars: FieldStars
    electrons: NDArray[np.float64]
    images: PointSpreads
    sky_e_per_px: float
    sky_gradient: float
    satellite: Satellite | None

    def light(self, window: SensorWindow) -> NDArray[np.float32]:
        """Return the expected electrons in a window, shape (height, width)."""
        image = self._sky_light(window)
        if self.satellite is not None:
            self._add_satellite(image, window, self.satellite)
        if self.sensor.bayer:
            apply_mosaic(image, window.x, window.y, bayer_mosaic(SKY_COLOUR))
        for i in range(self.stars.x_px.size):
            self._add_star(image, window, i)
        return image

    def _sky_light(self, window: SensorWindow) -> NDArray[np.float32]:
        u = (np.arange(window.x, window.x + window.width) + 0.5) / self.sensor.width_px - 0.5
        v = (np.arange(window.y, window.y + window.height) + 0.5) / self.sensor.height_px - 0.5
        half = self.sky_e_per_px * self.sky_gradient / 2.0
        along_x = (self.sky_e_per_px + half * u).astype(np.float32)
        return np.asarray(along_x[np.newaxis, :] + (half * v).astype(np.float32)[:, np.newaxis])

    def _add_star(self, image: NDArray[np.float32], window: SensorWindow, i: int) -> None:
        x, y = float(self.stars.x_px[i]), float(self.stars.y_px[i])
        spread = self.images.at(x, y)
        column, row = math.floor(x), math.floor(y)
        left, top = column - spread.half_px - window.x, row - spread.half_px - window.y
        size = 2 * spread.half_px + 1
        x0, x1 = max(left, 0), min(left + size, window.width)
        y0, y1 = max(top, 0), min(top + size, window.height)
        if x0 >= x1 or y0 >= y1:
            return
        light = spread.stamp(y - row, x - column, slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
        light *= np.float32(self.electrons[i])
        if self.sensor.bayer:
            apply_mosaic(light, window.x + x0, window.y + y0, bayer_mosaic(float(self.stars.colour[i])))
        image[y0:y1, x0:x1] += light

    def _add_satellite(self, image: NDArray[np.float32], window: SensorWindow, satellite: Satellite) -> None:
        spread = self.images.at((self.sensor.width_px - 1) / 2.0, (self.sensor.height_px - 1) / 2.0)
        profile = spread.line_profile() * np.float32(satellite.electrons_per_px)
        x, y, angle = satellite.x_px - window.x, satellite.y_px - window.y, satellite.angle_rad
        if abs(math.cos(angle)) > abs(math.sin(angle)):
            add_line(image, x, y, math.tan(angle), profile)
        else:
            add_line(image.T, y, x, 1.0 / math.tan(angle), profile)


def add_line(image: NDArray[np.float32], x: float, y: float, slope: float, profile: NDArray[np.float32]) -> None:
    """Add a straight line of light to an image, in place; it passes through (x, y), and is at most 45 degrees steep.

    `slope` is rows per column, -1 to 1; `profile` is the cross-section with one sample per px, the middle one on the
    line.
    """
    rows, columns = image.shape
    half = profile.size // 2
    cosine = 1.0 / math.hypot(1.0, slope)
    reach = math.ceil(half / cosine)
    column = np.arange(columns)[np.newaxis, :]
    centre = y + slope * (column - x)
    row = np.floor(centre).astype(np.int64) + np.arange(-reach, reach + 2)[:, np.newaxis]
    inside = (row >= 0) & (row < rows)
    distance = (row - centre) * cosine
    light = np.interp(distance[inside], np.arange(-half, half + 1), profile, left=0.0, right=0.0)
    image[row[inside], np.broadcast_to(column, row.shape)[inside]] += light.astype(np.float32)


def sky_e_per_px(
    telescope: TelescopeSettings, sensor: SensorSettings, sky: SkySettings, exposure_s: float, light: float
) -> float:
    """Return the mean light of the sky in one unbinned pixel, electrons; `light` is the fraction that gets through."""
    area_arcsec2 = plate_scale_arcsec_per_px(telescope, sensor) ** 2
    photons = float(photons_per_s(telescope, sky.sky_mag_per_arcsec2)) * area_arcsec2 * exposure_s
    return photons * sensor.quantum_efficiency * light
