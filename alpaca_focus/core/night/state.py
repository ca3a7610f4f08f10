"""The night's state, frozen: the last good focus and the counts since then; and the snapshot that each poll returns.

`core/night/transitions.py` has the functions that lead from one state to the next. Field names are those on disk.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

from alpaca_focus.core.night.compensation import Compensated
from alpaca_focus.core.night.focuser_watch import FocuserReading, FocuserWatch
from alpaca_focus.core.night.outlier_filter import OutlierFilter, Window
from alpaca_focus.core.night.save_marks import AcrossNights, AtOnce, AtOnceIfLowered, AtOnceIfRaised
from alpaca_focus.core.values import Position

CorrectionKind = Literal["compensation", "offset", "program"]
"""What a move is for; "program": it is the imaging program's own, with the backlash taken up."""
IMAGES_WITHOUT_A_GAP = 3
NIGHT_S = 12 * 3600.0
"""The advice is logged once in this time."""
ADVICE = (
    "The imaging program leaves no gap between its exposures that a focus run could use. Let it work through the "
    "gateway (imaging.way: gateway), or let its script call `alpaca-focus refocus --if-due --wait` after each exposure."
)


class PierSide(StrEnum):
    """Side of the pier as Alpaca defines it."""

    EAST = "east"
    WEST = "west"
    UNKNOWN = "unknown"


class Plan(StrEnum):
    """Kind of frames that the imaging program takes."""

    LIGHT = "light"
    DARK = "dark"
    FLAT = "flat"
    BIAS = "bias"
    IDLE = "idle"
    UNKNOWN = "unknown"
    """Not reported."""


NO_LIGHTS = frozenset({Plan.DARK, Plan.FLAT, Plan.BIAS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The result of one poll of the observatory; `None` where no device knows.

    Attributes:
        at: UTC.
        passed_s: Since the previous poll.
        temperature_c: Mean of the chosen thermometers.
        filter_is_reported: Whether a script has reported the filter, and no wheel.
        exposing: Whether the imaging program exposes, reads out or is about to expose.
        camera_free: Whether the imaging program leaves the camera to a focus run while it does not expose.
        test_shots: Whether the imaging program takes only test shots, and leaves no gap between them.
        program_moves: Whether the imaging program moves the focuser.
        focuser: The reading of the focuser; `None`: no answer.
        away: Whether a run or a correction move has left the focuser away from where it belongs.
        images: Light frames that ended since the previous poll.
        exposures: Exposures that followed another one since then, as far as the camera distinguishes them.
        probable_defocus_steps: Probable distance from focus, by the focus model.
        safe: `None`: there is no safety monitor, or it did not answer.
        safety_unknown: Whether there is one, and it did not answer.
        silent: Names of required devices that did not answer.
    """

    at: datetime
    passed_s: float = 0.0
    temperature_c: float | None = None
    filter_name: str | None = None
    filter_is_reported: bool = False
    pier_side: PierSide = PierSide.UNKNOWN
    tracking: bool | None = None
    parked: bool | None = None
    slewing: bool | None = None
    altitude_deg: float | None = None
    exposing: bool = False
    camera_free: bool = True
    test_shots: bool = False
    program_moves: bool = False
    focuser: FocuserReading | None = None
    away: bool = False
    images: int = 0
    exposures: int = 0
    plan: Plan = Plan.UNKNOWN
    safe: bool | None = None
    safety_unknown: bool = False
    sun_altitude_deg: float | None = None
    probable_defocus_steps: float | None = None
    silent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The last good focus.

    Attributes:
        at: UTC.
        trigger: Names of the triggers that were due.
        value: The metric in focus.
        temperature_c: Average; `None`: not known.
        stderr_steps: Standard error of the position.
    """

    at: datetime
    position: Position
    trigger: str = ""
    metric: str = ""
    value: float = math.nan
    temperature_c: float | None = None
    altitude_deg: float | None = None
    filter_name: str | None = None
    stderr_steps: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How the thermometer is read.

    Attributes:
        count: Readings in a window of the trigger.
        followed_count: Readings in a window of the compensation.
    """

    every_s: float = 10.0
    count: int = 60
    followed_count: int = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long the triggers wait after a failed run: `first_s`, doubled with each further one up to `longest_s`."""

    first_s: float = 600.0
    longest_s: float = 4800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GapMonitor:
    """Counts the exposures and runs for which the gap was too short.

    Attributes:
        images: Exposures in a row without a gap in between while a refocus waited for a gap only; `None`: none waits.
        lost_gaps: Runs since the last refocus for which the gap was too short.
        advised_s: Seconds since the advice was logged.
    """

    images: AtOnce[int | None] = None
    lost_gaps: AtOnce[int] = 0
    advised_s: AtOnceIfLowered[float] = math.inf

    @property
    def needs_advice(self) -> bool:
        """Whether gaps are missing and the advice was not logged this night."""
        return not self.is_advised and (self.lost_gaps > 0 or (self.images or 0) >= IMAGES_WITHOUT_A_GAP)

    @property
    def is_advised(self) -> bool:
        """Whether the advice was logged this night."""
        return self.advised_s < NIGHT_S

    def polled(self, *, waits: bool, exposures: int) -> "GapMonitor":
        """Return the monitor after a poll with so many exposures that followed another one.

        `waits`: whether a refocus is due and waits for the end of an exposure, and for nothing else.
        """
        waited_for = 0 if self.images is None else self.images + exposures
        return replace(self, images=waited_for if waits else None)

    def refocused(self) -> "GapMonitor":
        """Return the monitor after a good focus."""
        return GapMonitor(advised_s=self.advised_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What the triggers judge: the time since the last refocus. No field holds a time of day (decision 0014).

    Attributes:
        baseline: The last good focus; `None`: none yet.
        reference_c: Temperature that drifts are counted from; `None`: not known yet.
        altitude_deg: The present one.
        reference_altitude_deg: Altitude that changes are counted from.
        since_s: Seconds since the last refocus, or since the first poll.
        images: Light frames since then.
        window: Averages of the temperature for the trigger.
        followed: Averages of the temperature for the compensation.
        reading_s: Seconds since the last reading.
        filter_name: The last known filter.
        filter_changed: Since the last refocus.
        by_hand: Whether it was changed outside of the imaging plan.
        asked_s: Seconds since the change.
        pier_side: The last known side of the pier while tracking.
        flipped: Whether the side has changed, or a flip was reported.
        asap: Whether a refocus was requested.
        hfds_px: Sizes of the stars on the latest frames since the last refocus.
        idle_s: Seconds since the imaging program last exposed.
        failures: Failed runs in a row.
        hold_s: Seconds until the triggers may act again after a failed run.
        blocked_by: Reasons for which a due refocus waits right now.
        ignored: How often a due refocus had to wait, by reason, this night.
        focuser: The position as the focuser reports it.
    """

    baseline: AtOnce[Baseline | None] = None
    reference_c: float | None = None
    altitude_deg: float | None = None
    reference_altitude_deg: float | None = None
    probable_defocus_steps: float | None = None
    since_s: float = 0.0
    images: AtOnce[int] = 0
    window: Window = field(default_factory=Window)
    followed: Window = field(default_factory=Window)
    outliers: OutlierFilter = field(default_factory=OutlierFilter)
    reading_s: float = math.inf
    filter_name: AtOnce[str | None] = None
    filter_changed: AtOnce[bool] = False
    by_hand: AtOnce[bool] = False
    asked_s: float = 0.0
    pier_side: AtOnce[PierSide] = PierSide.UNKNOWN
    flipped: AtOnce[bool] = False
    asap: AtOnce[bool] = False
    hfds_px: AtOnce[tuple[float, ...]] = ()
    idle_s: float = math.inf
    failures: AtOnce[int] = 0
    hold_s: AtOnceIfRaised[float] = 0.0
    blocked_by: tuple[str, ...] = ()
    ignored: AtOnce[Mapping[str, int]] = field(default_factory=lambda: MappingProxyType({}))
    gaps: GapMonitor = field(default_factory=GapMonitor)
    focuser: FocuserWatch = field(default_factory=FocuserWatch)


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionMove:
    """A correction move that was begun: on disk before its first leg, so it is made exactly once (decision 0015)."""

    target: Position
    steps: int
    what: CorrectionKind


@dataclass(frozen=True, slots=True, kw_only=True)
class NightState:
    """The state of the night. Changes of marked fields are on disk before anything further is done.

    Attributes:
        follows: Whether compensation is switched on, where the settings enable it.
        reported_filter: The current filter as a script reported it; `None`: none was reported.
        unfinished_move: Begun and not yet recorded as done.
        expected_position: Where this program or the imaging program has moved the focuser to; `None`: not known yet.
        saved_at: UTC.
    """

    history: History = field(default_factory=History)
    compensated: Compensated = field(default_factory=Compensated)
    plan: AtOnce[Plan] = Plan.UNKNOWN
    paused: AcrossNights[bool] = False
    follows: AcrossNights[bool] = True
    reported_filter: AcrossNights[str | None] = None
    unfinished_move: AcrossNights[CorrectionMove | None] = None
    expected_position: AcrossNights[Position | None] = None
    saved_at: datetime | None = None
