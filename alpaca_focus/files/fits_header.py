"""The facts of a frame from its FITS header, or from its pixels and its file name where the header has none."""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from astropy.io import fits

from alpaca_focus.core.optics import ARCSEC_PER_RADIAN
from alpaca_focus.core.values import Pixels
from alpaca_focus.files.fits_stream import header_value

SATURATION_KEYWORDS = ("SATURATE", "MAXADU", "DATAMAX")
SCALE_KEYWORDS = ("SCALE", "PIXSCALE", "SECPIX", "CCDSCALE")
SMALLEST_SCALE_ARCSEC, LARGEST_SCALE_ARCSEC = 0.005, 120.0
"""Numbers outside these limits are no image scale; programs use the same keywords for other things."""
LARGEST_POSITION = 100_000_000
CONVERTER_MAXIMA = (1023, 4095, 4 * 1023, 16383, 16 * 4095, 4 * 16383)
"""Largest values of converters of 10, 12 and 14 bit, plain and shifted up, below full scale of 16 bit."""
PLATEAU_PIXELS = 3
FULL_SCALE = 65535.0


@dataclass(frozen=True, slots=True)
class Headers:
    """The header of the image, followed by the file's first one, which may be the same."""

    headers: tuple[fits.Header, ...]

    def value(self, keyword: str) -> object:
        """Return the first value of a keyword; `None` when no header has one."""
        values = (header_value(header, keyword) for header in self.headers)
        return next((value for value in values if value is not None), None)

    def number(self, keyword: str) -> float:
        """Return a finite number, which may be written as text; NaN when there is none."""
        value = self.value(keyword)
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return math.nan
        try:
            number = float(value)
        except (ValueError, OverflowError):
            return math.nan
        return number if math.isfinite(number) else math.nan

    def first_number(self, keywords: Iterable[str], *, least: float, most: float) -> float:
        """Return the first number of some keywords that is within the limits; NaN when there is none."""
        numbers = (self.number(keyword) for keyword in keywords)
        return next((number for number in numbers if least <= number <= most), math.nan)

    def text(self, keyword: str) -> str:
        """Return a text; empty when there is none."""
        value = self.value(keyword)
        return value.strip() if isinstance(value, str) else ""


def exposure_s(headers: Headers) -> float:
    """Return the exposure time in seconds; NaN when it is unknown."""
    return headers.first_number(("EXPTIME", "EXPOSURE"), least=1e-6, most=1e6)


def started_at(headers: Headers) -> datetime | None:
    """Return the start of the exposure, UTC; `None` when it is unknown."""
    date = headers.text("DATE-OBS")
    if date and "T" not in date:
        date = f"{date}T{headers.text('TIME-OBS') or '00:00:00'}"
    try:
        moment = datetime.fromisoformat(date)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def binning(headers: Headers) -> int:
    """Return the number of sensor pixels per pixel along a row; 1 when it is unknown."""
    number = headers.first_number(("XBINNING",), least=1, most=16)
    return 1 if math.isnan(number) else round(number)


def bayer(headers: Headers) -> bool:
    """Return whether neighbouring pixels see different colours: a pattern is named and the pixels are not binned."""
    patterns = (headers.text(keyword).upper() for keyword in ("BAYERPAT", "COLORTYP"))
    return binning(headers) == 1 and any(sorted(pattern) == ["B", "G", "G", "R"] for pattern in patterns)


def electrons_per_adu(headers: Headers) -> float | None:
    """Return the converter's gain. Only EGAIN is one: with many cameras GAIN is the number of a driver's setting."""
    gain = headers.first_number(("EGAIN",), least=1e-4, most=1e4)
    return None if math.isnan(gain) else gain


def image_scale_arcsec(headers: Headers) -> float | None:
    """Return arc seconds per pixel, from the header or from pixel size (um, binned) and focal length (mm)."""
    scale = headers.first_number(SCALE_KEYWORDS, least=SMALLEST_SCALE_ARCSEC, most=LARGEST_SCALE_ARCSEC)
    if math.isnan(scale):
        pixel_um, focal_length_mm = headers.number("XPIXSZ"), headers.number("FOCALLEN")
        scale = ARCSEC_PER_RADIAN * pixel_um / (1000 * focal_length_mm) if focal_length_mm > 0 else math.nan
    return scale if SMALLEST_SCALE_ARCSEC <= scale <= LARGEST_SCALE_ARCSEC else None


def position(headers: Headers, path: Path) -> int | None:
    """Return the focuser position from the header, else from the file name; `None` if neither has one."""
    number = headers.first_number(("FOCUSPOS", "FOCPOS"), least=-LARGEST_POSITION, most=LARGEST_POSITION)
    return position_of_name(path.name) if math.isnan(number) else round(number)


def position_of_name(name: str) -> int | None:
    """Return the last number in a file's name; `None` without one, or where it is a single digit: a counter."""
    stem = re.sub(r"\.(fits?|fts)(\.(gz|fz))?$", "", name, flags=re.IGNORECASE)
    *_, last = ("", *re.findall(r"[0-9]+", stem))
    return int(last) if len(last) > 1 and int(last) <= LARGEST_POSITION else None


def saturation_adu(headers: Headers, pixels: Pixels) -> float:
    """Return the value at which a pixel is saturated.

    That is the header's value where it is possible, else the largest value of a usual converter if several pixels have
    it, else the full scale of the type; infinity if there is none.
    """
    brightest = float(np.fmax.reduce(pixels, axis=None))
    full_scale = _full_scale(pixels.dtype, brightest)
    # DATAMAX is the brightest pixel of this frame with some programs, which is no limit.
    limits = (number for keyword in SATURATION_KEYWORDS if (number := headers.number(keyword)) > 0)
    if brightest in CONVERTER_MAXIMA and np.count_nonzero(pixels == brightest) >= PLATEAU_PIXELS:
        return brightest
    return next((limit for limit in limits if brightest < limit <= full_scale), full_scale)


def _full_scale(dtype: np.dtype[np.generic], brightest: float) -> float:
    if dtype.kind in "iu" and dtype.itemsize <= 2:
        return float(np.iinfo(dtype.str).max)
    if brightest <= 1 and dtype.kind == "f":
        return 1.0
    if brightest <= FULL_SCALE:
        return FULL_SCALE
    return float(np.iinfo(dtype.str).max) if dtype.kind in "iu" else math.inf
