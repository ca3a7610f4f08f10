"""The simulated sky: seeing from frame to frame, the stars of a field, and guiding errors."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alpaca_focus.simulator.settings import SensorSettings, SkySettings

_SEEING, _WANDER, _STARS, _GUIDING = range(1, 5)
"""Numbers that separate the random streams of one seed."""

LEAST_SEEING = 0.3
"""Seeing never falls below this fraction of its mean."""


@dataclass(frozen=True, slots=True)
class FieldStars:
    """Stars, arrays of shape (n,): column and row on the unbinned sensor, magnitude, colour -1 (blue) to 1 (red)."""

    x_px: NDArray[np.float64]
    y_px: NDArray[np.float64]
    magnitude: NDArray[np.float64]
    colour: NDArray[np.float64]


def seeing_for_frame(sky: SkySettings, seed: int, frame_number: int, time_s: float) -> float:
    """Return the FWHM of the seeing disc during one frame, arcsec.

    Independent scatter from frame to frame, and a slow wander: three sine waves with periods of 8 to 60 minutes.
    The same arguments give the same seeing; `time_s` is from any steady clock.
    """
    scatter = sky.seeing_scatter * np.random.default_rng([seed, _SEEING, frame_number]).standard_normal()
    rng = np.random.default_rng([seed, _WANDER])
    period_s = rng.uniform(480.0, 3600.0, 3)
    phase = rng.uniform(0.0, 2.0 * math.pi, 3)
    # Three waves of unit amplitude have a variance of 3/2.
    wander = sky.seeing_wander * np.sin(2.0 * math.pi * time_s / period_s + phase).sum() / math.sqrt(1.5)
    return sky.seeing_fwhm_arcsec * max(float(1.0 + scatter + wander), LEAST_SEEING)


def star_field(sky: SkySettings, sensor: SensorSettings, seed: int, pointing_seed: int) -> FieldStars:
    """Return the stars of one field.

    Magnitudes follow a power law of flux: the number of stars brighter than m grows as 10^(slope m). The first star
    is the brightest and has exactly the set magnitude. Positions are uniform over the sensor,
    except for the stars of the cluster, which are normally distributed about its centre.
    """
    rng = np.random.default_rng([seed, _STARS, pointing_seed])
    count = sky.star_count
    rank = rng.uniform(1.0, max(count, 1), count)
    rank[:1] = 1.0
    magnitude = sky.brightest_magnitude + np.log10(rank) / sky.magnitude_slope
    x = rng.uniform(-0.5, sensor.width_px - 0.5, count)
    y = rng.uniform(-0.5, sensor.height_px - 0.5, count)
    members = rng.uniform(size=count) < sky.cluster_fraction
    spread = sky.cluster_radius * min(sensor.width_px, sensor.height_px) / math.sqrt(2.0)
    x[members] = (sensor.width_px - 1) / 2.0 + spread * rng.standard_normal(members.sum())
    y[members] = (sensor.height_px - 1) / 2.0 + spread * rng.standard_normal(members.sum())
    return FieldStars(x, y, magnitude, rng.uniform(-1.0, 1.0, count))


def guiding_shift_arcsec(sky: SkySettings, seed: int, frame_number: int) -> tuple[float, float]:
    """Return the shift of the whole field in one frame along x and y, arcsec."""
    dx, dy = np.random.default_rng([seed, _GUIDING, frame_number]).standard_normal(2)
    return float(dx) * sky.guiding_rms_arcsec, float(dy) * sky.guiding_rms_arcsec
