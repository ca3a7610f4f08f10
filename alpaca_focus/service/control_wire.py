"""The daemon's control socket: its path, its lock between processes, and its protocol of one JSON object a line."""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from alpaca_focus.core.errors import AlreadyRunning, ConfigurationError

SOCKET_NAME = "control.sock"
LONGEST_REQUEST_BYTES = 65536
LONGEST_PATH_BYTES = 107
"""Linux has 108 bytes for the path of a Unix socket, including a zero byte at its end; see unix(7)."""


@dataclass(frozen=True, slots=True)
class Request:
    """A command to the daemon, with its arguments by name as JSON values."""

    command: str
    arguments: Mapping[str, object]


def socket_path(directory: Path) -> Path:
    """Return the control socket of the daemon of a storage directory."""
    return directory / SOCKET_NAME


def lock_path(directory: Path) -> Path:
    """Return the file that a process locks while it uses the devices of a storage directory."""
    return directory / f"{SOCKET_NAME}.lock"


def runs_already(directory: Path) -> AlreadyRunning:
    """Return the error for a second process on one storage directory."""
    return AlreadyRunning(
        f"Another alpaca-focus runs already with this storage.directory ({directory}). Use that one (`alpaca-focus "
        "refocus`), stop it first, or set another storage.directory here."
    )


@contextmanager
def exclusive_lock(path: Path) -> Iterator[None]:
    """Hold the lock of a file, which the kernel releases when its holder is killed; a missing file is created.

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


def check_path(path: Path) -> None:
    """Check that the path is short enough for a Unix socket.

    Raises:
        ConfigurationError: It is too long.
    """
    length = len(os.fsencode(path))
    if length > LONGEST_PATH_BYTES:
        raise ConfigurationError(
            f"The path {path} of the control socket is {length} bytes long, and no Unix socket's path can be longer "
            f"than {LONGEST_PATH_BYTES}: choose a storage.directory with a shorter path."
        )


def json_line(content: Mapping[str, object]) -> bytes:
    """Return the line of a request or a reply.

    Raises:
        TypeError: A value is not a JSON value.
        ValueError: The content contains itself.
    """
    return json.dumps(dict(content)).encode() + b"\n"


def request_of_line(line: bytes) -> Request:
    """Return the request in a line; `arguments` may be missing.

    Raises:
        ValueError: The line is not a request; the message is a sentence with the reason.
    """
    content = object_of_line(line)
    command, arguments = content.get("command"), content.get("arguments", {})
    if not isinstance(command, str) or not command:
        raise ValueError('The request has no command: it has to look like {"command": "status", "arguments": {}}.')
    if not isinstance(arguments, dict):
        raise ValueError("The arguments of the request are not a JSON object, by name.")  # noqa: TRY004 - the type is that of what was sent
    return Request(command, arguments)


def object_of_line(line: bytes) -> dict[str, object]:
    """Return the JSON object of a line.

    Raises:
        ValueError: The line is not a JSON object; the message is a sentence.
    """
    try:
        content = json.loads(line)
    except (ValueError, RecursionError) as error:  # not JSON, not text, or nested too deeply
        raise ValueError("The line is not JSON.") from error
    if not isinstance(content, dict):
        raise ValueError("The line is not a JSON object.")  # noqa: TRY004 - the type is that of what was sent
    return content
