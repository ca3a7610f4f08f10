"""From files to reports: numbers where there are some, a reason where not, and no file lost among many."""

import json
import math
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from numpy.typing import NDArray

from alpaca_focus.core.metrics import COLUMNS, MEASUREMENTS
from alpaca_focus.files.file_report import FileReport
from alpaca_focus.files.measuring import MeasureOptions, measure_file, measure_files
from alpaca_focus.files.parallel import Lost, in_parallel
from tests.synthetic import drawn_field


def write(path: Path, pixels: NDArray[np.generic], **cards: object) -> Path:
    unit = fits.PrimaryHDU(pixels)
    unit.header.update(cards)
    unit.writeto(path)
    return path


def test_a_field_of_stars_gives_its_hfd_and_position(tmp_path: Path, rng: np.random.Generator) -> None:
    field = drawn_field(rng, blur_px=6.0, size_px=400)
    report = measure_file(write(tmp_path / "stars.fits", field.pixels, FOCUSPOS=812))
    assert report.metric == "stars"
    assert report.usable
    assert report.number("hfd_px") == pytest.approx(field.hfd_px, rel=0.03)
    assert report.position == 812


def test_inverse_power_is_measured_when_asked_for(tmp_path: Path, rng: np.random.Generator) -> None:
    path = write(tmp_path / "stars.fits", drawn_field(rng, blur_px=6.0, size_px=400).pixels)
    report = measure_file(path, MeasureOptions(metric="invpower"))
    assert report.usable
    assert report.number("invpower") > 0
    assert "InvPower = " in report.line()


NOTHING: dict[str, NDArray[np.generic]] = {
    "zeros": np.zeros((64, 64), np.uint16),
    "NaN": np.full((64, 64), np.nan, np.float32),
    "infinite": np.full((64, 64), np.inf, np.float32),
    "negative": np.full((64, 64), -5, np.int16),
    "a pixel": np.ones((2, 2), np.uint16),
}


@pytest.mark.parametrize("name", NOTHING)
@pytest.mark.parametrize("metric", ["auto", *MEASUREMENTS])
def test_a_frame_without_sense_has_a_reason(tmp_path: Path, name: str, metric: str) -> None:
    report = measure_file(write(tmp_path / "frame.fits", NOTHING[name]), MeasureOptions(metric=metric))
    assert report.readable
    assert not report.usable
    assert report.reason
    assert report.line() == f"frame.fits: not usable: {report.reason}"


def test_an_unreadable_file_gives_a_report_with_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "broken.fits"
    path.write_bytes(b"SIMPLE")
    report = measure_file(path)
    assert not report.readable
    assert not report.usable
    assert str(path) in report.line()
    assert report.as_dict()["hfd_px"] is None


def test_the_line_of_a_spectrum_is_the_one_users_know() -> None:
    numbers = {"fwhm_px": 8.0567, "fwhm_arcsec": 7.1701, "nsig": 399.141}
    report = FileReport(path=Path("/night/HD097633-9430.fits"), metric="spectrum", numbers=numbers, position=9430)
    assert report.line() == 'HD097633-9430.fits: FWHM = 8.06px -> 7.17" | NSIG = 399.14'


def test_the_line_leaves_out_what_is_not_known() -> None:
    spectrum = FileReport(path=Path("a.fits"), metric="spectrum", numbers={"fwhm_px": 3.0})
    assert spectrum.line() == "a.fits: FWHM = 3.00px"
    ring = {"hfd_px": 35.1, "hfd_stderr_px": 0.3, "fwhm_px": math.nan, "stars": 1}
    assert (
        FileReport(path=Path("a.fits"), metric="stars", numbers=ring).line()
        == "a.fits: HFD = 35.10 +- 0.30 px | 1 star"
    )
    stars = {"hfd_px": 5.12, "hfd_stderr_px": 0.04, "fwhm_px": 4.8, "stars": 37}
    line = FileReport(path=Path("c8_07950.fits.gz"), metric="stars", numbers=stars).line()
    assert line == "c8_07950.fits.gz: HFD = 5.12 +- 0.04 px | FWHM = 4.80 px | 37 stars"


@pytest.mark.parametrize("metric", COLUMNS)
def test_a_machine_is_told_all_numbers_with_null_for_unknown_ones(metric: str) -> None:
    report = FileReport(path=Path("a.fits"), metric=metric, numbers={COLUMNS[metric][0]: math.nan})
    told = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert {"file", "metric", "usable", "reason", "position", *COLUMNS[metric]} <= told.keys()
    assert all(told[name] is None for name in COLUMNS[metric])


def test_many_files_are_each_reported_once_whatever_is_in_them(tmp_path: Path, rng: np.random.Generator) -> None:
    good = [write(tmp_path / f"{i}.fits", drawn_field(rng, blur_px=4.0, stars=4, size_px=120).pixels) for i in range(5)]
    bad = tmp_path / "bad.fits"
    bad.write_bytes(b"")
    reports = list(measure_files([*good, bad], workers=2))
    assert sorted(report.path for report in reports) == sorted([*good, bad])
    assert {report.path for report in reports if not report.readable} == {bad}


def _killed_by_its_name(path: Path) -> str:
    if path.name == "killer":
        os.kill(os.getpid(), signal.SIGKILL)
    return path.name


def test_a_killed_process_loses_only_the_file_that_killed_it() -> None:
    paths = [Path(name) for name in ("a", "b", "killer", "c", "d", "e", "f")]
    outcomes = dict(in_parallel(_killed_by_its_name, paths, workers=2))
    assert isinstance(outcomes.pop(Path("killer")), Lost)
    assert outcomes == {path: path.name for path in paths if path.name != "killer"}


def test_a_lost_file_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alpaca_focus.files.measuring.in_parallel", lambda _, paths, **__: ((p, Lost()) for p in paths))
    report = next(measure_files([Path("a.fits"), Path("b.fits")], workers=2))
    assert "a.fits was killed" in report.line()
    assert not report.readable


def _asleep(path: Path) -> str:
    if path.name != "first":
        time.sleep(600)
    return path.name


def test_who_stops_early_does_not_wait_for_the_rest() -> None:
    results = in_parallel(_asleep, [Path(name) for name in ("first", "a", "b", "c")], workers=2)
    assert next(iter(results)) == (Path("first"), "first")
    results.close()
