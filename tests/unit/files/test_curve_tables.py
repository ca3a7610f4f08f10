import math
from pathlib import Path

import numpy as np
import pytest

from alpaca_focus.core.curves.hyperbola import compromise
from alpaca_focus.core.errors import ConfigurationError, RunFailed
from alpaca_focus.files.best_focus import Curve, find_best_focus
from alpaca_focus.files.curve_tables import LATEST_FRAMES, CollectedFrames, curves_of_rows, read_csv
from alpaca_focus.files.file_report import FileReport

POSITIONS = tuple(range(9300, 9620, 30))


def fwhm(position: int) -> float:
    return math.hypot(4, 0.05 * (position - 9430))


def nsig(position: int) -> float:
    return 1600 / math.hypot(4, 0.05 * (position - 9458))


def table(folder: Path, *lines: str, name: str = "curve.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def spectra() -> tuple[Curve, ...]:
    rows = [{"metric": "spectrum", "position": x, "fwhm_px": fwhm(x), "nsig": nsig(x)} for x in POSITIONS]
    return curves_of_rows(rows, source="The frames")


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("position,hfd", "{x},{y:.4f}"),
        ("Position;HFD;Error", "{x};{y:.4f};0.05"),
        ("hfd_px\tfocuser_position", "{y:.4f}\t{x}"),
        ("\ufeffposition, hfd , stderr", "{x}.0, {y:.4f}, 0.05"),
        ("steps,width", "{x},{y:.4f}"),
    ],
)
def test_tables_of_many_forms_are_read(tmp_path: Path, header: str, row: str) -> None:
    lines = [header, "# made by hand", "", *(row.format(x=x, y=fwhm(x)) for x in POSITIONS)]
    (curve,) = read_csv(table(tmp_path, *lines))
    assert [sample.position for sample in curve.samples] == list(POSITIONS)
    expected = 0.05 if "err" in header.lower() else 0.0
    assert {sample.measurement.stderr for sample in curve.samples} == {expected}
    assert find_best_focus([curve]).position == pytest.approx(9430, abs=0.5)


def test_a_decimal_comma_is_understood(tmp_path: Path) -> None:
    (curve,) = read_csv(table(tmp_path, "position;hfd", "9300;7,5", "9301;2,25"))
    assert [sample.measurement.value for sample in curve.samples] == [7.5, 2.25]


def test_several_rows_at_one_position_all_take_part(tmp_path: Path) -> None:
    lines = [f"{x},{fwhm(x) + shift:.4f}" for x in POSITIONS[::2] for shift in (-0.01, 0.01)]
    (curve,) = read_csv(table(tmp_path, "position,hfd", *lines))
    assert len(curve.samples) == 12
    assert find_best_focus([curve]).position == pytest.approx(9430, abs=2)


def test_a_row_without_a_value_or_marked_so_is_not_used(tmp_path: Path) -> None:
    lines = ["1,2.0,True,", "2,,False,no stars found", "3,9.0,False,", "4,,True,"]
    (curve,) = read_csv(table(tmp_path, "position,hfd_px,usable,reason", *lines))
    assert [sample.measurement.usable for sample in curve.samples] == [True, False, False, False]
    reasons = [sample.measurement.reason for sample in curve.samples]
    assert reasons == ["", "no stars found", "marked as not usable", "no value"]


def test_the_metric_of_measured_rows_decides_what_is_fitted(tmp_path: Path) -> None:
    header = "file,metric,hfd_px,hfd_stderr_px,fwhm_px,fwhm_stderr_px,nsig,nsig_stderr,usable,reason,position"
    star = table(tmp_path, header, "a.fits,stars,3.5,0.1,2.9,0.1,,,True,,9300", name="stars.csv")
    spectrum = table(tmp_path, header, "a.fits,spectrum,,,2.9,0.1,410,2,True,,9300", name="spectra.csv")
    assert [curve.heading for curve in read_csv(star)] == ["HFD px"]
    curves = read_csv(spectrum)
    assert [curve.heading for curve in curves] == ["FWHM px", "NSIG"]
    assert [curve.samples[0].measurement.stderr for curve in curves] == [0.1, 2.0]
    assert not curves[1].samples[0].measurement.lower_is_better
    assert curves[0].names == ("a.fits",)


WRONG = {
    "empty": ([], "holds no table"),
    "header alone": (["position,hfd"], "holds no table"),
    "no position": (["hfd,fwhm", "1,2"], "no column position; it has hfd, fwhm"),
    "which column": (["position,a,b", "1,2,3"], "not clear which"),
    "a word": (["position,hfd", "1,2", "2,big"], "line 3: 'big' in column hfd is not a number"),
    "infinite": (["position,hfd", "inf,2"], "line 2: the position 'inf' is not finite"),
    "short row": (["position,hfd", "1"], "line 2: it has 1 columns, and the header line has 2"),
    "no positions": (["position,hfd", ",2"], "no row has a focuser position"),
    "mixed": (["position,metric,hfd_px,nsig", "1,stars,2,", "2,spectrum,,3"], r"\(spectrum, stars\)"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_table_is_told_in_a_sentence(tmp_path: Path, name: str) -> None:
    lines, words = WRONG[name]
    with pytest.raises(ConfigurationError, match=words) as told:
        read_csv(table(tmp_path, *lines))
    assert "curve.csv" in str(told.value)


def test_reports_of_measured_frames_make_a_curve() -> None:
    """The first file could not be read, which gives it other columns than the rest."""
    bad = FileReport(path=Path("bad.fits"), metric="auto", usable=False, readable=False, reason="bad", position=9)
    good = [
        FileReport(path=Path(f"{x}.fits"), metric="spectrum", numbers={"fwhm_px": fwhm(x)}, position=x)
        for x in POSITIONS
    ]
    curves = curves_of_rows([report.as_dict() for report in [bad, *good]], source="The frames")
    assert [curve.metric for curve in curves] == ["fwhm", "nsig"]
    assert find_best_focus(curves).position == pytest.approx(9430, abs=0.5)
    assert "at least 4" in find_best_focus(curves).fitted[1].problem


@pytest.mark.parametrize(("by", "position"), [(None, 9430), ("fwhm", 9430), ("nsig", 9458)])
def test_both_optima_of_spectra_are_told_whatever_decides(by: str | None, position: float) -> None:
    best = find_best_focus(spectra(), by)
    assert best.position == pytest.approx(position, abs=0.5)
    found = {each.curve.metric: each.fit.best_position for each in best.fitted if each.fit is not None}
    assert found == {"fwhm": pytest.approx(9430, abs=0.5), "nsig": pytest.approx(9458, abs=0.5)}
    assert best.offset is not None
    assert best.offset[0] == pytest.approx(28, abs=1)


def test_the_compromise_lies_nearer_to_the_surer_optimum() -> None:
    best = find_best_focus(spectra(), "compromise")
    first, second = (each.fit for each in best.fitted)
    assert first is not None
    assert second is not None
    assert (best.position, best.position_stderr) == compromise(first, second)
    weights = np.array([first.best_position_stderr, second.best_position_stderr]) ** -2
    assert best.position == pytest.approx(np.average([9430, 9458], weights=weights), abs=0.5)
    assert best.position_stderr < min(first.best_position_stderr, second.best_position_stderr)


def test_what_cannot_be_fitted_is_told() -> None:
    stars = curves_of_rows([{"position": x, "hfd": fwhm(x)} for x in POSITIONS], source="The frames")
    with pytest.raises(ConfigurationError, match="--by nsig needs NSIG, and these points have HFD px only"):
        find_best_focus(stars, "nsig")
    few = curves_of_rows([{"position": x, "hfd": fwhm(x)} for x in (1, 2, 3, 3)], source="The frames")
    with pytest.raises(ConfigurationError, match="at least 4 positions with a usable HFD, and there are 3"):
        find_best_focus(few)
    hill = curves_of_rows([{"position": x, "hfd": nsig(x)} for x in POSITIONS], source="The frames")
    with pytest.raises(RunFailed, match="do not form a V"):
        find_best_focus(hill)


def row(metric: str, position: int | None, value: float, *, usable: bool = True) -> dict[str, object]:
    return {"metric": metric, "position": position, "hfd_px": value, "fwhm_px": value, "usable": usable, "reason": ""}


def test_a_frame_written_again_takes_the_place_of_itself() -> None:
    frames = CollectedFrames()
    assert frames.curves() == ()
    for name, value in (("a", 3.0), ("b", 4.0), ("a", 5.0)):
        frames.add(name, row("stars", 100, value))
    (curve,) = frames.curves()
    assert [sample.measurement.value for sample in curve.samples] == [4.0, 5.0]
    assert curve.names == ("b", "a")


def test_only_the_latest_frames_of_one_kind_make_the_curve() -> None:
    frames = CollectedFrames()
    frames.add("s", row("spectrum", 1, 9.0))
    frames.add("nowhere", row("stars", None, 9.0))
    for number in range(LATEST_FRAMES + 5):
        frames.add(f"{number}", row("stars", number, 3.0))
    frames.add("clouds", row("stars", 7, math.nan, usable=False))
    (curve,) = frames.curves()
    assert curve.metric == "hfd"
    assert [sample.position for sample in curve.samples] == list(range(5, LATEST_FRAMES + 5))
