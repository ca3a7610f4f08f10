"""What is asked and answered, for the OpenAPI description and for who checks what comes in."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

UnixSeconds = Annotated[float, Field(description="Seconds since 1970, UTC")]


class Answer(BaseModel):
    """Something that is answered; what a later version adds is no mistake."""

    model_config = ConfigDict(extra="allow")


class Problem(BaseModel):
    """Why something was not done."""

    error: str = Field(description="One sentence for a person")


class Said(BaseModel):
    """What was done."""

    said: str = Field(description="One sentence for a person")


class Verdict(Answer):
    """How near a trigger is."""

    trigger: str
    due: bool
    state: str = Field(description="How near it is, in a few signs")
    reason: str = Field(description="One clause, when due")


class LastFocus(Answer):
    """The last good focus."""

    at: datetime
    position: int
    trigger: str
    metric: str
    value: float | None
    temperature_c: float | None
    altitude_deg: float | None
    filter_name: str | None
    stderr_steps: float


class Compensation(Answer):
    """What has been followed since the last refocus."""

    moved_steps: int
    carried_steps: float
    stopped: str = Field(description="Why it follows no longer, as a sentence; empty: it does")
    enabled: bool = Field(description="Whether the settings ask for it, and nobody has switched it off")
    switched_off: bool = Field(description="Whether somebody has switched it off")


class LastRun(Answer):
    """How the last run ended."""

    outcome: str
    reason: str


class Status(Answer):
    """What the daemon does; the same as `alpaca-focus status --json`."""

    state: str
    looks: int
    paused: bool
    plan: str
    due: list[str]
    blocked_by: list[str]
    triggers: list[Verdict]
    exposing: bool
    silent: list[str]
    position: int | None
    temperature_c: float | None
    temperature_trouble: str
    filter: str | None
    altitude_deg: float | None
    sun_altitude_deg: float | None
    last_focus: LastFocus | None
    since_s: float
    images: int
    compensation: Compensation
    gateway: dict[str, object] | None
    advice: str
    failures: int
    hold_s: float
    ignored: dict[str, int]
    runs_ended: int
    last_run: LastRun | None


class Waiting(BaseModel):
    """The devices are not there yet."""

    model_config = ConfigDict(extra="forbid")

    state: str
    why: str


class Sample(BaseModel):
    """A point of a V-curve."""

    position: int
    value: float | None
    stderr: float | None
    purpose: str
    usable: bool
    reason: str = Field(description="Why it is not usable")
    stars: int


class Fit(BaseModel):
    """A curve through the points."""

    model: str
    best_position: float
    stderr_steps: float | None
    best_value: float | None
    curve: list[tuple[float, float | None]] = Field(description="Positions and values")


class Run(Answer):
    """A focus run, under way or ended."""

    active: bool
    number: int | None = Field(description="In the history; null: it is not there")
    trigger: str
    started_at: datetime | None
    start_position: int | None
    position: int | None = Field(description="Where the focuser stands now, or stood at the end")
    unit: str
    metric: str
    samples: list[Sample]
    fit: Fit | None
    final_position: int | None
    outcome: str = Field(description="focused, restored, stranded, failed or aborted; empty: it is not over")
    reason: str


class RunSummary(BaseModel):
    """A run of the history in one line."""

    number: int
    started_at: datetime
    trigger: str
    outcome: str
    reason: str
    filter_name: str | None
    temperature_c: float | None
    start_position: int
    final_position: int | None
    best_position: float | None
    stderr_steps: float | None
    metric: str
    unit: str
    value: float | None = Field(description="The metric in the verifying frame")
    exposures: int
    duration_s: float


class Refocus(BaseModel):
    """A refocus of the night."""

    at: UnixSeconds
    position: int | None
    trigger: str
    outcome: str


class NightSoFar(BaseModel):
    """The last 24 hours; at most 1000 points each."""

    temperature: list[tuple[UnixSeconds, float]] = Field(description="Degrees Celsius")
    position: list[tuple[UnixSeconds, float]] = Field(description="Steps")
    refocuses: list[Refocus]
    model: list[tuple[UnixSeconds, float]] = Field(description="Where the focus model expected focus, in steps")
    lights: list[tuple[UnixSeconds, float]] = Field(description="HFD of the light frames, px")


class Light(BaseModel):
    """A light frame of the imaging program."""

    at: datetime
    hfd_px: float
    position: int | None
    filter_name: str | None
    temperature_c: float | None


class LogLine(Answer):
    """A line of the focusing log; its other fields depend on the event."""

    at: datetime
    event: str
    level: str


class FrameFacts(BaseModel):
    """What there is to say of the last focus frame."""

    number: int
    at: datetime
    width: int
    height: int
    stars: int
    hfd_px: float | None
    metric: str
    value: float | None
    unit: str


# What is asked


class Asked(BaseModel):
    """Something that is asked: nothing unknown, nothing turned into something else."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


HfdPx = Annotated[float | None, Field(gt=0, le=10_000, description="Size of the stars on the image, px")]


class RefocusAsked(Asked):
    """Refocus."""

    if_due: bool = Field(default=False, description="Only if one is due")


class CompensationAsked(Asked):
    """Follow the temperature, or do not."""

    enabled: bool


class ExposureAsked(Asked):
    """Tell of an exposure."""

    what: Literal["begin", "end"]
    seconds: Annotated[float | None, Field(gt=0, le=86_400, description="How long it lasts")] = None
    dark: bool = Field(default=False, description="Whether it sees no stars")
    hfd_px: HfdPx = None


class FilterAsked(Asked):
    """Tell the filter."""

    name: Annotated[str, Field(min_length=1, max_length=100)]


class TellAsked(Asked):
    """Tell what the imaging program does."""

    what: Literal["light", "dark", "flat", "bias", "idle", "image", "flip"]
    hfd_px: HfdPx = None
