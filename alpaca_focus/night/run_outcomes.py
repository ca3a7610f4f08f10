"""Records each run's outcome: success resets the trigger counters, failure starts a hold-off."""

import structlog

from alpaca_focus.core.night import transitions
from alpaca_focus.core.night.focuser_watch import shifted_by_steps
from alpaca_focus.core.night.state import ADVICE, Baseline, History
from alpaca_focus.core.status import LastRun
from alpaca_focus.core.values import FocusResult, Outcome, Position, SavedRun
from alpaca_focus.night.dependencies import NightSettings
from alpaca_focus.night.state_store import StateStore

_log = structlog.get_logger(__name__)


class RunOutcomes:
    """Records outcomes in the night's state.

    Attributes:
        last_run: How the last run of this program ended, or that the end of the previous program has cut a run off.
        runs_ended: How many runs of this program have ended.
        is_stopping: Whether the program stops in order: a run that this ends early is no failure, and stays due.
    """

    def __init__(self, store: StateStore, settings: NightSettings) -> None:
        self._store = store
        self._settings = settings
        self.last_run: LastRun | None = None
        self.runs_ended = 0
        self.is_stopping = False

    def record(self, result: FocusResult, triggers: str) -> None:
        """Record a result."""
        if result.camera_taken and self._may_try_again(result):
            _log.warning("A refocus found the camera taken; it follows in the next gap", why=result.reason)
        elif result.outcome is not Outcome.FOCUSED:
            self.record_failure(result.reason, outcome=result.outcome)
        else:
            shift = self._shift_of_zero(result)
            self._store.apply(transitions.refocused, baseline_of(result, triggers, self._store.state.history))
            self._ended(result.outcome, " ".join(filter(None, (result.reason, shift))))
            _log.info("Refocused", why=result.reason, exposures=result.exposures, duration_s=round(result.duration_s))

    def record_failure(self, why: str, outcome: str = "failed") -> None:
        """Record a failed run: the triggers wait."""
        if self._is_cut_short(outcome, why):
            return
        state = self._store.apply(transitions.run_failed, self._settings.patience)
        _log.error("A refocus failed", why=why, next_try_in_s=round(state.history.hold_s))
        self._ended(outcome, why)

    def record_abort(self) -> None:
        """Record a run that was aborted: the triggers wait."""
        if self._is_cut_short("aborted", "The program stopped."):
            return
        state = self._store.apply(transitions.run_aborted, self._settings.patience)
        _log.warning("A refocus was aborted", next_try_in_s=round(state.history.hold_s))
        self._ended("aborted", "The run was aborted; the focuser is back where it started.")

    def record_cut_off(self, returned_to: Position) -> None:
        """Record a run that the end of the previous program has cut off."""
        reason = f"A focus run was cut off. The focuser is back at position {returned_to}, where it belongs."
        self.last_run = LastRun(outcome="cut off", reason=reason)

    def record_saved(self, run: SavedRun, ended_s_ago: float) -> None:
        """Record a good run that the previous program has saved but not recorded."""
        baseline = baseline_of(run.result, run.trigger, self._store.state.history)
        self._store.apply(transitions.refocused, baseline, ended_s_ago)

    def advise(self) -> None:
        """Log advice once a night if the imaging program leaves no gap and the settings watch for gaps."""
        if self._settings.watches_for_gaps and self._store.state.history.gaps.needs_advice:
            _log.warning(ADVICE)
            self._store.apply(transitions.gap_advice_logged)

    def _shift_of_zero(self, result: FocusResult) -> str:
        """Return by how much all positions have shifted, as a sentence; empty: they have not. The curves follow."""
        history, sample, fit = self._store.state.history, result.verification, result.fit
        jump, before = history.focuser.jump, history.baseline
        if jump is None or sample is None or fit is None:
            return ""
        is_comparable = before is not None and before.metric == sample.measurement.metric and before.value > 0
        steps = shifted_by_steps(
            jump, fit.best_position, before.value if is_comparable and before else None, sample.measurement.value
        )
        if steps is None:
            return ""
        self._store.shift_learned_focus(steps, learned_before=result.started_at)
        sentence = (
            f"Positions have shifted by {steps:+d} steps: the focuser has lost its zero, or the camera was moved. "
            "The learned curves follow; check focuser.min_position and focuser.max_position."
        )
        _log.warning(sentence, found_at=jump.found, expected=jump.expected)
        return sentence

    def _is_cut_short(self, outcome: str, why: str) -> bool:
        if self.is_stopping:
            _log.info("A refocus was ended by the stop of the program; it stays due", why=why)
            # A stranded focuser is worth a message also now.
            self._ended(outcome if outcome == Outcome.STRANDED else "aborted", why)
        return self.is_stopping

    def _may_try_again(self, result: FocusResult) -> bool:
        """Return whether a run that lost the camera may follow in the next gap without counting as failed."""
        is_first = self._store.apply(transitions.gap_lost).history.gaps.lost_gaps == 1
        self.advise()
        # A run that has moved the focuser during an exposure has spoiled it: that must not happen to every image.
        return not result.samples and result.outcome is Outcome.RESTORED and is_first

    def _ended(self, outcome: str, reason: str) -> None:
        self.last_run, self.runs_ended = LastRun(outcome=outcome, reason=reason), self.runs_ended + 1


def baseline_of(result: FocusResult, triggers: str, history: History) -> Baseline:
    """Return a good run as the baseline."""
    sample = result.verification
    return Baseline(
        at=result.started_at,
        position=result.start_position if result.final_position is None else result.final_position,
        trigger=triggers,
        metric="" if sample is None else sample.measurement.metric,
        value=float("nan") if sample is None else sample.measurement.value,
        # The night's own average, not the run's thermometer: the difference of two sensors would pass for a drift.
        temperature_c=history.followed.latest_c,
        altitude_deg=history.altitude_deg,
        filter_name=history.filter_name or result.filter_name,
        stderr_steps=0.0 if result.fit is None else result.fit.best_position_stderr,
    )
