"""The power spectrum of whole frames: no star is looked for."""

import math
from dataclasses import replace

import numpy as np
import pytest

from alpaca_focus.imaging.invpower import inverse_power
from tests.drawn_spectra import as_frame
from tests.synthetic import add_star, drawn_blur


def crowded(rng: np.random.Generator, defocus_px: float) -> np.ndarray:
    """A field in which stars run into one another; always the same stars."""
    places = np.random.default_rng(7)
    image = np.full((300, 400), 500.0)
    blur = drawn_blur(disc_px=abs(defocus_px), obstruction=0.3)
    for _ in range(150):
        add_star(image, blur, places.uniform(-20, 420), places.uniform(-20, 320), 10 ** places.uniform(3.7, 5.2))
    return rng.poisson(image).astype(np.uint16)


def test_it_rises_with_defocus_in_a_field_of_stars_that_run_together(rng: np.random.Generator) -> None:
    values = [inverse_power(as_frame(crowded(rng, defocus))).value for defocus in (0, 2, 4, 8, 12, 16, 24, 32)]
    assert np.all(np.diff(values) > 0)


def test_it_is_a_parabola_in_defocus(rng: np.random.Generator) -> None:
    defocus = np.arange(4, 21, 2.0)
    values = np.array([inverse_power(as_frame(crowded(rng, each))).value for each in defocus])
    curvature, level = np.polyfit(defocus**2, values, 1)
    residuals = values - curvature * defocus**2 - level
    assert 1 - residuals.var() / values.var() > 0.98


def test_it_agrees_with_its_definition(rng: np.random.Generator) -> None:
    """By the two-dimensional transform, as it is defined, in another normalisation."""
    pixels = crowded(rng, 3.0).astype(float)
    power = (np.abs(np.fft.fft2(pixels) / pixels.size) ** 2).sum(axis=0)[1 : pixels.shape[1] // 2 + 1]
    signal = np.maximum(power - power[int(0.75 * len(power)) :].mean(), 0)
    assert inverse_power(as_frame(pixels)).value == pytest.approx(1 / signal.sum(), rel=1e-3)


def test_its_standard_error_is_that_of_the_noise(rng: np.random.Generator) -> None:
    found = [inverse_power(as_frame(crowded(rng, 10.0))) for _ in range(30)]
    spread = float(np.std([each.value for each in found], ddof=1))
    assert 0.6 < spread / float(np.mean([each.stderr for each in found])) < 1.6


def test_noise_alone_is_not_usable(rng: np.random.Generator) -> None:
    found = inverse_power(as_frame(rng.poisson(500.0, (300, 400)).astype(np.uint16)))
    assert not found.usable
    assert "stands out of the noise" in found.reason
    assert math.isnan(found.value)


def test_a_colour_matrix_is_binned_away(rng: np.random.Generator) -> None:
    pixels = crowded(rng, 6.0).astype(float)
    pixels[0::2, 0::2] *= 0.5
    found = inverse_power(replace(as_frame(pixels.astype(np.uint16)), bayer=True))
    assert found.usable
    assert found.details["noise_adu"] < 100


@pytest.mark.parametrize(
    "pixels", [np.zeros((64, 64)), np.full((64, 64), np.nan), np.ones((3, 3)), np.zeros((2, 64, 64))]
)
def test_a_frame_without_sense_has_a_reason(pixels: np.ndarray) -> None:
    found = inverse_power(as_frame(pixels))
    assert not found.usable
    assert found.reason
