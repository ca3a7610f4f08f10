import asyncio
import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from alpaca_focus.core.curves.hyperbola import fit_hyperbola
from alpaca_focus.core.errors import RunFailed
from alpaca_focus.core.events import CurveFitted, FrameMeasured, Moved, RunEnded, RunStarted
from alpaca_focus.core.status import RunPoint, RunProgress
from alpaca_focus.core.values import Fit, FocusResult, Measurement, Outcome, Sample
from alpaca_focus.feed.run_progress import CURVE_POINTS, RunTracker, progress_of

AT = datetime(2026, 3, 1, 22, 0, tzinfo=UTC)


def sample(position: int, value: float | None, purpose: str = "sweep") -> Sample:
    usable = value is not None
    return Sample(
        position=position,
        measurement=Measurement(
            metric="hfd",
            value=math.nan if value is None else value,
            stderr=0.1 if usable else math.nan,
            star_count=20 if usable else 0,
            usable=usable,
            reason="" if usable else "no stars found",
        ),
        purpose=purpose,
    )


SAMPLES = tuple(sample(position, math.hypot(3.0, (position - 1000) / 50)) for position in range(600, 1401, 100))
FIT: Fit = fit_hyperbola(SAMPLES)
RESULT = FocusResult(
    outcome=Outcome.FOCUSED,
    reason="Focused at position 1000.",
    start_position=980,
    final_position=1000,
    fit=FIT,
    samples=SAMPLES,
    verification=sample(1000, 3.0, "verify"),
    started_at=AT,
    duration_s=61.0,
    exposures=10,
)


class Published:
    def __init__(self) -> None:
        self.all: list[RunProgress] = []
        self.runs = RunTracker(self.all.append, lambda: AT)

    @property
    def last(self) -> RunProgress:
        return self.all[-1]


def test_a_run_from_begin_to_end() -> None:
    published = Published()
    with published.runs.follow("asap", number=7):
        assert published.last == RunProgress(active=True, trigger="asap", started_at=AT)
        published.runs.take(RunStarted(start_position=980))
        published.runs.take(Moved(position=600, target=600))
        assert (published.last.number, published.last.start_position, published.last.position) == (7, 980, 600)
        published.runs.take(FrameMeasured(sample=sample(500, None)))
        for each in SAMPLES:
            published.runs.take(FrameMeasured(sample=each))
        published.runs.take(CurveFitted(fit=FIT))
        assert published.last.active
        published.runs.take(RunEnded(result=RESULT))
    published.runs.saved(7)

    last = published.last
    assert not last.active
    assert (last.number, last.outcome, last.final_position) == (7, "focused", 1000)
    assert (last.metric, last.unit) == ("hfd", "px")
    assert last.reason == RESULT.reason
    assert [each.purpose for each in last.samples][-1] == "verify"
    assert last.fit is not None
    curve = last.fit.curve
    assert len(curve) == CURVE_POINTS
    assert (curve[0][0], curve[-1][0]) == (500.0, 1400.0)
    assert min(value for _, value in curve) == pytest.approx(3.0, abs=0.05)
    assert last.fit.best_position == pytest.approx(1000, abs=1)
    assert published.runs.tally.outcomes == {"focused": 1}
    assert (published.runs.tally.exposures, published.runs.tally.duration_s) == (10, 61.0)


def test_a_frame_that_is_not_usable_has_no_value_and_what_was_published_does_not_change_later() -> None:
    published = Published()
    with published.runs.follow("asap"):
        published.runs.take(FrameMeasured(sample=sample(500, None)))
        before = published.last
        published.runs.take(FrameMeasured(sample=SAMPLES[0]))
    assert before.samples == (
        RunPoint(
            position=500, value=None, stderr=None, purpose="sweep", usable=False, reason="no stars found", stars=0
        ),
    )


def test_a_run_that_cannot_begin_is_published_too() -> None:
    published = Published()
    with pytest.raises(RunFailed), published.runs.follow("images"):
        raise RunFailed("The mount is parked.")
    assert (published.last.active, published.last.outcome, published.last.reason) == (
        False,
        "failed",
        "The mount is parked.",
    )
    assert published.runs.tally.outcomes == {"failed": 1}


def test_a_run_that_could_not_be_saved_has_no_number() -> None:
    published = Published()
    with published.runs.follow("asap", number=7):
        published.runs.take(RunStarted(start_position=980))
        published.runs.take(RunEnded(result=RESULT))
    assert published.last.number == 7
    published.runs.saved(None)
    assert published.last.number is None


def test_an_aborted_run_keeps_its_reason() -> None:
    published = Published()
    ended = RunEnded(result=replace(RESULT, outcome=Outcome.RESTORED, reason="The run was aborted."))

    def abort() -> None:
        published.runs.take(ended)
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError), published.runs.follow("images"):
        abort()
    assert (published.last.outcome, published.last.reason) == ("restored", "The run was aborted.")
    with pytest.raises(asyncio.CancelledError), published.runs.follow("images"):
        raise asyncio.CancelledError
    assert published.last.outcome == "aborted"
    assert published.runs.tally.outcomes == {"restored": 1, "aborted": 1}


def test_a_new_run_begins_empty() -> None:
    published = Published()
    with published.runs.follow("asap"):
        published.runs.take(FrameMeasured(sample=SAMPLES[0]))
        published.runs.take(RunEnded(result=RESULT))
    with published.runs.follow("time"):
        assert (published.last.samples, published.last.fit, published.last.outcome) == ((), None, "")


def test_a_run_of_the_history_has_the_same_form() -> None:
    progress = progress_of(RESULT, number=3, trigger="asap")
    assert progress.number == 3
    assert len(progress.samples) == len(SAMPLES) + 1
    empty = progress_of(replace(RESULT, samples=(), fit=None, verification=None), number=4, trigger="")
    assert (empty.samples, empty.fit, empty.unit) == ((), None, "")
