"""`alpaca-focus measure` as a user runs it."""

import csv
import io
import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from tests.synthetic import drawn_field
from tests.system.conftest import Run

PNG_START = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """A folder with six frames of stars, and files that are none of its business."""
    folder = tmp_path / "night"
    folder.mkdir()
    rng = np.random.default_rng()
    for number in range(6):
        unit = fits.PrimaryHDU(drawn_field(rng, blur_px=4.0 + number, size_px=300).pixels)
        unit.header["FOCUSPOS"] = 1000 + 10 * number
        unit.writeto(folder / f"frame_{number}.fits")
    (folder / "notes.txt").write_text("clear sky\n")
    (folder / ".half.fits").write_bytes(b"SIMPLE")
    return folder


def test_a_folder_is_measured_with_a_line_for_each_frame(run: Run, frames: Path) -> None:
    result = run("measure", frames)
    assert result.returncode == 0, result.stderr
    lines = sorted(result.stdout.splitlines())
    assert [line.split(":")[0] for line in lines] == [f"frame_{number}.fits" for number in range(6)]
    assert all("HFD = " in line and line.endswith("stars") for line in lines)
    assert result.stderr == ""


def test_json_has_an_object_a_line_with_the_promised_names(run: Run, frames: Path) -> None:
    result = run("measure", "--json", frames / "frame_*.fits")
    assert result.returncode == 0, result.stderr
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert sorted(each["position"] for each in told) == [1000, 1010, 1020, 1030, 1040, 1050]
    promised = {"file", "metric", "hfd_px", "hfd_stderr_px", "fwhm_px", "stars", "usable", "reason", "position"}
    assert all(promised <= each.keys() for each in told)


def test_csv_has_a_header_and_a_row_a_file(run: Run, frames: Path) -> None:
    result = run("measure", "--csv", "--metric", "stars", frames / "frame_3.fits", frames / "frame_4.fits")
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [row["position"] for row in rows] == ["1030", "1040"]
    assert float(rows[0]["hfd_px"]) > 0


def test_what_cannot_be_read_gets_its_line_and_the_rest_is_measured(run: Run, frames: Path) -> None:
    (frames / "broken.fits").write_bytes(b"SIMPLE  =")
    result = run("measure", frames, frames / "missing.fits")
    assert result.returncode == 1
    assert f"{frames / 'broken.fits'} is cut short" in result.stdout
    assert f"There is no file {frames / 'missing.fits'}" in result.stdout
    assert len(result.stdout.splitlines()) == 8
    assert result.stderr == ""


def test_the_real_spectra_are_told_from_stars_and_printed_as_users_know_it(run: Run, shared_data: Path) -> None:
    result = run("measure", shared_data / "sprat-spectra")
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert len(lines) == 3
    assert all("px -> " in line and '" | NSIG = ' in line for line in lines)


@pytest.mark.parametrize("kind", ["stars", "spectrum"])
def test_a_preview_is_a_picture(run: Run, frames: Path, tmp_path: Path, kind: str) -> None:
    target = tmp_path / "out.png"
    result = run("measure", frames / "frame_2.fits", "--metric", kind, "--preview", target)
    assert result.stdout.startswith("frame_2.fits: ")
    assert target.read_bytes().startswith(PNG_START)


def test_mistakes_are_one_sentence_and_exit_code_2(run: Run, frames: Path, tmp_path: Path) -> None:
    frame = frames / "frame_0.fits"
    empty = tmp_path / "empty"
    empty.mkdir()
    mistakes: dict[str, tuple[str | Path, ...]] = {
        "There is no FITS file": (empty,),
        "nothing was measured": (tmp_path / "*.fits",),
        "A preview shows one file": (frames, "--preview", tmp_path / "out.png"),
        "There is no folder": (frame, "--preview", tmp_path / "missing" / "out.png"),
        "Let its name end in .png": (frame, "--preview", tmp_path / "out.jpg"),
        "either --json or --csv": (frame, "--json", "--csv"),
    }
    for words, arguments in mistakes.items():
        result = run("measure", *arguments)
        assert result.returncode == 2, words
        assert words in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1
        assert result.stdout == ""


def test_an_interruption_ends_it_at_once_with_a_sentence(
    start: Callable[..., subprocess.Popen[str]], frames: Path
) -> None:
    process = start("measure", _many_links(frames))
    assert process.stdout is not None
    assert process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors.startswith("Stopped: ")
    assert len(errors.strip().splitlines()) == 1


def _many_links(frames: Path) -> Path:
    """A folder of a thousand frames that cost no room."""
    folder = frames.parent / "links"
    folder.mkdir()
    for number in range(1000):
        (folder / f"{number:04}.fits").symlink_to(frames / "frame_1.fits")
    return folder
