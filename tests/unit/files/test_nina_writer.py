"""Runs as reports of N.I.N.A.: the same fields and types as a real one, and readable again."""

import json
import math
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.core.values import FocusResult, Measurement, Outcome, Sample
from alpaca_focus.core.vcurve import fit_hyperbola
from alpaca_focus.files.nina_report import read_nina_report
from alpaca_focus.files.nina_writer import nina_report, write_nina_report

VERTEX = 24900


def frame(position: int, purpose: str = "sweep") -> Sample:
    value = math.hypot(2.4, 0.04 * (position - VERTEX))
    return Sample(
        position=position,
        measurement=Measurement(metric="hfd", value=value, stderr=0.01 * value, star_count=40),
        purpose=purpose,
    )


@pytest.fixture
def run() -> FocusResult:
    samples = (*(frame(VERTEX + 60 * k) for k in (3, 2, 1, 0, -1, -2, -3)), frame(VERTEX, "verify"))
    return FocusResult(
        outcome=Outcome.FOCUSED,
        reason="Focused.",
        start_position=25080,
        final_position=VERTEX,
        fit=fit_hyperbola(samples),
        samples=samples,
        verification=samples[-1],
        started_at=datetime(2026, 1, 15, 22, 3, 4, tzinfo=UTC),
        duration_s=3725.5,
        exposures=8,
        temperature_c=4.5,
        filter_name="L",
    )


def shape(value: Any) -> Any:
    """Names and JSON types, numbers and the text NaN counting as one."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    if isinstance(value, list):
        return [shape(value[0])]
    return "number" if isinstance(value, int | float) or value == "NaN" else "text"


def test_it_has_the_fields_of_a_real_one(run: FocusResult, shared_data: Path) -> None:
    real = json.loads((shared_data / "nina-reports" / "2025-12-18--01-36-05.json").read_text(encoding="utf-8-sig"))
    assert shape(nina_report(run)) == shape(real)


def test_what_is_written_is_read_again(run: FocusResult, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    write_nina_report(path, run)
    read = read_nina_report(path)
    assert read.hyperbolic_position == VERTEX
    assert [sample.position for sample in read.curve.samples] == [VERTEX + 60 * k for k in range(-3, 4)]
    assert read.curve.samples[0].measurement.value == pytest.approx(math.hypot(2.4, 7.2) / 2)
    assert [each.name for each in tmp_path.iterdir()] == ["run.json"]


def test_its_formulas_go_through_its_points(run: FocusResult) -> None:
    report = nina_report(run)
    names = {"cosh": math.cosh, "asinh": math.asinh}
    for point in report["MeasurePoints"]:
        formula = report["Fittings"]["Hyperbolic"].removeprefix("y = ")
        assert eval(formula, names, {"x": point["Position"]}) == pytest.approx(point["Value"], rel=0.01)  # noqa: S307 - our own text
    slope = float(re.findall(r"y = (\S+) \* x", report["Fittings"]["RightTrend"])[0])
    assert 0.012 < slope < 0.02
    assert report["Duration"] == "01:02:05.5000000"


def test_a_pair_is_written_with_the_curve_it_knew(run: FocusResult) -> None:
    assert run.fit is not None
    known = replace(run.fit, model="known hyperbola", parameters={"slope_in": 0.04, "slope_out": 0.04})
    report = nina_report(replace(run, samples=(run.samples[0], run.samples[6]), fit=known))
    assert report["Intersections"]["HyperbolicMinimum"]["Position"] == VERTEX
    assert report["Intersections"]["QuadraticMinimum"] == {"Position": 0.0, "Value": 0.0, "Error": 0.0}
    assert (report["Fittings"]["Quadratic"], report["RSquares"]["Quadratic"]) == ("", "NaN")


def test_a_run_without_stars_is_refused(run: FocusResult, tmp_path: Path) -> None:
    spectrum = tuple(replace(each, measurement=replace(each.measurement, metric="nsig")) for each in run.samples)
    with pytest.raises(ConfigurationError, match="Only a run that measured stars"):
        nina_report(replace(run, samples=spectrum))
    with pytest.raises(ConfigurationError, match="cannot be written"):
        write_nina_report(tmp_path / "missing" / "run.json", run)
