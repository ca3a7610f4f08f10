"""What the focus runs of the night come to: a good one begins all counting anew, a bad one makes the triggers wait."""

from dataclasses import dataclass, replace

import structlog

from alpaca_focus.core.compensation import Compensated
from alpaca_focus.core.gaps import ADVICE
from alpaca_focus.core.night import Baseline, History, aborted, failed, refocused
from alpaca_focus.core.values import FocusResult, Outcome
from alpaca_focus.ports import Clock
from alpaca_focus.runtime.night_book import NightBook
from alpaca_focus.runtime.night_settings import NightSettings
from alpaca_focus.runtime.recovery import Recovered, since_its_end_s

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    """How a focus run ended.

    Attributes:
        outcome: An `Outcome`, or "failed", "aborted" or "cut off" where there is no result.
        reason: One sentence.
    """

    outcome: str
    reason: str


class RunAccounts:
    """Keeps account of the runs in the night's book.

    Args:
        book: The night so far.
        settings: How long the triggers wait.
        clock: Time.

    Attributes:
        last_run: How the last run since this program was started ended, or that one before was cut off.
        runs_ended: How many runs have ended since then.
    """

    def __init__(self, book: NightBook, settings: NightSettings, clock: Clock) -> None:
        self._book = book
        self._settings = settings
        self._clock = clock
        self.last_run: RunEnd | None = None
        self.runs_ended = 0

    def note(self, result: FocusResult, triggers: str) -> None:
        """Take note of what a run has come to."""
        if result.camera_taken and self._may_try_again(result):
            _log.warning("A refocus found the camera taken, and follows in the next gap", why=result.reason)
            return
        if result.outcome is not Outcome.FOCUSED:
            self.note_failure(result.reason, outcome=result.outcome)
            return
        self._adopt(result, triggers)
        self._ended(result.outcome, result.reason)
        _log.info("Refocused", why=result.reason, exposures=result.exposures, duration_s=round(result.duration_s))

    def note_failure(self, why: str, outcome: str = "failed") -> None:
        """Take note of a run that has failed: the triggers wait."""
        self._book.set_history(failed(self._book.state.history, self._settings.patience))
        _log.error("A refocus failed", why=why, next_try_in_s=round(self._book.state.history.hold_s))
        self._ended(outcome, why)

    def note_abort(self) -> None:
        """Take note of a run that was aborted: the triggers wait."""
        self._book.set_history(aborted(self._book.state.history, self._settings.patience))
        _log.warning("A refocus was aborted", next_try_in_s=round(self._book.state.history.hold_s))
        self._ended("aborted", "The run was aborted; the focuser is back where it started.")

    def take_up(self, recovered: Recovered) -> None:
        """Take up the runs of a program that was killed."""
        if recovered.returned_to is not None:
            self.last_run = RunEnd(
                outcome="cut off",
                reason=f"A focus run was cut off. The focuser is back at position {recovered.returned_to}, where it "
                "belongs.",
            )
        kept = recovered.unnoted
        if kept is not None:
            self._adopt(kept.result, kept.trigger)
            since_s = since_its_end_s(kept, self._clock)
            self._book.set_history(replace(self._book.state.history, since_s=since_s))

    def advise(self) -> None:
        """Tell once a night of an imaging program that leaves no gap."""
        history = self._book.state.history
        if self._settings.watches_for_gaps and history.squeeze.is_to_be_told:
            _log.warning(ADVICE)
            self._book.set_history(replace(history, squeeze=history.squeeze.told()))

    def _may_try_again(self, result: FocusResult) -> bool:
        """Whether a run that lost the camera to the imaging program has not failed, and may follow in the next gap."""
        history = self._book.state.history
        self._book.set_history(replace(history, squeeze=history.squeeze.gap_lost()))
        self.advise()
        # One that has moved the focuser under an exposure has spoiled it: that is not done to every image.
        is_first = history.squeeze.lost_gaps == 0
        return not result.samples and result.outcome is Outcome.RESTORED and is_first

    def _ended(self, outcome: str, reason: str) -> None:
        self.last_run, self.runs_ended = RunEnd(outcome=outcome, reason=reason), self.runs_ended + 1

    def _adopt(self, result: FocusResult, triggers: str) -> None:
        """Let all counting begin anew from a good focus."""
        history = self._book.state.history
        baseline = baseline_of(result, triggers, history)
        self._book.state = replace(
            self._book.state,
            history=refocused(history, baseline),
            compensated=Compensated(at_c=baseline.temperature_c, at_altitude_deg=baseline.altitude_deg),
            intention=None,
        )
        self._book.save()


def baseline_of(result: FocusResult, triggers: str, history: History) -> Baseline:
    """Return the baseline that a good run is, with what the night knows of its conditions."""
    sample = result.verification
    return Baseline(
        at=result.started_at,
        position=result.start_position if result.final_position is None else result.final_position,
        trigger=triggers,
        metric="" if sample is None else sample.measurement.metric,
        value=float("nan") if sample is None else sample.measurement.value,
        # Only of the thermometer that goes on being read: another one's would look like a change.
        temperature_c=history.followed.latest_c,
        altitude_deg=history.altitude_deg,
        filter_name=history.filter_name or result.filter_name,
        stderr_steps=0.0 if result.fit is None else result.fit.best_position_stderr,
    )
