"""Renders the frames of the simulated camera."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from alpaca_focus.simulator.sensor import SensorWindow, add_dark, binned, cosmic_rays, hot_pixels, read_out
from alpaca_focus.simulator.settings import SensorSettings, SkySettings, SpectrographSettings, TelescopeSettings
from alpaca_focus.simulator.sky import guiding_shift_arcsec, star_field
from alpaca_focus.simulator.spectrograph import SpectrumLight, sky_spectrum, slit_for, slit_profile, star_spectrum
from alpaca_focus.simulator.starlight import PointSpreads, Satellite, StarLight, sky_e_per_px
from alpaca_focus.simulator.telescope_optics import photons_per_s, plate_scale_arcsec_per_px

_NOISE, _SATELLITE = 21, 22
"""Numbers that separate the random streams of one seed."""

BAND_PX = 1_000_000
"""Pixels rendered at a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpticalState:
    """The optics and the sky at the time of one exposure.

    Attributes:
        defocus_um: Position of the focal plane relative to the sensor at mid-field, um, signed; 0 is best focus there.
        transmission: Fraction of starlight that clouds let through, 0 to 1. Clouds also brighten the sky a little.
        trail: Whether a satellite crosses the field.
        pointing_seed: Number of the star field, 0 or more.
        filter_transmission: Fraction of all light that the filter lets through, 0 to 1.
    """

    defocus_um: float
    seeing_fwhm_arcsec: float
    transmission: float = 1.0
    trail: bool = False
    pointing_seed: int = 0
    filter_transmission: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderRequest:
    """One exposure; start and size count binned pixels, as in Alpaca. Without `light` the shutter stays closed."""

    exposure_s: float
    num_x: int
    num_y: int
    start_x: int = 0
    start_y: int = 0
    binning_x: int = 1
    binning_y: int = 1
    gain: int = 0
    offset: int = 10
    light: bool = True
    fast_readout: bool = False


class Renderer:
    """Renders frames of one observatory; the same seed and frame number give the same frame.

    Only the requested part of the sensor is rendered, in bands of rows, so that a frame of 61 megapixels needs little
    more memory than its result.
    """

    def __init__(
        self,
        telescope: TelescopeSettings,
        sensor: SensorSettings,
        sky: SkySettings,
        spectrograph: SpectrographSettings,
        seed: int,
    ) -> None:
        self._telescope = telescope
        self._sensor = sensor
        self._sky = sky
        self._spectrograph = spectrograph
        self._seed = seed
        self._hot = hot_pixels(sensor, seed)

    def render(
        self, state: OpticalState, exposure: RenderRequest, frame_number: int
    ) -> NDArray[np.uint16] | NDArray[np.uint8]:
        """Return one frame, ADU of shape (num_y, num_x), row by row from the top.

        The type is uint8 for an 8 bit sensor, else uint16. Each frame number has its own noise, cosmic rays, guiding.

        Raises:
            ValueError: The subframe does not fit on the sensor.
        """
        window = self._window(exposure)
        rng = np.random.default_rng([self._seed, _NOISE, frame_number])
        cosmics = cosmic_rays(self._sensor, self._seed, frame_number, exposure.exposure_s)
        scene = self._scene(state, exposure, frame_number)
        frame = np.empty((exposure.num_y, exposure.num_x), dtype=np.uint8 if self._sensor.bit_depth == 8 else np.uint16)
        for first, band in _bands(window, exposure.binning_y):
            expected_e = self._expected(scene, band, exposure.exposure_s)
            cosmics.add_to(expected_e, band)
            adu = read_out(
                expected_e,
                self._sensor,
                gain=exposure.gain,
                offset=exposure.offset,
                fast=exposure.fast_readout,
                rng=rng,
            )
            part = binned(adu, self._sensor, exposure.binning_x, exposure.binning_y)
            frame[first : first + part.shape[0]] = part
        return frame

    def _window(self, exposure: RenderRequest) -> SensorWindow:
        window = SensorWindow(
            x=exposure.start_x * exposure.binning_x,
            y=exposure.start_y * exposure.binning_y,
            width=exposure.num_x * exposure.binning_x,
            height=exposure.num_y * exposure.binning_y,
        )
        fits_x = window.x >= 0 and window.width > 0 and window.x + window.width <= self._sensor.width_px
        fits_y = window.y >= 0 and window.height > 0 and window.y + window.height <= self._sensor.height_px
        if not (fits_x and fits_y):
            raise ValueError(
                f"The subframe of {window.width} x {window.height} px at ({window.x}, {window.y}) does not fit on the "
                f"sensor of {self._sensor.width_px} x {self._sensor.height_px} px. Choose a smaller one."
            )
        return window

    def _expected(
        self, scene: StarLight | SpectrumLight | None, window: SensorWindow, exposure_s: float
    ) -> NDArray[np.float32]:
        shape = (window.height, window.width)
        image = np.zeros(shape, dtype=np.float32) if scene is None else scene.light(window)
        add_dark(image, window, self._sensor, exposure_s)
        self._hot.add_to(image, window, exposure_s)
        return image

    def _scene(
        self, state: OpticalState, exposure: RenderRequest, frame_number: int
    ) -> StarLight | SpectrumLight | None:
        if not exposure.light or exposure.exposure_s <= 0.0:
            return None
        if self._spectrograph.enabled:
            return self._spectrum(state, exposure.exposure_s, frame_number)
        return self._star_field(state, exposure.exposure_s, frame_number)

    def _star_field(self, state: OpticalState, exposure_s: float, frame_number: int) -> StarLight:
        telescope, sensor, sky = self._telescope, self._sensor, self._sky
        scale = plate_scale_arcsec_per_px(telescope, sensor)
        dx, dy = guiding_shift_arcsec(sky, self._seed, frame_number)
        stars = star_field(sky, sensor, self._seed, state.pointing_seed)
        stars = replace(stars, x_px=stars.x_px + dx / scale, y_px=stars.y_px + dy / scale)
        starlight = state.transmission * state.filter_transmission * sensor.quantum_efficiency * exposure_s
        return StarLight(
            sensor=sensor,
            stars=stars,
            electrons=photons_per_s(telescope, stars.magnitude) * starlight,
            images=PointSpreads(
                telescope,
                sensor,
                moffat_beta=sky.moffat_beta,
                defocus_um=state.defocus_um,
                seeing_fwhm_arcsec=state.seeing_fwhm_arcsec,
            ),
            sky_e_per_px=sky_e_per_px(telescope, sensor, sky, exposure_s, self._sky_light(state)),
            sky_gradient=sky.sky_gradient,
            satellite=self._satellite(state, frame_number) if state.trail else None,
        )

    def _sky_light(self, state: OpticalState) -> float:
        return state.filter_transmission * (1.0 + self._sky.cloud_glow * (1.0 - state.transmission))

    def _satellite(self, state: OpticalState, frame_number: int) -> Satellite:
        rng = np.random.default_rng([self._seed, _SATELLITE, frame_number])
        photons = float(photons_per_s(self._telescope, self._sky.satellite_magnitude))
        photons *= plate_scale_arcsec_per_px(self._telescope, self._sensor) / self._sky.satellite_speed_arcsec_per_s
        return Satellite(
            x_px=self._sensor.width_px * rng.uniform(0.25, 0.75),
            y_px=self._sensor.height_px * rng.uniform(0.25, 0.75),
            angle_rad=rng.uniform(0.0, math.pi),
            electrons_per_px=photons * self._sensor.quantum_efficiency * state.transmission * state.filter_transmission,
        )

    def _spectrum(self, state: OpticalState, exposure_s: float, frame_number: int) -> SpectrumLight:
        telescope, sensor, spectrograph = self._telescope, self._sensor, self._spectrograph
        across, along = guiding_shift_arcsec(self._sky, self._seed, frame_number)
        slit = slit_for(
            spectrograph,
            telescope,
            self._sky,
            defocus_um=state.defocus_um,
            seeing_fwhm_arcsec=state.seeing_fwhm_arcsec,
            decentre_arcsec=across,
        )
        star = star_spectrum(spectrograph, telescope, sensor)
        return SpectrumLight(
            spectrograph=spectrograph,
            sensor=sensor,
            profile=slit_profile(slit),
            star_e=star * (exposure_s * state.transmission * state.filter_transmission),
            sky_e=sky_spectrum(spectrograph, telescope, sensor, self._sky) * (exposure_s * self._sky_light(state)),
            line_factor=exposure_s * self._sky_light(state),
            shift_px=along / spectrograph.spatial_scale_arcsec_per_px,
        )


def _bands(window: SensorWindow, binning_y: int) -> Iterator[tuple[int, SensorWindow]]:
    """Yield bands of whole binned rows of a window, each with its first binned row counted from the window's."""
    rows = max(BAND_PX // (window.width * binning_y), 1) * binning_y
    for y in range(0, window.height, rows):
        height = min(rows, window.height - y)
        yield y // binning_y, SensorWindow(x=window.x, y=window.y + y, width=window.width, height=height)
