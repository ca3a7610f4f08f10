"""The other end of the daemon's control socket, for the command line."""

import socket
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from alpaca_focus.core.errors import ConfigurationError, DaemonNotRunning, DaemonUnresponsive
from alpaca_focus.core.status import Status, Waiting
from alpaca_focus.service.control_wire import Request, check_path, line_of_request, object_of_line

_CHUNK_BYTES = 65536


def ask(path: Path, command: str, arguments: Mapping[str, object], *, timeout_s: float) -> dict[str, object]:
    """Give the daemon a command and return its reply, which is `{"error": "..."}` if it did not carry it out.

    Args:
        path: The daemon's control socket.
        command: What to do.
        arguments: With what, by name; anything that JSON knows.
        timeout_s: Seconds for all of it.

    Raises:
        DaemonNotRunning: Nobody listens there.
        DaemonUnresponsive: No reply in time, or none that makes sense. The command may have been carried out.
        ConfigurationError: The path is too long, or the daemon is another user's.
    """
    check_path(path)
    ends_at = time.monotonic() + timeout_s
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.settimeout(timeout_s)
            _connect(connection, path)
            _send(connection, line_of_request(Request(command, arguments)))
            reply = _read_line(connection, ends_at)
        except (TimeoutError, BlockingIOError) as error:  # the latter: too many wait before this one
            raise DaemonUnresponsive(
                f"The daemon did not answer the command {command} within {timeout_s:g} s. See its log; it may be held "
                "up by a device."
            ) from error
        except OSError as error:
            raise DaemonUnresponsive(
                f"The daemon hung up on the command {command} ({error.strerror}). It may be stopping: see its log."
            ) from error
    try:
        return object_of_line(reply)
    except ValueError as error:
        raise _nonsense(command) from error


def status_of_reply(reply: Mapping[str, object]) -> Status | Waiting:
    """Return the status in a reply to the command `status`; fields that another version adds are left out.

    Raises:
        DaemonUnresponsive: The reply is not a status.
    """
    try:
        return _status_type().validate_python(reply)
    except ValidationError as error:
        raise _nonsense("status") from error


@cache
def _status_type() -> TypeAdapter[Status | Waiting]:
    return TypeAdapter(Status | Waiting)


def _nonsense(command: str) -> DaemonUnresponsive:
    return DaemonUnresponsive(
        f"The daemon's answer to the command {command} makes no sense. It may be stopping, or of another version: "
        "see its log."
    )


def _connect(connection: socket.socket, path: Path) -> None:
    try:
        connection.connect(str(path))
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError) as error:
        raise DaemonNotRunning(
            f"No alpaca-focus runs with the storage.directory {path.parent}. Start it in a terminal with "
            "`alpaca-focus run` and the same settings; as a service with `systemctl start alpaca-focus`."
        ) from error
    except PermissionError as error:
        raise ConfigurationError(
            f"The control socket {path} belongs to another user. Give the command as the user that the daemon runs as."
        ) from error


def _send(connection: socket.socket, line: bytes) -> None:
    try:
        connection.sendall(line)
    except BrokenPipeError:
        # Refused before it was read to its end: the reply says why.
        return


def _read_line(connection: socket.socket, ends_at: float) -> bytes:
    """Read up to the end of the line, or of the connection.

    Raises:
        TimeoutError: It did not come in time, however slowly it was still coming in.
        OSError: The connection broke.
    """
    line = bytearray()
    while not line.endswith(b"\n"):
        left_s = ends_at - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        connection.settimeout(left_s)
        part = connection.recv(_CHUNK_BYTES)
        if not part:
            break
        line += part
    return bytes(line)
