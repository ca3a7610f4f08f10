"""A lock between processes, which the kernel releases when its holder is killed."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alpaca_focus.core.errors import AlreadyRunning, ConfigurationError


def runs_already(directory: Path) -> AlreadyRunning:
    """Return the error for a second process on one storage directory."""
    return AlreadyRunning(
        f"Another alpaca-focus runs already with this storage.directory ({directory}). Use that one (`alpaca-focus "
        "refocus`), stop it first, or set another storage.directory here."
    )


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold the lock of a file; a missing file or folder is created.

    The file stays when the lock is released: if it were removed, two processes could each lock a file of that name.

    Raises:
        AlreadyRunning: Another process holds the lock.
        ConfigurationError: The file cannot be created or locked.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    except OSError as error:
        raise ConfigurationError(
            f"The lock {path} cannot be opened ({error.strerror}). Make its folder writable for the user that the "
            "daemon runs as, or choose another storage.directory."
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise runs_already(path.parent) from error
        except OSError as error:
            raise ConfigurationError(
                f"The lock {path} cannot be taken ({error.strerror}). Choose a storage.directory on a disk of this "
                "computer."
            ) from error
        yield
