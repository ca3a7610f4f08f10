"""Pictures of focus frames: the newest only, and only while somebody looks."""

import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import matplotlib.image
import numpy as np
import pytest

from alpaca_focus.core.status import MeasuredFrame
from alpaca_focus.core.values import Frame, Measurement
from alpaca_focus.daemon import frame_preview
from alpaca_focus.daemon.frame_preview import FramePreview
from alpaca_focus.files.preview import png_of, star_picture
from alpaca_focus.imaging.measuring_functions import measure_metric
from tests.drawn_spectra import as_frame, drawn_spectrum
from tests.synthetic import drawn_field

AT = datetime(2026, 3, 1, 22, 0, tzinfo=UTC)
NOTHING = Measurement(metric="hfd", value=float("nan"), stderr=float("nan"), usable=False, reason="no stars found")


def frame_of(pixels: Any) -> Frame:
    return Frame(pixels=pixels, exposure_s=3.0, started_at=AT, binning=1, saturation_adu=65535.0)


@contextmanager
def previewing(
    made: Callable[[MeasuredFrame], None], *, wanted: Callable[[], bool] = lambda: True
) -> Iterator[FramePreview]:
    preview = FramePreview(wanted, made)
    try:
        yield preview
    finally:
        preview.close()


def test_a_frame_becomes_a_picture_with_its_stars_ringed(rng: np.random.Generator) -> None:
    field = drawn_field(rng, blur_px=6.0, stars=6)
    told: list[MeasuredFrame] = []
    frame = frame_of(field.pixels)
    measurement = measure_metric("hfd", frame)
    with previewing(told.append) as preview:
        preview.offer(frame, measurement)
    picture = preview.last
    assert picture is not None
    (facts,) = told
    assert facts.stars == measurement.star_count > 0
    shown = matplotlib.image.imread(BytesIO(picture.png), format="png")
    assert shown.shape[:2] == (facts.height, facts.width) == field.pixels.shape
    is_ring = shown[..., 1] > shown[..., 0] + 0.3
    assert is_ring.any()
    # Rings are round the stars, and not on them.
    assert not any(is_ring[round(y_px), round(x_px)] for x_px, y_px in field.places)


def test_large_frames_become_small_pictures() -> None:
    rows, columns = 1000, 4000
    picture = star_picture(frame_of(np.zeros((rows, columns), np.uint16)), ring_stars=True)
    assert picture.shape == (250, 1000, 3)


def test_the_picture_is_a_png_file(rng: np.random.Generator) -> None:
    pixels = rng.integers(0, 256, (13, 29, 3), dtype=np.uint8)
    read = matplotlib.image.imread(BytesIO(png_of(pixels)), format="png")
    assert np.array_equal(np.round(255 * read).astype(np.uint8), pixels)
    assert zlib.crc32(b"IEND").to_bytes(4) == png_of(pixels)[-4:]


def test_a_spectrum_is_shown_with_its_trace(rng: np.random.Generator) -> None:
    told: list[MeasuredFrame] = []
    frame = as_frame(drawn_spectrum(rng).pixels)
    with previewing(told.append) as preview:
        preview.offer(frame, measure_metric("spectrum_fwhm", frame))
    facts = told[0]
    assert facts.width <= 1280
    assert (facts.metric, facts.hfd_px) == ("spectrum_fwhm", None)


def test_without_an_open_dashboard_nothing_is_drawn() -> None:
    told: list[MeasuredFrame] = []
    with previewing(told.append, wanted=lambda: False) as preview:
        preview.offer(frame_of(np.zeros((100, 100), np.uint16)), NOTHING)
    assert (told, preview.last) == ([], None)


def test_only_the_newest_is_made_of_those_that_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, begun, drawn = threading.Event(), threading.Event(), []

    def star_picture_late(frame: Frame, *, ring_stars: bool) -> Any:
        drawn.append((frame.left_px, ring_stars))
        begun.set()
        gate.wait(10)
        return np.zeros((10, 10, 3), np.uint8)

    monkeypatch.setattr(frame_preview, "star_picture", star_picture_late)
    told: list[MeasuredFrame] = []
    pixels = np.zeros((10, 10), np.uint16)
    with previewing(told.append) as preview:
        for number in range(5):
            frame = Frame(
                pixels=pixels, exposure_s=1.0, started_at=AT, binning=1, saturation_adu=65535.0, left_px=number
            )
            preview.offer(frame, NOTHING)
            begun.wait(10)
        gate.set()
    assert drawn == [(0, True), (4, True)]
    assert [facts.number for facts in told] == [1, 2]
    assert preview.last is not None
    assert preview.last.frame.number == 2


def test_a_picture_that_cannot_be_drawn_harms_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object, **__: object) -> Any:
        raise ValueError("so it is")

    told: list[MeasuredFrame] = []
    monkeypatch.setattr(frame_preview, "star_picture", failing)
    with previewing(told.append) as preview:
        preview.offer(frame_of(np.zeros((10, 10), np.uint16)), NOTHING)
    assert (told, preview.last) == ([], None)
