"""Settings of the simulated observatory. Everything has a default.

All models are frozen and refuse unknown keys. Every value has its unit in its name or in its description.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from alpaca_focus.simulator.quirks import active_quirks

NollIndex: TypeAlias = Annotated[int, Field(ge=2, le=66)]
FocusShift: TypeAlias = Annotated[float, Field(ge=-5000.0, le=5000.0)]
SlitAngle: TypeAlias = Annotated[float, Field(ge=-20.0, le=20.0)]


class StrictModel(BaseModel):
    """Base of all models: frozen, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class TelescopeSettings(StrictModel):
    """The optics up to the sensor or the slit."""

    aperture_mm: float = Field(200.0, ge=10.0, le=10000.0, description="Diameter of the entrance pupil, mm.")
    focal_length_mm: float = Field(1000.0, ge=20.0, le=200000.0, description="Focal length, mm.")
    central_obstruction: float = Field(
        0.35, ge=0.0, le=0.6, description="Diameter of the central obstruction as a fraction of the aperture."
    )
    field_curvature_um: FocusShift = Field(0.0, description="Shift of focus at the corner against the centre, um.")
    tilt_um_x: FocusShift = Field(0.0, description="Shift of focus from the left to the right edge of the sensor, um.")
    tilt_um_y: FocusShift = Field(0.0, description="Shift of focus from the top to the bottom edge of the sensor, um.")
    astigmatism_um: FocusShift = Field(0.0, description="Distance between the foci of columns and rows, um.")
    optical_model: Literal["geometric", "diffraction"] = Field(
        "geometric", description="Ray optics with a Moffat seeing disc (fast), or wave optics (slower)."
    )
    zernike: Mapping[NollIndex, Annotated[float, Field(ge=-5.0, le=5.0)]] = Field(
        default_factory=dict,
        description="Aberrations of the diffraction model: Noll index to waves rms at the band's centre.",
    )
    wavelength_nm: float = Field(550.0, ge=300.0, le=2500.0, description="Centre of the band, nm.")
    bandwidth_nm: float = Field(100.0, ge=0.0, le=500.0, description="Width of the band, nm (diffraction model).")
    outer_scale_m: float | None = Field(
        None, ge=1.0, le=1000.0, description="Outer scale of turbulence, m (diffraction model); none: Kolmogorov."
    )

    @property
    def focal_ratio(self) -> float:
        """Focal length over aperture, dimensionless."""
        return self.focal_length_mm / self.aperture_mm


class SensorSettings(StrictModel):
    """The camera's sensor and electronics."""

    width_px: int = Field(1024, ge=16, le=20000, description="Columns of the unbinned sensor, px.")
    height_px: int = Field(1024, ge=16, le=20000, description="Rows of the unbinned sensor, px.")
    pixel_size_um: float = Field(3.76, ge=1.0, le=50.0, description="Edge of a square pixel, um.")
    bit_depth: Literal[8, 12, 14, 16] = Field(16, description="Bits of the converter; the largest value is 2^bits-1.")
    gain_e_per_adu: float = Field(0.8, gt=0.0, le=100.0, description="Electrons per ADU at gain setting 0.")
    gain_db_per_unit: float = Field(0.1, ge=0.0, le=6.0, description="Amplification of one unit of gain, dB (20 log).")
    gain_max: int = Field(400, ge=0, le=10000, description="Largest gain setting.")
    offset_adu_per_unit: float = Field(10.0, ge=0.0, le=1000.0, description="Bias of one unit of offset, ADU.")
    offset_max: int = Field(200, ge=0, le=10000, description="Largest offset setting.")
    read_noise_e: float = Field(1.8, ge=0.0, le=100.0, description="Read-out noise of a pixel, electrons rms.")
    fast_readout_noise_factor: float = Field(
        2.0, ge=1.0, le=20.0, description="Read-out noise of a fast read-out over that of a normal one."
    )
    full_well_e: float = Field(50000.0, ge=100.0, le=2.0e6, description="Electrons at which a pixel is full.")
    dark_current_e_per_s: float = Field(0.01, ge=0.0, le=1000.0, description="Dark current of a pixel, electrons/s.")
    quantum_efficiency: float = Field(0.8, gt=0.0, le=1.0, description="Electrons per photon.")
    hot_pixel_fraction: float = Field(1.0e-4, ge=0.0, le=0.05, description="Fraction of pixels that are hot.")
    hot_pixel_e_per_s: float = Field(50.0, ge=0.0, le=1.0e5, description="Mean dark current of a hot pixel, e/s.")
    cosmic_rays_per_s: float = Field(0.01, ge=0.0, le=1000.0, description="Hits on the whole sensor a second.")
    bayer: bool = Field(default=False, description="Whether the sensor has an RGGB colour matrix.")
    amp_glow_e_per_s: float = Field(0.0, ge=0.0, le=1000.0, description="Glow at the right edge's middle, e/s/px.")
    binning_mode: Literal["sum", "average"] = Field("sum", description="How binning combines the ADU of its pixels.")

    @property
    def max_adu(self) -> int:
        """Largest value of a pixel at any binning, ADU."""
        return int(2**self.bit_depth - 1)


class SkySettings(StrictModel):
    """The star field, the seeing and the light of the sky."""

    star_count: int = Field(60, ge=0, le=20000, description="Stars on the sensor.")
    brightest_magnitude: float = Field(8.0, ge=-2.0, le=25.0, description="Magnitude of the brightest star.")
    magnitude_slope: float = Field(
        0.35, ge=0.05, le=1.0, description="Slope of log10(stars brighter than m) against m: a power law of flux."
    )
    seeing_fwhm_arcsec: float = Field(2.5, ge=0.1, le=20.0, description="Mean FWHM of the seeing disc, arcsec.")
    seeing_scatter: float = Field(0.05, ge=0.0, le=0.5, description="Rms fraction of seeing from frame to frame.")
    seeing_wander: float = Field(0.08, ge=0.0, le=0.5, description="Rms fraction of the slow drift of seeing.")
    moffat_beta: float = Field(3.5, ge=2.0, le=20.0, description="Exponent of the Moffat seeing disc.")
    guiding_rms_arcsec: float = Field(
        0.3, ge=0.0, le=60.0, description="Rms shift of the whole field from frame to frame, on each axis, arcsec."
    )
    sky_mag_per_arcsec2: float = Field(20.0, ge=5.0, le=30.0, description="Brightness of the sky, mag/arcsec^2.")
    sky_gradient: float = Field(
        0.1, ge=0.0, le=1.9, description="Change of the sky from corner to corner as a fraction of its mean."
    )
    cluster_fraction: float = Field(0.0, ge=0.0, le=1.0, description="Fraction of the stars in one central cluster.")
    cluster_radius: float = Field(
        0.1, gt=0.0, le=1.0, description="Rms radius of the cluster as a fraction of the sensor's shorter side."
    )
    cloud_glow: float = Field(0.5, ge=0.0, le=20.0, description="Sky added by full cloud, as a fraction of the sky.")
    satellite_magnitude: float = Field(3.0, ge=-8.0, le=15.0, description="Magnitude of a satellite that crosses.")
    satellite_speed_arcsec_per_s: float = Field(
        600.0, ge=1.0, le=1.0e5, description="Angular speed of a satellite, arcsec/s."
    )


class SpectralLine(StrictModel):
    """One emission line of the sky."""

    wavelength_nm: float = Field(ge=200.0, le=3000.0, description="Wavelength, nm.")
    photons_per_s: float = Field(ge=0.0, description="Photons a second of the whole line on one row of the sensor.")


NIGHT_SKY = tuple(
    SpectralLine(wavelength_nm=wavelength_nm, photons_per_s=photons_per_s)
    for wavelength_nm, photons_per_s in (
        (435.83, 25.0), (546.07, 40.0), (557.73, 80.0), (589.29, 50.0), (630.03, 30.0), (636.38, 10.0),
    )
)  # fmt: skip


class SpectrographSettings(StrictModel):
    """A slit spectrograph between telescope and sensor; the spectrum runs along the rows."""

    enabled: bool = Field(default=False, description="Whether frames are spectra instead of star fields.")
    slit_width_arcsec: float = Field(3.0, gt=0.0, le=60.0, description="Width of the slit on the sky, arcsec.")
    slit_length_arcsec: float = Field(240.0, gt=0.0, le=7200.0, description="Length of the slit on the sky, arcsec.")
    spatial_scale_arcsec_per_px: float = Field(0.6, gt=0.0, le=20.0, description="Sky along the slit of one row.")
    spatial_position: float = Field(
        0.5, ge=0.0, le=1.0, description="Row of the star at mid-spectrum as a fraction of the sensor's height."
    )
    slant_deg: SlitAngle = Field(0.3, description="Angle of the star's spectrum to the rows, degrees.")
    line_tilt_deg: SlitAngle = Field(0.0, description="Angle of the lines to the columns, degrees.")
    central_wavelength_nm: float = Field(590.0, ge=200.0, le=3000.0, description="Wavelength at mid-sensor, nm.")
    dispersion_angstrom_per_px: float = Field(2.0, gt=0.0, le=100.0, description="Wavelength step of a column, A.")
    response_fwhm_nm: float = Field(450.0, gt=0.0, le=5000.0, description="FWHM of the response about mid-sensor, nm.")
    efficiency: float = Field(0.3, gt=0.0, le=1.0, description="Throughput of slit-to-sensor optics at its peak.")
    star_magnitude: float = Field(6.0, ge=-2.0, le=25.0, description="Magnitude of the star in the slit at 550 nm.")
    star_temperature_k: float = Field(9500.0, ge=1500.0, le=60000.0, description="Temperature of its continuum, K.")
    sky_lines: tuple[SpectralLine, ...] = Field(NIGHT_SKY, description="Emission lines of the sky.")
    astigmatism_um: FocusShift = Field(
        0.0, description="Defocus across the slit, along the dispersion, when the star is sharp along the slit, um."
    )
    camera_fwhm_px: float = Field(
        1.8, gt=0.0, le=50.0, description="FWHM of the spectrograph's own blur on the sensor, both axes, px."
    )


class FocuserSettings(StrictModel):
    """The simulated focuser and its best focus."""

    max_step: int = Field(60000, ge=10, le=2_000_000_000, description="Highest position, steps.")
    step_size_um: float = Field(1.0, gt=0, le=1000, description="Travel of one step, um.")
    speed_steps_per_s: float = Field(500.0, gt=0, description="Speed of the motor, steps a simulated second.")
    backlash_steps: float = Field(80.0, ge=0, description="True mechanical slack, steps.")
    start_position: int = Field(26000, ge=0, description="Position at the beginning, steps.")
    best_focus_steps: float = Field(
        25000.0, description="Best focus at 10 degrees Celsius, overhead, through a filter without offset; steps."
    )
    has_temperature: bool = Field(default=True, description="Whether the focuser has a temperature sensor.")
    sensor_lag_s: float = Field(120.0, ge=0, description="Time constant of the sensor, seconds.")
    steps_per_degree: float = Field(-30.0, description="Shift of focus for each degree of warming of the tube, steps.")
    altitude_steps: float = Field(0.0, description="Shift of focus from overhead to the horizon, steps.")


class FilterSettings(StrictModel):
    """One filter of the simulated wheel."""

    name: str = Field(min_length=1, max_length=40, description="Name.")
    offset_steps: int = Field(0, description="True shift of focus against the first filter, steps.")
    reported_offset_steps: int | None = Field(
        None, description="Offset that the wheel reports, steps; left out: the true one."
    )
    transmission: float = Field(1.0, ge=0, le=1, description="Share of the light that passes.")


USUAL_FILTERS = (
    FilterSettings(name="L"),
    FilterSettings(name="R", offset_steps=12, transmission=0.35),
    FilterSettings(name="G", offset_steps=8, transmission=0.35),
    FilterSettings(name="B", offset_steps=-9, transmission=0.35),
    FilterSettings(name="Ha", offset_steps=25, transmission=0.05),
)


class ClimateSettings(StrictModel):
    """Temperatures of the simulated night."""

    start_c: float = Field(10.0, ge=-60, le=60, description="Air and tube at the beginning, degrees Celsius.")
    fall_c: float = Field(8.0, ge=-50, le=50, description="Total fall of the temperature of the air, degrees.")
    fall_s: float = Field(14400.0, gt=0, description="Time constant of the air, seconds.")
    tube_lag_s: float = Field(1800.0, ge=0, description="Time constant of the tube, seconds.")


class MountSettings(StrictModel):
    """The simulated mount and its site."""

    latitude_deg: float = Field(47.0, ge=-90, le=90, description="Geographic latitude, degrees north.")
    longitude_deg: float = Field(8.0, ge=-180, le=180, description="Geographic longitude, degrees east.")
    elevation_m: float = Field(500.0, ge=-300, le=9000, description="Height above the sea, metres.")
    start_hour_angle_h: float = Field(-2.0, ge=-6, le=6, description="Hour angle at the beginning, hours.")
    start_declination_deg: float = Field(40.0, ge=-90, le=90, description="Declination at the beginning, degrees.")
    slew_deg_per_s: float = Field(4.0, gt=0, description="Speed of a slew, degrees a simulated second.")
    flips_at_meridian: bool = Field(default=False, description="Whether the mount flips by itself at the meridian.")


class SimulatedCameraSettings(StrictModel):
    """The simulated camera, apart from its sensor."""

    readout_s: float = Field(0.3, ge=0, description="Time to read the sensor, simulated seconds.")
    download_s: float = Field(0.5, ge=0, description="Time until the frame is ready after that, simulated seconds.")
    start_gain: int = Field(0, ge=0, description="Gain setting at the beginning.")
    start_offset: int = Field(10, ge=0, description="Offset setting at the beginning.")


class ObservatorySettings(StrictModel):
    """A simulated observatory."""

    seed: int = Field(1, ge=0, description="Seed of everything random.")
    time_factor: float = Field(1.0, ge=1, le=1000, description="Simulated seconds per real second.")
    start_utc: datetime = Field(
        datetime(2026, 1, 15, 20, 0, tzinfo=UTC), description="Simulated time at the beginning, UTC."
    )
    telescope: TelescopeSettings = Field(
        TelescopeSettings(aperture_mm=106.0, focal_length_mm=530.0, central_obstruction=0.0), description="The optics."
    )
    sensor: SensorSettings = Field(SensorSettings(width_px=1280, height_px=1024), description="The camera's sensor.")
    sky: SkySettings = Field(SkySettings(), description="Stars, seeing and sky.")
    spectrograph: SpectrographSettings = Field(SpectrographSettings(), description="A slit spectrograph.")
    camera: SimulatedCameraSettings = Field(SimulatedCameraSettings(), description="The camera.")
    focuser: FocuserSettings = Field(FocuserSettings(), description="The focuser.")
    filters: tuple[FilterSettings, ...] = Field(
        USUAL_FILTERS, min_length=1, max_length=32, description="The filters of the wheel by slot."
    )
    climate: ClimateSettings = Field(ClimateSettings(), description="Temperatures.")
    mount: MountSettings = Field(MountSettings(), description="The mount.")
    personality: str | None = Field(None, description="Name of a server to imitate; see docs/simulator.md.")
    quirks: tuple[str, ...] = Field(
        (), validate_default=True, description="Quirks of real servers by name; see docs/simulator.md."
    )

    @field_validator("quirks")
    @classmethod
    def _check_quirks(cls, quirks: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        active_quirks(info.data.get("personality"), quirks)
        return quirks

    @field_validator("start_utc")
    @classmethod
    def _check_time_zone(cls, start_utc: datetime) -> datetime:
        if start_utc.tzinfo is None:
            raise ValueError("the time needs a time zone: append a Z for UTC")
        return start_utc.astimezone(UTC)
