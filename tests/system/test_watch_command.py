"""`alpaca-focus watch` as a user runs it: a slow writer, broken files, a folder that goes away, keys and signals."""

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from tests.system.conftest import COMMAND

Start = Callable[..., subprocess.Popen[str]]
QUICK = ("--settle-s", "0.2")
IN_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Makes the terminal at standard input the one whose keys the command gets, then becomes the command."""
PNG = b"\x89PNG\r\n\x1a\n"


def star_frame(rng: np.random.Generator, position: int, *, best: int = 9430) -> bytes:
    """A FITS file of a few stars whose width follows a V."""
    sigma = np.hypot(2.0, 0.02 * (position - best)) / 1.1774
    y, x = np.mgrid[:200, :240]
    pixels = 1000 + rng.normal(0, 8, x.shape)
    for column, row in ((40, 50), (120, 60), (200, 45), (60, 150), (140, 140), (205, 155)):
        pixels += 3e5 / (2 * np.pi * sigma**2) * np.exp(-((x - column) ** 2 + (y - row) ** 2) / (2 * sigma**2))
    return fits_bytes(pixels, FOCUSPOS=position, EXPTIME=2.0)


def spectrum_frame(rng: np.random.Generator, position: int) -> bytes:
    """A FITS file of a horizontal spectrum whose trace is widest far from 9430 and brightest at 9458."""
    sigma = np.hypot(3.0, 0.05 * (position - 9430)) / 2.3548
    signal_adu = 400 * 60 / np.hypot(1, (position - 9458) / 60)
    rows = np.arange(160)[:, None]
    profile = signal_adu / 300 / (sigma * np.sqrt(2 * np.pi)) * np.exp(-((rows - 80.3) ** 2) / (2 * sigma**2))
    return fits_bytes(500 + 60 * profile * np.ones((1, 300)) + rng.normal(0, 5, (160, 300)), EXPTIME=60.0)


def fits_bytes(pixels: np.ndarray, **cards: float) -> bytes:
    unit = fits.PrimaryHDU(np.clip(pixels, 0, 65535).astype(np.uint16))
    unit.header.update(cards)
    return bytes(unit.header.tostring().encode() + _data(unit))


def _data(unit: fits.PrimaryHDU) -> bytes:
    values = (unit.data.astype(np.int32) - 32768).astype(">i2").tobytes()
    return values + bytes(-len(values) % 2880)


def place(path: Path, content: bytes) -> None:
    """Write under a temporary name, then rename into place."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(content)
    temporary.rename(path)


def ready(process: subprocess.Popen[str]) -> subprocess.Popen[str]:
    assert process.stderr is not None
    line = process.stderr.readline()
    assert line.startswith("Watching "), line
    return process


def next_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def ended(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> str:
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, out + err
    assert "Traceback" not in err
    return out


def test_each_new_frame_gets_a_line_and_the_end_a_fit(start: Start, tmp_path: Path, rng: np.random.Generator) -> None:
    (tmp_path / "old_9000.fits").write_bytes(star_frame(rng, 9000))
    process = ready(start("watch", tmp_path, "--metric", "stars", *QUICK))
    for position in (9330, 9380, 9430, 9480, 9530):
        place(tmp_path / f"star-{position}.fits", star_frame(rng, position))
        assert re.match(rf"star-{position}\.fits: HFD = \d+\.\d\d \+- \d\.\d\d px .*6 stars$", next_line(process))
    out = ended(process)
    found = re.search(r"HFD: best position ([\d.]+) \+- [\d.]+ steps \(.*from 5 frames", out)
    assert found is not None, out
    assert float(found[1]) == pytest.approx(9430, abs=10)


def test_a_half_written_file_is_measured_once_it_is_complete(
    start: Start, tmp_path: Path, rng: np.random.Generator
) -> None:
    """The writer pauses for longer than the settling time: then the file is still cut short, and nothing is said."""
    content = star_frame(rng, 9400)
    process = ready(start("watch", tmp_path, "--metric", "stars", "--settle-s", "0.4"))
    with (tmp_path / "slow-9400.fits").open("wb") as file:
        for part in (content[:3000], content[3000:50_000], content[50_000:]):
            file.write(part)
            file.flush()
            time.sleep(0.6)
    assert next_line(process).startswith("slow-9400.fits: HFD = ")
    out = ended(process)
    assert out.strip() == out.strip().splitlines()[0]
    assert "the best frame so far is slow-9400.fits at position 9400" in out
    assert "at least 4 positions" in out


def test_a_broken_file_gets_one_line_and_is_tried_again_when_it_changes(
    start: Start, tmp_path: Path, rng: np.random.Generator
) -> None:
    process = ready(start("watch", tmp_path, "--metric", "stars", "--settle-s", "0.1"))
    (tmp_path / "broken.fits").write_bytes(b"SIMPLE  = nothing of the kind")
    assert "broken.fits is" in next_line(process)
    for name in (".hidden.fits", "new.fits.tmp", "new.fits.part", "new.fits~", "notes.txt"):
        (tmp_path / name).write_bytes(b"no frame")
    place(tmp_path / "next-9400.fits", star_frame(rng, 9400))
    assert next_line(process).startswith("next-9400.fits: HFD = ")
    (tmp_path / "next-9400.fits").unlink()
    place(tmp_path / "broken.fits", star_frame(rng, 9420))
    assert next_line(process).startswith("broken.fits: HFD = ")
    assert len(ended(process).splitlines()) == 1


def test_a_folder_that_goes_away_is_waited_for(start: Start, tmp_path: Path, rng: np.random.Generator) -> None:
    folder = tmp_path / "share"
    folder.mkdir()
    process = ready(start("watch", folder, "--existing", "--metric", "stars", *QUICK))
    place(folder / "first-9400.fits", star_frame(rng, 9400))
    assert next_line(process).startswith("first-9400.fits")
    folder.rename(tmp_path / "away")
    assert "is gone or does not answer" in next_line(process)
    place(tmp_path / "away" / "second-9420.fits", star_frame(rng, 9420))
    (tmp_path / "away").rename(folder)
    assert next_line(process).endswith("is there again.")
    assert next_line(process).startswith("second-9420.fits")
    ended(process, signal.SIGINT)


def test_spectra_are_told_in_their_form_and_drawn(start: Start, tmp_path: Path, rng: np.random.Generator) -> None:
    picture = tmp_path / "curve.png"
    frames = tmp_path / "frames"
    frames.mkdir()
    for position in (9340, 9390, 9440, 9490, 9540):
        (frames / f"HD097633-{position}.fits").write_bytes(spectrum_frame(rng, position))
    process = ready(start("watch", frames, "--existing", "--metric", "spectrum", "--plot", picture, *QUICK))
    for _ in range(5):
        assert re.fullmatch(
            r'HD097633-9\d\d\d\.fits: FWHM = \d+\.\d\dpx( -> \d+\.\d\d")? \| NSIG = \d+\.\d\d', next_line(process)
        )
    out = ended(process)
    assert re.search(r"FWHM: best position 94\d\d\.\d \+- ", out)
    assert re.search(r"NSIG: best position 94\d\d\.\d \+- ", out)
    assert picture.read_bytes().startswith(PNG)
    assert [path.name for path in tmp_path.iterdir() if path != frames] == ["curve.png"]


def test_q_ends_it_and_restores_the_terminal(tmp_path: Path, rng: np.random.Generator) -> None:
    for position in (9330, 9380, 9430, 9480, 9530):
        (tmp_path / f"star-{position}.fits").write_bytes(star_frame(rng, position))
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(ours, (40, 120))
    before = termios.tcgetattr(theirs)
    command = [COMMAND, "watch", str(tmp_path), "--existing", "--metric", "stars", *QUICK]
    process = subprocess.Popen(
        [sys.executable, "-c", IN_TERMINAL, *command],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm"},
    )
    try:
        shown = _read_until(ours, process, "from 5 frames")
        assert "q ends it" in shown
        assert "(HFD px)" in shown
        assert termios.tcgetattr(theirs)[3] & termios.ICANON == 0
        os.write(ours, b"q")
        shown = _read_until(ours, process, "from 5 frames")
        assert "\x1b[?25h" in shown
        assert process.wait(timeout=30) == 0
        assert termios.tcgetattr(theirs) == before
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)


def _read_until(terminal: int, process: subprocess.Popen[bytes], words: str) -> str:
    shown = ""
    while words not in shown:
        if select.select([terminal], [], [], 30)[0]:
            shown += os.read(terminal, 65536).decode(errors="replace")
        else:
            raise AssertionError(f"{words!r} did not come (exit code {process.poll()}): {shown}")
    return shown


def test_a_folder_that_is_not_there_is_one_sentence(start: Start, tmp_path: Path) -> None:
    process = start("watch", tmp_path / "none")
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (2, "")
    assert re.fullmatch(r"alpaca-focus: There is no folder .*none to watch\.\n", err)


def test_a_deleted_folder_of_the_picture_does_not_end_it(
    start: Start, tmp_path: Path, rng: np.random.Generator
) -> None:
    frames, pictures = tmp_path / "frames", tmp_path / "pictures"
    frames.mkdir()
    pictures.mkdir()
    process = ready(start("watch", frames, "--metric", "stars", "--plot", pictures / "curve.png", *QUICK))
    shutil.rmtree(pictures)
    place(frames / "a-9400.fits", star_frame(rng, 9400))
    assert next_line(process).startswith("a-9400.fits")
    assert "curve.png cannot be written" in next_line(process)
    place(frames / "b-9420.fits", star_frame(rng, 9420))
    assert next_line(process).startswith("b-9420.fits")
    ended(process)
