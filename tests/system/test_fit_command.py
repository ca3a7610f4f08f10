"""`alpaca-focus fit` as a user runs it."""

import json
import math
from pathlib import Path

import pytest

from tests.system.conftest import Run

PNG = b"\x89PNG\r\n\x1a\n"


def table(folder: Path) -> Path:
    lines = [f"{x},{math.hypot(2.5, 0.04 * (x - 25013)):.4f},0.02" for x in range(24800, 25250, 50)]
    file = folder / "curve.csv"
    file.write_text("\n".join(["position,hfd,error", *lines]) + "\n")
    return file


def test_a_table_is_fitted_printed_and_drawn(run: Run, tmp_path: Path) -> None:
    picture = tmp_path / "curve.png"
    result = run("fit", table(tmp_path), "--plot", picture)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "  1     24800       8.88      0.02" in result.stdout
    assert "hyperbola: best 25013.0 +- " in result.stdout
    assert result.stderr == ""
    assert picture.read_bytes().startswith(PNG)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["curve.csv", "curve.png"]


def test_json_is_one_object_that_names_the_outliers(run: Run, tmp_path: Path) -> None:
    file = table(tmp_path)
    file.write_text(file.read_text().replace("24950,", "24950,1"))
    result = run("fit", file, "--json")
    told = json.loads(result.stdout)
    assert told["best_position"] == pytest.approx(25013, abs=1)
    assert 0 < told["best_position_stderr"] < 5
    assert (told["model"], told["metric"], told["unit"]) == ("hyperbola", "hfd", "px")
    assert told["r_squared"] > 0.999
    assert told["rejected"] == [3]
    assert told["point_count"] == len(told["residuals"]) == 9
    assert "left out as outlier" in run("fit", file).stdout


def test_both_optima_of_spectra_are_told(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "spectra.csv"
    rows = [
        f"{x};{math.hypot(4, 0.05 * (x - 9430)):.3f};{1600 / math.hypot(4, 0.05 * (x - 9458)):.2f}"
        for x in range(9300, 9620, 30)
    ]
    file.write_text("\n".join(["position;fwhm;nsig", *rows]) + "\n")
    text = run("fit", file).stdout
    assert "hyperbola: best 9430.0" in text
    assert "hyperbola of the reciprocal: best 9458.0" in text
    assert "NSIG is best +28.0" in text
    assert text.rstrip().splitlines()[-1].startswith("Best focus by FWHM: 9430.0")
    told = json.loads(run("fit", file, "--by", "compromise", "--json").stdout)
    assert 9430 < told["best_position"] < 9458
    assert told["model"] == "compromise"
    assert told["nsig_offset_steps"] == pytest.approx(28, abs=1)
    assert told["curves"]["nsig"]["best_position"] == pytest.approx(9458, abs=0.5)


def test_a_report_of_nina_is_fitted_as_it_fits_it(run: Run, shared_data: Path) -> None:
    report = shared_data / "nina-reports" / "2025-12-18--01-36-05.json"
    told = json.loads(run("fit", report, "--json").stdout)
    own = json.loads(report.read_text(encoding="utf-8-sig"))["Intersections"]["HyperbolicMinimum"]["Position"]
    assert told["best_position"] == pytest.approx(own, abs=5)
    assert "star to star" in told["note"]


def test_a_folder_of_frames_is_measured_and_fitted(run: Run, shared_data: Path) -> None:
    result = run("fit", shared_data / "c8-vcurve", "--json")
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    assert 7960 < told["best_position"] < 8010
    points = told["curves"]["hfd"]["points"]
    assert [point["file"] for point in points if not point["usable"]] == []
    assert points[0]["file"] == "c8_07350.fits.gz"


def test_bad_input_gets_one_sentence(run: Run, tmp_path: Path) -> None:
    (tmp_path / "hill.csv").write_text("position,hfd\n1,2\n2,4\n3,6\n4,6\n5,4\n6,2\n")
    cases = [
        (["/no/such.fits"], 2, "There is no file /no/such.fits"),
        ([table(tmp_path), tmp_path / "report.json"], 2, "fitted alone"),
        ([tmp_path / "hill.csv"], 1, "do not form a V"),
    ]
    for arguments, code, words in cases:
        result = run("fit", *arguments)
        assert (result.returncode, result.stdout) == (code, ""), arguments
        assert words in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1


def test_an_unreadable_frame_is_named_and_left_out(run: Run, tmp_path: Path) -> None:
    (tmp_path / "noise_7000.fits").write_bytes(b"noise")
    result = run("fit", tmp_path)
    assert result.returncode == 2
    named, sentence = result.stderr.strip().splitlines()
    assert "noise_7000.fits" in named
    assert "No frame has a focuser position" in sentence
