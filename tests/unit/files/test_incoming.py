"""New frames of a folder: each counts once, is measured once, and nothing stops the watch."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog
from astropy.io import fits
from structlog.testing import capture_logs
from structlog.typing import EventDict

from alpaca_focus.files import incoming
from alpaca_focus.files.folder_watch import tree_snapshot
from alpaca_focus.files.incoming import NICENESS, IncomingFrame, IncomingFrames
from tests.folder_polls import FolderPolls
from tests.synthetic import drawn_field

EVENING = datetime(2026, 1, 1, 22, tzinfo=UTC)
PATIENCE_S = 30.0
FLAT = np.full((32, 32), 100, np.uint16)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[EventDict]]:
    monkeypatch.setattr(incoming, "_log", structlog.get_logger())
    with capture_logs() as told:
        yield told


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> FolderPolls:
    return FolderPolls(monkeypatch)


@pytest.fixture
def watch(tmp_path: Path, looks: FolderPolls) -> Iterator[Callable[..., IncomingFrames]]:
    """Watches the folder of the test until its end."""
    started: list[IncomingFrames] = []

    def watch(folder: Path = tmp_path, pattern: str = "*") -> IncomingFrames:
        frames = IncomingFrames(folder, pattern, least_s=10.0, since=EVENING, settle_s=0.1)
        started.append(frames)
        frames.start()
        looks.wait()
        return frames

    yield watch
    for each in started:
        each.stop(PATIENCE_S)


def save(path: Path, pixels: Any = FLAT, *, minute: int = 1, **cards: object) -> Path:
    """Save a frame as a capture program does."""
    unit = fits.PrimaryHDU(pixels)
    at = (EVENING + timedelta(minutes=minute)).replace(tzinfo=None)
    unit.header.update({"DATE-OBS": at.isoformat(), "EXPTIME": 60.0} | cards)
    path.parent.mkdir(parents=True, exist_ok=True)
    unit.writeto(path, overwrite=True)
    return path


def waited(frames: IncomingFrames, count: int) -> list[IncomingFrame]:
    """Wait for so many frames, and see that no more come."""
    found: list[IncomingFrame] = []
    ends_at = time.monotonic() + PATIENCE_S
    while len(found) < count and time.monotonic() < ends_at:
        found += frames.taken()
        time.sleep(0.02)
    time.sleep(0.4)
    found += frames.taken()
    assert len(found) == count, found
    return found


def test_a_new_frame_counts_and_its_stars_are_measured_in_unbinned_pixels(
    tmp_path: Path, watch: Callable[..., IncomingFrames], rng: np.random.Generator
) -> None:
    field = drawn_field(rng, blur_px=6.0, size_px=400)
    save(tmp_path / "old.fits", field.pixels)
    frames = watch()
    path = save(tmp_path / "M42" / "Ha" / "new.FIT", field.pixels, minute=2, XBINNING=2, IMAGETYP="Light Frame")
    counted, measured = waited(frames, 2)
    assert (counted.path, counted.hfd_px, counted.is_named_light) == (path, None, True)
    assert counted.ended_at == EVENING + timedelta(minutes=3)
    assert measured.hfd_px == pytest.approx(2 * field.hfd_px, rel=0.05)
    assert (measured.path, measured.ended_at) == (path, counted.ended_at)


def test_a_frame_without_stars_only_counts(tmp_path: Path, watch: Callable[..., IncomingFrames]) -> None:
    frames = watch()
    save(tmp_path / "cloud.fits")
    (frame,) = waited(frames, 1)
    assert (frame.hfd_px, frame.is_named_light) == (None, False)


def test_what_is_no_light_frame_of_tonight_does_not_count(
    tmp_path: Path, watch: Callable[..., IncomingFrames], log: list[EventDict]
) -> None:
    frames = watch()
    save(tmp_path / "dark.fits", IMAGETYP="Dark Frame")
    save(tmp_path / "flat.fits", minute=2, FRAME="Flat")
    save(tmp_path / "short.fits", minute=3, EXPTIME=9.0)
    save(tmp_path / "of last night.fits", minute=-24 * 60)
    (tmp_path / "notes.txt").write_text("none")
    save(tmp_path / ".hidden" / "light.fits", minute=5)
    save(tmp_path / "local time.fits", minute=-12 * 60)
    (frame,) = waited(frames, 1)
    assert frame.path.name == "local time.fits"
    assert log == []


def test_a_file_that_grows_or_is_renamed_into_its_place_counts_when_it_is_whole(
    tmp_path: Path, watch: Callable[..., IncomingFrames]
) -> None:
    whole = save(tmp_path / "elsewhere" / "frame.fits.tmp").read_bytes()
    frames = watch()
    with (tmp_path / "growing.fits").open("wb") as file:
        for start in range(0, len(whole), 1000):
            file.write(whole[start : start + 1000])
            file.flush()
            time.sleep(0.05)
        assert frames.taken() == []
    waited(frames, 1)
    save(tmp_path / "frame.fits.part", minute=7).rename(tmp_path / "moved.fits")
    assert waited(frames, 1)[0].path.name == "moved.fits"


def test_a_frame_counts_once_under_any_name(tmp_path: Path, watch: Callable[..., IncomingFrames]) -> None:
    frames = watch()
    path = save(tmp_path / "frame.fits")
    waited(frames, 1)
    (tmp_path / "copy.fits").write_bytes(path.read_bytes())
    path.rename(tmp_path / "sorted.fits")
    save(tmp_path / "sorted.fits", OBJECT="M 42")
    waited(frames, 0)
    save(tmp_path / "frame.fits", minute=3)
    waited(frames, 1)


def test_frames_with_a_date_alone_count_each(tmp_path: Path, watch: Callable[..., IncomingFrames]) -> None:
    frames = watch()
    for name in ("one.fits", "two.fits"):
        save(tmp_path / name, **{"DATE-OBS": "2026-01-02"})
    assert [frame.ended_at for frame in waited(frames, 2)] == [None, None]


def test_a_broken_file_is_told_once_and_the_watch_goes_on(
    tmp_path: Path, watch: Callable[..., IncomingFrames], looks: FolderPolls, log: list[EventDict]
) -> None:
    frames = watch()
    (tmp_path / "broken.fits").write_bytes(b"SIMPLE  =                    T" + bytes(5000))
    while not log:
        looks.wait()
    looks.wait()
    save(tmp_path / "good.fits")
    waited(frames, 1)
    (line,) = log
    assert line["log_level"] == "warning"
    assert "broken.fits" in line["why"]


def test_an_error_of_the_program_itself_leaves_one_file_out(
    tmp_path: Path, watch: Callable[..., IncomingFrames], log: list[EventDict], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(incoming, "measure_frame", fail)
        frames = watch()
        save(tmp_path / "one.fits")
        waited(frames, 1)
    save(tmp_path / "two.fits", minute=2)
    waited(frames, 1)
    assert [line["file"] for line in log] == ["one.fits"]


def test_a_folder_that_comes_late_and_goes_is_waited_for(
    tmp_path: Path, watch: Callable[..., IncomingFrames], looks: FolderPolls, log: list[EventDict]
) -> None:
    folder, away = tmp_path / "share", tmp_path / "away"
    save(away / "old.fits")
    frames = watch(folder)
    away.rename(folder)
    looks.wait()
    save(folder / "new.fits", minute=2)
    waited(frames, 1)
    folder.rename(away)
    looks.wait()
    away.rename(folder)
    waited(frames, 0)
    assert [line["log_level"] for line in log] == ["warning", "info", "warning", "info"]


def test_the_pattern_goes_by_the_name_in_any_letters(tmp_path: Path, watch: Callable[..., IncomingFrames]) -> None:
    frames = watch(pattern="*_light_*")
    save(tmp_path / "M42_LIGHT_001.fits")
    save(tmp_path / "M42_snapshot_001.fits", minute=2)
    save(tmp_path / "_light_" / "other.fits", minute=3)
    assert [frame.path.name for frame in waited(frames, 1)] == ["M42_LIGHT_001.fits"]


@pytest.mark.skipif(sys.platform != "linux", reason="only there a thread has a niceness of its own")
def test_the_thread_gives_way(watch: Callable[..., IncomingFrames]) -> None:
    watch()
    (thread,) = (each for each in threading.enumerate() if each.name == "incoming frames")
    assert thread.native_id is not None
    assert os.getpriority(os.PRIO_PROCESS, thread.native_id) >= NICENESS


def test_a_folder_that_is_not_there_is_no_empty_one(tmp_path: Path) -> None:
    assert tree_snapshot(tmp_path / "none") is None
    assert tree_snapshot(tmp_path) == {}
