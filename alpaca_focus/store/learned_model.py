"""What the history of runs teaches the focus model."""

from collections.abc import Mapping, Sequence

import structlog

from alpaca_focus.core.errors import StorageError
from alpaca_focus.core.night.compensation import Compensated
from alpaca_focus.core.night.focus_learning import learned_model
from alpaca_focus.core.night.focus_model import (
    AVERAGE,
    RUN,
    FocusModel,
    Observation,
    defocus_by_now_steps,
    focus_by_now,
)
from alpaca_focus.core.night.state import History
from alpaca_focus.core.values import FocusResult, Outcome
from alpaca_focus.store.run_store import KeptRun, RunStore

BACKLASH = "calibrate backlash"
"""Trigger of runs that arrive in either direction: their positions are not comparable with those of others."""
MOST_RUNS = 500
"""The latest ones; what is older was another telescope, perhaps."""

_log = structlog.get_logger(__name__)


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


class LearnedModel:
    """The focus model of the night, learned anew after each run.

    Args:
        store: The history.
    """

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._model: FocusModel | None = None
        self.learn()

    def learn(self) -> None:
        """Learn from all runs; where the history cannot be read, what was learned before stays."""
        try:
            self._model = model_by_sensor(self._store.runs(last=MOST_RUNS), AVERAGE)
        except StorageError as error:
            _log.warning("Nothing is learned from the history", why=str(error))

    def probable_defocus(self, history: History, compensated: Compensated) -> float | None:
        """Return the steps from where the focuser probably should be; `None`: not known."""
        return None if self._model is None else defocus_by_now_steps(self._model, history, compensated)

    def focus_by_now(self, history: History) -> float | None:
        """Return where focus should be by now; `None`: not known."""
        return None if self._model is None else focus_by_now(self._model, history)
