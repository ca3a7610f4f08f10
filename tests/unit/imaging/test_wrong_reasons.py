"""What an unusable frame is refused for: only what the frame itself shows."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from alpaca_focus.core.values import Frame, Measurement
from alpaca_focus.imaging.hot_pixels import without_lone_pixels
from alpaca_focus.imaging.star_tracking import StarTracker
from alpaca_focus.imaging.stars import measure_stars
from tests.synthetic import drawn_blur, drawn_stars

SHAPE = (500, 700)
AT = datetime(2026, 1, 1, tzinfo=UTC)


def stars(rng: np.random.Generator, count: int, *, fwhm_px: float = 3.5, light: float = 1.0) -> np.ndarray:
    fluxes = light * np.exp(rng.uniform(np.log(3e4), np.log(3e5), count))
    return drawn_stars(rng, drawn_blur(seeing_fwhm_px=fwhm_px, moffat=3.5), fluxes=fluxes, shape=SHAPE).pixels


def hot_pixels(rng: np.random.Generator, count: int, lowest: float = 500, highest: float = 60000) -> np.ndarray:
    frame = rng.normal(1000, 20, SHAPE)
    rows, columns = rng.integers(0, SHAPE[0], count), rng.integers(0, SHAPE[1], count)
    frame[rows, columns] += np.exp(rng.uniform(np.log(lowest), np.log(highest), count))
    return np.clip(frame, 0, 65535).astype(np.uint16)


@pytest.mark.parametrize("count", [30, 300, 1500])
@pytest.mark.parametrize("bayer", [False, True])
def test_frames_of_hot_pixels_show_no_stars(count: int, bayer: bool, rng: np.random.Generator) -> None:
    measured = measure_stars(hot_pixels(rng, count), saturation_adu=65535, bayer=bayer)
    assert not measured.usable
    assert measured.reason.startswith("no stars found"), measured.reason


@pytest.mark.parametrize(
    ("level", "sigma", "limit"), [(1000, 30, 65535), (1000, 30, 1060), (20, 4, 255), (2, 1.5, 255)]
)
def test_noise_is_neither_saturated_nor_crowded(
    level: float, sigma: float, limit: int, rng: np.random.Generator
) -> None:
    kind = np.uint8 if limit == 255 else np.uint16
    pixels = np.clip(rng.normal(level, sigma, SHAPE), 0, np.iinfo(kind).max).astype(kind)
    measured = measure_stars(pixels, saturation_adu=limit)
    assert not measured.usable
    assert "saturated" not in measured.reason
    assert "crowded" not in measured.reason


def test_a_few_stars_among_hot_pixels_are_measured(rng: np.random.Generator) -> None:
    frame = stars(rng, 4)
    clean = measure_stars(frame, saturation_adu=65535)
    rows, columns = rng.integers(0, SHAPE[0], 400), rng.integers(0, SHAPE[1], 400)
    frame[rows, columns] = np.maximum(frame[rows, columns], rng.integers(1500, 60000, 400).astype(np.uint16))
    measured = measure_stars(frame, saturation_adu=65535)
    assert measured.usable, measured.reason
    assert measured.value == pytest.approx(clean.value, rel=0.05)


def test_a_star_is_no_lone_pixel(rng: np.random.Generator) -> None:
    frame = stars(rng, 20, fwhm_px=1.6)
    pixels, count = without_lone_pixels(frame)
    assert count == 0
    assert pixels is frame


def tracked(*frames: np.ndarray, limit: float = 65535) -> list[Measurement]:
    track = StarTracker()
    frame = Frame(pixels=frames[0], exposure_s=2.0, started_at=AT, binning=1, saturation_adu=limit, bayer=False)
    return [track(replace(frame, pixels=pixels)) for pixels in frames]


Draw = Callable[..., np.ndarray]


@pytest.fixture
def field(rng: np.random.Generator) -> Draw:
    seed = int(rng.integers(2**31))

    def draw(*, light: float = 1.0, other: bool = False) -> np.ndarray:
        chance = np.random.default_rng(seed + other)
        return stars(chance, 25, light=light)

    return draw


def test_stars_that_lose_light_together_are_behind_clouds(field: Draw) -> None:
    _, dimmed = tracked(field(), field(light=0.3))
    assert dimmed.details["transmission"] == pytest.approx(0.3, rel=0.1)


def test_another_field_is_no_cloud(field: Draw) -> None:
    _, moved = tracked(field(), field(light=0.3, other=True))
    assert "transmission" not in moved.details


def test_saturated_stars_say_nothing_about_clouds(field: Draw) -> None:
    bright = field()
    limit = float(np.sort(bright.max(axis=0))[-40])
    clipped = np.minimum(bright, np.uint16(limit))
    for measured in tracked(clipped, np.minimum(field(light=0.4), np.uint16(limit)), limit=limit):
        assert "transmission" not in measured.details
