"""InvPower: a measure of focus from the power spectrum of the whole frame, for fields whose stars cannot be separated.

Blur takes power from the spatial frequencies of any frame, and the inverse of that power is close to a
parabola in the defocus (C. Tan and B. Schulz, MNRAS 511, 2008).
"""

import math
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from alpaca_focus.core.metrics import METRICS
from alpaca_focus.core.values import Frame, Measurement
from alpaca_focus.imaging.sky_background import TYPICAL_ELECTRONS_PER_ADU, binned, filling, frame_problem, native

METRIC = METRICS["invpower"]
STRIP_ROWS = 256
NOISE_QUARTER = 0.75
LEAST_SIGMAS = 5.0


def inverse_power(frame: Frame) -> Measurement:
    """Measure the inverse power of a frame.

    The frame's two-dimensional Fourier transform, squared, is summed over its rows. By Parseval's theorem that is the
    sum of the squared one-dimensional transforms of the frame's own rows, which are taken strip by strip. The mean of
    the top quarter of the frequencies is the noise; the excess over it, from k = 1 to the Nyquist frequency, is the
    power P, as mean square of the pixels.

    Args:
        frame: Its `pixels` have the shape (rows, columns); of a colour matrix, blocks of 2 x 2 are taken.

    Returns:
        1 / P in 1/ADU^2, lower is better, with its standard error from the noise; not usable if nothing rises above
        the noise. The details are `power_adu2` and `noise_adu`.
    """
    problem = frame_problem(frame.pixels)
    if problem:
        return _unusable(problem)
    pixels = binned(frame.pixels, 2) if frame.bayer else frame.pixels
    spectrum, variance = _power_spectrum(pixels, frame.electrons_per_adu or TYPICAL_ELECTRONS_PER_ADU)
    noise = float(spectrum[_quarter(len(spectrum))].mean())
    power = float(np.maximum(spectrum - noise, 0).sum())
    error = math.sqrt(variance)
    if not power > LEAST_SIGMAS * error:
        return _unusable("nothing stands out of the noise of this exposure")
    return Measurement(
        metric=METRIC.name,
        value=1 / power,
        stderr=error / power**2,
        unit=METRIC.unit,
        details=MappingProxyType({"power_adu2": power, "noise_adu": math.sqrt(noise * pixels.shape[1])}),
    )


def _quarter(length: int) -> slice:
    """Return the top quarter of the frequencies, which has noise only."""
    return slice(int(NOISE_QUARTER * length), length)


def _power_spectrum(pixels: NDArray[np.generic], electrons_per_adu: float) -> tuple[NDArray[np.float64], float]:
    """Sum the squared Fourier transforms of the rows, in units of the frame's mean square, from k = 1 on.

    Returns:
        The sums, and the variance of the power above the noise. The power of noise n in a row has an exponential
        distribution with variance n^2; its level comes from a quarter of the frequencies, which adds 4 n^2 for each
        frequency. A pixel's light x above the mean adds x^2 / 2 to the sum, so that its own noise counts x times: the
        sky's everywhere, and the counting noise of x where the light is.
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
        light = np.maximum(strip, 0).astype(np.float64)
        variance += float(np.sum(5 * len(total) * noise**2 + 2 * noise * signal))
        variance += columns**2 * float(np.sum(light**3)) / electrons_per_adu
    unit = rows * float(columns) ** 2
    return np.asarray(total / unit), variance / unit**2


def _unusable(reason: str) -> Measurement:
    return Measurement(
        metric=METRIC.name, value=math.nan, stderr=math.nan, unit=METRIC.unit, usable=False, reason=reason
    )
