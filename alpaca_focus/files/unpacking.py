"""Unpacks images packed in tables with astropy; as a program of its own for methods that can bring a program down.

The C code that unpacks HCOMPRESS reads and writes beyond its memory when the data are damaged. `unpacked_apart` starts
this module as a program that reads a FITS file from its standard input and writes the pixels to its standard output.
"""

import io
import subprocess
import sys
import warnings

import numpy as np
from astropy.io import fits

from alpaca_focus.core.values import Pixels

LONGEST_S = 120.0


class CannotUnpack(Exception):
    """The packed image makes no sense; the message says what came of trying."""


def unpacked_here(file: bytes) -> Pixels:
    """Return the packed image in a FITS file's first extension.

    Raises:
        CannotUnpack: It is damaged.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with fits.HDUList.fromstring(file, uint=True) as units:
                return np.asarray(units[1].data)
        except Exception as error:  # astropy's C code raises a class that has no public name
            raise CannotUnpack(type(error).__name__) from error


def unpacked_apart(file: bytes) -> Pixels:
    """Do the same in another process.

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
