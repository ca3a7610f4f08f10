"""Stars drawn for the purpose, in focus and far from it: what is measured against what was drawn."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from alpaca_focus.core.values import Measurement
from alpaca_focus.imaging.star_field import find_stars
from alpaca_focus.imaging.stars import central, measure_stars
from tests.synthetic import add_star, drawn_blur, drawn_field, drawn_stars


def measure(pixels: NDArray[np.generic], *, bayer: bool = False) -> Measurement:
    return measure_stars(pixels, saturation_adu=65535, bayer=bayer)


@pytest.mark.parametrize("obstruction", [0.0, 0.35])
@pytest.mark.parametrize("disc_px", [0.0, 3.0, 6.0, 12.0, 25.0, 50.0, 90.0, 112.0])
def test_the_size_is_right_from_focus_to_large_rings(
    disc_px: float, obstruction: float, rng: np.random.Generator
) -> None:
    # Sky enough between the largest discs: where they fill the frame, none is measured.
    size_px = 600 + round(7 * disc_px)
    field = drawn_field(rng, blur_px=disc_px, obstruction=obstruction, flux=1e5 + 3e4 * disc_px, size_px=size_px)
    found = measure(field.pixels)
    assert found.usable, found.reason
    assert found.value == pytest.approx(field.hfd_px, rel=0.015)
    assert 0 < found.stderr < 0.02 * found.value


@pytest.mark.parametrize("moffat", [2.5, 3.5, None])
@pytest.mark.parametrize("fwhm_px", [1.6, 2.5, 4.0, 7.0])
def test_the_width_in_focus_is_that_of_the_air_and_not_of_the_pixels(
    fwhm_px: float, moffat: float | None, rng: np.random.Generator
) -> None:
    blur = drawn_blur(seeing_fwhm_px=fwhm_px, moffat=moffat)
    field = drawn_stars(rng, blur, fluxes=np.full(36, 1e5), shape=(800, 800))
    found = measure(field.pixels)
    # Stars of hardly more than a pixel scatter more.
    assert found.value == pytest.approx(blur.hfd_px, rel=0.02 if fwhm_px > 2 else 0.035)
    assert found.details["fwhm_px"] == pytest.approx(fwhm_px, rel=0.025)
    assert 0 < found.details["fwhm_stderr_px"] < 0.02 * fwhm_px


def test_rings_have_no_fwhm(rng: np.random.Generator) -> None:
    found = measure(drawn_field(rng, blur_px=20.0, obstruction=0.35).pixels)
    assert found.usable
    assert math.isnan(found.details["fwhm_px"])


def test_positions_are_columns_and_rows_in_either_memory_order(rng: np.random.Generator) -> None:
    field = drawn_field(rng, blur_px=6.0, stars=6)
    rows_first = find_stars(field.pixels, saturation_adu=65535)
    columns_first = find_stars(np.asfortranarray(field.pixels), saturation_adu=65535)
    for stars in (rows_first.stars, columns_first.stars):
        assert len(stars) == 6
        for star in stars:
            assert min(math.hypot(star.x_px - x, star.y_px - y) for x, y in field.places) < 0.1
    assert measure(np.asfortranarray(field.pixels)).value == pytest.approx(measure(field.pixels).value, rel=0.002)


def test_light_and_shape_of_a_star_are_what_was_drawn(rng: np.random.Generator) -> None:
    image = np.full((400, 400), 300.0)
    blur = drawn_blur(seeing_fwhm_px=4.0)
    for x in (100, 300):
        for y in (100, 300):
            # Two places along a line at 30 degrees make it longer by their distance.
            for side in (-1.0, 1.0):
                add_star(image, blur, x + 1.2 * side * math.cos(0.5236), y + 1.2 * side * math.sin(0.5236), 1e5)
    stars = find_stars(rng.poisson(image).astype(np.uint16), saturation_adu=65535).stars
    sigma = 4.0 / 2.3548
    ratio = math.hypot(sigma, 1.2) / sigma
    assert len(stars) == 4
    for star in stars:
        assert star.flux_adu == pytest.approx(2e5, rel=0.02)
        assert star.angle_deg == pytest.approx(30.0, abs=4.0)
        assert star.eccentricity == pytest.approx(math.sqrt(1 - 1 / ratio**2), abs=0.08)
    turned = find_stars(np.asfortranarray(rng.poisson(image).astype(np.uint16)), saturation_adu=65535).stars
    assert all(star.angle_deg == pytest.approx(30.0, abs=4.0) for star in turned)


def test_hot_pixels_are_no_stars(rng: np.random.Generator) -> None:
    pixels = rng.poisson(500.0, (400, 500)).astype(np.uint16)
    pixels[rng.integers(0, 400, 200), rng.integers(0, 500, 200)] = 20000
    found = measure(pixels)
    assert not found.usable, found


@pytest.mark.parametrize("disc_px", [0.0, 8.0, 40.0])
def test_stars_among_very_many_hot_pixels_are_measured(disc_px: float, rng: np.random.Generator) -> None:
    blur = drawn_blur(disc_px=disc_px, obstruction=0.35)
    field = drawn_stars(rng, blur, fluxes=np.full(9, 2e5 * max(1, disc_px / 10)), shape=(700, 700))
    pixels = field.pixels.copy()
    pixels[rng.integers(0, 700, 2000), rng.integers(0, 700, 2000)] = rng.choice([2000, 20000, 65535], 2000)
    found = measure(pixels)
    assert found.value == pytest.approx(blur.hfd_px, rel=0.02)
    assert found.star_count >= 6


def test_cosmic_rays_among_stars_do_no_harm(rng: np.random.Generator) -> None:
    field = drawn_field(rng, blur_px=5.0)
    pixels = field.pixels.copy()
    for x, y, length in zip(rng.integers(20, 560, 40), rng.integers(20, 560, 40), rng.integers(2, 15, 40), strict=True):
        steps = np.arange(length)
        pixels[y + steps // 3, x + steps] = 9000
    assert measure(pixels).value == pytest.approx(field.hfd_px, rel=0.02)


def test_trailed_stars_are_flagged(rng: np.random.Generator) -> None:
    image = np.full((700, 700), 500.0)
    # Apart from each other: two trails that cross may look like one star.
    places = [(x, y) for x in range(80, 640, 140) for y in range(80, 640, 140)]
    for x, y in np.array(places) + rng.uniform(-30, 30, (len(places), 2)):
        for step in np.linspace(0, 16, 32):
            add_star(image, drawn_blur(), x + step, y + 0.3 * step, 3e3)
    found = measure(rng.poisson(image).astype(np.uint16))
    assert not found.usable
    assert found.reason == "all stars are trailed"
    assert found.flags["elongated"] > 5


def test_a_satellite_trail_and_galaxies_are_left_out(rng: np.random.Generator) -> None:
    field = drawn_field(rng, blur_px=4.0, stars=16)
    light = np.zeros((600, 600))
    y, x = np.mgrid[:600, :600]
    light += 400 * np.exp(-(((y - 0.7 * x - 30) / 2.0) ** 2))
    for centre_x, centre_y in rng.uniform(60, 540, (4, 2)):
        light += 900 * np.exp(-(((x - centre_x) / 14) ** 2 + ((y - centre_y) / 5) ** 2))
    found = measure(field.pixels + rng.poisson(light).astype(np.uint16))
    assert found.value == pytest.approx(field.hfd_px, rel=0.03)


def test_saturated_stars_are_left_out_and_named(rng: np.random.Generator) -> None:
    field = drawn_field(rng, blur_px=4.0, flux=5e6)
    found = measure(field.pixels)
    assert not found.usable
    assert found.reason == "all stars are saturated: expose less"
    assert found.flags["saturated"] > 0


def test_stars_that_fill_the_sensor_below_its_converters_limit_are_saturated(rng: np.random.Generator) -> None:
    blur = drawn_blur()
    fluxes = np.concatenate([np.geomspace(4e5, 4e6, 8), np.full(8, 5e4)])
    field = drawn_stars(rng, blur, fluxes=fluxes, shape=(800, 800))
    full = np.minimum(field.pixels, rng.normal(20000, 40, field.pixels.shape)).astype(np.uint16)
    found = measure(full)
    assert found.flags["saturated"] >= 6
    assert found.value == pytest.approx(blur.hfd_px, rel=0.02)


def test_close_pairs_are_left_out(rng: np.random.Generator) -> None:
    image = np.full((700, 700), 500.0)
    blur = drawn_blur(seeing_fwhm_px=3.0)
    for index in range(16):
        x, y = 90 + 170 * (index % 4), 90 + 170 * (index // 4)
        add_star(image, blur, x, y, 1e5)
        if index % 2:
            add_star(image, blur, x + 5.0, y + 1.0, 3e4)
    found = measure(rng.poisson(image).astype(np.uint16))
    assert found.value == pytest.approx(blur.hfd_px, rel=0.03)


def test_a_gradient_and_amplifier_glow_do_not_change_the_size(rng: np.random.Generator) -> None:
    field = drawn_field(rng, blur_px=10.0, stars=16)
    y, x = np.mgrid[:600, :600]
    glow = 3000 * np.exp(-np.hypot(x - 600, y - 600) / 60) + x + 0.5 * y
    assert measure(field.pixels + rng.poisson(glow).astype(np.uint16)).value == pytest.approx(field.hfd_px, rel=0.02)


def test_pixels_clipped_at_the_bias_do_not_blind_it(rng: np.random.Generator) -> None:
    field = drawn_field(rng, blur_px=8.0)
    clipped = np.maximum(field.pixels, np.median(field.pixels).astype(np.uint16) + 5)
    found = measure(clipped)
    assert found.usable
    assert found.value == pytest.approx(field.hfd_px, rel=0.05)


@pytest.mark.parametrize("disc_px", [4.0, 16.0])
def test_a_colour_matrix_is_binned_away(disc_px: float, rng: np.random.Generator) -> None:
    field = drawn_field(rng, blur_px=disc_px)
    mosaic = field.pixels.astype(float)
    mosaic[0::2, 0::2] *= 0.5
    mosaic[1::2, 1::2] *= 0.6
    found = measure(mosaic.astype(np.uint16), bayer=True)
    assert found.value == pytest.approx(field.hfd_px, rel=0.03)


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.float32, np.float64, ">u2", ">f4"])
def test_every_number_type_is_taken(kind: str | type[np.generic], rng: np.random.Generator) -> None:
    field = drawn_field(rng, blur_px=12.0, flux=1.2e4, sky=60.0)
    pixels = np.clip(field.pixels, 0, 255).astype(kind)
    found = measure_stars(pixels, saturation_adu=255 if kind is np.uint8 else 65535)
    assert found.value == pytest.approx(field.hfd_px, rel=0.02)


def test_pixels_without_a_value_do_no_harm(rng: np.random.Generator) -> None:
    field = drawn_field(rng, blur_px=12.0)
    pixels = field.pixels.astype(np.float32)
    pixels[rng.integers(0, 600, 300), rng.integers(0, 600, 300)] = np.nan
    pixels[:, :9] = np.inf
    assert measure(pixels).value == pytest.approx(field.hfd_px, rel=0.02)


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


def test_a_ring_that_does_not_fit_into_the_frame_is_too_defocused(rng: np.random.Generator) -> None:
    image = np.full((300, 300), 500.0)
    add_star(image, drawn_blur(disc_px=220.0, obstruction=0.35), 150, 150, 2e7)
    found = measure(rng.poisson(image).astype(np.uint16))
    assert not found.usable
    assert "too defocused" in found.reason


def test_the_central_value_leaves_out_what_is_far_away() -> None:
    found = central([5.0, 5.02, 4.98, 5.01, 4.99, 9.0], [0.02] * 6)
    assert found.value == pytest.approx(5.0, abs=0.01)
    assert list(found.kept) == [True] * 5 + [False]


def test_the_standard_error_of_one_star_is_its_own() -> None:
    assert central([5.0], [0.1]).stderr == pytest.approx(0.1, rel=0.05)


def test_the_standard_error_of_many_stars_follows_from_their_scatter(rng: np.random.Generator) -> None:
    values = rng.normal(5.0, 0.2, 100)
    assert central(values.tolist(), [0.01] * 100).stderr == pytest.approx(0.02, rel=0.3)
