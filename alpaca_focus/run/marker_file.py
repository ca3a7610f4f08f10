"""Writes small files that must survive a kill or a power cut."""

import os
from pathlib import Path


def write_durably(path: Path, content: bytes) -> None:
    """Replace a file, making its folder; the content is on the disk, not only in the cache, when this returns.

    Raises:
        OSError: The file cannot be written; it is as it was.
    """
    new = path.with_suffix(".new")
    path.parent.mkdir(parents=True, exist_ok=True)
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    # The rename itself survives a power cut only after the folder is synchronised, too.
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
