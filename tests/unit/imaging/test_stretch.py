"""The screen stretch: sky dark, stars bright, faint light visible, whatever the numbers are."""

import numpy as np
import pytest

from alpaca_focus.imaging.stretch import SKY_SHADE, bin_factor, screen_stretch
from tests.synthetic import drawn_field


@pytest.mark.parametrize(("offset", "scale"), [(0, 1), (20000, 1), (0, 1e-5)])
def test_the_sky_is_dark_grey_and_stars_are_bright(offset: float, scale: float, rng: np.random.Generator) -> None:
    field = drawn_field(rng, blur_px=3.0, size_px=300)
    picture = screen_stretch((field.pixels.astype(np.float64) + offset) * scale)
    assert picture.dtype == np.uint8
    assert picture.shape == (300, 300)
    assert np.median(picture) == pytest.approx(255 * SKY_SHADE, abs=4)
    for x, y in field.places:
        assert picture[round(y), round(x)] > 200


def test_brighter_pixels_are_never_darker(rng: np.random.Generator) -> None:
    pixels = drawn_field(rng, blur_px=3.0, size_px=200).pixels
    order = np.argsort(pixels.ravel())
    assert (np.diff(screen_stretch(pixels).ravel()[order].astype(int)) >= 0).all()


def test_a_wide_frame_is_binned_to_the_screen() -> None:
    pixels = np.zeros((300, 1000), np.uint16)
    assert bin_factor(pixels, 400) == 3
    assert screen_stretch(pixels, 400).shape == (100, 333)
    assert bin_factor(pixels, 1000) == 1


def test_pixels_without_a_value_are_black(rng: np.random.Generator) -> None:
    pixels = rng.normal(100, 5, (50, 60)).astype(np.float32)
    pixels[10, 20] = np.nan
    assert screen_stretch(pixels)[10, 20] == 0


@pytest.mark.parametrize("value", [0.0, 700.0, np.nan, np.inf])
def test_a_frame_without_sense_is_one_shade(value: float) -> None:
    assert np.unique(screen_stretch(np.full((40, 50), value, np.float32))).size == 1
