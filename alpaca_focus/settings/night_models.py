"""Settings of a whole night: the site, the temperature, the triggers and the compensation."""

from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from alpaca_focus.settings.section import HIGHEST_POSITION, Duration, Section


class SiteSection(Section):
    """Where the telescope stands."""

    latitude_deg: float = Field(ge=-90, le=90, description="Geographic latitude in degrees, north positive")
    longitude_deg: float = Field(ge=-180, le=180, description="Geographic longitude in degrees, east positive")


class ThermometerSection(Section):
    """Which temperature counts."""

    source: Literal["focuser", "external", "mean"] = Field(
        default="focuser",
        description="focuser: the focuser's own sensor; external: the weather station, or file, or url; mean: the mean "
        "of both",
    )
    file: str | None = Field(
        default=None,
        min_length=1,
        description="File that some other program writes the temperature into, in degrees Celsius; left out: none",
    )
    url: str | None = Field(
        default=None,
        min_length=1,
        pattern="^https?://",
        description="Page that tells the temperature in degrees Celsius; left out: none",
    )
    every_s: Duration = Field(default=10.0, description="Time from reading to reading, in seconds")
    readings: int = Field(
        default=60,
        ge=1,
        le=10_000,
        description="Readings to an average; 60 of them, 10 seconds apart, act every 10 minutes",
    )

    @field_validator("url")
    @classmethod
    def _check_one(cls, url: str | None, info: ValidationInfo) -> str | None:
        if url is not None and info.data.get("file") is not None:
            raise ValueError("there is a file already: give either file or url")
        return url


class FilterByHandSection(Section):
    """What happens when a filter is changed outside of the imaging plan."""

    ask_s: float = Field(
        default=60.0,
        ge=0,
        le=86_400,
        description="Time to answer with `alpaca-focus refocus` or `alpaca-focus abort`, in seconds; 0: nobody is "
        "asked",
    )
    then: Literal["refocus", "nothing"] = Field(default="refocus", description="What happens without an answer")


class TriggersSection(Section):
    """What makes a refocus due; each may be left out."""

    temperature_c: float | None = Field(
        default=None,
        gt=0,
        le=50,
        description="Change of the average temperature since the last refocus, in degrees; left out: not looked at",
    )
    temperature_zones: float | None = Field(
        default=None,
        gt=0,
        le=10,
        description="The same as the share of the critical focus zone that focus moves by; needs "
        "focuser.temperature_coefficient_steps_per_c",
    )
    images: int | None = Field(default=None, ge=1, le=10_000, description="Light frames since the last refocus")
    minutes: float | None = Field(default=None, ge=1, le=1440, description="Minutes since the last refocus")
    filter_change: Literal["refocus", "offset", "nothing"] = Field(
        default="nothing",
        description="What follows a filter change: refocus; offset, a move by filter_wheel.focus_offsets_steps, and a "
        "refocus only where that is not known; nothing",
    )
    filter_by_hand: FilterByHandSection = Field(
        default=FilterByHandSection(),
        description="What is different when a filter is changed outside of the imaging plan",
    )
    meridian_flip: bool = Field(default=False, description="Whether a refocus follows a meridian flip")
    hfd_rise_percent: float | None = Field(
        default=None,
        ge=1,
        le=500,
        description="Growth of the stars on the frames since the last refocus; needs the gateway, imaging.folder, or "
        "`alpaca-focus exposure end --hfd`",
    )
    hfd_frames: int = Field(default=5, ge=3, le=30, description="Frames to a median of their sizes")
    altitude_deg: float | None = Field(
        default=None, ge=1, le=90, description="Change of the telescope's altitude since the last refocus, in degrees"
    )
    uncertainty_zones: float | None = Field(
        default=None,
        gt=0,
        le=10,
        description="Probable defocus after the focus model, as a share of the critical focus zone",
    )
    back_off_s: Duration = Field(
        default=600.0, description="Time that the triggers wait after a failed run, doubled with each more, in seconds"
    )
    longest_back_off_s: Duration = Field(default=4800.0, description="Longest of these waits, in seconds")

    @field_validator("temperature_zones")
    @classmethod
    def _check_one(cls, zones: float | None, info: ValidationInfo) -> float | None:
        if zones is not None and info.data.get("temperature_c") is not None:
            raise ValueError("there is temperature_c already: give either of them")
        return zones


class CompensationSection(Section):
    """How the focuser follows between two refocuses."""

    enabled: bool = Field(
        default=False,
        description="Whether the focuser follows the temperature by focuser.temperature_coefficient_steps_per_c",
    )
    steps_per_c_through: dict[str, float] = Field(
        default={}, description="Coefficients that are different through some filters, by the filter's name"
    )
    altitude_steps: float = Field(
        default=0.0,
        ge=-HIGHEST_POSITION,
        le=HIGHEST_POSITION,
        description="Steps by which best focus moves from overhead to the horizon",
    )
    readings: int = Field(
        default=12, ge=1, le=10_000, description="Readings to an average that is followed, thermometer.every_s apart"
    )
    when: Literal["between exposures", "any time"] = Field(
        default="between exposures", description="Whether it may move while the imaging program exposes"
    )
    dead_zone_steps: float = Field(
        default=1.0, ge=0.5, le=HIGHEST_POSITION, description="The smallest correction worth a move, in steps"
    )
    dead_zone_zones: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="The same as a share of the critical focus zone; left out: dead_zone_steps",
    )
    most_steps_per_hour: int | None = Field(
        default=None, ge=1, le=HIGHEST_POSITION, description="Largest sum of its moves in one hour; left out: any"
    )
    most_steps: int | None = Field(
        default=None,
        ge=1,
        le=HIGHEST_POSITION,
        description="Largest distance from where the last refocus ended; left out: any",
    )


class NightSection(Section):
    """How the night is watched."""

    poll_s: float = Field(
        default=2.0, ge=0.1, le=60, description="Time from one look at the camera to the next, in seconds"
    )
    watch_s: float = Field(
        default=10.0, ge=0.1, le=600, description="The same for the mount and the other devices, in seconds"
    )
    sun_altitude_deg: float | None = Field(
        default=-18.0,
        ge=-18,
        le=90,
        description="Altitude of the sun above which it is not night; needs site; null: the sun is not looked at",
    )
    least_image_s: float = Field(
        default=10.0,
        ge=0,
        le=3600,
        description="Exposures shorter than this are test shots and do not count, in seconds",
    )
    zone: Literal["classic", "seeing"] = Field(
        default="classic",
        description="Which critical focus zone shares are of: classic, 4.88 x wavelength x N^2; seeing, 0.00225 x "
        "theta x sqrt(tau) x A x N^2",
    )
    seeing_fwhm_arcsec: float = Field(
        default=2.5, gt=0, le=20, description="theta of the zone named seeing: usual seeing, in arcseconds"
    )
    tolerance_percent: float = Field(
        default=10.0, gt=0, le=100, description="tau of the zone named seeing: growth of the stars that is borne"
    )
