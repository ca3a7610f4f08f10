"""The command line's client of the daemon's control socket."""

import contextlib
import socket
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from alpaca_focus.core.errors import ConfigurationError, DaemonNotRunning, DaemonUnresponsive
from alpaca_focus.core.status import Status, Waiting
from alpaca_focus.service.control_wire import check_path, json_line, object_of_line

_CHUNK_BYTES = 65536


def ask(path: Path, command: str, arguments: Mapping[str, object], *, timeout_s: float) -> dict[str, object]:
    """Send the daemon a command and return its reply, which is `{"error": "..."}` if the command failed.

    Args:
        path: The daemon's control socket.
        command: Its name.
        arguments: By name; any JSON values.
        timeout_s: Seconds for connecting, sending and the reply together.

    Raises:
        DaemonNotRunning: No daemon listens there.
        DaemonUnresponsive: No valid reply in time. The daemon may have executed the command.
        ConfigurationError: The path is too long, or the daemon is another user's.
    """
    check_path(path)
    ends_at = time.monotonic() + timeout_s
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.settimeout(timeout_s)
            _connect(connection, path)
            # Broken: the daemon refused it before it was read to its end, and the reply has the reason.
            with contextlib.suppress(BrokenPipeError):
                connection.sendall(json_line({"command": command, "arguments": dict(arguments)}))
            reply = _read_line(connection, ends_at)
        except (TimeoutError, BlockingIOError) as error:  # BlockingIOError: the socket's backlog is full
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
        raise _invalid_reply(command) from error


def status_of_reply(reply: Mapping[str, object]) -> Status | Waiting:
    """Return the status in a reply to the command `status`, without fields that another version adds.

    Raises:
        DaemonUnresponsive: The reply is not a status.
    """
    try:
        return _status_type().validate_python(reply)
    except ValidationError as error:
        raise _invalid_reply("status") from error


@cache
def _status_type() -> TypeAdapter[Status | Waiting]:
    return TypeAdapter(Status | Waiting)


def _invalid_reply(command: str) -> DaemonUnresponsive:
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
            f"The control socket {path} belongs to another user. Run the command as the user that the daemon runs as."
        ) from error


def _read_line(connection: socket.socket, ends_at: float) -> bytes:
    """Read up to the end of the line, or of the connection.

    Raises:
        TimeoutError: The line was not complete in time, even if it was still arriving slowly.
        OSError: The connection broke.
    """
    line = bytearray()
    part = b""
    while not part.endswith(b"\n"):
        if (left_s := ends_at - time.monotonic()) <= 0:
            raise TimeoutError
        connection.settimeout(left_s)
        if not (part := connection.recv(_CHUNK_BYTES)):
            break
        line += part
    return bytes(line)
