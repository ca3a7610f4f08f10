"""Settings of the simulated observatory as a whole. Everything has a default."""

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from alpaca_focus.simulator.quirks import active_quirks
from alpaca_focus.simulator.settings import SensorSettings, SkySettings, SpectrographSettings, TelescopeSettings


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FocuserSettings(_Settings):
    """The simulated focuser and where its focus is."""

    max_step: int = Field(60000, ge=10, le=2_000_000_000, description="Highest position, steps.")
    step_size_um: float = Field(1.0, gt=0, le=1000, description="Travel of one step, um.")
    speed_steps_per_s: float = Field(500.0, gt=0, description="Speed of the motor, steps a simulated second.")
    backlash_steps: float = Field(80.0, ge=0, description="True mechanical slack, steps.")
    start_position: int = Field(26000, ge=0, description="Position at the beginning, steps.")
    best_focus_steps: float = Field(
        25000.0,
        description="Place of the tube that is in focus at 10 degrees Celsius, overhead, through a filter without "
        "offset; steps.",
    )
    has_temperature: bool = Field(default=True, description="Whether the focuser has a temperature sensor.")
    sensor_lag_s: float = Field(120.0, ge=0, description="Time constant of the sensor, seconds.")
    steps_per_degree: float = Field(
        -30.0, description="Shift of focus for each degree that the tube becomes warmer, steps."
    )
    altitude_steps: float = Field(0.0, description="Shift of focus from overhead to the horizon, steps.")


class FilterSettings(_Settings):
    """One filter of the simulated wheel."""

    name: str = Field(min_length=1, max_length=40, description="Name.")
    offset_steps: int = Field(0, description="True shift of focus against the first filter, steps.")
    reported_offset_steps: int | None = Field(
        None, description="Offset that the wheel reports, steps; left out: the true one."
    )
    transmission: float = Field(1.0, ge=0, le=1, description="Share of the light that passes.")


def _usual_filters() -> tuple[FilterSettings, ...]:
    return (
        FilterSettings(name="L"),
        FilterSettings(name="R", offset_steps=12, transmission=0.35),
        FilterSettings(name="G", offset_steps=8, transmission=0.35),
        FilterSettings(name="B", offset_steps=-9, transmission=0.35),
        FilterSettings(name="Ha", offset_steps=25, transmission=0.05),
    )


class ClimateSettings(_Settings):
    """Temperatures of the simulated night."""

    start_c: float = Field(10.0, ge=-60, le=60, description="Air and tube at the beginning, degrees Celsius.")
    fall_c: float = Field(8.0, ge=-50, le=50, description="How much colder the air becomes in the end, degrees.")
    fall_s: float = Field(14400.0, gt=0, description="Time constant of the air, seconds.")
    tube_lag_s: float = Field(1800.0, ge=0, description="Time constant of the tube, seconds.")


class MountSettings(_Settings):
    """The simulated mount and its place on Earth."""

    latitude_deg: float = Field(47.0, ge=-90, le=90, description="Geographic latitude, degrees north.")
    longitude_deg: float = Field(8.0, ge=-180, le=180, description="Geographic longitude, degrees east.")
    elevation_m: float = Field(500.0, ge=-300, le=9000, description="Height above the sea, metres.")
    start_hour_angle_h: float = Field(-2.0, ge=-6, le=6, description="Hour angle at the beginning, hours.")
    start_declination_deg: float = Field(40.0, ge=-90, le=90, description="Declination at the beginning, degrees.")
    slew_deg_per_s: float = Field(4.0, gt=0, description="Speed of a slew, degrees a simulated second.")
    flips_at_meridian: bool = Field(default=False, description="Whether it flips by itself at the meridian.")


class CameraSettings(_Settings):
    """What the simulated camera does besides its sensor."""

    readout_s: float = Field(0.3, ge=0, description="Time to read the sensor, simulated seconds.")
    download_s: float = Field(0.5, ge=0, description="Time until the frame is ready after that, simulated seconds.")
    start_gain: int = Field(0, ge=0, description="Gain setting at the beginning.")
    start_offset: int = Field(10, ge=0, description="Offset setting at the beginning.")


def _refractor() -> TelescopeSettings:
    return TelescopeSettings(aperture_mm=106.0, focal_length_mm=530.0, central_obstruction=0.0)


def _sensor() -> SensorSettings:
    return SensorSettings(width_px=1280, height_px=1024)


class ObservatorySettings(_Settings):
    """A simulated observatory."""

    seed: int = Field(1, ge=0, description="Seed of everything random.")
    time_factor: float = Field(1.0, ge=1, le=1000, description="Simulated seconds to a real one.")
    start_utc: datetime = Field(
        datetime(2026, 1, 15, 20, 0, tzinfo=UTC), description="Simulated time at the beginning, UTC."
    )
    telescope: TelescopeSettings = Field(default_factory=_refractor, description="The optics.")
    sensor: SensorSettings = Field(default_factory=_sensor, description="The camera's sensor.")
    sky: SkySettings = Field(default_factory=SkySettings, description="Stars, seeing and sky.")
    spectrograph: SpectrographSettings = Field(default_factory=SpectrographSettings, description="A slit spectrograph.")
    camera: CameraSettings = Field(default_factory=CameraSettings, description="The camera.")
    focuser: FocuserSettings = Field(default_factory=FocuserSettings, description="The focuser.")
    filters: tuple[FilterSettings, ...] = Field(
        default_factory=_usual_filters, min_length=1, max_length=32, description="The filters of the wheel by slot."
    )
    climate: ClimateSettings = Field(default_factory=ClimateSettings, description="Temperatures.")
    mount: MountSettings = Field(default_factory=MountSettings, description="The mount.")
    personality: str | None = Field(None, description="Name of a deviating server to play; see docs/simulator.md.")
    quirks: tuple[str, ...] = Field(
        (), validate_default=True, description="Deviations of real servers by name; see docs/simulator.md."
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
            raise ValueError("the time needs a time zone: write a Z behind it for UTC")
        return start_utc.astimezone(UTC)
