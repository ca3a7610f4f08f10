"""The simulated sensor by the statistics that a photographer measures on a real one."""

from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from alpaca_focus.simulator.sensor import (
    SensorWindow,
    add_dark,
    add_noise,
    binned,
    cosmic_rays,
    gain_e_per_adu,
    hot_pixels,
    read_out,
)
from alpaca_focus.simulator.settings import SensorSettings

SHAPE = (400, 500)


def flat(
    sensor: SensorSettings, electrons: float, rng: np.random.Generator, *, gain: int = 0, fast: bool = False
) -> NDArray[np.float32]:
    return read_out(np.full(SHAPE, electrons, dtype=np.float32), sensor, gain=gain, offset=10, fast=fast, rng=rng)


@pytest.mark.parametrize("mean_e", [0.003, 0.02, 0.3, 1.7, 5.0, 12.3, 31.9, 32.1, 400.0, 30000.0])
def test_photon_noise_has_the_mean_and_the_variance_of_poisson(mean_e: float, rng: np.random.Generator) -> None:
    electrons = add_noise(np.full((1000, 1000), mean_e, dtype=np.float32), 0.0, rng).astype(float)
    assert electrons.mean() == pytest.approx(mean_e, abs=6.0 * np.sqrt(mean_e / 1e6))
    # The variance of the sample variance of n Poisson counts is (m + 2 m^2) / n.
    spread = np.sqrt((mean_e + 2.0 * mean_e**2) / 1e6)
    assert electrons.var() == pytest.approx(mean_e, abs=6.0 * spread + 0.002 * mean_e)


@pytest.mark.parametrize("mean_e", [1.0, 4.0, 16.0])
def test_faint_light_is_lopsided_as_poisson_is(mean_e: float, rng: np.random.Generator) -> None:
    electrons = add_noise(np.full((1000, 1000), mean_e, dtype=np.float32), 0.0, rng)
    assert stats.skew(electrons, axis=None) == pytest.approx(mean_e**-0.5, abs=0.03)


def test_faint_and_bright_pixels_of_one_frame_have_each_their_noise(rng: np.random.Generator) -> None:
    mean_e = np.tile(np.array([0.0, 2.0, 20.0, 50.0, 1000.0], dtype=np.float32), (100_000, 1))
    electrons = add_noise(mean_e, 3.0, rng).astype(float)
    np.testing.assert_allclose(electrons.mean(axis=0), mean_e[0], atol=0.6)
    np.testing.assert_allclose(electrons.var(axis=0), mean_e[0] + 9.0, rtol=0.03)


def test_neighbouring_pixels_are_independent(rng: np.random.Generator) -> None:
    electrons = add_noise(np.full((1000, 1000), 9.0, dtype=np.float32), 1.0, rng)
    for a, b in ((electrons[1:], electrons[:-1]), (electrons[:, 1:], electrons[:, :-1])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.006


@pytest.mark.parametrize(("gain", "gain_factor"), [(0, 1.0), (60, 2.0), (200, 10.0)])
def test_the_photon_transfer_curve_shows_the_gain(gain: int, gain_factor: float, rng: np.random.Generator) -> None:
    # 60 units of 0.1 dB are 6 dB: a factor of two (1.995) in amplitude; 200 units are 20 dB: ten.
    sensor = SensorSettings(gain_e_per_adu=1.5, gain_db_per_unit=0.1, read_noise_e=4.0)
    frames = [flat(sensor, level, rng, gain=gain).astype(float) for level in (200.0, 1000.0, 2500.0, 4000.0)]
    slope, intercept = np.polyfit([f.mean() - 100.0 for f in frames], [f.var() for f in frames], 1)
    assert 1.0 / slope == pytest.approx(1.5 / gain_factor, rel=0.03)
    assert gain_e_per_adu(sensor, gain) == pytest.approx(1.5 / gain_factor, rel=0.01)
    assert intercept < 0.2 * frames[0].var()


@pytest.mark.parametrize(("fast", "noise_e"), [(False, 5.0), (True, 15.0)])
def test_a_bias_frame_shows_the_offset_and_the_read_noise(fast: bool, noise_e: float, rng: np.random.Generator) -> None:
    sensor = SensorSettings(
        gain_e_per_adu=0.5, read_noise_e=5.0, fast_readout_noise_factor=3.0, offset_adu_per_unit=20.0
    )
    bias = flat(sensor, 0.0, rng, fast=fast).astype(float)
    assert bias.mean() == pytest.approx(200.0, abs=0.5)
    # Rounding to whole numbers adds a variance of 1/12.
    assert np.sqrt(bias.var() - 1.0 / 12.0) * 0.5 == pytest.approx(noise_e, rel=0.02)


@pytest.mark.parametrize("bit_depth", [8, 12, 14, 16])
def test_the_converter_ends_at_its_largest_number_and_at_zero(
    bit_depth: Literal[8, 12, 14, 16], rng: np.random.Generator
) -> None:
    sensor = SensorSettings(bit_depth=bit_depth, full_well_e=2.0e6, gain_e_per_adu=1.0, read_noise_e=50.0)
    bright, dark = (
        flat(sensor, 1.0e6, rng),
        read_out(np.zeros(SHAPE, dtype=np.float32), sensor, gain=0, offset=0, fast=False, rng=rng),
    )
    assert bright.min() == bright.max() == 2**bit_depth - 1
    assert dark.min() == 0.0
    pixels = binned(bright, sensor, 1, 1)
    assert pixels.dtype == (np.uint8 if bit_depth == 8 else np.uint16)
    assert pixels.max() == 2**bit_depth - 1


def test_a_full_pixel_stays_at_its_full_well(rng: np.random.Generator) -> None:
    sensor = SensorSettings(full_well_e=20000.0, gain_e_per_adu=2.0)
    frame = flat(sensor, 1.0e5, rng)
    assert frame.min() == frame.max() == 20000.0 / 2.0 + 100.0


def test_hot_pixels_belong_to_the_sensor(seed: int) -> None:
    sensor = SensorSettings(width_px=500, height_px=400, hot_pixel_fraction=0.002, hot_pixel_e_per_s=30.0)

    def image(of_seed: int, window: SensorWindow) -> NDArray[np.float32]:
        image = np.zeros((window.height, window.width), dtype=np.float32)
        hot_pixels(sensor, of_seed).add_to(image, window, 2.0)
        return image

    whole = SensorWindow(x=0, y=0, width=500, height=400)
    first = image(seed, whole)
    np.testing.assert_array_equal(first, image(seed, whole))
    assert not np.array_equal(first, image(seed + 1, whole))
    assert np.count_nonzero(first) == pytest.approx(400, abs=5)
    assert first[first > 0.0].mean() == pytest.approx(60.0, rel=0.3)
    part = image(seed, SensorWindow(x=123, y=45, width=200, height=300))
    np.testing.assert_array_equal(part, first[45:345, 123:323])


def test_cosmic_rays_come_at_their_rate_and_anew_in_every_frame(seed: int) -> None:
    sensor = SensorSettings(width_px=300, height_px=200, cosmic_rays_per_s=0.5)
    window = SensorWindow(x=0, y=0, width=300, height=200)
    images = []
    for number in range(60):
        image = np.zeros((200, 300), dtype=np.float32)
        cosmic_rays(sensor, seed, number, 20.0).add_to(image, window)
        images.append(image)
    # 10 tracks a frame of 7 px on average, which cross 4/pi as many pixels at a random angle.
    assert np.mean([np.count_nonzero(image) for image in images]) == pytest.approx(
        10.0 * (1.0 + 6.0 * 4.0 / np.pi), rel=0.2
    )
    assert not np.array_equal(images[0], images[1])
    assert cosmic_rays(sensor, seed, 0, 0.0).row.size == 0


def test_dark_current_grows_with_time_and_amplifier_glow_with_the_right_edge() -> None:
    sensor = SensorSettings(width_px=100, height_px=80, dark_current_e_per_s=0.2, amp_glow_e_per_s=3.0)
    image = np.zeros((80, 100), dtype=np.float32)
    add_dark(image, SensorWindow(x=0, y=0, width=100, height=80), sensor, 10.0)
    assert image[40, 99] == pytest.approx(2.0 + 30.0, rel=0.05)
    assert image[:, 0] == pytest.approx(2.0, abs=0.05)
    assert (np.diff(image, axis=1) >= 0.0).all()
    part = np.zeros((20, 30), dtype=np.float32)
    add_dark(part, SensorWindow(x=60, y=50, width=30, height=20), sensor, 10.0)
    np.testing.assert_allclose(part, image[50:70, 60:90], rtol=1e-5)


@pytest.mark.parametrize("mode", ["sum", "average"])
@pytest.mark.parametrize(("binning_x", "binning_y"), [(2, 2), (3, 1), (4, 5)])
def test_binning_sums_or_averages_blocks(
    mode: Literal["sum", "average"], binning_x: int, binning_y: int, rng: np.random.Generator
) -> None:
    sensor = SensorSettings(binning_mode=mode)
    adu = rng.integers(0, 9000, (20 * binning_y, 30 * binning_x)).astype(np.float32)
    pixels = binned(adu, sensor, binning_x, binning_y)
    assert pixels.shape == (20, 30)
    for row, column in ((0, 0), (7, 21), (19, 29)):
        block = adu[row * binning_y : (row + 1) * binning_y, column * binning_x : (column + 1) * binning_x]
        total = sum(int(value) for value in block.ravel())
        expected = min(total, 65535) if mode == "sum" else total // (binning_x * binning_y)
        assert pixels[row, column] == expected
