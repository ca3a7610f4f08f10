"""The daemon's control socket: a Unix socket for the commands of the command line."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Self

import structlog

from alpaca_focus.core.errors import AlpacaFocusError, ConfigurationError
from alpaca_focus.service.control_wire import (
    LONGEST_REQUEST_BYTES,
    Request,
    check_path,
    exclusive_lock,
    json_line,
    lock_path,
    request_of_line,
    runs_already,
)

Handler = Callable[[Request], Awaitable[Mapping[str, object]]]

_BACKLOG = 1024
_PROBE_S = 1.0
_LAST_ANSWERS_S = 1.0
"""Time for the running requests when the server closes; one of them may be the command to stop."""

_log = structlog.get_logger(__name__)


class ControlServer:
    """Answers requests on a Unix socket for its own user only; an asynchronous context manager.

    While it is open it holds the lock of the folder, so that no second daemon runs on the same storage directory.
    Requests of one connection are answered in turn, those of several at the same time. A request runs to its end even
    if its client hangs up.

    Args:
        path: The socket; one that a killed daemon has left is replaced.
        handle: Answers a request. An error of this program becomes the reply `{"error": "..."}`, as does a malformed
            request, which is not passed to it.

    Raises:
        ConfigurationError: On entering: another daemon runs, the path is too long, or the socket cannot be created.
    """

    def __init__(self, path: Path, handle: Handler) -> None:
        self._path = path
        self._handle = handle
        self._resources = contextlib.ExitStack()
        self._server: asyncio.Server | None = None
        self._is_closing = False
        self._connections: set[asyncio.Task[None]] = set()
        self._busy: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Take the lock and listen."""
        check_path(self._path)
        with contextlib.ExitStack() as stack:
            stack.enter_context(exclusive_lock(lock_path(self._path.parent)))
            listener = stack.enter_context(_listener(self._path))
            stack.callback(self._path.unlink, missing_ok=True)
            self._server = await asyncio.start_unix_server(
                self._serve, sock=listener, backlog=_BACKLOG, limit=LONGEST_REQUEST_BYTES
            )
            self._resources = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Finish the running requests within a second, disconnect, remove the socket and release the lock."""
        self._is_closing = True
        with self._resources:
            if self._server is not None:
                self._server.close()
            if self._busy:
                await asyncio.wait(self._busy, timeout=_LAST_ANSWERS_S)
            connections = tuple(self._connections)
            for connection in connections:
                connection.cancel()
            await asyncio.gather(*connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection until it ends."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - the server runs this in a task
        self._connections.add(task)
        try:
            while not self._is_closing:
                try:
                    line = await reader.readline()
                except ValueError:  # the start of the next request is unknown
                    writer.write(_error(f"The request is longer than {LONGEST_REQUEST_BYTES} bytes."))
                    await writer.drain()
                    return
                if not line.endswith(b"\n"):
                    return  # the client has gone, perhaps killed in the middle of a request, which is not executed
                self._busy.add(task)
                writer.write(await self._answer(line))
                await writer.drain()
                self._busy.discard(task)
        except OSError as error:
            _log.debug(f"A client of the control socket hung up ({error}).")
        except asyncio.CancelledError:
            # The server closes. Not re-raised: Python 3.11 would log it as a failure of the connection.
            writer.transport.abort()
        finally:
            self._busy.discard(task)
            self._connections.discard(task)
            writer.close()

    async def _answer(self, line: bytes) -> bytes:
        try:
            request = request_of_line(line)
        except ValueError as error:
            return _error(str(error))
        try:
            return json_line(await self._handle(request))
        except AlpacaFocusError as error:
            return _error(str(error))
        except Exception:  # noqa: BLE001 - no failure of a command may stop the daemon
            _log.exception(f"The command {request.command} failed.")
            return _error(f"The command {request.command} failed for an unexpected reason: see the daemon's log.")


def _error(sentence: str) -> bytes:
    return json_line({"error": sentence})


@contextlib.contextmanager
def _listener(path: Path) -> Iterator[socket.socket]:
    """Bind a socket that only its own user may connect to; removing its path unbinds it.

    Raises:
        ConfigurationError: Another daemon listens there, or no socket can be created.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        try:
            _remove_stale(path)
            # Before bind: Linux gives this mode to the path, so it is never open to others.
            os.fchmod(listener.fileno(), 0o600)
            listener.bind(str(path))
        except OSError as error:
            raise ConfigurationError(
                f"The control socket {path} cannot be created ({error.strerror}). Choose a storage.directory on a disk "
                "of this computer that the daemon may write to."
            ) from error
        yield listener


def _remove_stale(path: Path) -> None:
    """Remove the socket of a daemon that was killed."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_S)
        try:
            probe.connect(str(path))
        except FileNotFoundError:
            return
        except ConnectionRefusedError:
            pass  # no daemon listens
        except (BlockingIOError, TimeoutError) as error:  # one does, and is busy
            raise runs_already(path.parent) from error
        else:
            raise runs_already(path.parent)
    if not path.is_socket():
        raise ConfigurationError(f"{path} is in the way of the control socket, and is not a socket. Move it away.")
    path.unlink()
