"""Pixels out of the data of one image unit, with as few copies as can be: a large frame is not held twice.

Source: FITS standard 4.0, section 4.4.2: a pixel's value is BZERO + BSCALE x the stored one, and unsigned integers are
stored as signed ones with BZERO = 2^(bits - 1). Stored values are big-endian.
"""

import numpy as np
from numpy.typing import NDArray

from alpaca_focus.core.values import Pixels
from alpaca_focus.files.fits_stream import Unit, header_value
from alpaca_focus.files.packed_image import unpacked

COLOUR_PLANES, GREEN = 3, 1
LARGEST_ADU = 1e12
"""What is larger is no light but damage, and would not bear being squared and summed."""


def pixels_of(unit: Unit, content: bytearray) -> Pixels:
    """Return a unit's pixels in the machine's byte order, shape (rows, columns); of a colour image, the green plane.

    Integers stay what they are up to 32 bit. Where the header names a value for pixels without one (BLANK), and some
    have it, the frame becomes one of floats with NaN there; floats that no camera can mean become NaN too.

    Args:
        unit: The unit; its shape has 2 axes longer than 1, or 3 with one of 3 colours.
        content: Its data. They are used up.

    Raises:
        Damaged: Nobody can read the data.
    """
    return _without_nonsense(_packed(unit, content) if unit.packed else _plain(unit, content))


def _plain(unit: Unit, content: bytearray) -> Pixels:
    bits = unit.header["BITPIX"]
    stored = np.frombuffer(content, dtype=f">{'f' if bits < 0 else 'i' if bits > 8 else 'u'}{abs(bits) // 8}")
    frame = _frame(stored[: int(np.prod(unit.shape))].reshape(unit.shape))
    native = frame if frame.dtype.isnative else frame.byteswap(inplace=True).view(frame.dtype.newbyteorder("="))
    blank = header_value(unit.header, "BLANK")
    empty = native == blank if bits > 0 and isinstance(blank, int) and not isinstance(blank, bool) else None
    values = _scaled(native, zero=_number(unit, "BZERO", 0.0), scale=_number(unit, "BSCALE", 1.0))
    if empty is not None and empty.any():
        values = values.astype(_float_for(values))
        values[empty] = np.nan
    return values


def _packed(unit: Unit, content: bytearray) -> Pixels:
    frame = _frame(unpacked(unit, content))
    return frame.astype(frame.dtype.newbyteorder("="), order="C", copy=False)


def _scaled(stored: NDArray[np.generic], *, zero: float, scale: float) -> Pixels:
    """Return BZERO + BSCALE x stored; unsigned integers by turning the sign bit over in place."""
    if scale == 1 and zero == 0:
        return stored
    bits = 8 * stored.dtype.itemsize
    if stored.dtype.kind == "i" and scale == 1 and zero == 2.0 ** (bits - 1):
        unsigned = stored.view(stored.dtype.str.replace("i", "u"))
        unsigned ^= unsigned.dtype.type(1 << (bits - 1))
        return unsigned
    return stored.astype(_float_for(stored)) * scale + zero


def _float_for(values: NDArray[np.generic]) -> type[np.floating]:
    """Return the smaller floating type that holds the values of an array."""
    return np.float32 if values.dtype.itemsize <= 2 or values.dtype == np.float32 else np.float64


def _number(unit: Unit, keyword: str, default: float) -> float:
    value = header_value(unit.header, keyword)
    return float(value) if isinstance(value, int | float) else default


def _frame(values: NDArray[np.generic]) -> NDArray[np.generic]:
    """Leave out axes of length 1, and of a colour image all planes but the green one."""
    array = values.squeeze()
    if array.ndim < 3:
        return array
    return (array[GREEN] if array.shape[0] == COLOUR_PLANES else array[..., GREEN]).copy()


def _without_nonsense(pixels: Pixels) -> Pixels:
    if pixels.dtype.kind in "iu":
        if pixels.dtype.itemsize <= 4:
            return pixels
        pixels = pixels.astype(np.float64)
    low, high = np.fmin.reduce(pixels, axis=None), np.fmax.reduce(pixels, axis=None)
    if low < -LARGEST_ADU or high > LARGEST_ADU:
        return np.where(np.abs(pixels) <= LARGEST_ADU, pixels, np.nan)
    return pixels
