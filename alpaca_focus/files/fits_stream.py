"""Reads a FITS file block by block, and checks each size in a header against the file before allocating memory.

Source: FITS standard 4.0, sections 3 and 4. A file is a sequence of header and data units; a header is a number of
blocks of 2880 bytes with cards of 80 characters up to the card END, and the data behind it fill whole blocks.
"""

import gzip
import os
import string
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import BinaryIO

from astropy.io import fits

BLOCK_BYTES, CARD_BYTES = 2880, 80
MAX_HEADER_BLOCKS = 1000
"""A longer header counts as damage; no program writes 36,000 cards."""
MAX_UNITS = 1000
MAX_PIXELS = 300_000_000
"""More values in one image count as damage; large sensors have 150 million pixels."""
MAX_BYTES = 8 * MAX_PIXELS
"""More data are not unpacked from one file, so that a small file cannot keep the program busy for hours."""
MAX_PACKING = 2000
"""Packed images are at most so many times smaller than their pixels; a larger factor counts as damage."""
CHUNK_BYTES = 1 << 24

BITS = (8, 16, 32, 64, -32, -64)
GZIP_START = b"\x1f\x8b"
FITS_START = b"SIMPLE"

_PRINTABLE = (string.ascii_letters + string.digits + string.punctuation + " ").encode("ascii")
# Some capture programs fill header blocks with NUL where FITS wants spaces, or write accents into comments.
_CLEAN = bytes(byte if byte in _PRINTABLE else ord(" ") for byte in range(256))


class Damaged(Exception):
    """A file cannot be read; the message is a clause that continues its name."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One header and data unit.

    Attributes:
        shape: Lengths of the image's axes, slowest first as in numpy; empty when the unit is no image.
        data_bytes: Bytes of its data without the padding to whole blocks.
        packed: Whether the image is packed into the rows of a table.
    """

    header: fits.Header
    shape: tuple[int, ...]
    data_bytes: int
    packed: bool


class FitsStream:
    """Reads one file from start to end, compressed with gzip or not."""

    def __init__(self, file: BinaryIO) -> None:
        self._gzipped = file.read(len(GZIP_START)) == GZIP_START
        file.seek(0)
        self._length = os.fstat(file.fileno()).st_size
        self._source: BinaryIO | gzip.GzipFile = gzip.GzipFile(fileobj=file) if self._gzipped else file
        self._taken = 0
        self._unread = 0

    def units(self) -> Iterator[Unit]:
        """Yield the units; data of a unit that were not read are skipped.

        Raises:
            Damaged: The next block begins no unit.
        """
        for number in range(MAX_UNITS):
            self._skip(self._unread)
            if (text := self._header(first=number == 0)) is None:
                return
            unit = _unit(text)
            self._unread = _whole_blocks(unit.data_bytes)
            yield unit

    def data(self, unit: Unit) -> bytearray:
        """Return the data of the unit yielded last.

        Raises:
            Damaged: The file ends before the data do.
        """
        content = bytearray()
        if not self._gzipped:
            self._expect(unit.data_bytes, self._length - self._source.tell())
        while (missing := unit.data_bytes - len(content)) > 0:
            chunk = self._take(min(missing, CHUNK_BYTES))
            if not chunk:
                self._expect(unit.data_bytes, unit.data_bytes - missing)
            content += chunk
        # Reading beyond the padding, to the end of the file, makes gzip compare its checksum.
        self._take(_whole_blocks(unit.data_bytes) - unit.data_bytes + 1)
        self._unread = 0
        return content

    @staticmethod
    def _expect(wanted_bytes: int, found_bytes: int) -> None:
        if found_bytes < wanted_bytes:
            raise Damaged(
                f"is cut short: its header promises {wanted_bytes} bytes of data, and {max(found_bytes, 0)} are there"
            )

    def _take(self, count: int) -> bytes:
        try:
            data = self._source.read(count)
        except EOFError as error:
            raise Damaged("is cut short: the gzip file ends in the middle") from error
        except (gzip.BadGzipFile, zlib.error) as error:
            raise Damaged("is damaged: it cannot be unpacked with gzip") from error
        self._taken += len(data)
        if self._gzipped and self._taken > MAX_BYTES:
            raise Damaged(f"unpacks to more than {MAX_BYTES / 1e9:.1f} gigabytes, which no frame has")
        return data

    def _skip(self, count: int) -> None:
        while count > 0 and (chunk := self._take(min(count, CHUNK_BYTES))):
            count -= len(chunk)

    def _header(self, *, first: bool) -> str | None:
        """Return the cards of the next header, or `None` at the end of the file."""
        cards = b""
        for _ in range(MAX_HEADER_BLOCKS):
            block = self._take(BLOCK_BYTES)
            if not cards and not first and not block.startswith(b"XTENSION"):
                return None
            if not cards and first and not block.startswith(FITS_START):
                raise Damaged("is not a FITS file: it does not begin with the word SIMPLE" if block else "is empty")
            cleaned = block.translate(_CLEAN)
            for offset in range(0, len(cleaned), CARD_BYTES):
                if cleaned[offset : offset + 8] == b"END     ":
                    return (cards + cleaned[:offset]).decode("ascii")
            if len(block) < BLOCK_BYTES:
                raise Damaged("is cut short: its header has no end")
            cards += cleaned
        raise Damaged("is damaged: its header has no end")


def _unit(cards: str) -> Unit:
    header = fits.Header.fromstring(cards)
    bits = _whole_number(header, "BITPIX")
    if bits not in BITS:
        raise Damaged("is damaged: its header has no valid size of the values (BITPIX)")
    axes = _axes(header, "NAXIS")
    extra = _whole_number(header, "PCOUNT") or 0
    groups = _whole_number(header, "GCOUNT") or 1
    values = groups * (extra + prod(axes)) if axes else 0
    if values < 0:
        raise Damaged("is damaged: its header gives its data an impossible size")
    data_bytes = abs(bits) // 8 * values
    packed = header_value(header, "ZIMAGE") is True
    is_image = str(header_value(header, "XTENSION")).strip().upper() in {"IMAGE", "IUEIMAGE"}
    shape = _axes(header, "ZNAXIS") if packed else axes if is_image or "XTENSION" not in header else ()
    return Unit(header=header, shape=shape, data_bytes=data_bytes, packed=packed)


def _axes(header: fits.Header, keyword: str) -> tuple[int, ...]:
    count = _whole_number(header, keyword)
    if count is None or not 0 <= count <= 999:
        raise Damaged(f"is damaged: its header lacks the number of axes ({keyword})")
    lengths = [_whole_number(header, f"{keyword}{axis}") for axis in range(count, 0, -1)]
    known = tuple(length for length in lengths if length is not None and length >= 0)
    if len(known) < count:
        raise Damaged(f"is damaged: its header lacks the lengths of the axes ({keyword}1 and on)")
    return known


def check_size(unit: Unit) -> None:
    """Check that an image is not larger than a camera's, before memory is allocated for it.

    Raises:
        Damaged: It is larger.
    """
    if prod(unit.shape) > MAX_PIXELS:
        lengths = " x ".join(str(length) for length in reversed(unit.shape))
        raise Damaged(f"is damaged: its header promises {lengths} pixels, which no camera has")
    if unit.packed and prod(unit.shape) > MAX_PACKING * unit.data_bytes:
        raise Damaged("is damaged: its header promises far more pixels than its packed data can hold")


def header_value(header: fits.Header, keyword: str) -> object:
    """Return a card's value, or `None` when there is no such card or it is unreadable."""
    try:
        value: object = header.get(keyword)
    except (fits.VerifyError, ValueError, OverflowError):
        return None
    return None if isinstance(value, fits.card.Undefined) else value


def _whole_number(header: fits.Header, keyword: str) -> int | None:
    value = header_value(header, keyword)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _whole_blocks(count: int) -> int:
    return -(-count // BLOCK_BYTES) * BLOCK_BYTES
