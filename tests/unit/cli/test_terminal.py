import io
import json
import math
from dataclasses import replace

import pytest
from rich.console import Console

from alpaca_focus.cli.terminal import RunPrinter, result_json
from alpaca_focus.core.curves.hyperbola import fit_hyperbola
from alpaca_focus.core.events import CameraHandover, Event, FrameMeasured, RestoreStarted, Resumed, RunEnded, RunStarted
from alpaca_focus.core.values import FocusResult, Measurement, Outcome, Sample
from alpaca_focus.files.chart import v_curve
from alpaca_focus.files.chart_drawing import chart_text
from tests.fakes import FakeClock


def sample(position: int, value: float | None, purpose: str = "sweep") -> Sample:
    if value is None:
        measurement = Measurement(metric="hfd", value=math.nan, stderr=math.nan, usable=False, reason="no stars found")
    else:
        measurement = Measurement(metric="hfd", value=value, stderr=0.02, star_count=31)
    return Sample(position=position, measurement=measurement, purpose=purpose)


@pytest.fixture
def result() -> FocusResult:
    curve = [sample(x, math.hypot(2.5, 0.04 * (x - 25013))) for x in range(24800, 25250, 50)]
    samples = (sample(26500, 60.0, "locate"), sample(25300, None), *curve)
    return FocusResult(
        outcome=Outcome.FOCUSED,
        reason="Focused at position 25013.",
        start_position=26500,
        final_position=25013,
        fit=fit_hyperbola(samples),
        samples=samples,
        verification=None,
        started_at=FakeClock().wall(),
        duration_s=81.2,
        exposures=12,
    )


def printed(*events: Event) -> str:
    console = Console(file=io.StringIO(), width=80)
    printer = RunPrinter(console)
    for event in events:
        printer.show(event)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_restore_position_is_printed_after_a_run_that_was_cut_off(result: FocusResult) -> None:
    assert "was cut off" not in printed(RunStarted(start_position=26500), RunEnded(result=result))
    text = " ".join(printed(RunStarted(start_position=26500, belongs_at=24927), RunEnded(result=result)).split())
    assert "An earlier run was cut off. If this one fails, the focuser goes to its position, 24927." in text


def test_a_run_is_printed_line_by_line(result: FocusResult) -> None:
    events = [RunStarted(start_position=26500), *(FrameMeasured(sample=each) for each in result.samples)]
    text = printed(*events, RunEnded(result=result))
    assert "Focusing from position 26500." in text
    assert "  1     26500    60.00   0.02     31  locate" in text
    assert "  2     25300        -      -      0  sweep    not used: no stars found" in text
    assert "hyperbola: best 25013.0 +- " in text
    assert "Focused at position 25013." in text
    assert "12 exposures in 81 s." in text
    assert max(len(line) for line in text.splitlines()) <= 80


def test_outliers_are_named_by_their_number_and_far_frames_are_not(result: FocusResult) -> None:
    bad = (*result.samples[:5], sample(result.samples[5].position, 9.0), *result.samples[6:])
    text = printed(RunEnded(result=replace(result, samples=bad, fit=fit_hyperbola(bad))))
    assert "left out as outliers: 6" in " ".join(text.split())
    assert "outliers" not in printed(RunEnded(result=result))


def test_a_restore_is_printed_with_its_reason() -> None:
    text = printed(RestoreStarted(position=26500, reason="Clouds came."))
    assert text.strip() == "Clouds came. Going back to position 26500."


def test_a_handover_is_shown_with_its_times() -> None:
    text = printed(
        CameraHandover(number=1, restore_position=26500, left_s=21.4, needed_s=24.0),
        Resumed(number=1, position=25100, lasted_s=312.2),
    )
    assert " ".join(text.split()) == (
        "The imaging program waits 21 s more for the camera. Moving to position 26500 until the next gap. "
        "Resuming at position 25100 after 312 s."
    )


def test_the_plot_shows_every_point_of_the_curve(result: FocusResult) -> None:
    assert result.fit is not None
    plot = chart_text(v_curve(result.samples, result.fit))
    assert plot.count("o") - plot.count("position") * 2 == 9
    assert "HFD px" in plot


def test_json_is_one_object_with_nulls_for_what_is_not_a_number(result: FocusResult) -> None:
    text = result_json(result)
    assert "\n" not in text
    data = json.loads(text)
    assert data["outcome"] == "focused"
    assert data["samples"][1]["measurement"]["value"] is None
    assert data["fit"]["best_position"] == pytest.approx(25013, abs=0.1)
    assert data["started_at"].startswith("2026-01-01T22:00:00")
