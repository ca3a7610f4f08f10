"""A real V-curve of an obstructed telescope: 17 frames, rings far from focus."""

from pathlib import Path

import numpy as np
import pytest

from alpaca_focus.core.curves.hyperbola import fit_hyperbola
from alpaca_focus.core.values import Sample
from alpaca_focus.files.fits_file import read_frame
from alpaca_focus.imaging.measuring_functions import measure_metric

BEYOND_STEPS = 100
"""From here on the arms are straight."""


@pytest.fixture(scope="module")
def samples(shared_data: Path) -> list[Sample]:
    files = [read_frame(path) for path in sorted((shared_data / "c8-vcurve").glob("*.fits.gz"))]
    assert len(files) == 17
    return [
        Sample(position=file.position or 0, measurement=measure_metric("hfd", file.frame), purpose="sweep")
        for file in files
    ]


def test_every_frame_is_measured_and_focus_is_found(samples: list[Sample]) -> None:
    assert [sample.position for sample in samples if not sample.measurement.usable] == []
    assert 7960 < fit_hyperbola(samples).best_position < 8010


def test_both_arms_are_straight_and_equally_steep(samples: list[Sample]) -> None:
    best = fit_hyperbola(samples).best_position
    slopes = []
    for side in (-1, 1):
        arm = [sample for sample in samples if side * (sample.position - best) > BEYOND_STEPS]
        positions = np.array([sample.position for sample in arm])
        sizes = np.array([sample.measurement.value for sample in arm])
        slope, level = np.polyfit(positions, sizes, 1)
        residuals = sizes - slope * positions - level
        r_squared = 1 - residuals.var() / sizes.var()
        print(f"side {side:+}: {len(arm)} frames, R^2 {r_squared:.5f}, {slope:+.5f} px a step")
        assert r_squared > 0.998
        slopes.append(abs(slope))
    assert max(slopes) / min(slopes) < 1.1
