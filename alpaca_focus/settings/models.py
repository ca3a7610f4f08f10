"""The settings of alpaca-focus; other packages receive the values, not these models."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from alpaca_focus.core.device_kinds import DEVICE_KINDS
from alpaca_focus.core.metrics import METRICS, STAR_SIZE
from alpaca_focus.core.optics import OpticalTrain
from alpaca_focus.settings.interface_models import (
    GatewaySection,
    GuiderSection,
    ImagingSection,
    MessagesSection,
    MqttSection,
    WebSection,
)
from alpaca_focus.settings.night_models import (
    CompensationSection,
    NightSection,
    SiteSection,
    ThermometerSection,
    TriggersSection,
)
from alpaca_focus.settings.section import (
    DEFAULT_ADDRESS,
    Binning,
    Distance,
    Duration,
    ExposureTime,
    FilePath,
    Section,
    Steps,
    Text,
    checked_address,
)

JSON_SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"
SLOWEST_FOCAL_RATIO = 40.0
FASTEST_FOCAL_RATIO = 1.0

if TYPE_CHECKING:
    MetricName: TypeAlias = str
else:
    # The names in the table of metrics, which a type checker cannot follow.
    MetricName = Literal[tuple(METRICS)]

Address = Annotated[
    str,
    AfterValidator(checked_address),
    Field(
        description='Host name or IP address and port of an Alpaca server, "host:port"; IPv6 as "[::1]:11111"',
        examples=[DEFAULT_ADDRESS, "observatory.local:11111"],
    ),
]


class DeviceSection(Section):
    """The address of an Alpaca device."""

    address: Address | None = Field(
        None, description='Alpaca server of this device, "host:port"; left out: that of the section alpaca'
    )
    device_number: int = Field(0, ge=0, le=4_294_967_295, description="Alpaca's number of the device on its server")
    unique_id: Text | None = Field(
        None, description="Alpaca's UniqueID of the device; finds it even if the server has renumbered its devices"
    )


class TelescopeSection(Section):
    """The optics in front of the camera."""

    name: str = Field("telescope", min_length=1, max_length=100, description="Name of the telescope in reports")
    focal_length_mm: float = Field(
        gt=0, le=100_000, description="Focal length in millimetres, reducer or extender included"
    )
    aperture_mm: float = Field(gt=0, le=20_000, description="Diameter of the free aperture in millimetres")
    central_obstruction: float = Field(
        0.0, ge=0, le=0.7, description="Central obstruction's diameter as a fraction of the aperture; 0 for a refractor"
    )

    @field_validator("aperture_mm")
    @classmethod
    def _check_focal_ratio(cls, aperture_mm: float, info: ValidationInfo) -> float:
        focal_length_mm = info.data.get("focal_length_mm")
        if focal_length_mm is None:  # already refused
            return aperture_mm
        ratio = focal_length_mm / aperture_mm
        if not FASTEST_FOCAL_RATIO <= ratio <= SLOWEST_FOCAL_RATIO:
            raise ValueError(
                f"f/{ratio:.3g} is not a telescope ({focal_length_mm:g} mm focal length, {aperture_mm:g} mm aperture): "
                "are focal_length_mm and aperture_mm right?"
            )
        return aperture_mm

    def train(self, *, pixel_size_um: float, step_size_um: float) -> OpticalTrain:
        """Return the optics with a camera and a focuser."""
        return OpticalTrain(
            focal_length_mm=self.focal_length_mm,
            aperture_mm=self.aperture_mm,
            central_obstruction=self.central_obstruction,
            pixel_size_um=pixel_size_um,
            step_size_um=step_size_um,
        )


class AlpacaSection(Section):
    """The Alpaca server and the time limit of its answers."""

    address: Address = Field(
        DEFAULT_ADDRESS, description='Alpaca server of all devices without an address of their own, "host:port"'
    )
    timeout_s: Duration = Field(5.0, description="Longest wait for the answer to one call, in seconds")


class CameraSection(DeviceSection):
    """The camera that takes the focus frames."""

    pixel_size_um: float | None = Field(
        None, gt=0, le=1000, description="Side of an unbinned pixel in micrometres; left out: the value of the camera"
    )
    download_timeout_s: Duration = Field(
        60.0, description="Longest wait for a frame's download, and for its read-out if longer than a minute; seconds"
    )
    idle_timeout_s: Duration = Field(
        30.0,
        description="Time for which the camera may report Idle after an exposure without a frame being ready, in "
        "seconds; then the exposure counts as lost. Large frames take a slow computer more than 10 s",
    )


class BacklashSection(Section):
    """The backlash of the focuser, and how it is compensated."""

    method: Literal["overshoot", "absolute", "none"] = Field(
        "overshoot",
        description="overshoot: always arrive from the same side; absolute: add the lost steps when the direction "
        "changes; none: no compensation",
    )
    steps: Steps = Field(
        0,
        validate_default=True,
        description="Steps lost at a change of direction, or somewhat more for overshoot; required unless the method "
        "is none",
    )
    arrive: Literal["in", "out"] = Field(
        "in", description="Direction of the last leg of every move: in lowers the position, out raises it"
    )

    @field_validator("steps")
    @classmethod
    def _check_steps(cls, steps: int, info: ValidationInfo) -> int:
        method = info.data.get("method", "none")
        if steps == 0 and method != "none":
            raise ValueError(
                f"the method {method} needs the number of steps that the focuser loses: write steps, or method: none"
            )
        return steps


class FocuserSection(DeviceSection):
    """The focuser; it must be an absolute one."""

    step_size_um: float | None = Field(
        None, gt=0, le=10_000, description="Travel of one step in micrometres; left out: the value of the focuser"
    )
    min_position: Steps | None = Field(
        None, description="Lowest position to go to, in steps; left out: the focuser's own limit"
    )
    max_position: Steps | None = Field(
        None, description="Highest position to go to, in steps; left out: the focuser's own limit"
    )
    settle_s: float = Field(1.0, ge=0, le=600, description="Wait between a move and the next exposure, in seconds")
    temperature_coefficient_steps_per_c: float | None = Field(
        None,
        description="Steps by which best focus moves for each degree of warming; `alpaca-focus calibrate temperature` "
        "measures it; left out: unknown",
    )
    tolerance_steps: int | None = Field(
        None,
        ge=0,
        le=1000,
        description="Distance from the target at which a focuser that stands still has arrived, in steps; left out: a "
        "twentieth of the critical focus zone, at least 1",
    )
    stall_timeout_s: Duration = Field(
        30.0, description="Time without progress towards the target after which a move has failed, in seconds"
    )
    backlash: BacklashSection = Field(
        BacklashSection(method="none"), description="Backlash compensation; left out: none"
    )

    @field_validator("max_position")
    @classmethod
    def _check_range(cls, max_position: int | None, info: ValidationInfo) -> int | None:
        min_position = info.data.get("min_position")
        if max_position is not None and min_position is not None and max_position <= min_position:
            raise ValueError(f"{max_position} is not above min_position ({min_position}): swap or correct them")
        return max_position


class FilterWheelSection(DeviceSection):
    """A filter wheel."""

    focus_offsets_steps: dict[str, int] = Field(
        {},
        description="Best focus through each filter against the others, in focuser steps, by the filter's name; "
        "`alpaca-focus calibrate filters` measures them; left out: the offsets that the wheel reports",
    )


class MountSection(DeviceSection):
    """The mount; it is only read, never moved."""


class ObservingConditionsSection(DeviceSection):
    """A weather station."""


class SafetyMonitorSection(DeviceSection):
    """A monitor that reports whether the observatory is safe."""


class FilterFocusSection(Section):
    """Settings that differ for focusing through one filter."""

    exposure_s: ExposureTime | None = Field(
        None, description="Exposure time through this filter in seconds; left out: focus.exposure_s"
    )
    binning: Binning | None = Field(None, description="Binning; left out: focus.binning")
    gain: int | None = Field(None, description="Gain; left out: focus.gain")
    offset: int | None = Field(None, description="Offset; left out: focus.offset")
    focus_through: Text | None = Field(
        None,
        description="Name of the filter to focus through instead, where stars are brighter; the difference of the "
        "focus offsets is added afterwards",
    )


class SpectrumSection(Section):
    """How a spectrum lies on the camera, for the metrics spectrum_fwhm and nsig."""

    axis: Literal["auto", "horizontal", "vertical"] = Field(
        "auto", description="Along which axis of the frame the light is dispersed"
    )
    x0: int | None = Field(
        None, ge=0, description="First pixel along the dispersion to measure; left out: the best exposed part"
    )
    x1: int | None = Field(
        None, ge=1, description="Last pixel along the dispersion to measure, plus one; left out: the best exposed part"
    )


class FocusSection(Section):
    """How one focus run is done."""

    exposure_s: ExposureTime = Field(3.0, description="Exposure time of a focus frame in seconds")
    binning: Binning = Field(1, description="Binning of the focus frames, the same on both axes")
    gain: int | None = Field(None, description="Gain of the focus frames; left out: the camera's present gain")
    offset: int | None = Field(None, description="Offset of the focus frames; left out: the camera's present offset")
    metric: MetricName = Field(
        STAR_SIZE,
        description="What is measured: "
        + "; ".join(f"{name}, {metric.explanation}" for name, metric in METRICS.items()),
    )
    filters: dict[str, FilterFocusSection] = Field(
        {}, description="Settings that differ for some filters, by the filter's name"
    )
    spectrum: SpectrumSection = Field(SpectrumSection(), description="How a spectrum lies on the camera")
    subframe: bool = Field(
        default=False,
        description="Whether to read only the part of the sensor with good stars after the first frame, if the camera "
        "can",
    )
    by_rings: bool = Field(
        default=False,
        description="Whether to focus by one frame of rings and one to verify, once three runs have calibrated them; "
        "for hfd only, and with the right telescope.central_obstruction",
    )
    retries: int = Field(
        1, ge=0, le=2, description="Number of times that a run with a bad curve is repeated before it fails"
    )
    points: int = Field(6, ge=5, le=25, description="Points of a whole V-curve")
    step_steps: Distance | None = Field(
        None, description="Distance between two points of the V-curve, in focuser steps; left out: from the optics"
    )
    max_exposures: int = Field(40, ge=1, le=1000, description="Most frames one run may take")
    max_duration_s: Duration = Field(900.0, description="Longest time one run may take, in seconds")
    max_travel_steps: Distance | None = Field(
        None, description="Largest distance of the search from its start, in steps; left out: the whole range"
    )

    def through(self, filter_name: str | None) -> "FocusSection":
        """Return the settings for a filter."""
        special = self.filters.get(filter_name or "", FilterFocusSection())
        names = ("exposure_s", "binning", "gain", "offset")
        return self.model_copy(update={name: value for name in names if (value := getattr(special, name)) is not None})

    @field_validator("max_exposures")
    @classmethod
    def _check_exposures(cls, max_exposures: int, info: ValidationInfo) -> int:
        points = info.data.get("points", 0)
        if max_exposures <= points:
            raise ValueError(
                f"{max_exposures} is too small: a run takes its {points} points and at least one frame to verify"
            )
        return max_exposures

    @field_validator("max_travel_steps")
    @classmethod
    def _check_travel(cls, max_travel_steps: int | None, info: ValidationInfo) -> int | None:
        step, points = info.data.get("step_steps"), info.data.get("points")
        if max_travel_steps is None or step is None or points is None:
            return max_travel_steps
        half_sweep = step * (points // 2)
        if max_travel_steps < half_sweep:
            raise ValueError(
                f"{max_travel_steps} is too small: {points} points, {step} steps apart, reach {half_sweep} steps "
                "to each side"
            )
        return max_travel_steps


class StorageSection(Section):
    """The data kept from night to night."""

    directory: FilePath | None = Field(
        None,
        description="Folder for the history of runs, the learned V-curves and the state of the night, made if it is "
        "missing; ~ is the home folder, and a relative path starts from the folder of the settings file; left out: "
        "nothing is kept, and each run takes a whole V-curve",
        examples=["~/.local/state/alpaca-focus"],
    )

    @property
    def folder(self) -> Path | None:
        """The folder of the history; `None`: no history is kept."""
        return None if self.directory is None else Path(self.directory)


_FIRST_SETTINGS = {
    **dict.fromkeys(
        (kind.section for kind in DEVICE_KINDS.values() if not kind.required), "'device_number: 0' below it, indented"
    ),
    "guider": "'mode: pause' below it, indented",
    "messages": "services below it",
    "mqtt": "broker below it",
    "site": "latitude_deg and longitude_deg below it",
}
"""First settings to write in a section, for the message about an empty one."""


class Settings(Section):
    """Settings of alpaca-focus."""

    telescope: TelescopeSection = Field(description="The optics in front of the camera")
    alpaca: AlpacaSection = Field(AlpacaSection(), description="The Alpaca server and the time limit of its answers")
    camera: CameraSection = Field(CameraSection(), description="The camera that takes the focus frames")
    focuser: FocuserSection = Field(FocuserSection(), description="The focuser")
    filter_wheel: FilterWheelSection | None = Field(None, description="A filter wheel, if there is one")
    mount: MountSection | None = Field(None, description="The mount, if it is to be watched")
    observing_conditions: ObservingConditionsSection | None = Field(
        None, description="A weather station, if there is one"
    )
    safety_monitor: SafetyMonitorSection | None = Field(None, description="A safety monitor, if there is one")
    guider: GuiderSection | None = Field(None, description="PHD2, if it guides the telescope")
    imaging: ImagingSection = Field(ImagingSection(), description="The imaging program that owns the camera")
    gateway: GatewaySection = Field(
        GatewaySection(), description="The server that the imaging program connects to; for imaging.way: gateway"
    )
    focus: FocusSection = Field(FocusSection(), description="How one focus run is done")
    storage: StorageSection = Field(StorageSection(), description="The data kept from night to night")
    site: SiteSection | None = Field(
        None, description="Position of the telescope on Earth; needed for the altitude of the sun"
    )
    thermometer: ThermometerSection = Field(
        ThermometerSection(), description="The temperature used by triggers and compensation"
    )
    triggers: TriggersSection = Field(TriggersSection(), description="When a refocus is due in the night")
    compensation: CompensationSection = Field(
        CompensationSection(), description="How the focuser follows temperature and altitude between two refocuses"
    )
    night: NightSection = Field(NightSection(), description="How `alpaca-focus run` watches the night")
    messages: MessagesSection | None = Field(None, description="Messages to people; left out: none are sent")
    mqtt: MqttSection | None = Field(None, description="The MQTT broker to publish to; left out: none")
    web: WebSection | None = Field(
        WebSection(), description="The dashboard and the REST API of `alpaca-focus run`; null: there are none"
    )

    @field_validator(*_FIRST_SETTINGS, mode="before")
    @classmethod
    def _refuse_empty_section(cls, section: object, info: ValidationInfo) -> object:
        if section is None:
            first = _FIRST_SETTINGS[info.field_name or ""]
            raise ValueError(f"nothing is given: write {first}, or take the line out")
        return section


def json_schema() -> dict[str, Any]:
    """Return the schema of a settings file, draft 2020-12, with a description of every setting."""
    schema = Settings.model_json_schema()
    for section in (schema, *schema["$defs"].values()):
        for setting in section["properties"].values():
            setting.pop("title", None)  # pydantic repeats the name in capitals
    return {"$schema": JSON_SCHEMA_DIALECT} | schema | {"title": "alpaca-focus settings"}


def schema_text() -> str:
    """Return the schema as it is published in `config/alpaca-focus.schema.json`."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
