"""Settings of a whole night: the site, the temperature, the triggers and the compensation."""

from typing import Literal

from pydantic import Field, field_validator

from alpaca_focus.settings.section import HIGHEST_POSITION, Distance, Duration, FilePath, Section, Text, either


class SiteSection(Section):
    """The position of the telescope on Earth."""

    latitude_deg: float = Field(ge=-90, le=90, description="Geographic latitude in degrees, north positive")
    longitude_deg: float = Field(ge=-180, le=180, description="Geographic longitude in degrees, east positive")


class ThermometerSection(Section):
    """The source of the temperature for triggers and compensation."""

    source: Literal["focuser", "external", "mean"] = Field(
        "focuser",
        description="focuser: the focuser's own sensor; external: the weather station, or file, or url; mean: the "
        "mean of both",
    )
    file: FilePath | None = Field(
        None, description="File into which another program writes the temperature, in degrees Celsius; left out: none"
    )
    url: Text | None = Field(
        None, pattern="^https?://", description="Web page with the temperature in degrees Celsius; left out: none"
    )
    every_s: Duration = Field(10.0, description="Interval of the readings, in seconds")
    readings: int = Field(
        60, ge=1, le=10_000, description="Readings in an average; 60 readings, 10 seconds apart, act every 10 minutes"
    )

    _check_one = field_validator("url")(either("file"))


class FilterByHandSection(Section):
    """The reaction to a filter change outside of the imaging plan."""

    ask_s: float = Field(
        60.0,
        ge=0,
        le=86_400,
        description="Time to answer with `alpaca-focus refocus` or `alpaca-focus abort`, in seconds; 0: no question",
    )
    then: Literal["refocus", "nothing"] = Field("refocus", description="Reaction without an answer")


class TriggersSection(Section):
    """The conditions under which a refocus is due; each may be left out."""

    temperature_c: float | None = Field(
        None, gt=0, le=50, description="Change of mean temperature since the last refocus, in degrees; left out: none"
    )
    temperature_zones: float | None = Field(
        None,
        gt=0,
        le=10,
        description="The same as a share of the critical focus zone by which focus moves; needs "
        "focuser.temperature_coefficient_steps_per_c",
    )
    images: int | None = Field(None, ge=1, le=10_000, description="Light frames since the last refocus")
    minutes: float | None = Field(None, ge=1, le=1440, description="Minutes since the last refocus")
    filter_change: Literal["refocus", "offset", "nothing"] = Field(
        "nothing",
        description="Reaction to a filter change: refocus; offset, a move by filter_wheel.focus_offsets_steps, or a "
        "refocus if an offset is unknown; nothing",
    )
    filter_by_hand: FilterByHandSection = Field(
        FilterByHandSection(), description="Reaction to a filter change outside of the imaging plan"
    )
    meridian_flip: bool = Field(default=False, description="Whether a refocus follows a meridian flip")
    focuser_moved: bool = Field(
        default=True,
        description="Whether a refocus follows a move of the focuser by others than alpaca-focus and the gateway; "
        "false: its end is taken for the new focus",
    )
    hfd_rise_percent: float | None = Field(
        None,
        ge=1,
        le=500,
        description="Growth of the stars since the last refocus, in per cent; needs the gateway, imaging.folder, or "
        "`alpaca-focus exposure end --hfd`",
    )
    hfd_frames: int = Field(
        5, ge=3, le=30, description="Number of frames in the median of star sizes for hfd_rise_percent"
    )
    altitude_deg: float | None = Field(
        None, ge=1, le=90, description="Change of the telescope's altitude since the last refocus, in degrees"
    )
    uncertainty_zones: float | None = Field(
        None, gt=0, le=10, description="Probable defocus by the focus model, as a share of the critical focus zone"
    )
    back_off_s: Duration = Field(
        600.0, description="Wait of the triggers after a failed run, doubled with each further failure, in seconds"
    )
    longest_back_off_s: Duration = Field(4800.0, description="Longest of these waits, in seconds")

    _check_one = field_validator("temperature_zones")(either("temperature_c"))


class CompensationSection(Section):
    """How the focuser follows temperature and altitude between two refocuses."""

    enabled: bool = Field(
        default=False, description="Whether to follow the temperature by focuser.temperature_coefficient_steps_per_c"
    )
    steps_per_c_through: dict[str, float] = Field(
        {}, description="Coefficients that differ for some filters, by the filter's name"
    )
    altitude_steps: float = Field(
        0.0,
        ge=-HIGHEST_POSITION,
        le=HIGHEST_POSITION,
        description="Steps by which best focus moves from overhead to the horizon",
    )
    readings: int = Field(
        12, ge=1, le=10_000, description="Readings in the average that is followed, thermometer.every_s apart"
    )
    when: Literal["between exposures", "any time"] = Field(
        "between exposures", description="Whether the focuser may move while the imaging program exposes"
    )
    dead_zone_steps: float = Field(
        1.0, ge=0.5, le=HIGHEST_POSITION, description="The smallest correction worth a move, in steps"
    )
    dead_zone_zones: float | None = Field(
        None, gt=0, le=1, description="The same as a share of the critical focus zone; left out: dead_zone_steps"
    )
    most_steps_per_hour: Distance | None = Field(
        None, description="Largest sum of the correction moves in one hour, in steps; left out: any"
    )
    most_steps: Distance | None = Field(
        None, description="Largest distance from the position of the last refocus, in steps; left out: any"
    )


class NightSection(Section):
    """How `alpaca-focus run` polls the devices and judges the night."""

    poll_s: float = Field(2.0, ge=0.1, le=60, description="Interval between two polls of the camera, in seconds")
    watch_s: float = Field(10.0, ge=0.1, le=600, description="The same for the mount and the other devices, in seconds")
    sun_altitude_deg: float | None = Field(
        -18.0,
        ge=-18,
        le=90,
        description="Highest altitude of the sun at night, in degrees; needs site; null: the sun is ignored",
    )
    least_image_s: float = Field(
        10.0, ge=0, le=3600, description="Exposures shorter than this are test shots and do not count, in seconds"
    )
    quiet_after_a_move_s: float = Field(
        60.0,
        ge=0,
        le=3600,
        description="Time without a run or a correction move after others moved the focuser, in seconds",
    )
    zone: Literal["classic", "seeing"] = Field(
        "classic",
        description="Formula of the critical focus zone: classic, 4.88 x wavelength x N^2; seeing, 0.00225 x theta x "
        "sqrt(tau) x A x N^2",
    )
    seeing_fwhm_arcsec: float = Field(
        2.5, gt=0, le=20, description="theta of the zone named seeing: usual seeing, in arcseconds"
    )
    tolerance_percent: float = Field(
        10.0, gt=0, le=100, description="tau of the zone named seeing: tolerated growth of the stars, in per cent"
    )
