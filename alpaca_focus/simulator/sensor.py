"""From light to numbers: dark current, hot pixels, cosmic rays, wells, gain, bias, binning."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alpaca_focus.simulator.noise import add_noise
from alpaca_focus.simulator.settings import SensorSettings

_HOT, _COSMIC = 11, 12
"""Words that keep the streams of random numbers of one seed apart."""

COSMIC_E_PER_PX = 600.0
COSMIC_LENGTH_PX = 6.0

Pixels = NDArray[np.uint16] | NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorWindow:
    """A part of the unbinned sensor: first column and row, width and height, px."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Spots:
    """Single pixels with extra electrons, each array of shape (n,), in the order of their rows.

    Attributes:
        row: Row on the unbinned sensor.
        column: Column on the unbinned sensor.
        electrons: Electrons, or electrons a second.
    """

    row: NDArray[np.int64]
    column: NDArray[np.int64]
    electrons: NDArray[np.float32]

    def add_to(self, image: NDArray[np.float32], window: SensorWindow, factor: float = 1.0) -> None:
        """Adds `factor` times the electrons of the spots in `window` to its image, in place."""
        first, last = np.searchsorted(self.row, (window.y, window.y + window.height))
        row, column = self.row[first:last] - window.y, self.column[first:last] - window.x
        inside = (column >= 0) & (column < window.width)
        amount = self.electrons[first:last][inside] * np.float32(factor)
        np.add.at(image, (row[inside], column[inside]), amount)


def hot_pixels(sensor: SensorSettings, seed: int) -> Spots:
    """The hot pixels of one sensor, electrons a second; brightness is exponentially distributed."""
    rng = np.random.default_rng([seed, _HOT])
    pixels = sensor.width_px * sensor.height_px
    count = round(sensor.hot_pixel_fraction * pixels)
    # Two hot pixels may fall on one place, which only makes it hotter.
    place = np.sort(rng.integers(0, pixels, count))
    rate = rng.exponential(sensor.hot_pixel_e_per_s, count).astype(np.float32)
    return Spots(place // sensor.width_px, place % sensor.width_px, rate)


def cosmic_rays(sensor: SensorSettings, seed: int, frame_number: int, exposure_s: float) -> Spots:
    """Tracks of charged particles in one frame, electrons: straight, one pixel wide, mostly a few pixels long."""
    rng = np.random.default_rng([seed, _COSMIC, frame_number])
    tracks = [_track(sensor, rng) for _ in range(rng.poisson(sensor.cosmic_rays_per_s * exposure_s))]
    if not tracks:
        nothing = np.zeros(0, dtype=np.int64)
        return Spots(nothing, nothing, np.zeros(0, dtype=np.float32))
    row, column, electrons = (np.concatenate(parts) for parts in zip(*tracks, strict=True))
    order = np.argsort(row, kind="stable")
    return Spots(row[order], column[order], electrons[order])


def _track(
    sensor: SensorSettings, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    length = min(1.0 + rng.exponential(COSMIC_LENGTH_PX), 100.0)
    along = np.arange(0.0, length, 0.5)
    angle = rng.uniform(0.0, 2.0 * math.pi)
    column = np.rint(rng.uniform(0.0, sensor.width_px) + along * math.cos(angle)).astype(np.int64)
    row = np.rint(rng.uniform(0.0, sensor.height_px) + along * math.sin(angle)).astype(np.int64)
    electrons = rng.exponential(COSMIC_E_PER_PX / 2.0, along.size).astype(np.float32)
    return row, column, electrons


def gain_e_per_adu(sensor: SensorSettings, gain: int) -> float:
    """Electrons per ADU at a gain setting: amplification grows by `gain_db_per_unit` a unit."""
    return float(sensor.gain_e_per_adu * 10.0 ** (-gain * sensor.gain_db_per_unit / 20.0))


def add_dark(image: NDArray[np.float32], window: SensorWindow, sensor: SensorSettings, exposure_s: float) -> None:
    """Adds dark current and amplifier glow to the image of a window, electrons, in place."""
    image += np.float32(sensor.dark_current_e_per_s * exposure_s)
    if sensor.amp_glow_e_per_s == 0.0:
        return
    x = (np.arange(window.x, window.x + window.width) + 0.5) / sensor.width_px
    y = (np.arange(window.y, window.y + window.height) + 0.5) / sensor.height_px
    across = np.exp((x - 1.0) / 0.12)
    along = sensor.amp_glow_e_per_s * exposure_s * np.exp(-0.5 * ((y - 0.5) / 0.2) ** 2)
    image += np.outer(along, across).astype(np.float32)


def read_out(
    expected_e: NDArray[np.float32],
    sensor: SensorSettings,
    *,
    gain: int,
    offset: int,
    fast: bool,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Reads pixels out: noise, full well, gain, bias, converter.

    Args:
        expected_e: Expected electrons, shape (rows, columns).
        sensor: The sensor.
        gain: Gain setting.
        offset: Offset setting.
        fast: Whether to read out fast, with more noise.
        rng: Source of randomness.

    Returns:
        Whole ADU from 0 to the converter's largest value, as float32, same shape. A full pixel shows no noise.
    """
    noise_e = sensor.read_noise_e * (sensor.fast_readout_noise_factor if fast else 1.0)
    adu = add_noise(expected_e, noise_e, rng)
    np.minimum(adu, np.float32(sensor.full_well_e), out=adu)
    adu *= np.float32(1.0 / gain_e_per_adu(sensor, gain))
    adu += np.float32(offset * sensor.offset_adu_per_unit)
    np.rint(adu, out=adu)
    np.clip(adu, 0.0, sensor.max_adu, out=adu)
    return adu


def binned(adu: NDArray[np.float32], sensor: SensorSettings, binning_x: int, binning_y: int) -> Pixels:
    """Bins read-out pixels and gives them their final type.

    Args:
        adu: Whole ADU, shape (rows, columns), both multiples of the binning.
        sensor: The sensor, which says whether to sum or to average.
        binning_x: Columns to a pixel.
        binning_y: Rows to a pixel.

    Returns:
        Shape (rows / binning_y, columns / binning_x); uint8 for an 8 bit sensor, else uint16. Sums stop at the
        converter's largest value; averages are rounded down.
    """
    if binning_x * binning_y > 1:
        rows, columns = adu.shape
        blocks = adu.reshape(rows // binning_y, binning_y, columns // binning_x, binning_x)
        adu = blocks.sum(axis=(1, 3))
        if sensor.binning_mode == "average":
            adu = np.floor(adu / np.float32(binning_x * binning_y))
        np.minimum(adu, np.float32(sensor.max_adu), out=adu)
    return adu.astype(np.uint8) if sensor.bit_depth == 8 else adu.astype(np.uint16)
