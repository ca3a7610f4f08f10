"""What a focus plan is told and what it gives back; the plan itself is put together in `sweep`."""

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
    """Go to a position in one leg, straight; how to approach a target is the plan's business."""

    position: Position


@dataclass(frozen=True, slots=True)
class Settle:
    """Wait after a move."""

    duration_s: float


@dataclass(frozen=True, slots=True)
class Expose:
    """Take one frame; `purpose` says what for: "locate", "sweep", "verify"."""

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
    """What a sweep must know.

    Attributes:
        exposure: How each frame is taken.
        exposure_limits_s: Shortest and longest exposure it may be changed to.
        points: Frames of the V-curve proper.
        step_steps: Distance of neighbouring points; `None`: from the optics.
        critical_focus_zone_steps: Full width of the critical focus zone.
        slope_per_step: Expected rise of the metric far from focus; `None`: it has to be found out.
        least: Expected value of the metric in focus; `None` together with the slope.
        backlash: How targets are approached.
        limits: Where the focuser may be sent.
        settle_s: Wait after each approach.
        max_exposures: The run gives up when it would need more.
        subframe: Whether to read only the part with good stars after the first frame.
        by_rings: Whether one frame of rings may do instead of a pair, where they are calibrated.
        retries: How often a curve that failed is tried again from the start.
        known: The V-curve as earlier runs showed it; `None`: nothing is known.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepResult:
    """A verified focus.

    Attributes:
        fit: The curve that was accepted.
        position: Where the focuser stands.
        samples: Every frame of the run.
        verification: The frame that verified it.
        doubtful: Whether the curve promised another place at first: nothing should be learned from such a run.
    """

    fit: Fit
    position: Position
    samples: tuple[Sample, ...]
    verification: Sample
    doubtful: bool = False


@dataclass(slots=True)
class SweepProgress:
    """What a plan has seen so far; whoever runs it may look, and only the plan writes.

    Attributes:
        samples: Every frame, in order.
        fit: The newest fit; its residuals and rejected indices count all samples up to then.
        notes: Sentences for a person: what did not go as expected.
    """

    samples: list[Sample] = field(default_factory=list)
    fit: Fit | None = None
    notes: list[str] = field(default_factory=list)


class NothingLeft(RunFailed):
    """The run has used up its exposures, or the limits hide focus: trying again would end the same way."""
