"""The sensor, from light to ADU: dark current, hot pixels, cosmic rays, photon and read-out noise, gain, binning."""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

from alpaca_focus.simulator.settings import SensorSettings

_HOT, _COSMIC = 11, 12
"""Numbers that separate the random streams of one seed."""

COSMIC_E_PER_PX = 600.0
COSMIC_LENGTH_PX = 6.0

Pixels = NDArray[np.uint16] | NDArray[np.uint8]

FAINT_E = 32.0
"""Means below this come from the table, electrons.

Numpy's Poisson generator needs some 70 ns a pixel, five seconds for a full-frame camera. So a mean of 32 electrons or
more gets a normal deviate of the same variance (skewness below 0.18), and a smaller one takes its deviate from a table
of Poisson quantiles and scales it: mean and variance are right for any mean, the skewness to within the spacing of the
table.
"""

_LEVELS = 256
_QUANTILES = 65536
_LARGEST_COUNT = 96
_LEVEL_ROOTS = np.linspace(0.0, np.sqrt(FAINT_E), _LEVELS).astype(np.float32)
"""Square root of the mean of each level of the table."""


@cache
def _poisson_table() -> NDArray[np.uint8]:
    """Return Poisson quantiles, flat: for level i of mean (i / 255)^2 FAINT_E, 65536 counts in rising order."""
    table = np.empty((_LEVELS, _QUANTILES), dtype=np.uint8)
    counts = np.arange(_LARGEST_COUNT)
    for row, root in zip(table, _LEVEL_ROOTS, strict=True):
        cumulative = special.pdtr(counts, float(root) ** 2)
        edges = np.rint(cumulative * _QUANTILES).astype(np.int64)
        edges[-1] = _QUANTILES
        row[:] = np.repeat(counts, np.diff(edges, prepend=0))
    return table.reshape(-1)


def add_noise(mean_e: NDArray[np.float32], read_noise_e: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return electrons with photon noise about their mean, 0 or more, and read-out noise; same shape.

    They are not whole numbers, and may be negative through read-out noise.
    """
    faint = mean_e < FAINT_E
    all_faint = bool(faint.all())
    electrons = rng.standard_normal(mean_e.shape, dtype=np.float32)
    if all_faint:
        electrons *= np.float32(read_noise_e)
    else:
        variance = np.where(faint, np.float32(0.0), mean_e)
        variance += np.float32(read_noise_e**2)
        electrons *= np.sqrt(variance, out=variance)
    electrons += mean_e
    if faint.any():
        deviate = _faint_deviate(mean_e, rng)
        if not all_faint:
            deviate *= faint
        electrons += deviate
    return electrons


def _faint_deviate(mean_e: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Return photon noise of mean 0 from the table; meaningless where the mean is above `FAINT_E`."""
    root = np.sqrt(mean_e)
    spacing = float(_LEVEL_ROOTS[1])
    level = (root * np.float32(1.0 / spacing) + np.float32(0.5)).astype(np.uint32)
    np.minimum(level, _LEVELS - 1, out=level)
    index = rng.integers(0, _QUANTILES, mean_e.shape, dtype=np.uint16) + (level << np.uint32(16))
    deviate = _poisson_table().take(index).astype(np.float32)
    level_root = _LEVEL_ROOTS.take(level)
    deviate -= level_root * level_root
    # The deviate of a level has the level's variance; this gives it the pixel's.
    scale = np.zeros_like(root)
    np.divide(root, level_root, out=scale, where=level > 0)
    deviate *= scale
    return deviate


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorWindow:
    """A part of the unbinned sensor: first column and row, width and height, px."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Spots:
    """Single pixels of the unbinned sensor with extra electrons (or electrons a second), sorted by row; shapes (n,)."""

    row: NDArray[np.int64]
    column: NDArray[np.int64]
    electrons: NDArray[np.float32]

    def add_to(self, image: NDArray[np.float32], window: SensorWindow, factor: float = 1.0) -> None:
        """Add `factor` times the electrons of the spots in `window` to its image, in place."""
        first, last = np.searchsorted(self.row, (window.y, window.y + window.height))
        row, column = self.row[first:last] - window.y, self.column[first:last] - window.x
        inside = (column >= 0) & (column < window.width)
        amount = self.electrons[first:last][inside] * np.float32(factor)
        np.add.at(image, (row[inside], column[inside]), amount)


def hot_pixels(sensor: SensorSettings, seed: int) -> Spots:
    """Return the hot pixels of one sensor, electrons a second; brightness is exponentially distributed."""
    rng = np.random.default_rng([seed, _HOT])
    pixels = sensor.width_px * sensor.height_px
    count = round(sensor.hot_pixel_fraction * pixels)
    # Two hot pixels may fall on one pixel, which only makes it hotter.
    index = np.sort(rng.integers(0, pixels, count))
    rate = rng.exponential(sensor.hot_pixel_e_per_s, count).astype(np.float32)
    return Spots(index // sensor.width_px, index % sensor.width_px, rate)


def cosmic_rays(sensor: SensorSettings, seed: int, frame_number: int, exposure_s: float) -> Spots:
    """Return the tracks of charged particles in one frame, electrons: straight, 1 px wide, mostly a few px long."""
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
    """Return electrons per ADU at a gain setting: amplification grows by `gain_db_per_unit` a unit."""
    return float(sensor.gain_e_per_adu * 10.0 ** (-gain * sensor.gain_db_per_unit / 20.0))


def add_dark(image: NDArray[np.float32], window: SensorWindow, sensor: SensorSettings, exposure_s: float) -> None:
    """Add dark current and amplifier glow to the image of a window, electrons, in place."""
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
    """Return the ADU of pixels read out: noise, full well, gain, bias, converter.

    The result has whole numbers from 0 to the converter's largest value, as float32, in the shape of `expected_e`.
    A full pixel shows no noise.
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
    """Return binned pixels, uint8 for an 8 bit sensor, else uint16; shape (rows / binning_y, columns / binning_x).

    `adu` has whole numbers, and rows and columns that are multiples of the binning. Sums stop at the converter's
    largest value; averages are rounded down.
    """
    if binning_x * binning_y > 1:
        rows, columns = adu.shape
        blocks = adu.reshape(rows // binning_y, binning_y, columns // binning_x, binning_x)
        adu = blocks.sum(axis=(1, 3))
        if sensor.binning_mode == "average":
            adu = np.floor(adu / np.float32(binning_x * binning_y))
        np.minimum(adu, np.float32(sensor.max_adu), out=adu)
    return adu.astype(np.uint8) if sensor.bit_depth == 8 else adu.astype(np.uint16)
