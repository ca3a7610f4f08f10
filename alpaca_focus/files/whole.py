"""Files that are there whole or not at all."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from alpaca_focus.core.errors import ConfigurationError


def check_folder(path: Path, what: str) -> None:
    """See that a file can be written there, before any work is done for it.

    Args:
        path: The file.
        what: What it is, for the message, for example "picture".

    Raises:
        ConfigurationError: Its folder is not there or takes no file.
    """
    if not path.parent.is_dir():
        raise ConfigurationError(f"There is no folder {path.parent} to write the {what} {path.name} into.")
    if not os.access(path.parent, os.W_OK):
        raise ConfigurationError(f"The folder {path.parent} takes no file: the {what} cannot be written there.")


@contextlib.contextmanager
def written_whole(path: Path, what: str) -> Iterator[BinaryIO]:
    """Give a file to write into, which takes its name when the block ends well: nobody reads half of one.

    Args:
        path: Where to.
        what: What it is, for the message.

    Raises:
        ConfigurationError: It cannot be written; what was there before is still there.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                yield file
            # A temporary file is for its owner alone; this one is to be read by web servers and viewers too.
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                Path(name).unlink()
            raise
    except OSError as error:
        raise ConfigurationError(f"The {what} {path} cannot be written ({error.strerror or error}).") from error
