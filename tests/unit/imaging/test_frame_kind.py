"""Telling a spectrum from a field of stars."""

import numpy as np
import pytest
from numpy.typing import NDArray

from alpaca_focus.imaging.frame_kind import looks_like_spectrum
from tests.synthetic import drawn_field


def drawn_spectrum(rng: np.random.Generator, *, slant: float = 0.0, width_px: float = 1.6) -> NDArray[np.uint16]:
    """Draw a trace over most of the width, sky lines across it, and cosmic rays."""
    y, x = np.mgrid[0:220, 0:600]
    light = 300 * np.exp(-(((x - 350) / 220) ** 2))
    image = 400 + light * np.exp(-(((y - 100 - slant * (x - 300)) / width_px) ** 2) / 2)
    for line in (120, 300, 480):
        image += 500 * np.exp(-(((x - line) / 2.0) ** 2))
    image[rng.integers(0, 220, 40), rng.integers(0, 600, 40)] += 3000
    return rng.poisson(image).astype(np.uint16)


@pytest.mark.parametrize("slant", [0.0, 0.03, -0.03])
@pytest.mark.parametrize("width_px", [1.2, 4.0])
def test_a_trace_along_rows_or_columns_is_a_spectrum(slant: float, width_px: float, rng: np.random.Generator) -> None:
    pixels = drawn_spectrum(rng, slant=slant, width_px=width_px)
    assert looks_like_spectrum(pixels)
    assert looks_like_spectrum(pixels.T)


@pytest.mark.parametrize("blur_px", [0.0, 5.0, 30.0])
def test_stars_are_no_spectrum(blur_px: float, rng: np.random.Generator) -> None:
    assert not looks_like_spectrum(drawn_field(rng, blur_px=blur_px, obstruction=0.3).pixels)


def test_a_satellites_trail_among_stars_is_no_spectrum(rng: np.random.Generator) -> None:
    pixels = drawn_field(rng, blur_px=2.0, stars=36, flux=5e4).pixels.astype(float)
    y, x = np.mgrid[0:600, 0:600]
    pixels += 400 * np.exp(-(((y - 250 - 0.02 * x) / 1.5) ** 2) / 2)
    assert not looks_like_spectrum(pixels)


def test_a_bad_row_and_an_empty_sky_are_no_spectrum(rng: np.random.Generator) -> None:
    pixels = rng.normal(500, 10, (300, 400))
    assert not looks_like_spectrum(pixels)
    pixels[120] += 500
    assert not looks_like_spectrum(pixels)


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_frame_without_sense_is_no_spectrum(value: float) -> None:
    assert not looks_like_spectrum(np.full((100, 100), value))
