"""Learns the focus model from the saved runs."""

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
from alpaca_focus.core.night.triggers import POSITION
from alpaca_focus.core.values import SavedRun
from alpaca_focus.store.run_store import RunStore

BACKLASH = "calibrate backlash"
"""Trigger of runs that arrive from either direction: their positions are not comparable with those of others."""
MOST_RUNS = 500
"""Older runs may be from another telescope."""

_log = structlog.get_logger(__name__)


def usable_runs(runs: Sequence[SavedRun]) -> tuple[SavedRun, ...]:
    """Return the runs that may be learned from: good, not doubtful, and reached in the usual way."""
    return tuple(each for each in runs if each.is_good and not each.result.doubtful and each.trigger != BACKLASH)


def observation(run: SavedRun, temperatures_c: Mapping[str, float], *, altitude: bool = True) -> Observation:
    """Return a good run as an observation for the focus model."""
    result = run.result
    assert result.fit is not None  # noqa: S101 - only focused runs come here
    return Observation(
        is_anew=POSITION in run.trigger.split(", "),
        position=result.fit.best_position,
        stderr=result.fit.best_position_stderr,
        at=result.started_at,
        filter_name=result.filter_name or "",
        temperatures_c=temperatures_c,
        altitude_deg=result.altitude_deg if altitude else None,
    )


def model_by_run_temperature(runs: Sequence[SavedRun]) -> FocusModel | None:
    """Learn from the one temperature that every run is saved with, named `RUN`, without the altitude."""
    known = ((each, each.result.temperature_c) for each in usable_runs(runs))
    return learned_model([observation(each, {RUN: c}, altitude=False) for each, c in known if c is not None])


def model_by_sensor(runs: Sequence[SavedRun], sensor: str) -> FocusModel | None:
    """Learn from the temperatures of one sensor, and from the altitude."""
    known = [each for each in usable_runs(runs) if sensor in each.result.temperatures_c]
    return learned_model([observation(each, {sensor: each.result.temperatures_c[sensor]}) for each in known])


class LearnedModel:
    """The focus model of the night, learned again after each run."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._model: FocusModel | None = None
        self.learn()

    def learn(self) -> None:
        """Learn from all runs; if the history cannot be read, the previous model stays."""
        try:
            self._model = model_by_sensor(self._store.runs(last=MOST_RUNS), AVERAGE)
        except StorageError as error:
            _log.warning("The focus model cannot be learned from the history", why=str(error))

    def probable_defocus(self, history: History, compensated: Compensated) -> float | None:
        """Return how far out of focus the telescope probably is, in steps; `None`: not known."""
        return None if self._model is None else defocus_by_now_steps(self._model, history, compensated)

    def focus_by_now(self, history: History) -> float | None:
        """Return the position of best focus that the model expects now; `None`: not known."""
        return None if self._model is None else focus_by_now(self._model, history)
