"""Damaged FITS files: each gives a frame or a sentence, and each frame a measurement or a reason why not."""

import gzip
import io
import json
import random
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from alpaca_focus.core.errors import FileUnreadable
from alpaca_focus.files.fits_file import read_frame
from alpaca_focus.files.measuring import MeasureOptions, measure_frame
from tests.mutations import damaged, mutation_count
from tests.synthetic import drawn_field

SIZE_PX = 64
HEADER = {"EXPTIME": 2.0, "FOCUSPOS": 7850, "DATE-OBS": "2019-05-14T01:36:25", "XPIXSZ": 3.8, "FOCALLEN": 1400.0}
ODD_VALUES = (
    "0",
    "-1",
    "1",
    "3",
    "16",
    "64",
    "65",
    "1000000000",
    "99999999999999999999",
    "1E400",
    "-1.5E-300",
    "NaN",
    "T",
    "'text'",
    "'unended",
    "(1.0, 2.0)",
    "",
    "\0\0\0",
)
KEYWORDS = (
    "NAXIS",
    "NAXIS1",
    "NAXIS2",
    "BITPIX",
    "BZERO",
    "BSCALE",
    "BLANK",
    "EXPTIME",
    "DATE-OBS",
    "XBINNING",
    "EGAIN",
)
PACKED_KEYWORDS = (
    "ZNAXIS1",
    "ZNAXIS2",
    "ZTILE1",
    "ZBITPIX",
    "ZCMPTYPE",
    "ZVAL1",
    "TFORM1",
    "PCOUNT",
    "THEAP",
    "TFIELDS",
)

WEIGHTS = (40, 25, 15, 15, 10, 1, 10)
"""How often each of `good_files` is damaged; HCOMPRESS is unpacked by a program of its own, which is slow."""

KINDS = {"stars": 3, "spectrum": 1, "invpower": 5}
"""How often a frame is measured in which way; the first two take longer."""


def file_bytes(*units: fits.PrimaryHDU | fits.ImageHDU | fits.CompImageHDU) -> bytes:
    buffer = io.BytesIO()
    fits.HDUList(list(units)).writeto(buffer)
    return buffer.getvalue()


def good_files(rng: np.random.Generator) -> dict[str, bytes]:
    pixels = drawn_field(rng, blur_px=3.0, stars=2, size_px=SIZE_PX).pixels
    plain = fits.PrimaryHDU(pixels)
    plain.header.update(HEADER)
    files = {
        "plain": file_bytes(plain),
        "float": file_bytes(fits.PrimaryHDU(pixels.astype(np.float32), plain.header)),
        "gzip": gzip.compress(file_bytes(plain), 1),
    }
    for name in ("RICE_1", "GZIP_1", "HCOMPRESS_1", "PLIO_1"):
        packed = fits.CompImageHDU(pixels.astype(np.int32) // 4, compression_type=name)
        files[name] = file_bytes(fits.PrimaryHDU(), packed)
    return files


def with_odd_card(good: bytes, random_: random.Random) -> bytes:
    """Return the file with a card's value replaced by an odd one."""
    keyword = random_.choice(PACKED_KEYWORDS if b"ZIMAGE" in good else KEYWORDS)
    pattern = re.compile(rb"%-8s= .{70}" % keyword.encode())
    card = f"{keyword:<8}= {random_.choice(ODD_VALUES):>20}"[:80].ljust(80).encode()
    return pattern.sub(card, good, count=1)


def outcome(path: Path, kind: str) -> str:
    """Read and measure a file; say what came of it."""
    try:
        file = read_frame(path)
    except FileUnreadable as error:
        sentence = str(error)
        assert str(path) in sentence
        assert sentence.endswith(".")
        return "refused"
    assert file.frame.pixels.ndim == 2
    report = measure_frame(file, MeasureOptions(metric=kind))
    assert report.usable or report.reason
    assert report.line()
    json.dumps(report.as_dict(), allow_nan=False)
    return "measured" if report.usable else "not usable"


@pytest.mark.timeout(120 + mutation_count() // 20)
def test_no_damage_crashes_the_reading_or_the_measuring(seed: int, tmp_path: Path) -> None:
    random_ = random.Random(seed)
    files = good_files(np.random.default_rng(seed))
    path = tmp_path / "damaged.fits"
    found: Counter[str] = Counter()
    for number in range(mutation_count()):
        name = random_.choices(tuple(files), WEIGHTS)[0]
        make = random_.choice((damaged, with_odd_card))
        content = make(files[name], random_)
        path.write_bytes(content)
        kind = random_.choices(tuple(KINDS), tuple(KINDS.values()))[0]
        try:
            found[outcome(path, kind)] += 1
        except Exception:
            print(f"mutation {number} of a {name} file, made by {make.__name__}, measured as {kind}")
            raise
    print(dict(found))
    assert sum(found.values()) == mutation_count()
    assert found["refused"] > mutation_count() / 20
    assert found["measured"] > mutation_count() / 20
