"""Stars drawn for the purpose, in focus and far from it: what is measured against what was drawn."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from alpaca_focus.core.values import Measurement
from alpaca_focus.imaging.stars import find_stars, measure_stars
from tests.synthetic import drawn_field


def measure(pixels: NDArray[np.generic], *, bayer: bool = False) -> Measurement:
    return measure_stars(pixels, saturation_adu=65535, bayer=bayer)


@pytest.mark.parametrize("obstruction", [0.0, 0.35])
@pytest.mark.parametrize("blur_px", [0.0, 3.0, 6.0, 12.0, 25.0, 50.0, 90.0])
def test_the_size_is_right_from_focus_to_large_rings(
    blur_px: float, obstruction: float, rng: np.random.Generator
) -> None:
    # Sky enough between the largest discs: where they fill the frame, none is measured.
    size_px = 600 + round(6 * blur_px)
    field = drawn_field(rng, blur_px=blur_px, obstruction=obstruction, flux=1e5 + 3e4 * blur_px, size_px=size_px)
    found = measure(field.pixels)
    assert found.usable, found.reason
    # Pixels widen what they see, and so does taking their light as evenly spread: 1/12 px^2 of variance each.
    seen_px = math.hypot(field.hfd_px, 2.3548 * math.sqrt(2 / 12))
    assert found.value == pytest.approx(seen_px, rel=0.02)
    assert 0 < found.stderr < 0.03 * found.value


@pytest.mark.parametrize("blur_px", [20.0, 40.0, 70.0])
def test_no_ring_is_split_and_none_is_counted_twice(blur_px: float, rng: np.random.Generator) -> None:
    field = drawn_field(rng, blur_px=blur_px, obstruction=0.35, flux=3e5, size_px=900)
    stars = find_stars(field.pixels, saturation_adu=65535).stars
    assert 5 <= len(stars) <= 9
    for star in stars:
        assert min(math.hypot(star.x_px - x, star.y_px - y) for x, y in field.places) < 0.1 * blur_px


def test_places_are_columns_and_rows_in_either_order_of_memory(rng: np.random.Generator) -> None:
    field = drawn_field(rng, blur_px=6.0, stars=6)
    rows_first = find_stars(field.pixels, saturation_adu=65535)
    columns_first = find_stars(np.asfortranarray(field.pixels), saturation_adu=65535)
    for stars in (rows_first.stars, columns_first.stars):
        places = sorted((round(star.x_px), round(star.y_px)) for star in stars)
        assert places == sorted((round(x), round(y)) for x, y in field.places)
    assert measure(np.asfortranarray(field.pixels)).value == pytest.approx(measure(field.pixels).value, rel=0.002)


def test_the_standard_error_is_honest_with_equal_stars() -> None:
    rng = np.random.default_rng()
    values, errors = [], []
    for _ in range(30):
        found = measure(drawn_field(rng, blur_px=8.0, size_px=300, flux=2e4).pixels)
        values.append(found.value)
        errors.append(found.stderr)
    assert 0.4 < np.std(values) / np.mean(errors) < 2.0


def test_empty_sky_has_no_stars(rng: np.random.Generator) -> None:
    found = [measure(rng.poisson(500.0, (400, 500)).astype(np.uint16)) for _ in range(10)]
    assert sum(each.usable for each in found) <= 1
    assert found[0].reason


def test_hot_pixels_and_cosmic_rays_are_no_stars(rng: np.random.Generator) -> None:
    pixels = rng.poisson(500.0, (400, 500)).astype(np.uint16)
    pixels[rng.integers(0, 400, 200), rng.integers(0, 500, 200)] = 20000
    assert not measure(pixels).usable


def test_stars_among_hot_pixels_are_measured(rng: np.random.Generator) -> None:
    field = drawn_field(rng, blur_px=5.0)
    pixels = field.pixels.copy()
    pixels[rng.integers(0, 600, 60), rng.integers(0, 600, 60)] = 30000
    assert measure(pixels).value == pytest.approx(measure(field.pixels).value, rel=0.05)


def test_saturated_stars_are_left_out_and_named(rng: np.random.Generator) -> None:
    field = drawn_field(rng, blur_px=4.0, flux=5e6)
    found = measure(field.pixels)
    assert not found.usable
    assert found.reason == "all stars are saturated: expose less"
    assert found.flags["saturated"] > 0


def test_a_gradient_does_not_change_the_size(rng: np.random.Generator) -> None:
    field = drawn_field(rng, blur_px=10.0)
    tilted = field.pixels + np.linspace(0, 800, 600).astype(np.uint16)[:, None]
    assert measure(tilted).value == pytest.approx(measure(field.pixels).value, rel=0.02)


def test_pixels_clipped_at_the_bias_do_not_blind_it(rng: np.random.Generator) -> None:
    field = drawn_field(rng, blur_px=8.0)
    clipped = np.maximum(field.pixels, np.median(field.pixels).astype(np.uint16) + 5)
    found = measure(clipped)
    assert found.usable
    assert found.value == pytest.approx(field.hfd_px, rel=0.05)


def test_a_colour_matrix_is_binned_away(rng: np.random.Generator) -> None:
    field = drawn_field(rng, blur_px=16.0)
    mosaic = field.pixels.astype(float)
    mosaic[0::2, 0::2] *= 0.5
    mosaic[1::2, 1::2] *= 0.6
    found = measure(mosaic.astype(np.uint16), bayer=True)
    assert found.value == pytest.approx(field.hfd_px, rel=0.04)


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.float32, np.float64])
def test_every_number_type_is_taken(kind: type[np.generic], rng: np.random.Generator) -> None:
    field = drawn_field(rng, blur_px=12.0, flux=2e4, sky=60.0)
    pixels = np.clip(field.pixels, 0, 255).astype(kind)
    found = measure_stars(pixels, saturation_adu=255 if kind is np.uint8 else 65535)
    assert found.value == pytest.approx(field.hfd_px, rel=0.05)


NOTHING: dict[str, NDArray[np.generic]] = {
    "zeros": np.zeros((100, 100), np.uint16),
    "constant": np.full((100, 100), 700, np.int32),
    "NaN": np.full((100, 100), np.nan),
    "infinite": np.full((100, 100), np.inf),
    "one pixel": np.ones((1, 1), np.uint16),
    "three by three": np.ones((3, 3), np.uint16),
    "a cube": np.zeros((10, 100, 100), np.uint16),
    "empty": np.zeros((0, 0), np.uint16),
    "truths": np.zeros((100, 100), np.bool_),
    "negative": np.full((100, 100), -5.0),
}


@pytest.mark.parametrize("name", NOTHING)
def test_a_frame_without_sense_has_a_reason(name: str) -> None:
    found = measure(NOTHING[name])
    assert not found.usable
    assert found.reason
    assert math.isnan(found.value)
