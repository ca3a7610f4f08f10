"""The daemon's control socket: a Unix socket by which the command line speaks to the daemon."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from alpaca_focus.core.errors import AlpacaFocusError, ConfigurationError
from alpaca_focus.service.control_wire import (
    LONGEST_REQUEST_BYTES,
    Request,
    check_path,
    line_of_reply,
    lock_path,
    request_of_line,
)
from alpaca_focus.service.lock import exclusive_lock, runs_already

Handler = Callable[[Request], Awaitable[Mapping[str, object]]]

_BACKLOG = 1024
_PROBE_S = 1.0
_LAST_ANSWERS_S = 1.0
"""Time for the requests at hand when the server closes; one of them may be the command to stop."""

_log = structlog.get_logger(__name__)


class ControlServer:
    """Answers requests on a Unix socket that its own user alone may use; use it as an asynchronous context manager.

    While it is open it holds the lock of the folder, so that no second daemon can run on one storage directory.
    Requests of one connection are answered in turn, those of different ones at the same time. A request is carried out
    to its end when its client hangs up.

    Args:
        path: The socket; what a killed daemon has left there is replaced.
        handle: Answers a request. An error of this program becomes the reply `{"error": "..."}`, as does a malformed
            request, which never gets there.

    Raises:
        ConfigurationError: On entering: another daemon runs, the path is too long, or the socket cannot be made there.
    """

    def __init__(self, path: Path, handle: Handler) -> None:
        self._path = path
        self._handle = handle
        self._held = contextlib.ExitStack()
        self._server: asyncio.Server | None = None
        self._is_closing = False
        self._talks: set[asyncio.Task[None]] = set()
        self._busy: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Take the lock and listen."""
        check_path(self._path)
        with contextlib.ExitStack() as stack:
            stack.enter_context(exclusive_lock(lock_path(self._path.parent)))
            listener = stack.enter_context(_listener(self._path))
            stack.callback(self._path.unlink, missing_ok=True)
            self._server = await asyncio.start_unix_server(
                self._talk, sock=listener, backlog=_BACKLOG, limit=LONGEST_REQUEST_BYTES
            )
            self._held = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the requests at hand, within a second, hang up, remove the socket and let go of the lock."""
        self._is_closing = True
        with self._held:
            if self._server is not None:
                self._server.close()
            if self._busy:
                await asyncio.wait(self._busy, timeout=_LAST_ANSWERS_S)
            talks = tuple(self._talks)
            for talk in talks:
                talk.cancel()
            await asyncio.gather(*talks, return_exceptions=True)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection until it ends."""
        talk = asyncio.current_task()
        assert talk is not None  # noqa: S101 - the server runs this in a task
        self._talks.add(talk)
        try:
            await self._answer_all(talk, reader, writer)
        except OSError as error:
            _log.debug(f"A client of the control socket hung up ({error}).")
        except asyncio.CancelledError:
            # The server closes. Not raised again: Python 3.11 would log it as a failure of the connection.
            writer.transport.abort()
        finally:
            self._busy.discard(talk)
            self._talks.discard(talk)
            writer.close()

    async def _answer_all(
        self, talk: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while not self._is_closing:
            try:
                line = await reader.readline()
            except ValueError:  # there is no telling where the next request begins
                writer.write(_error(f"The request is longer than {LONGEST_REQUEST_BYTES} bytes."))
                await writer.drain()
                return
            if not line.endswith(b"\n"):
                return  # hung up, perhaps killed in the middle of a request: half of one is not carried out
            self._busy.add(talk)
            writer.write(await self._answer(line))
            await writer.drain()
            self._busy.discard(talk)

    async def _answer(self, line: bytes) -> bytes:
        try:
            request = request_of_line(line)
        except ValueError as error:
            return _error(str(error))
        try:
            return line_of_reply(await self._handle(request))
        except AlpacaFocusError as error:
            return _error(str(error))
        except Exception:  # noqa: BLE001 - the daemon goes on, whatever a command has met: it has a night to keep
            _log.exception(f"The command {request.command} failed.")
            return _error(
                f"The command {request.command} failed for a reason that was not foreseen: see the daemon's log."
            )


def _error(sentence: str) -> bytes:
    return line_of_reply({"error": sentence})


@contextlib.contextmanager
def _listener(path: Path) -> Iterator[socket.socket]:
    """Bind a socket that its own user alone may connect to; unbound again by the removal of its path.

    Raises:
        ConfigurationError: Somebody listens there, or no socket can be made there.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        try:
            _clear_away_stale(path)
            os.fchmod(listener.fileno(), 0o600)  # Linux gives this mode to the path, which is never open to others
            listener.bind(str(path))
        except OSError as error:
            raise ConfigurationError(
                f"The control socket {path} cannot be made ({error.strerror}). Choose a storage.directory on a disk of "
                "this computer that the daemon may write to."
            ) from error
        yield listener


def _clear_away_stale(path: Path) -> None:
    """Remove the socket of a daemon that was killed."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_S)
        try:
            probe.connect(str(path))
        except FileNotFoundError:
            return
        except ConnectionRefusedError:
            pass  # nobody listens
        except (BlockingIOError, TimeoutError) as error:  # somebody does, who has much to do
            raise runs_already(path.parent) from error
        else:
            raise runs_already(path.parent)
    if not path.is_socket():
        raise ConfigurationError(f"{path} is in the way of the control socket, and is none itself. Move it away.")
    path.unlink()
