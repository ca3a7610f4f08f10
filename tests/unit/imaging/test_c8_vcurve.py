"""A real V-curve of an obstructed telescope: 17 frames, rings far from focus."""

import gzip
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from alpaca_focus.core.values import Sample
from alpaca_focus.core.vcurve import fit_hyperbola
from alpaca_focus.imaging.stars import measure_stars


def read_frame(path: Path) -> NDArray[np.int32]:
    """Read a 16 bit image; the header's blocks hold NUL bytes where spaces should be, which FITS readers refuse."""
    data = gzip.decompress(path.read_bytes())
    cards = [data[start : start + 80].decode("ascii", "replace") for start in range(0, len(data), 80)]
    end = next(index for index, card in enumerate(cards) if card[:3] == "END")
    header = {card[:8].strip(): card[10:].split("/")[0].strip(" \0") for card in cards[:end]}
    start = -(-(end + 1) * 80 // 2880) * 2880
    shape = int(header["NAXIS2"]), int(header["NAXIS1"])
    raw = np.frombuffer(data, ">i2", count=shape[0] * shape[1], offset=start).reshape(shape)
    return raw.astype(np.int32) + int(float(header.get("BZERO", "0")))


@pytest.fixture
def samples(shared_data: Path) -> list[Sample]:
    paths = sorted((shared_data / "c8-vcurve").glob("*.fits.gz"))
    assert len(paths) == 17
    measured = []
    for path in paths:
        position = re.search(r"c8_(\d+)", path.name)
        assert position is not None
        measurement = measure_stars(read_frame(path), saturation_adu=65535)
        measured.append(Sample(position=int(position[1]), measurement=measurement, purpose="sweep"))
    return measured


def test_every_frame_is_measured_and_focus_is_found(samples: list[Sample]) -> None:
    assert [sample.position for sample in samples if not sample.measurement.usable] == []
    assert 7960 < fit_hyperbola(samples).best_position < 8010
