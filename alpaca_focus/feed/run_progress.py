"""The progress of the present or last focus run, and the tally of all runs."""

import asyncio
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

import numpy as np

from alpaca_focus.core.curves.curve_models import curve_value
from alpaca_focus.core.events import CurveFitted, Event, FrameMeasured, Moved, RunEnded, RunStarted
from alpaca_focus.core.status import RunFit, RunPoint, RunProgress
from alpaca_focus.core.values import Fit, FocusResult, Position, Sample

CURVE_POINTS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTally:
    """The runs since the start of the program by outcome, with the sums of their exposures and durations."""

    outcomes: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    exposures: int = 0
    duration_s: float = 0.0

    @property
    def runs(self) -> int:
        """Number of runs."""
        return sum(self.outcomes.values())

    def one_more(self, outcome: str, *, exposures: int = 0, duration_s: float = 0.0) -> "RunTally":
        """Return the tally with one run more."""
        outcomes = MappingProxyType({**self.outcomes, outcome: self.outcomes.get(outcome, 0) + 1})
        return RunTally(
            outcomes=outcomes, exposures=self.exposures + exposures, duration_s=self.duration_s + duration_s
        )


class RunTracker:
    """Tracks the focus runs by their events.

    Args:
        publish: Called with the run whenever it changes.
        wall: Returns the time, UTC.

    Attributes:
        tally: How the runs have ended; safe to read in any thread.
    """

    def __init__(self, publish: Callable[[RunProgress], None], wall: Callable[[], datetime]) -> None:
        self._publish = publish
        self._wall = wall
        self._now = RunProgress()
        self._number: int | None = None
        self.tally = RunTally()

    @contextmanager
    def follow(self, trigger: str, *, number: int | None = None) -> Iterator[None]:
        """Track one run, and raise what it raises.

        Its expected number in the history is published when it has begun; `None`: not known.
        """
        self._now, self._number = RunProgress(active=True, trigger=trigger, started_at=self._wall()), number
        self._update()
        try:
            yield
        except asyncio.CancelledError:
            self._end_without_result("aborted", "The run was aborted before it had begun; nothing was moved.")
            raise
        except Exception as error:
            self._end_without_result("failed", str(error))
            raise

    def take(self, event: Event) -> None:
        """Add an event of the run."""
        match event:
            case RunStarted(start_position=position):
                self._update(number=self._number, start_position=position, position=position)
            case Moved(position=position):
                self._update(position=position)
            case FrameMeasured(sample=sample):
                measured = sample.measurement
                samples = (*self._now.samples, _point(sample))
                self._update(samples=samples, unit=measured.unit, metric=measured.metric)
            case CurveFitted(fit=fit):
                self._update(fit=_fit(fit, [each.position for each in self._now.samples]))
            case RunEnded(result=result):
                self._end(result)
            case _:
                self._update()

    def saved(self, number: int | None) -> None:
        """Set the run's number in the history; `None`: it is not there."""
        if number != self._now.number:
            self._update(number=number)

    def _end(self, result: FocusResult) -> None:
        self.tally = self.tally.one_more(result.outcome.value, exposures=result.exposures, duration_s=result.duration_s)
        self._update(
            active=False,
            samples=_points(result),
            position=result.final_position,
            final_position=result.final_position,
            outcome=result.outcome.value,
            reason=result.reason,
        )

    def _end_without_result(self, outcome: str, reason: str) -> None:
        # The run may have ended with a result before the error.
        if self._now.active:
            self.tally = self.tally.one_more(outcome)
            self._update(active=False, outcome=outcome, reason=reason)

    def _update(self, **changes: Any) -> None:
        self._now = replace(self._now, **changes)
        self._publish(self._now)


def progress_of(result: FocusResult, *, number: int, trigger: str) -> RunProgress:
    """Return a run of the history as a `RunProgress`."""
    first = result.samples[0].measurement if result.samples else None
    return RunProgress(
        active=False,
        number=number,
        trigger=trigger,
        started_at=result.started_at,
        start_position=result.start_position,
        position=result.final_position,
        unit="" if first is None else first.unit,
        metric="" if first is None else first.metric,
        samples=_points(result),
        fit=None if result.fit is None else _fit(result.fit, [sample.position for sample in result.samples]),
        final_position=result.final_position,
        outcome=result.outcome.value,
        reason=result.reason,
    )


def _points(result: FocusResult) -> tuple[RunPoint, ...]:
    """Return all frames of a run, with the verifying one."""
    verification = result.verification
    unlisted = () if verification is None or verification in result.samples else (verification,)
    return tuple(_point(each) for each in (*result.samples, *unlisted))


def _point(sample: Sample) -> RunPoint:
    measured = sample.measurement
    return RunPoint(
        position=sample.position,
        value=finite(measured.value),
        stderr=finite(measured.stderr),
        purpose=sample.purpose,
        usable=measured.usable,
        reason=measured.reason,
        stars=measured.star_count,
    )


def _fit(fit: Fit, positions: Sequence[Position]) -> RunFit:
    """Return a fit with its curve over the positions."""
    ends = [*positions, fit.best_position]
    line = [float(position) for position in np.linspace(min(ends), max(ends), CURVE_POINTS)]
    return RunFit(
        model=fit.model,
        best_position=fit.best_position,
        stderr_steps=finite(fit.best_position_stderr),
        best_value=finite(fit.best_value),
        curve=tuple((position, finite(curve_value(position, fit))) for position in line),
    )


def finite(value: float | None) -> float | None:
    """Return a number that JSON can carry; `None` for NaN and infinities."""
    return value if value is not None and math.isfinite(value) else None
