"""A frame out of a FITS file, whatever state the file is in: a frame, or one sentence why there is none."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import numpy as np
from astropy.io import fits

from alpaca_focus.core.errors import FileUnreadable
from alpaca_focus.core.values import Frame, Pixels
from alpaca_focus.files import header_facts
from alpaca_focus.files.fits_pixels import COLOUR_PLANES, pixels_of
from alpaca_focus.files.fits_stream import Damaged, FitsStream, Unit, check_size, open_regular
from alpaca_focus.files.header_facts import Headers


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFrame:
    """A frame and what its file says about it.

    Attributes:
        path: The file.
        frame: The frame; its pixels have 2 axes and the machine's byte order. Of a colour image, the green plane.
        position: Where the focuser stood, from the header or the file's name; `None` where neither says.
        filter_name: Filter in the light path; empty where the header does not say.
        image_type: What kind of frame it is, such as "Light Frame"; empty where the header does not say.
    """

    path: Path
    frame: Frame
    position: int | None = None
    filter_name: str = ""
    image_type: str = ""


def read_frame(path: Path) -> FileFrame:
    """Read the first image with 2 axes of a FITS file: plain, packed with gzip, or packed in a table (`.fz`).

    Axes of length 1 do not count. Values without one (BLANK) become NaN.

    Raises:
        FileUnreadable: There is no such file or no such image in it, or it is damaged.
    """
    with open_regular(path) as file:
        return read_content(path, file)


def read_content(path: Path, file: BinaryIO) -> FileFrame:
    """Read the frame out of a file that is open, as `read_frame` does.

    Args:
        path: What the file is called.
        file: An ordinary file, at its start.

    Raises:
        FileUnreadable: There is no such image in it, or it is damaged.
    """
    with _quiet():
        try:
            unit, first, content = _first_image(FitsStream(file))
            pixels = pixels_of(unit, content)
        except Damaged as damage:
            raise FileUnreadable(f"{path} {damage}; {_advice(damage)}.") from damage
        except OSError as error:
            raise FileUnreadable(
                f"{path} cannot be read ({error.strerror or error}): look whether its disk is well."
            ) from error
        modified = datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
        return _file_frame(path, pixels, Headers((unit.header, first)), modified, planes=COLOUR_PLANES in unit.shape)


def _file_frame(path: Path, pixels: Pixels, headers: Headers, modified: datetime, *, planes: bool) -> FileFrame:
    """Put together what is known of a frame."""
    return FileFrame(
        path=path,
        frame=Frame(
            pixels=pixels,
            exposure_s=header_facts.exposure_s(headers),
            started_at=header_facts.started_at(headers) or modified,
            binning=header_facts.binning(headers),
            saturation_adu=header_facts.saturation_adu(headers, pixels),
            bayer=header_facts.bayer(headers) and not planes,
            electrons_per_adu=header_facts.electrons_per_adu(headers),
            image_scale_arcsec=header_facts.image_scale_arcsec(headers),
        ),
        position=header_facts.position(headers, path),
        filter_name=headers.text("FILTER"),
        # INDI writes both, and older ones of its drivers only the second.
        image_type=headers.text("IMAGETYP") or headers.text("FRAME"),
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what astropy and numpy remark about odd files; what matters is checked here."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def _advice(damage: Damaged) -> str:
    text = str(damage)
    if "cut short" in text or "empty" in text:
        return "wait until it is written, or copy it again"
    if "damaged" in text:
        return "copy it again, or take the frame again"
    return "give a FITS file with one frame of the camera"


def _first_image(stream: FitsStream) -> tuple[Unit, fits.Header, bytearray]:
    """Return the first unit with a frame in it, the file's first header, and the data of the unit."""
    first: fits.Header | None = None
    trouble = ""
    for unit in stream.units():
        first = unit.header if first is None else first
        refusal = _refusal(unit.shape)
        if not refusal:
            check_size(unit)
            return unit, first, stream.data(unit)
        trouble = trouble or (refusal if 0 not in unit.shape and unit.shape else "")
    raise Damaged(trouble or "holds no image, at most tables")


def _refusal(shape: tuple[int, ...]) -> str:
    """Say why an array of this shape is no frame; empty when it is one."""
    lengths = [length for length in shape if length != 1]
    if len(lengths) == 2 and 0 not in lengths:
        return ""
    if len(lengths) == 3 and 0 not in lengths and COLOUR_PLANES in (lengths[0], lengths[2]):
        return ""
    words = " x ".join(str(length) for length in reversed(shape))
    if len(lengths) < 2:
        return f"holds an array of {words} values, which is no image"
    return f"holds a cube of {words} values, which is neither one frame nor the three planes of a colour image"
