"""Images that are packed tile by tile into the rows of a table, as in `.fz` files, unpacked by astropy.

Source: FITS standard 4.0, section 10.1. astropy trusts the header: one that promises 10^20 columns keeps it busy for
ever. So it is given only the cards that unpacking needs, each of them checked. The C code that unpacks HCOMPRESS reads
and writes beyond its memory when the data are damaged, so this module is also a program that does it in a separate
process: it reads a FITS file from its standard input and writes the pixels to its standard output.
"""

import io
import re
import subprocess
import sys
import warnings
from collections.abc import Mapping
from math import ceil, prod
from types import MappingProxyType

import numpy as np
from astropy.io import fits

from alpaca_focus.core.values import Pixels
from alpaca_focus.files.fits_stream import BITS, BLOCK_BYTES, MAX_PIXELS, Damaged, Unit, header_value

MAX_COLUMNS = 20
METHODS = ("RICE_1", "RICE_ONE", "GZIP_1", "GZIP_2", "HCOMPRESS_1", "PLIO_1", "NOCOMPRESS")
UNSAFE_METHODS = ("HCOMPRESS_1",)
"""Methods whose C code reads and writes beyond its memory when the data are damaged."""
COLUMN_FORM = re.compile(r"(1?[PQ][BIJKED](\(\d{0,10}\))?|1?[BIJKED])")
CARDS: Mapping[str, tuple[type, ...]] = MappingProxyType(
    dict.fromkeys(("BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "PCOUNT", "GCOUNT", "TFIELDS", "THEAP"), (int,))
    | dict.fromkeys(("ZBITPIX", "ZNAXIS", "BLANK", "ZBLANK", "ZDITHER0"), (int,))
    | {"ZIMAGE": (bool,)}
    | dict.fromkeys(("BZERO", "BSCALE", "ZSCALE", "ZZERO"), (int, float))
    | dict.fromkeys(("ZCMPTYPE", "ZQUANTIZ"), (str,))
)
"""The cards that unpacking needs, with the types of their values."""
LONGEST_S = 120.0
STUB = fits.PrimaryHDU().header.tostring().encode("ascii")


class CannotUnpack(Exception):
    """The packed image makes no sense; the message is the reason."""


def unpacked(unit: Unit, content: bytearray) -> Pixels:
    """Unpack the image of a unit, with all its axes; `content` is the table and what follows it.

    Raises:
        Damaged: It cannot be unpacked.
    """
    header = checked_header(unit)
    file = STUB + header.tostring().encode("ascii") + bytes(content) + bytes(-len(content) % BLOCK_BYTES)
    try:
        pixels = unpacked_in_process(file) if header["ZCMPTYPE"] in UNSAFE_METHODS else unpacked_here(file)
    except CannotUnpack as error:
        raise Damaged(f"is damaged: its packed image cannot be read ({error})") from error
    if pixels.shape != unit.shape or pixels.dtype.kind not in "iuf":
        raise Damaged("is damaged: its packed image is not what its header promises")
    return pixels


def checked_header(unit: Unit) -> fits.Header:
    """Return only the cards that unpacking needs, checked.

    Raises:
        Damaged: One of them makes no sense.
    """
    header = fits.Header([("XTENSION", "BINTABLE")])
    for keyword, types in CARDS.items():
        if (value := header_value(unit.header, keyword)) is None:
            continue
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise Damaged(f"is damaged: its header has {keyword} = {value!r}")
        header[keyword] = value
    _copy_columns(unit.header, header)
    _copy_tiles(unit, header)
    _copy_parameters(unit.header, header)
    if header.get("ZCMPTYPE") not in METHODS or header.get("ZBITPIX") not in BITS:
        raise Damaged("is damaged: its header lacks the packing method (ZCMPTYPE, ZBITPIX)")
    return header


def _copy_columns(source: fits.Header, target: fits.Header) -> None:
    count = target.get("TFIELDS", 0)
    if not 1 <= count <= MAX_COLUMNS:
        raise Damaged(f"is damaged: its header has {count} columns in the table of its packed image")
    for column in range(1, count + 1):
        form, name = header_value(source, f"TFORM{column}"), header_value(source, f"TTYPE{column}")
        if not isinstance(form, str) or not isinstance(name, str) or not COLUMN_FORM.fullmatch(form.strip()):
            raise Damaged("is damaged: its header lacks the columns of its packed image (TFORM, TTYPE)")
        target[f"TTYPE{column}"], target[f"TFORM{column}"] = name, form


def _copy_tiles(unit: Unit, target: fits.Header) -> None:
    """Copy the lengths of image and tiles, and check that the table has a row for each tile."""
    tiles = []
    for axis, length in enumerate(reversed(unit.shape), start=1):
        tile = header_value(unit.header, f"ZTILE{axis}")
        tile = (length if axis == 1 else 1) if tile is None else tile
        if not isinstance(tile, int) or not 1 <= tile <= MAX_PIXELS:
            raise Damaged(f"is damaged: its header gives the tiles of its packed image the length {tile!r}")
        target[f"ZNAXIS{axis}"], target[f"ZTILE{axis}"] = length, tile
        tiles.append(ceil(length / tile))
    if target.get("NAXIS2") != prod(tiles):
        raise Damaged(f"is damaged: {prod(tiles)} tiles are packed in {target.get('NAXIS2')} rows")


def _copy_parameters(source: fits.Header, target: fits.Header) -> None:
    for number in range(1, MAX_COLUMNS):
        name, value = header_value(source, f"ZNAME{number}"), header_value(source, f"ZVAL{number}")
        if name is None:
            return
        if not isinstance(name, str) or not isinstance(value, int | float) or not 0 <= value <= 1000:
            raise Damaged(f"is damaged: its header packs its image with {name!r} = {value!r}")
        target[f"ZNAME{number}"], target[f"ZVAL{number}"] = name, value


def unpacked_here(file: bytes) -> Pixels:
    """Return the packed image in a FITS file's first extension.

    Raises:
        CannotUnpack: It is damaged.
    """
    try:
        with warnings.catch_warnings(action="ignore"), fits.HDUList.fromstring(file, uint=True) as units:
            return np.asarray(units[1].data)
    except Exception as error:  # astropy's C code raises a class that has no public name
        raise CannotUnpack(type(error).__name__) from error


def unpacked_in_process(file: bytes) -> Pixels:
    """Return the same from a separate process, which a damaged file may crash.

    Raises:
        CannotUnpack: It is damaged.
    """
    command = [sys.executable, "-P", "-m", __name__]
    try:
        result = subprocess.run(command, input=file, capture_output=True, timeout=LONGEST_S, check=True)  # noqa: S603 - this module
        pixels: Pixels = np.load(io.BytesIO(result.stdout), allow_pickle=False)
    except subprocess.CalledProcessError as error:
        raise CannotUnpack("the unpacking program failed") from error
    except subprocess.TimeoutExpired as error:
        raise CannotUnpack(f"not unpacked in {LONGEST_S:.0f} seconds") from error
    return pixels


if __name__ == "__main__":
    try:
        np.save(sys.stdout.buffer, unpacked_here(sys.stdin.buffer.read()))
    except CannotUnpack as reason:
        sys.exit(str(reason))
