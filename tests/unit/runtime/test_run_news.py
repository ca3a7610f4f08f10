import asyncio
import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic_core import from_json, to_json

from alpaca_focus.core.errors import RunFailed
from alpaca_focus.core.events import CurveFitted, FrameMeasured, Moved, RunEnded, RunStarted
from alpaca_focus.core.values import Fit, FocusResult, Measurement, Outcome, Sample
from alpaca_focus.core.vcurve import fit_hyperbola
from alpaca_focus.runtime.run_news import CURVE_POINTS, NOT_BEGUN, RunNews, told_run

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


class Told:
    def __init__(self) -> None:
        self.all: list[Mapping[str, Any]] = []
        self.news = RunNews(self.all.append, lambda: AT)

    @property
    def last(self) -> Mapping[str, Any]:
        return self.all[-1]


def test_a_run_from_begin_to_end() -> None:
    told = Told()
    with told.news.of_run("asap", number=7):
        assert told.last == {**NOT_BEGUN, "active": True, "trigger": "asap", "started_at": AT.isoformat()}
        told.news.take(RunStarted(start_position=980))
        told.news.take(Moved(position=600, target=600))
        assert (told.last["number"], told.last["start_position"], told.last["position"]) == (7, 980, 600)
        told.news.take(FrameMeasured(sample=sample(500, None)))
        for each in SAMPLES:
            told.news.take(FrameMeasured(sample=each))
        told.news.take(CurveFitted(fit=FIT))
        assert told.last["active"]
        told.news.take(RunEnded(result=RESULT))
    told.news.kept(7)

    last = told.last
    assert not last["active"]
    assert (last["number"], last["outcome"], last["final_position"]) == (7, "focused", 1000)
    assert (last["metric"], last["unit"]) == ("hfd", "px")
    assert last["reason"] == RESULT.reason
    assert [each["purpose"] for each in last["samples"]][-1] == "verify"
    curve = last["fit"]["curve"]
    assert len(curve) == CURVE_POINTS
    assert (curve[0][0], curve[-1][0]) == (500.0, 1400.0)
    assert min(value for _, value in curve) == pytest.approx(3.0, abs=0.05)
    assert last["fit"]["best_position"] == pytest.approx(1000, abs=1)
    assert told.news.tally.outcomes == {"focused": 1}
    assert (told.news.tally.exposures, told.news.tally.duration_s) == (10, 61.0)


def test_what_is_told_is_json_and_does_not_change_later() -> None:
    told = Told()
    with told.news.of_run("asap"):
        told.news.take(FrameMeasured(sample=sample(500, None)))
        before = told.last
        text = to_json(before, inf_nan_mode="constants")
        told.news.take(FrameMeasured(sample=SAMPLES[0]))
    assert to_json(before, inf_nan_mode="constants") == text
    assert b"NaN" not in text
    assert from_json(text)["samples"] == [
        {
            "position": 500,
            "value": None,
            "stderr": None,
            "purpose": "sweep",
            "usable": False,
            "reason": "no stars found",
            "stars": 0,
        }
    ]


def test_a_run_that_cannot_begin_is_told_too() -> None:
    told = Told()
    with pytest.raises(RunFailed), told.news.of_run("images"):
        raise RunFailed("The mount is parked.")
    assert (told.last["active"], told.last["outcome"], told.last["reason"]) == (
        False,
        "failed",
        "The mount is parked.",
    )
    assert told.news.tally.outcomes == {"failed": 1}


def test_a_run_that_could_not_be_kept_has_no_number() -> None:
    told = Told()
    with told.news.of_run("asap", number=7):
        told.news.take(RunStarted(start_position=980))
        told.news.take(RunEnded(result=RESULT))
    assert told.last["number"] == 7
    told.news.kept(None)
    assert told.last["number"] is None


def test_an_aborted_run_keeps_what_its_end_said() -> None:
    told = Told()
    ended = RunEnded(result=replace(RESULT, outcome=Outcome.RESTORED, reason="The run was aborted."))

    def abort() -> None:
        told.news.take(ended)
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError), told.news.of_run("images"):
        abort()
    assert (told.last["outcome"], told.last["reason"]) == ("restored", "The run was aborted.")
    with pytest.raises(asyncio.CancelledError), told.news.of_run("images"):
        raise asyncio.CancelledError
    assert told.last["outcome"] == "aborted"
    assert told.news.tally.outcomes == {"restored": 1, "aborted": 1}


def test_a_new_run_begins_empty() -> None:
    told = Told()
    with told.news.of_run("asap"):
        told.news.take(FrameMeasured(sample=SAMPLES[0]))
        told.news.take(RunEnded(result=RESULT))
    with told.news.of_run("time"):
        assert (told.last["samples"], told.last["fit"], told.last["outcome"]) == ([], None, "")


def test_a_run_of_the_history_has_the_same_form() -> None:
    told = told_run(RESULT, number=3, trigger="asap")
    assert set(told) == set(NOT_BEGUN)
    assert told["number"] == 3
    assert isinstance(told["samples"], list)
    assert len(told["samples"]) == len(SAMPLES) + 1
    empty = told_run(replace(RESULT, samples=(), fit=None, verification=None), number=4, trigger="")
    assert (empty["samples"], empty["fit"], empty["unit"]) == ([], None, "")
