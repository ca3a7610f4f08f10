"""Reads a frame from a FITS file in any state: returns the frame, or raises one sentence that names the reason."""

import os
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from alpaca_focus.core.errors import FileUnreadable
from alpaca_focus.core.values import Frame, Pixels
from alpaca_focus.files import fits_header
from alpaca_focus.files.file_access import open_regular
from alpaca_focus.files.fits_header import Headers
from alpaca_focus.files.fits_stream import Damaged, FitsStream, Unit, check_size, header_value
from alpaca_focus.files.packed_image import unpacked

COLOUR_PLANES, GREEN = 3, 1
LARGEST_ADU = 1e12
"""Larger values are damage, and would overflow when squared and summed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFrame:
    """A frame with the facts from its file.

    Attributes:
        frame: Its pixels have 2 axes and the machine's byte order. Of a colour image, the green plane.
        position: Focuser position, from the header or the file's name; `None` if unknown.
        filter_name: Name of the filter; empty if unknown.
        image_type: Kind of frame, such as "Light Frame"; empty if unknown.
    """

    path: Path
    frame: Frame
    position: int | None = None
    filter_name: str = ""
    image_type: str = ""


def read_frame(path: Path) -> FileFrame:
    """Read the first image with 2 axes of a FITS file: plain, packed with gzip, or packed in a table (`.fz`).

    Axes of length 1 do not count. Missing values (BLANK) become NaN.

    Raises:
        FileUnreadable: There is no such file or no such image in it, or it is damaged.
    """
    with open_regular(path) as file:
        return read_content(path, file)


def read_content(path: Path, file: BinaryIO) -> FileFrame:
    """Read the frame from an ordinary file, open at its start, as `read_frame` does; `path` is its name in messages.

    Raises:
        FileUnreadable: There is no such image in it, or it is damaged.
    """
    # astropy and numpy warn of odd files; what matters is checked here.
    with warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
        try:
            unit, first, content = _first_image(FitsStream(file))
            pixels = _pixels_of(unit, content)
        except Damaged as damage:
            raise FileUnreadable(f"{path} {damage}; {_advice(damage)}.") from damage
        except OSError as error:
            raise FileUnreadable(f"{path} cannot be read ({error.strerror or error}): check its disk.") from error
        headers = Headers((unit.header, first))
        modified = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
        frame = Frame(
            pixels=pixels,
            exposure_s=fits_header.exposure_s(headers),
            started_at=fits_header.started_at(headers) or modified,
            binning=fits_header.binning(headers),
            saturation_adu=fits_header.saturation_adu(headers, pixels),
            bayer=fits_header.bayer(headers) and COLOUR_PLANES not in unit.shape,
            electrons_per_adu=fits_header.electrons_per_adu(headers),
            image_scale_arcsec=fits_header.image_scale_arcsec(headers),
        )
        # INDI writes both, and older ones of its drivers only the second.
        image_type = headers.text("IMAGETYP") or headers.text("FRAME")
        position, filter_name = fits_header.position(headers, path), headers.text("FILTER")
    return FileFrame(path=path, frame=frame, position=position, filter_name=filter_name, image_type=image_type)


def _advice(damage: Damaged) -> str:
    text = str(damage)
    if "cut short" in text or "empty" in text:
        return "wait until it is written, or copy it again"
    if "damaged" in text:
        return "copy it again, or take the frame again"
    return "give a FITS file with one frame of the camera"


def _first_image(stream: FitsStream) -> tuple[Unit, fits.Header, bytearray]:
    """Return the first unit that holds a frame, the file's first header, and the unit's data."""
    first: fits.Header | None = None
    problem = ""
    for unit in stream.units():
        first = unit.header if first is None else first
        if not (refusal := _refusal(unit.shape)):
            check_size(unit)
            return unit, first, stream.data(unit)
        problem = problem or (refusal if 0 not in unit.shape and unit.shape else "")
    raise Damaged(problem or "holds no image, at most tables")


def _refusal(shape: tuple[int, ...]) -> str:
    """Return why an array of this shape is no frame; empty when it is one."""
    lengths = [length for length in shape if length != 1]
    is_colour = len(lengths) == 3 and COLOUR_PLANES in (lengths[0], lengths[2])
    if 0 not in lengths and (len(lengths) == 2 or is_colour):
        return ""
    words = " x ".join(str(length) for length in reversed(shape))
    if len(lengths) < 2:
        return f"holds an array of {words} values, which is no image"
    return f"holds a cube of {words} values, which is neither one frame nor the three planes of a colour image"


def _pixels_of(unit: Unit, content: bytearray) -> Pixels:
    """Return a unit's pixels in native byte order, shape (rows, columns); of a colour image, the green plane.

    A large frame is not held twice, so the data are used up. Integers up to 32 bit keep their type. If some pixels have
    the header's value for missing ones (BLANK), the frame becomes floats with NaN there; impossible floats become NaN.

    Source: FITS standard 4.0, section 4.4.2: a pixel's value is BZERO + BSCALE x the stored one, and unsigned integers
    are stored as signed ones with BZERO = 2^(bits - 1). Stored values are big-endian.
    """
    if not unit.packed:
        return _without_nonsense(_plain(unit, content))
    frame = _frame(unpacked(unit, content))
    return _without_nonsense(frame.astype(frame.dtype.newbyteorder("="), order="C", copy=False))


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


def _scaled(stored: NDArray[np.generic], *, zero: float, scale: float) -> Pixels:
    """Return BZERO + BSCALE x stored; unsigned integers by flipping the sign bit in place."""
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
    """Drop axes of length 1, and all planes but the green one of a colour image."""
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
