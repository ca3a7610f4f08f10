"""What the history of runs teaches the focus model."""

from collections.abc import Mapping, Sequence

from alpaca_focus.core.expectation import RUN
from alpaca_focus.core.focus_learning import learned_model
from alpaca_focus.core.focus_model import FocusModel, Observation
from alpaca_focus.core.values import FocusResult, Outcome
from alpaca_focus.runtime.store import KeptRun

BACKLASH = "calibrate backlash"
"""Trigger of runs that arrive in either direction: their positions are not comparable with those of others."""
MOST_RUNS = 500
"""The latest ones; what is older was another telescope, perhaps."""


def teaching(runs: Sequence[KeptRun]) -> tuple[FocusResult, ...]:
    """Return the results that may be learned from: good, not doubtful, and reached in the usual way."""
    return tuple(run.result for run in runs if _teaches(run))


def _teaches(run: KeptRun) -> bool:
    result = run.result
    focused = result.outcome is Outcome.FOCUSED and result.fit is not None and not result.doubtful
    return focused and run.trigger != BACKLASH


def observation(result: FocusResult, temperatures_c: Mapping[str, float], *, altitude: bool = True) -> Observation:
    """Return what a good run says of where focus is."""
    assert result.fit is not None  # noqa: S101 - only focused runs come here
    return Observation(
        position=result.fit.best_position,
        stderr=result.fit.best_position_stderr,
        at=result.started_at,
        filter_name=result.filter_name or "",
        temperatures_c=temperatures_c,
        altitude_deg=result.altitude_deg if altitude else None,
    )


def model_by_run_temperature(runs: Sequence[KeptRun]) -> FocusModel | None:
    """Learn from the one temperature that every run is kept with, named `RUN`, and from nothing else."""
    return learned_model(
        [
            observation(result, {RUN: result.temperature_c}, altitude=False)
            for result in teaching(runs)
            if result.temperature_c is not None
        ]
    )


def model_by_sensor(runs: Sequence[KeptRun], sensor: str) -> FocusModel | None:
    """Learn from the temperatures of one sensor, and from the altitude."""
    return learned_model(
        [
            observation(result, {sensor: result.temperatures_c[sensor]})
            for result in teaching(runs)
            if sensor in result.temperatures_c
        ]
    )
