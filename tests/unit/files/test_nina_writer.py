"""Runs as reports of N.I.N.A.: the same fields and types as a real one, and readable again."""

import json
import math
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from alpaca_focus.core.curves.hyperbola import fit_hyperbola
from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.core.sweep.backlash import ApproachMethod, Backlash, Direction
from alpaca_focus.core.values import FocusResult, Measurement, Outcome, Sample
from alpaca_focus.files.nina import nina_report, read_nina_report, write_nina_report

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
    """Names and JSON types; the text NaN is how such a report writes a number that is not known."""
    if isinstance(value, dict):
        return {name: shape(each) for name, each in value.items()}
    if isinstance(value, list):
        return [shape(each) for each in value[:1]]
    return "number" if isinstance(value, int | float) or value == "NaN" else type(value).__name__


@pytest.mark.parametrize("name", ["2025-12-17--23-06-56.json", "2025-12-18--01-36-05.json"])
def test_it_has_the_fields_of_a_real_one(run: FocusResult, shared_data: Path, name: str) -> None:
    real = json.loads((shared_data / "nina-reports" / name).read_text(encoding="utf-8-sig"))
    ours = json.loads(json.dumps(nina_report(run)))
    assert shape(ours) == shape(real)
    assert list(ours) == list(real)


@pytest.mark.parametrize("name", ["2025-12-17--23-06-56.json", "2025-12-18--01-36-05.json"])
def test_a_real_curve_comes_back_with_the_program_s_own_results(shared_data: Path, run: FocusResult, name: str) -> None:
    """Its points as a run of ours; what we write about them is compared with what it wrote."""
    path = shared_data / "nina-reports" / name
    real = json.loads(path.read_text(encoding="utf-8-sig"))
    samples = tuple(
        replace(
            each,
            measurement=replace(
                each.measurement,
                metric="hfd",
                value=2 * each.measurement.value,
                stderr=2 * each.measurement.stderr,
            ),
        )
        for each in read_nina_report(path).samples
    )
    ours = nina_report(replace(run, samples=samples, fit=fit_hyperbola(samples), verification=None))
    assert [point["Position"] for point in ours["MeasurePoints"]] == [
        point["Position"] for point in real["MeasurePoints"]
    ]
    for minimum, steps in (("HyperbolicMinimum", 5), ("TrendLineIntersection", 15), ("QuadraticMinimum", 25)):
        assert ours["Intersections"][minimum]["Position"] == pytest.approx(
            real["Intersections"][minimum]["Position"], abs=steps
        )
    for fitting in ("Hyperbolic", "LeftTrend", "RightTrend"):
        assert ours["RSquares"][fitting] == pytest.approx(real["RSquares"][fitting], abs=0.05)


def test_every_point_and_intersection_is_a_plain_number(run: FocusResult) -> None:
    """What shows such reports draws these without looking whether they are numbers."""
    cloud = replace(
        run.samples[2], measurement=Measurement(metric="hfd", value=math.nan, stderr=math.nan, usable=False)
    )
    report = nina_report(replace(run, samples=(*run.samples[:2], cloud), fit=None, verification=None))
    places = [*report["MeasurePoints"], *report["Intersections"].values()]
    assert len(places) == 7
    for place in places:
        assert {name: type(value) for name, value in place.items()} == dict.fromkeys(
            ("Position", "Value", "Error"), float
        )
        assert all(math.isfinite(value) for value in place.values())
    assert report["MeasurePoints"][0]["Value"] == 0.0
    assert set(report["Fittings"].values()) == {""}
    assert set(report["RSquares"].values()) == {"NaN"}


@pytest.mark.parametrize(
    ("arrive", "method", "expected"),
    [
        (Direction.IN, ApproachMethod.OVERSHOOT, ("OVERSHOOT", 0, 80)),
        (Direction.OUT, ApproachMethod.OVERSHOOT, ("OVERSHOOT", 80, 0)),
        (Direction.IN, ApproachMethod.ABSOLUTE, ("ABSOLUTE", 0, 80)),
    ],
)
def test_the_backlash_stands_with_the_direction_that_goes_further(
    run: FocusResult, arrive: Direction, method: ApproachMethod, expected: tuple[str, int, int]
) -> None:
    report = nina_report(run, Backlash(steps=80, arrive=arrive, method=method))
    assert tuple(report["BacklashCompensation"].values()) == expected


def test_what_is_written_is_read_again(run: FocusResult, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    write_nina_report(path, run)
    read = read_nina_report(path)
    assert json.loads(path.read_text())["Intersections"]["HyperbolicMinimum"]["Position"] == VERTEX
    assert [sample.position for sample in read.samples] == [VERTEX + 60 * k for k in range(-3, 4)]
    assert read.samples[0].measurement.value == pytest.approx(math.hypot(2.4, 7.2) / 2)
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
    assert nina_report(replace(run, duration_s=59.99999999))["Duration"] == "00:01:00.0000000"


def test_a_pair_is_written_with_the_curve_it_knew(run: FocusResult) -> None:
    assert run.fit is not None
    known = replace(run.fit, model="known hyperbola", parameters={"slope_in": 0.04, "slope_out": 0.04})
    report = nina_report(replace(run, samples=(run.samples[0], run.samples[6]), fit=known))
    assert report["Intersections"]["HyperbolicMinimum"]["Position"] == VERTEX
    assert report["Intersections"]["QuadraticMinimum"] == {"Position": 0.0, "Value": 0.0, "Error": 0.0}
    assert (report["Fittings"]["Quadratic"], report["RSquares"]["Quadratic"]) == ("", "NaN")


def test_a_run_without_stars_is_refused(run: FocusResult) -> None:
    spectrum = tuple(replace(each, measurement=replace(each.measurement, metric="nsig")) for each in run.samples)
    with pytest.raises(ConfigurationError, match="Only a run that measured stars"):
        nina_report(replace(run, samples=spectrum))


def test_a_report_that_cannot_be_written_leaves_nothing_behind(run: FocusResult, tmp_path: Path) -> None:
    (tmp_path / "run.json").mkdir()
    for path in (tmp_path / "missing" / "run.json", tmp_path / "run.json"):
        with pytest.raises(ConfigurationError, match=r"The report .* cannot be written"):
            write_nina_report(path, run)
    assert [each.name for each in tmp_path.iterdir()] == ["run.json"]
