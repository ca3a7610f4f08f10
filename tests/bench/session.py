"""Runs of the program's own engine at one drawn observatory, one after another."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from alpaca_focus.core.sweep.plan import SweepSettings
from alpaca_focus.core.values import FocusResult, Frame, Measurement, Outcome
from alpaca_focus.imaging.star_tracking import StarTracker
from alpaca_focus.run.runner import RunConditions, RunDevices, run_focus
from tests.bench.observatory import Observatory
from tests.bench.skies import Night

LONGEST_S = 1800.0


@dataclass(frozen=True, kw_only=True)
class Run:
    """How one run ended.

    Attributes:
        focused: Whether it says so.
        away_zones: Truth: how far from focus it left the tube, in critical focus zones.
        stderr_zones: What it says of its own error; NaN where it says nothing.
        exposures: All frames.
        duration_s: Simulated time.
        reason: Its sentence.
    """

    focused: bool
    away_zones: float
    stderr_zones: float = math.nan
    exposures: int
    duration_s: float
    reason: str = ""


class Session:
    """Runs one after another at one observatory."""

    def __init__(self, night: Night) -> None:
        self.night = night
        self.observatory = Observatory(night.observatory)

    async def focus(
        self, settings: SweepSettings, measure: Callable[[Frame], Measurement] | None = None
    ) -> tuple[Run, FocusResult]:
        devices = RunDevices(
            camera=self.observatory.camera,
            focuser=self.observatory.focuser,
            clock=self.observatory.clock,
            measure=measure or StarTracker(),
        )
        result = await run_focus(
            devices, settings, conditions=RunConditions(), max_duration_s=LONGEST_S, emit=lambda _: None
        )
        zone = self.night.zone_steps
        run = Run(
            focused=result.outcome is Outcome.FOCUSED,
            away_zones=self.observatory.away_steps / zone,
            stderr_zones=math.nan if result.fit is None else result.fit.best_position_stderr / zone,
            exposures=result.exposures,
            duration_s=result.duration_s,
            reason=result.reason,
        )
        return run, result
