"""InvPower: a measure of focus from the power spectrum of the whole frame, for fields whose stars cannot be separated.

Blur takes power from a frame's spatial frequencies whatever is in it, and the inverse of that power is close to a
parabola in the defocus (C. Tan and B. Schulz, MNRAS 511, 2008).
"""

import math
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from alpaca_focus.core.values import Frame, Measurement
from alpaca_focus.imaging.background import binned, filling, native
from alpaca_focus.imaging.trouble import trouble_with

METRIC = "invpower"
UNIT = "1/ADU^2"
STRIP_ROWS = 256
NOISE_QUARTER = 0.75
LEAST_SIGMAS = 5.0


def inverse_power(frame: Frame) -> Measurement:
    """Measure the inverse power of a frame.

    The frame's two-dimensional Fourier transform, squared, is summed over its rows. By Parseval's theorem that is the
    sum of the squared one-dimensional transforms of the frame's own rows, which are taken strip by strip. The mean of
    the top quarter of the frequencies is the noise; what is above it, from k = 1 to Nyquist's frequency, is the power
    P, here as mean square of the pixels.

    Args:
        frame: Its `pixels` have the shape (rows, columns); of a colour matrix, blocks of 2 x 2 are taken.

    Returns:
        1 / P in 1/ADU^2, lower is better, with the standard error that the noise gives it; not usable where nothing
        stands out of the noise. The details are `power_adu2` and `noise_adu`.
    """
    trouble = trouble_with(frame.pixels)
    if trouble:
        return _unusable(trouble)
    pixels = binned(frame.pixels, 2) if frame.bayer else frame.pixels
    rows, columns = pixels.shape
    spectrum, variance = _power_spectrum(pixels)
    noise = float(spectrum[_quarter(len(spectrum))].mean())
    power = float(np.maximum(spectrum - noise, 0).sum())
    error = math.sqrt(variance)
    if not power > LEAST_SIGMAS * error:
        return _unusable("nothing stands out of the noise: clouds, or too short an exposure")
    return Measurement(
        metric=METRIC,
        value=1 / power,
        stderr=error / power**2,
        unit=UNIT,
        details=MappingProxyType({"power_adu2": power, "noise_adu": math.sqrt(noise * columns)}),
    )


def _quarter(length: int) -> slice:
    """Return the top quarter of the frequencies, in which there is only noise."""
    return slice(int(NOISE_QUARTER * length), length)


def _power_spectrum(pixels: NDArray[np.generic]) -> tuple[NDArray[np.float64], float]:
    """Sum the squared Fourier transforms of the rows, in units of the frame's mean square, from k = 1 on.

    Returns:
        The sums, and the variance of the power above the noise. The power of noise n in a row has an exponential
        distribution, of variance n^2; with the power s that is there it beats, 2 n s; and its level is known only as
        well as a quarter of the frequencies tell, 4 n^2 a frequency.
    """
    rows, columns = pixels.shape
    fill = filling(pixels)
    total, variance = np.zeros(columns // 2), 0.0
    for top in range(0, rows, STRIP_ROWS):
        strip = native(pixels[top : top + STRIP_ROWS]).astype(np.float32)
        if fill is not None:
            strip = np.where(np.isfinite(strip), strip, fill)
        strip -= strip.mean()
        transform = fft.rfft(strip, axis=1)[:, 1:]
        power = transform.real**2 + transform.imag**2
        total += power.sum(axis=0, dtype=np.float64)
        noise = power[:, _quarter(len(total))].mean(axis=1, dtype=np.float64)
        signal = np.maximum(power.sum(axis=1, dtype=np.float64) - len(total) * noise, 0)
        variance += float(np.sum(5 * len(total) * noise**2 + 2 * noise * signal))
    unit = rows * float(columns) ** 2
    return np.asarray(total / unit), variance / unit**2


def _unusable(reason: str) -> Measurement:
    return Measurement(metric=METRIC, value=math.nan, stderr=math.nan, unit=UNIT, usable=False, reason=reason)
