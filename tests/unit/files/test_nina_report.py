import json
from pathlib import Path
from typing import Any

import pytest

from alpaca_focus.core.curves.curve_models import CurveModel, fit_curve
from alpaca_focus.core.curves.hyperbola import fit_hyperbola
from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.files.nina import read_nina_report

REPORTS = ("2025-12-17--23-06-56.json", "2025-12-18--01-36-05.json")


def report(**changes: Any) -> dict[str, Any]:
    points = [{"Position": float(x), "Value": 1.5 + abs(x - 1000) / 50, "Error": 0.2} for x in range(800, 1250, 50)]
    return {"Version": 2, "Method": "STARHFR", "MeasurePoints": points, **changes}


def written(folder: Path, content: object, *, mark: str = "") -> Path:
    path = folder / "report.json"
    path.write_text(mark + (content if isinstance(content, str) else json.dumps(content)), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", REPORTS)
def test_our_fit_agrees_with_the_program_s_own_hyperbola(shared_data: Path, name: str) -> None:
    """Its errors are standard deviations from star to star; as weights they serve as well as those of the means."""
    path = shared_data / "nina-reports" / name
    own_position = json.loads(path.read_text(encoding="utf-8-sig"))["Intersections"]["HyperbolicMinimum"]["Position"]
    fit = fit_hyperbola(read_nina_report(path).samples)
    assert fit.best_position == pytest.approx(own_position, abs=5)
    assert fit.rejected == ()
    assert abs(fit.best_position - own_position) < fit.best_position_stderr


@pytest.mark.parametrize("name", REPORTS)
@pytest.mark.parametrize(
    ("model", "minimum"),
    [
        (CurveModel.HYPERBOLA, "HyperbolicMinimum"),
        (CurveModel.UNEQUAL, "HyperbolicMinimum"),
        (CurveModel.TREND_LINES, "TrendLineIntersection"),
        (CurveModel.PARABOLA, "QuadraticMinimum"),
    ],
)
def test_each_curve_agrees_with_the_program_s_own(
    shared_data: Path, name: str, model: CurveModel, minimum: str
) -> None:
    path = shared_data / "nina-reports" / name
    theirs = json.loads(path.read_text(encoding="utf-8-sig"))["Intersections"][minimum]["Position"]
    fit = fit_curve(read_nina_report(path).samples, model)
    assert abs(fit.best_position - theirs) < min(fit.best_position_stderr, 25)


def test_points_come_with_their_values_and_errors(tmp_path: Path) -> None:
    curve = read_nina_report(written(tmp_path, report()))
    assert curve.heading == "HFR px"
    assert [sample.position for sample in curve.samples] == list(range(800, 1250, 50))
    assert curve.samples[0].measurement.value == pytest.approx(5.5)
    assert {sample.measurement.stderr for sample in curve.samples} == {0.2}


@pytest.mark.parametrize("value", ["NaN", 0.0, -1.0, None])
def test_a_point_without_stars_is_not_used(tmp_path: Path, value: object) -> None:
    content = report()
    content["MeasurePoints"][3]["Value"] = value
    samples = read_nina_report(written(tmp_path, content)).samples
    assert [sample.measurement.usable for sample in samples].count(False) == 1
    assert samples[3].measurement.reason == "no stars found"
    fit_hyperbola(samples)


def test_an_error_of_zero_does_not_make_a_point_perfect(tmp_path: Path) -> None:
    content = report()
    content["MeasurePoints"][2]["Error"] = 0.0
    assert read_nina_report(written(tmp_path, content)).samples[2].measurement.stderr == 0.2


def test_a_byte_order_mark_is_read_over(tmp_path: Path) -> None:
    assert len(read_nina_report(written(tmp_path, report(), mark="\ufeff")).samples) == 9


def test_a_report_without_the_program_s_own_result_is_read(tmp_path: Path) -> None:
    assert len(read_nina_report(written(tmp_path, report(Intersections=None))).samples) == 9


WRONG = {
    "not JSON": ("{", "not valid JSON"),
    "deep": ("[" * 100_000, "not valid JSON"),
    "long number": ('{"MeasurePoints": [' + "1" * 5000 + "]}", "not valid JSON"),
    "list": ([1, 2], "no MeasurePoints"),
    "another object": ({"Version": 2}, "no MeasurePoints"),
    "point is a number": (report(MeasurePoints=[3]), "number 1 of its MeasurePoints has no position"),
    "position is a word": (report(MeasurePoints=[{"Position": "here"}]), "has no position"),
    "position is infinite": (report(MeasurePoints=[{"Position": "Infinity"}]), "has no position"),
    "contrast": (report(Method="CONTRASTDETECTION"), "method CONTRASTDETECTION"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_told_in_a_sentence(tmp_path: Path, name: str) -> None:
    content, words = WRONG[name]
    with pytest.raises(ConfigurationError, match=words) as told:
        read_nina_report(written(tmp_path, content))
    assert "report.json" in str(told.value)


def test_a_binary_file_and_a_missing_one_are_told(tmp_path: Path) -> None:
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="not a text file"):
        read_nina_report(tmp_path / "binary.json")
    with pytest.raises(ConfigurationError, match="There is no file"):
        read_nina_report(tmp_path / "none.json")
