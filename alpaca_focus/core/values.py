"""Frozen values that travel from the wire to the result.

Units are in the names: `_px` pixels of the unbinned sensor, `_um` micrometres, `_s` seconds, `_steps` focuser steps,
`_c` degrees Celsius. A focuser position is a whole number of steps of an absolute focuser; "out" raises it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
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
    """How to take one frame. `None` leaves what the camera has."""

    exposure_s: float
    binning: int = 1
    gain: int | None = None
    offset: int | None = None
    subframe: Subframe | None = None
    light: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame as it came off the wire.

    Attributes:
        pixels: ADU, shape (rows, columns); not to be written to.
        exposure_s: Exposure time in seconds as the camera reports it, else as asked; NaN where nothing tells.
        started_at: Start of the exposure, UTC.
        binning: Sensor pixels to a pixel, the same on both axes.
        saturation_adu: Value at which a pixel is saturated.
        bayer: Whether the sensor has a colour matrix (neighbouring pixels see different colours).
        electrons_per_adu: Gain of the converter; `None` where nothing tells.
        image_scale_arcsec: Sky to a pixel as it lies in `pixels`; `None` where nothing tells.
        left_px: Column of the whole frame that the first one here is, binned.
        top_px: Row of the whole frame that the first one here is, binned.
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
    """What one frame says about focus.

    Attributes:
        metric: Name in the table of metrics, for example "hfd".
        value: Value of the metric in `unit`; NaN when not usable.
        stderr: Standard error of `value`, same unit; NaN when not usable.
        unit: Unit of `value`, for example "px".
        lower_is_better: Sense of the metric.
        star_count: Stars that took part (0 for a spectrum).
        usable: Whether `value` may take part in a fit.
        reason: One clause why it is not usable, for example "no stars found"; empty when usable.
        flags: Count by kind of what was noticed or left out, for example {"saturated": 3}.
        details: Further numbers by name with unit, for example {"fwhm_px": 3.1, "sky_adu": 412.0}.
        region: A part of the frame with many good stars, which later frames may be read from alone.
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
    """A light frame of the imaging program, measured; `None` where nothing tells.

    Attributes:
        ended_at: End of its exposure, or when it was measured, UTC.
        hfd_px: Half-flux diameter of its stars, in unbinned pixels.
        position: Where the focuser belonged then.
        filter_name: Filter in the light.
        temperature_c: Average temperature.
    """

    ended_at: datetime
    hfd_px: float
    position: Position | None = None
    filter_name: str | None = None
    temperature_c: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One point of a V-curve: where the focuser stood and what the frame said."""

    position: Position
    measurement: Measurement
    purpose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A curve through samples.

    Attributes:
        model: Name of the curve, for example "hyperbola".
        best_position: Position of the vertex in steps, not rounded.
        best_position_stderr: Its standard error in steps.
        best_value: The metric at the vertex.
        parameters: The curve's parameters by name.
        r_squared: Weighted coefficient of determination of the samples kept.
        residuals: Measured minus fitted value of every sample, in the order given; NaN where it took no part.
        rejected: Indices of usable samples that were left out, as outliers or as too far from focus.
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
    """At the fitted position, verified by a fresh frame."""
    RESTORED = "restored"
    """Back where it started: the run failed."""
    STRANDED = "stranded"
    """The focuser could not be brought back; a person has to look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FocusResult:
    """One run from start to commit or restore.

    Attributes:
        outcome: How it ended.
        reason: One sentence for a person.
        start_position: Where the focuser stood before the first move.
        final_position: Where it stands now as far as known.
        fit: The accepted or last fit, if there was one.
        samples: Every frame measured, in order.
        verification: The verifying frame, if it came to that.
        started_at: Start of the run, UTC.
        duration_s: Time from start to the camera being free.
        exposures: All exposures taken, the verifying one included.
        temperature_c: Temperature at the start, if a sensor was read: that of the focuser, else of the air.
        filter_name: Filter in the light path, if known.
        doubtful: Whether the run contradicted itself before it was verified: nothing is learned from it.
        altitude_deg: Where the telescope pointed at the start, if the mount says so.
        temperatures_c: All temperatures at the start by the name of the sensor: "focuser", "air".
        camera_taken: Whether it ended because another program exposed with the camera.
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
