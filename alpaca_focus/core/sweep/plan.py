"""The actions, settings and results of a focus plan; `generator.sweep` is the plan."""

import math
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from alpaca_focus.core.curves.known_curve import KnownCurve
from alpaca_focus.core.errors import RunFailed
from alpaca_focus.core.sweep.backlash import Backlash, Limits
from alpaca_focus.core.values import ExposureSettings, Fit, Measurement, Position, Sample


@dataclass(frozen=True, slots=True)
class MoveTo:
    """Go to a position in one leg; the plan compensates the backlash."""

    position: Position


@dataclass(frozen=True, slots=True)
class Settle:
    """Wait after a move."""

    duration_s: float


@dataclass(frozen=True, slots=True)
class Expose:
    """Take one frame for a purpose: "locate", "sweep", "pair", "ring" or "verify"."""

    settings: ExposureSettings
    purpose: str


@dataclass(frozen=True, slots=True)
class Measure:
    """Measure the frame with this ticket."""

    ticket: int


Action: TypeAlias = MoveTo | Settle | Expose | Measure
Answer: TypeAlias = Position | Measurement | None


T = TypeVar("T")
Plan: TypeAlias = Generator[Action, Answer, T]


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepSettings:
    """Settings of a sweep.

    Attributes:
        exposure_limits_s: Shortest and longest exposure it may be changed to.
        points: Frames of a full V-curve.
        step_steps: Distance of neighbouring points; `None`: from the optics.
        critical_focus_zone_steps: Full width of the critical focus zone.
        step_size_um: Travel of one step behind the prediction, for advice; `None`: no advice.
        step_size_is_known: Whether it is set or reported, and not only assumed.
        slope_per_step: Predicted rise of the metric far from focus; `None`: unknown optics.
        least: Predicted value of the metric in focus; `None` together with the slope.
        settle_s: Wait after each approach.
        max_exposures: The run fails if it needs more.
        subframe: Whether to read only the part with good stars after the first frame.
        by_rings: Whether one frame of rings may replace a pair, if rings are calibrated.
        retries: How often a failed attempt is repeated from the start.
        known: The V-curve learned from earlier runs, if any.
    """

    exposure: ExposureSettings
    exposure_limits_s: tuple[float, float] = (0.0, math.inf)
    points: int
    step_steps: int | None
    critical_focus_zone_steps: float
    slope_per_step: float | None
    least: float | None
    backlash: Backlash
    limits: Limits
    settle_s: float
    max_exposures: int
    subframe: bool = False
    by_rings: bool = False
    retries: int = 0
    known: KnownCurve | None = None
    step_size_um: float | None = None
    step_size_is_known: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepResult:
    """A verified focus.

    Attributes:
        doubtful: Whether the first curve was wrong, so that nothing should be learned from the run.
        critical_focus_zone_steps: Full width of the critical focus zone, with the step size that the frames have shown.
    """

    fit: Fit
    position: Position
    samples: tuple[Sample, ...]
    verification: Sample
    doubtful: bool = False
    critical_focus_zone_steps: float


@dataclass(slots=True)
class SweepProgress:
    """The progress of a sweep: written by the plan, read by its runner.

    Attributes:
        samples: Every frame, in order.
        fit: The newest fit; its residuals and rejected indices count all samples up to then.
        notes: Sentences for a person on anything unexpected.
    """

    samples: list[Sample] = field(default_factory=list)
    fit: Fit | None = None
    notes: list[str] = field(default_factory=list)


class NothingLeft(RunFailed):
    """The exposures are used up, or the limits hide focus: another attempt would fail in the same way."""
