"""The bodies of commands and the replies to them; the status has its own type in `core.status`."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field


class ErrorReply(BaseModel):
    """Why a request failed."""

    error: str = Field(description="One sentence for a person")


class CommandReply(BaseModel):
    """What a command did."""

    sentence: str = Field(serialization_alias="said", description="One sentence for a person")


class LogLine(BaseModel):
    """A line of the focusing log; its other fields depend on the event."""

    model_config = ConfigDict(extra="allow")

    at: datetime
    event: str
    level: str


class CommandRequest(BaseModel):
    """The body of a command: no unknown fields, no conversion from other types."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)


HfdPx = Annotated[float | None, Field(gt=0, le=10_000, description="Size of the stars on the image, px")]


class RefocusRequest(CommandRequest):
    """Refocus."""

    if_due: bool = Field(default=False, description="Only if one is due")


class CompensationRequest(CommandRequest):
    """Switch the compensation on or off."""

    enabled: bool


class ExposureRequest(CommandRequest):
    """Report the begin or the end of an exposure."""

    what: Literal["begin", "end"]
    seconds: Annotated[float | None, Field(gt=0, le=86_400, description="Exposure time")] = None
    dark: bool = Field(default=False, description="Whether the frame shows no stars")
    hfd_px: HfdPx = None


class FilterRequest(CommandRequest):
    """Report the current filter."""

    name: Annotated[str, Field(min_length=1, max_length=100)]


class ImagingRequest(CommandRequest):
    """Report what the imaging program does."""

    what: Literal["light", "dark", "flat", "bias", "idle", "image", "flip"]
    hfd_px: HfdPx = None
