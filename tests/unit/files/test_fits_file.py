"""FITS files of every kind and state: what is read, and the sentence where nothing can be."""

import gzip
import io
import math
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from numpy.typing import NDArray

from alpaca_focus.core.errors import FileUnreadable
from alpaca_focus.core.values import Frame
from alpaca_focus.files.fits_file import read_frame
from alpaca_focus.files.fits_header import position_of_name

PIXELS = np.arange(40 * 50, dtype=np.uint16).reshape(40, 50) + np.uint16(40000)
Unit = fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU | fits.BinTableHDU


def file_bytes(*units: Unit) -> bytes:
    buffer = io.BytesIO()
    fits.HDUList(list(units)).writeto(buffer)
    return buffer.getvalue()


def write(tmp_path: Path, content: bytes, name: str = "frame.fits") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def read(tmp_path: Path, *units: Unit) -> Frame:
    return read_frame(write(tmp_path, file_bytes(*units))).frame


def with_cards(data: NDArray[np.generic] = PIXELS, **cards: object) -> fits.PrimaryHDU:
    unit = fits.PrimaryHDU(data)
    unit.header.update({name.replace("_", "-"): value for name, value in cards.items()})
    return unit


def refusal(path: Path) -> str:
    with pytest.raises(FileUnreadable) as caught:
        read_frame(path)
    sentence = str(caught.value)
    assert str(path) in sentence
    assert sentence.endswith(".")
    return sentence


PACKING: dict[str, Callable[[bytes], bytes]] = {"frame.fits": lambda content: content, "frame.fit.gz": gzip.compress}


@pytest.mark.parametrize("kind", ["u1", "i2", "u2", "i4", "u4", "f4", "f8"])
@pytest.mark.parametrize("name", PACKING)
def test_every_number_type_comes_back_as_it_was_in_native_order(tmp_path: Path, kind: str, name: str) -> None:
    pixels = (PIXELS % 250).astype(kind)
    found = read_frame(write(tmp_path, PACKING[name](file_bytes(fits.PrimaryHDU(pixels))), name)).frame.pixels
    assert found.dtype == np.dtype(kind)
    assert found.dtype.isnative
    assert np.array_equal(found, pixels)


@pytest.mark.parametrize("method", ["RICE_1", "GZIP_1", "GZIP_2", "HCOMPRESS_1"])
def test_packed_images_come_back_as_they_were(tmp_path: Path, method: str) -> None:
    packed = fits.CompImageHDU(PIXELS, fits.Header({"EXPTIME": 3.0}), compression_type=method)
    found = read(tmp_path, fits.PrimaryHDU(), packed)
    assert found.pixels.dtype == np.uint16
    assert np.array_equal(found.pixels, PIXELS)
    assert found.exposure_s == 3.0


def test_packed_floats_come_back_within_their_quantum(tmp_path: Path, rng: np.random.Generator) -> None:
    pixels = rng.normal(1000, 20, (40, 50)).astype(np.float32)
    found = read(tmp_path, fits.PrimaryHDU(), fits.CompImageHDU(pixels, compression_type="RICE_1"))
    assert found.pixels.dtype == np.float32
    assert np.allclose(found.pixels, pixels, atol=5)


def test_full_range_unsigned_values_are_not_wrapped(tmp_path: Path) -> None:
    pixels = np.linspace(0, 65535, 2000).astype(np.uint16).reshape(40, 50)
    assert np.array_equal(read(tmp_path, fits.PrimaryHDU(pixels)).pixels, pixels)


def test_scaled_values_follow_the_header(tmp_path: Path) -> None:
    unit = fits.PrimaryHDU(PIXELS / 10)
    unit.scale("int16", bscale=0.5, bzero=3000)
    content = file_bytes(unit)
    assert b"BSCALE  =                  0.5" in content
    assert np.allclose(read_frame(write(tmp_path, content)).frame.pixels, PIXELS / 10, atol=0.3)


def test_the_first_image_of_several_units_is_taken(tmp_path: Path) -> None:
    table = fits.BinTableHDU.from_columns([fits.Column("a", "J", array=np.arange(5000))])
    row = fits.ImageHDU(np.zeros(30, np.int16))
    found = read(tmp_path, fits.PrimaryHDU(), table, row, fits.ImageHDU(PIXELS), fits.ImageHDU(PIXELS[::-1]))
    assert np.array_equal(found.pixels, PIXELS)


def test_facts_come_from_the_first_header_where_the_images_is_silent(tmp_path: Path) -> None:
    first = fits.PrimaryHDU()
    first.header["EXPTIME"] = 7.0
    assert read(tmp_path, first, fits.ImageHDU(PIXELS)).exposure_s == 7.0


@pytest.mark.parametrize("shape", [(1, 40, 50), (40, 1, 50), (1, 1, 40, 50)])
def test_axes_of_length_one_do_not_count(tmp_path: Path, shape: tuple[int, ...]) -> None:
    assert np.array_equal(read(tmp_path, fits.PrimaryHDU(PIXELS.reshape(shape))).pixels, PIXELS)


def test_of_a_colour_image_the_green_plane_is_taken(tmp_path: Path) -> None:
    planes = np.stack([PIXELS + 1, PIXELS, PIXELS + 2])
    found = read(tmp_path, with_cards(planes, BAYERPAT="RGGB"))
    assert np.array_equal(found.pixels, PIXELS)
    assert not found.bayer


def test_the_place_of_no_value_becomes_nan_and_a_frame_without_any_stays_integer(tmp_path: Path) -> None:
    pixels = PIXELS.astype(np.int32)
    found = read(tmp_path, with_cards(pixels, BLANK=40007)).pixels
    assert np.isnan(found[0, 7])
    assert np.count_nonzero(np.isnan(found)) == 1
    assert read(tmp_path, with_cards(pixels, BLANK=-1)).pixels.dtype == np.int32


def test_nul_bytes_in_the_header_are_spaces(tmp_path: Path) -> None:
    content = file_bytes(with_cards(EXPTIME=2.5))
    header, data = content[:2880], content[2880:]
    end = header.index(b"END     ") + 80
    padded = header[:end].replace(b"EXPTIME =", b"EXPTIME\0=") + b"\0" * (2880 - end)
    found = read_frame(write(tmp_path, padded + data)).frame
    assert found.exposure_s == 2.5
    assert np.array_equal(found.pixels, PIXELS)


def test_a_file_without_its_last_filling_is_whole(tmp_path: Path) -> None:
    content = file_bytes(fits.PrimaryHDU(PIXELS))[: 2880 + PIXELS.nbytes]
    assert np.array_equal(read_frame(write(tmp_path, content)).frame.pixels, PIXELS)


def test_absurd_floats_become_nan(tmp_path: Path) -> None:
    pixels = PIXELS.astype(np.float32)
    pixels[3, 4], pixels[5, 6] = 1e35, -np.inf
    found = read(tmp_path, fits.PrimaryHDU(pixels)).pixels
    assert np.isnan(found[3, 4])
    assert np.isnan(found[5, 6])
    assert np.count_nonzero(np.isfinite(found)) == found.size - 2


def without_end() -> bytes:
    return file_bytes(with_cards()).replace(b"END     ", b"FIN     ", 1)


def with_length(length: int) -> bytes:
    return file_bytes(with_cards()).replace(b"NAXIS1  =                   50", b"NAXIS1  = %20d" % length, 1)


GOOD = file_bytes(with_cards())
PACKED = gzip.compress(GOOD)
DAMAGED: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty"),
    "text": (b"no image at all\n" * 400, "is not a FITS file"),
    "half a header": (GOOD[:1000], "cut short"),
    "half the data": (GOOD[:4000], "cut short"),
    "header only": (GOOD[:2880], "cut short"),
    "half a gzip": (PACKED[: len(PACKED) // 2], "cut short"),
    "gzip with a flipped bit": (PACKED[:-20] + bytes([PACKED[-20] ^ 4]) + PACKED[-19:], "damaged"),
    "no end": (without_end(), "no end"),
    "a billion columns": (with_length(10**9), "which no camera has"),
    "more than the file holds": (with_length(100_000), "cut short"),
    "a negative length": (with_length(-5), "NAXIS"),
    "table only": (
        file_bytes(fits.PrimaryHDU(), fits.BinTableHDU.from_columns([fits.Column("a", "J", array=np.zeros(0))])),
        "holds no image",
    ),
    "nothing": (file_bytes(fits.PrimaryHDU()), "holds no image"),
    "a cube": (file_bytes(fits.PrimaryHDU(np.zeros((5, 40, 50), np.int16))), "50 x 40 x 5"),
    "one row": (file_bytes(fits.PrimaryHDU(np.zeros(900, np.int16))), "no image"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_refused_with_a_sentence(tmp_path: Path, name: str) -> None:
    content, words = DAMAGED[name]
    assert words in refusal(write(tmp_path, content))


def test_a_gzip_bomb_is_not_unpacked_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alpaca_focus.files.fits_stream.MAX_BYTES", 1_000_000)
    table = file_bytes(fits.PrimaryHDU(), fits.BinTableHDU.from_columns([fits.Column("a", "J", array=np.zeros(10**6))]))
    assert "unpacks to more than" in refusal(write(tmp_path, gzip.compress(table)))


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (b"TFIELDS =                    1", b"TFIELDS = 99999999999999999999"),
        (b"ZNAXIS1 =                   50", b"ZNAXIS1 =              5000000"),
        (b"ZTILE1  =                   50", b"ZTILE1  =                    0"),
        (b"'RICE_1  '", b"'RICE_9  '"),
        (b"ZVAL1   =                   32", b"ZVAL1   =           2000000000"),
    ],
)
def test_lies_about_a_packed_image_are_seen(tmp_path: Path, good: bytes, bad: bytes) -> None:
    content = file_bytes(fits.PrimaryHDU(), fits.CompImageHDU(PIXELS, compression_type="RICE_1"))
    assert content.count(good) == 1
    assert "damaged" in refusal(write(tmp_path, content.replace(good, bad)))


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    assert "is a folder" in refusal(tmp_path)
    assert "There is no file" in refusal(tmp_path / "missing.fits")
    pipe = tmp_path / "pipe.fits"
    os.mkfifo(pipe)
    assert "not an ordinary file" in refusal(pipe)


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, GOOD)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert "permissions" in refusal(path)


def test_the_header_tells_exposure_time_start_binning_gain_and_scale(tmp_path: Path) -> None:
    unit = with_cards(
        EXPTIME=120.0,
        DATE_OBS="2018-08-10T23:27:16.110",
        XBINNING=2,
        EGAIN=0.25,
        GAIN=100,
        XPIXSZ=3.8,
        FOCALLEN=1400.0,
        OBJECT="LHS 6328",
        FILTER="R",
    )
    found = read_frame(write(tmp_path, file_bytes(unit)))
    assert found.filter_name == "R"
    assert found.frame.exposure_s == 120.0
    assert found.frame.started_at == datetime(2018, 8, 10, 23, 27, 16, 110000, tzinfo=UTC)
    assert found.frame.binning == 2
    assert found.frame.electrons_per_adu == 0.25
    assert found.frame.image_scale_arcsec == pytest.approx(206.265 * 3.8 / 1400, rel=1e-5)


def test_a_silent_header_leaves_the_facts_open(tmp_path: Path) -> None:
    path = write(tmp_path, file_bytes(with_cards(GAIN=100, EXPTIME="long", SCALE=0.0, DATE_OBS="yesterday")))
    os.utime(path, (1e9, 1e9))
    frame = read_frame(path).frame
    assert math.isnan(frame.exposure_s)
    assert frame.started_at == datetime.fromtimestamp(1e9, UTC)
    assert frame.binning == 1
    assert frame.electrons_per_adu is None
    assert frame.image_scale_arcsec is None
    assert not frame.bayer


@pytest.mark.parametrize(
    ("cards", "bayer"),
    [
        ({"BAYERPAT": "RGGB"}, True),
        ({"COLORTYP": "GBRG"}, True),
        ({"BAYERPAT": "RGGB", "XBINNING": 2}, False),
        ({"BAYERPAT": "NONE"}, False),
    ],
)
def test_a_colour_matrix_is_known_by_its_pattern(tmp_path: Path, cards: dict[str, object], bayer: bool) -> None:
    assert read(tmp_path, with_cards(**cards)).bayer is bayer


def with_brightest(value: float, count: int, kind: str) -> NDArray[np.generic]:
    pixels = np.full((40, 50), value / 2, dtype=kind)
    pixels.flat[:count] = value
    return pixels


@pytest.mark.parametrize(
    ("pixels", "cards", "expected"),
    [
        (with_brightest(30000, 5, "u2"), {}, 65535),
        (with_brightest(30000, 5, "u2"), {"SATURATE": 50000.0}, 50000),
        (with_brightest(30000, 5, "u2"), {"SATURATE": 10.0}, 65535),
        (with_brightest(30000, 1, "u2"), {"DATAMAX": 30000.0}, 65535),
        (with_brightest(4095, 5, "u2"), {}, 4095),
        (with_brightest(4095, 1, "u2"), {}, 65535),
        (with_brightest(16383, 5, "u2"), {"SATURATE": 65535.0}, 16383),
        (with_brightest(65520, 5, "u2"), {}, 65520),
        (with_brightest(30000, 5, "i2"), {}, 32767),
        (with_brightest(200, 5, "u1"), {}, 255),
        (with_brightest(60000, 5, "i4"), {}, 65535),
        (with_brightest(30000, 5, "f4"), {}, 65535),
        (with_brightest(0.9, 5, "f4"), {}, 1.0),
        (with_brightest(2e6, 5, "f4"), {}, math.inf),
    ],
)
def test_saturation_is_what_header_plateau_or_type_say(
    tmp_path: Path, pixels: NDArray[np.generic], cards: dict[str, object], expected: float
) -> None:
    assert read(tmp_path, with_cards(pixels, **cards)).saturation_adu == expected


@pytest.mark.parametrize(
    ("name", "cards", "expected"),
    [
        ("c8_08000.fits", {"FOCUSPOS": 8025.0}, 8025),
        ("c8_08000.fits", {"FOCPOS": 8030}, 8030),
        ("c8_08000.fits", {"FOCUSPOS": "moving"}, 8000),
        ("frame.fits", {}, None),
    ],
)
def test_the_position_comes_from_the_header_else_from_the_name(
    tmp_path: Path, name: str, cards: dict[str, object], expected: int | None
) -> None:
    assert read_frame(write(tmp_path, file_bytes(with_cards(**cards)), name)).position == expected


@pytest.mark.parametrize(
    ("name", "position"),
    [
        ("c8_07850_b.fits.gz", 7850),
        ("HD097633-9430.fits", 9430),
        ("focus 12000.FIT", 12000),
        ("M31_60s.fits.fz", 60),
        ("v_e_20180810_12_1_0_0.fits.gz", None),
        ("light.fits", None),
        ("99999999999999999999.fits", None),
    ],
)
def test_the_last_number_of_a_name_is_the_position(name: str, position: int | None) -> None:
    assert position_of_name(name) == position


def test_the_real_frames_with_nul_in_their_headers_are_read(shared_data: Path) -> None:
    file = read_frame(shared_data / "c8-vcurve" / "c8_07850_b.fits.gz")
    assert file.frame.pixels.shape == (880, 1164)
    assert file.frame.pixels.dtype == np.uint16
    assert (file.position, file.frame.exposure_s, file.filter_name) == (7850, 2.0, "R")
