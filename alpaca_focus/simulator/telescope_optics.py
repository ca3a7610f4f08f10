"""The telescope in numbers: image scale, light grasp, and shift of focus over the field.

Pixels are counted from 0 at the centre of the first pixel. Defocus is the position of the focal plane relative to the
sensor along the axis, in micrometres: positive is behind it.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from alpaca_focus.simulator.settings import SensorSettings, TelescopeSettings

ARCSEC_PER_RADIAN = 648000.0 / math.pi

PHOTONS_PER_S_CM2_ANGSTROM = 1000.0
"""Photons of a star of magnitude 0 at 550 nm above the atmosphere (the V zero point, to within 1 %)."""

BROAD_BAND_ANGSTROM = 880.0
"""Width of the V band, which stands for the band of every broad filter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Defocus:
    """Defocus at one position in the field, um: of the rays spread along the rows (x) and along the columns (y)."""

    x_um: float
    y_um: float


def plate_scale_arcsec_per_px(telescope: TelescopeSettings, sensor: SensorSettings) -> float:
    """Return the width of an unbinned pixel on the sky, arcsec."""
    return ARCSEC_PER_RADIAN * sensor.pixel_size_um / (telescope.focal_length_mm * 1000.0)


def collecting_area_cm2(telescope: TelescopeSettings) -> float:
    """Return the area of the entrance pupil less its obstruction, cm^2."""
    return math.pi / 4.0 * (telescope.aperture_mm / 10.0) ** 2 * (1.0 - telescope.central_obstruction**2)


def photons_per_s(telescope: TelescopeSettings, magnitude: ArrayLike) -> NDArray[np.float64]:
    """Return the photons a second that the telescope collects in a broad band, for each magnitude; same shape."""
    flux = PHOTONS_PER_S_CM2_ANGSTROM * BROAD_BAND_ANGSTROM * collecting_area_cm2(telescope)
    return np.asarray(flux * 10.0 ** (-0.4 * np.asarray(magnitude, dtype=np.float64)))


def focus_offset_um(
    telescope: TelescopeSettings, sensor: SensorSettings, x_px: ArrayLike, y_px: ArrayLike
) -> NDArray[np.float64]:
    """Return the shift of focus against mid-field at pixel positions, um, in their common shape.

    Curvature grows with the square of the distance from the centre and reaches its setting at the corner; tilt is
    linear and reaches plus and minus half its setting at the edges.
    """
    u = (np.asarray(x_px, dtype=np.float64) + 0.5) / sensor.width_px - 0.5
    v = (np.asarray(y_px, dtype=np.float64) + 0.5) / sensor.height_px - 0.5
    corner_px2 = (sensor.width_px**2 + sensor.height_px**2) / 4.0
    radius_px2 = (u * sensor.width_px) ** 2 + (v * sensor.height_px) ** 2
    return np.asarray(
        telescope.field_curvature_um * radius_px2 / corner_px2 + telescope.tilt_um_x * u + telescope.tilt_um_y * v
    )


def focus_offset_range_um(telescope: TelescopeSettings, sensor: SensorSettings) -> tuple[float, float]:
    """Return the least and greatest shift of focus on a grid of 33 x 33 points over the whole sensor, um."""
    x = np.linspace(-0.5, sensor.width_px - 0.5, 33)
    y = np.linspace(-0.5, sensor.height_px - 0.5, 33)
    offsets = focus_offset_um(telescope, sensor, x[np.newaxis, :], y[:, np.newaxis])
    return float(offsets.min()), float(offsets.max())


def local_defocus(telescope: TelescopeSettings, defocus_um: float, offset_um: float) -> Defocus:
    """Return the defocus of both axes where focus is shifted by `offset_um`; astigmatism is split between them."""
    half = telescope.astigmatism_um / 2.0
    return Defocus(x_um=defocus_um + offset_um + half, y_um=defocus_um + offset_um - half)
