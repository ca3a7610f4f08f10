"""Runs an `AlpacaServer` in its own thread, or in the foreground until a signal ends it.

uvicorn's protocol handles HTTP, but not start and stop: its shutdown waits for a device that never answers.
"""

import asyncio
import contextlib
import errno
import signal
import socket
import threading
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Self, TypeVar

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from alpaca_focus.alpaca.discovery import DiscoveryResponder
from alpaca_focus.alpaca.sending import TRANSPORT

T = TypeVar("T")

KEEP_ALIVE_S = 75
"""Longer than a client's poll interval, so that it does not send into a connection that is just being closed."""
_BACKLOG = 128
_LONGEST_HEAD_BYTES = 131_072
_ROUNDS_TO_ACCEPT = 3
"""Iterations of the event loop until a connection that was just accepted is known to uvicorn and can be aborted."""
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - a name to compare with, not to bind to


class ServerStartError(OSError):
    """The server cannot listen at its address."""


class _Protocol(HttpToolsProtocol):
    """Aborts the connection of a request whose head is too long, which uvicorn does not limit.

    It also stores the transport in the request's state, for replies that are invalid on purpose.
    """

    _head_bytes = 0
    _is_in_body = False
    _has_parted = False
    """Whether a head or a body ends within the data being received."""

    @override
    def data_received(self, data: bytes) -> None:
        self._has_parted = False
        super().data_received(data)
        self._head_bytes = 0 if self._has_parted or self._is_in_body else self._head_bytes + len(data)
        if self._head_bytes > _LONGEST_HEAD_BYTES:
            self.transport.abort()

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"][TRANSPORT] = self.transport

    @override
    def on_headers_complete(self) -> None:
        self._has_parted = self._is_in_body = True
        super().on_headers_complete()

    @override
    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._has_parted, self._is_in_body = True, False


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 takes a free one.

    Raises:
        ServerStartError: The port is in use or not allowed, or this machine has no such address.
    """
    try:
        info = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        family, address = info[0], info[4]
        listener = socket.create_server(
            (str(address[0]), port),
            family=family,
            backlog=_BACKLOG,
            dualstack_ipv6=address[0] == "::" and socket.has_dualstack_ipv6(),
        )
        # Inherited by the connections; asyncio sets it for its own listeners only. Without it a reply on a kept-alive
        # connection waits 40 ms until the client has acknowledged its head.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener  # noqa: TRY300 - an error of the last line belongs to the same sentence
    except OSError as error:
        reason = {
            errno.EADDRINUSE: "another program uses that port; stop it or choose another port",
            errno.EACCES: "this user may not use that port; choose one above 1023",
            errno.EADDRNOTAVAIL: "this machine has no such address; check the host",
        }.get(error.errno or 0, str(error))
        raise ServerStartError(error.errno, f"Cannot listen at {host} port {port}: {reason}.") from error


async def serve(
    app: ASGIApp,
    listener: socket.socket,
    stop: asyncio.Event,
    *,
    discovery_port: int | None,
    claims_addresses: bool = False,
    on_started: Callable[[], None],
) -> None:
    """Serve until `stop` is set, then abort every connection and request at once, and close the listener."""
    is_stopping = False

    async def stoppable(scope: Scope, receive: Receive, send: Send) -> None:
        # A request that the stop cancels ends without a traceback in the log.
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            if not is_stopping:
                raise

    config = uvicorn.Config(
        stoppable, log_config=None, lifespan="off", ws="none", access_log=False, timeout_keep_alive=KEEP_ALIVE_S
    )
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    async with contextlib.AsyncExitStack() as stack:
        server = await loop.create_server(lambda: _Protocol(config, state, {}), sock=listener)
        stack.callback(server.close)
        if discovery_port is not None:
            host, alpaca_port = listener.getsockname()[:2]
            responder = DiscoveryResponder(host, alpaca_port, port=discovery_port, claims_addresses=claims_addresses)
            await stack.enter_async_context(responder)
        on_started()
        await stop.wait()
        is_stopping = True
        # No new connections. Those just accepted are awaited first, because a closed server would leave them open.
        loop.remove_reader(listener)
        for _ in range(_ROUNDS_TO_ACCEPT):
            await asyncio.sleep(0)
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)  # connections must be lost, in the next iteration, before their requests are cancelled
        for task in state.tasks:
            task.cancel()
        await asyncio.gather(*state.tasks, return_exceptions=True)


class RunningServer:
    """An `AlpacaServer` in its own thread, which serves once it is constructed; a context manager.

    Args:
        host: Address or name to listen on; as an attribute, the one to connect to from this machine.
        port: Port to listen on, 0 for a free one; as an attribute, the actual one.
        discovery_port: UDP port on which to answer discovery, `None` for none.
        claims_addresses: Whether to answer what is sent to its own addresses instead of the machine's other servers.

    Raises:
        ServerStartError: The address or port cannot be used.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        discovery_port: int | None = None,
        claims_addresses: bool = False,
    ) -> None:
        self._listener = listen(host, port)
        bound_host, self.port = self._listener.getsockname()[:2]
        self.host: str = _WILDCARDS.get(bound_host, bound_host)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._started = threading.Event()
        self._thread = threading.Thread(
            target=self._run,
            args=(app,),
            kwargs={"discovery_port": discovery_port, "claims_addresses": claims_addresses},
            name=f"alpaca-server-{self.port}",
            daemon=True,
        )
        self._thread.start()
        self._started.wait()

    @property
    def address(self) -> str:
        """The address as "host:port"."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def base_url(self) -> str:
        """The URL before `/api/v1`."""
        return f"http://{self.address}"

    def _run(self, app: ASGIApp, *, discovery_port: int | None, claims_addresses: bool) -> None:
        async def main() -> None:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            await serve(
                app,
                self._listener,
                self._stop,
                discovery_port=discovery_port,
                claims_addresses=claims_addresses,
                on_started=self._started.set,
            )

        try:
            asyncio.run(main())
        finally:
            self._started.set()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the server's loop, from another one; a cancelled call cancels it.

        Raises:
            RuntimeError: The server has stopped.
        """
        if self._loop is None or not self._thread.is_alive():
            work.close()
            raise RuntimeError("the server has stopped")
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    def call(self, work: Callable[[], None]) -> None:
        """Call `work` soon in the server's loop, before it stops; do nothing if it has stopped."""
        if self._loop is not None and self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # the loop was closed after the check above
                self._loop.call_soon_threadsafe(work)

    def stop(self) -> None:
        """Stop at once, with open requests cancelled; may be called twice."""
        if self._stop is not None:
            self.call(self._stop.set)
        self._thread.join()
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def serve_forever(
    app: ASGIApp,
    *,
    host: str,
    port: int,
    discovery_port: int | None = None,
    on_started: Callable[[int], None] = lambda _port: None,
) -> None:
    """Serve in the foreground until SIGINT or SIGTERM; the arguments are those of `RunningServer`.

    `on_started` is called with the port once requests and signals are answered.

    Raises:
        ServerStartError: The address or port cannot be used.
    """
    with listen(host, port) as listener:
        started = partial(on_started, listener.getsockname()[1])

        async def main() -> None:
            stop = asyncio.Event()
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, stop.set)
            await serve(app, listener, stop, discovery_port=discovery_port, on_started=started)

        asyncio.run(main())
