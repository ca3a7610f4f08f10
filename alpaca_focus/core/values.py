"""Frozen values, from the frame to the result of a focus run.

Units are in the names: `_px` pixels of the unbinned sensor, `_um` micrometres, `_s` seconds, `_steps` focuser steps,
`_c` degrees Celsius. A focuser position is a whole number of steps of an absolute focuser; "out" raises it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Position: TypeAlias = int
"""An absolute focuser position in steps."""

Pixels: TypeAlias = NDArray[np.generic]
"""Pixel values in ADU, shape (rows, columns) or (rows, columns, planes), any integer or floating type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subframe:
    """A part of the sensor, counted in binned pixels as Alpaca does: left column, top row, width, height."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposureSettings:
    """How to take one frame; `None` leaves the camera's setting."""

    exposure_s: float
    binning: int = 1
    gain: int | None = None
    offset: int | None = None
    subframe: Subframe | None = None
    light: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame of the camera or of a file; `None`: unknown.

    Attributes:
        pixels: ADU, shape (rows, columns); read only.
        exposure_s: Exposure time as reported by the camera, else as requested; NaN if unknown.
        started_at: Start of the exposure, UTC.
        binning: Sensor pixels per pixel, the same on both axes.
        bayer: Whether the sensor has a colour matrix (neighbouring pixels see different colours).
        electrons_per_adu: Gain of the converter.
        image_scale_arcsec: Angle on the sky of a pixel of `pixels`.
        left_px: Column of the full frame at which `pixels` begins, binned.
        top_px: Row of the full frame at which `pixels` begins, binned.
    """

    pixels: Pixels
    exposure_s: float
    started_at: datetime
    binning: int
    saturation_adu: float
    bayer: bool = False
    electrons_per_adu: float | None = None
    image_scale_arcsec: float | None = None
    left_px: int = 0
    top_px: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """The measurement of one frame by one metric.

    Attributes:
        metric: Name in the table of metrics, for example "hfd".
        value: Value of the metric in `unit`; NaN if not usable.
        stderr: Standard error of `value`, same unit; NaN if not usable.
        star_count: Stars measured (0 for a spectrum).
        usable: Whether `value` may take part in a fit.
        reason: One clause why not, for example "no stars found"; empty if usable.
        flags: Number of findings by kind, for example {"saturated": 3}.
        details: Further numbers by name with unit, for example {"fwhm_px": 3.1, "sky_adu": 412.0}.
        region: A part of the frame with many good stars; the next frames may be limited to it.
    """

    metric: str
    value: float
    stderr: float
    unit: str = "px"
    lower_is_better: bool = True
    star_count: int = 0
    usable: bool = True
    reason: str = ""
    flags: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    details: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    region: Subframe | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """A measured light frame of the imaging program; `None`: unknown.

    Attributes:
        ended_at: End of the exposure, or time of the measurement, UTC.
        hfd_px: Half-flux diameter of the stars, in unbinned pixels.
        position: The focuser's intended position at that time.
        temperature_c: Average temperature.
    """

    ended_at: datetime
    hfd_px: float
    position: Position | None = None
    filter_name: str | None = None
    temperature_c: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One point of a V-curve: the focuser's position and the measurement of the frame there."""

    position: Position
    measurement: Measurement
    purpose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A curve through samples.

    Attributes:
        model: Name of the curve, for example "hyperbola".
        best_position: Vertex in steps, not rounded.
        best_value: The metric at the vertex.
        r_squared: Weighted coefficient of determination of the fitted samples.
        residuals: Measured minus fitted value of every sample in their order; NaN for samples left out.
        rejected: Indices of usable samples left out as outliers or as too far from focus.
    """

    model: str
    best_position: float
    best_position_stderr: float
    best_value: float
    parameters: Mapping[str, float]
    r_squared: float
    residuals: tuple[float, ...]
    rejected: tuple[int, ...] = ()


class Outcome(StrEnum):
    """How a run ended."""

    FOCUSED = "focused"
    """The focuser is at the fitted position, verified by another frame."""
    RESTORED = "restored"
    """The run failed, and the focuser is back at the start."""
    STRANDED = "stranded"
    """The run failed, and the focuser could not be restored; a person has to help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FocusResult:
    """One run from start to commit or restore.

    Attributes:
        reason: One sentence for a person.
        final_position: Position at the end; `None`: unknown.
        fit: The accepted or last fit.
        samples: Every measured frame, in order.
        started_at: Start of the run, UTC.
        duration_s: Time from the start until the camera is free.
        exposures: Number of exposures, including the verification.
        temperature_c: Temperature at the start: of the focuser, else of the air.
        doubtful: Whether the run contradicted itself before it was verified: nothing is learned from it.
        altitude_deg: Altitude of the telescope at the start.
        temperatures_c: All temperatures at the start by sensor: "focuser", "air".
        camera_taken: Whether the run ended because another program exposed with the camera.
    """

    outcome: Outcome
    reason: str
    start_position: Position
    final_position: Position | None
    fit: Fit | None
    samples: tuple[Sample, ...]
    verification: Sample | None
    started_at: datetime
    duration_s: float
    exposures: int
    temperature_c: float | None = None
    filter_name: str | None = None
    doubtful: bool = False
    altitude_deg: float | None = None
    temperatures_c: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    camera_taken: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedNotice:
    """A notice of the history: what has happened at that time (UTC), in the words of the message to people."""

    at: datetime
    kind: str
    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedRun:
    """A run of the history, with its number and the triggers that started it."""

    number: int
    trigger: str
    result: FocusResult

    @property
    def ended_at(self) -> datetime:
        """When the camera was free again."""
        return self.result.started_at + timedelta(seconds=self.result.duration_s)

    @property
    def is_good(self) -> bool:
        """Whether it ended in focus, with a curve."""
        return self.result.outcome is Outcome.FOCUSED and self.result.fit is not None
