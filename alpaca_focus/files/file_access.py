"""Opens files so that the reader never blocks, and writes them atomically."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from alpaca_focus.core.errors import ConfigurationError, FileUnreadable


def check_folder(path: Path, what: str) -> None:
    """Check that a file can be written at `path`, before any work is done for it.

    Raises:
        ConfigurationError: Its folder does not exist or is not writable; the message names the file by `what` it is.
    """
    if not path.parent.is_dir():
        raise ConfigurationError(f"There is no folder {path.parent} to write the {what} {path.name} into.")
    if not os.access(path.parent, os.W_OK):
        raise ConfigurationError(f"The folder {path.parent} is not writable, so the {what} cannot be written there.")


@contextlib.contextmanager
def atomic_write(path: Path, what: str) -> Iterator[BinaryIO]:
    """Give a temporary file to write into, which replaces `path` when the block ends without an exception.

    Raises:
        ConfigurationError: It cannot be written, and an older file is unchanged; `what` names it in the message.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
            # A temporary file is for its owner alone; web servers and viewers have to read this one.
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                Path(name).unlink()
            raise
    except OSError as error:
        raise ConfigurationError(f"The {what} {path} cannot be written ({error.strerror or error}).") from error


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8, without its byte order mark.

    Raises:
        ConfigurationError: It does not exist, cannot be read, or is no text.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise ConfigurationError(f"There is no file {path}.") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not a text file in UTF-8.") from error
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read ({error.strerror or error}).") from error


def open_regular(path: Path) -> BinaryIO:
    """Open a file for reading; refuse folders, pipes and devices, which could block the reader for ever.

    Raises:
        FileUnreadable: It does not exist, is no ordinary file, or may not be read.
    """
    try:
        if path.is_dir():
            raise FileUnreadable(f"{path} is a folder. Name a FITS file in it.")
        if path.exists() and not path.is_file():
            raise FileUnreadable(f"{path} is not an ordinary file. Name a FITS file.")
        return path.open("rb")
    except FileNotFoundError as error:
        raise FileUnreadable(f"There is no file {path}: check its name.") from error
    except PermissionError as error:
        raise FileUnreadable(f"{path} may not be read by this user: change its permissions.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileUnreadable(f"{path} cannot be opened ({reason}): check its disk.") from error
