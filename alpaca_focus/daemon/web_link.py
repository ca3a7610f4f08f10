"""Opens and closes the web server, which runs in a thread and loop of its own, as the settings require."""

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Self

import structlog

from alpaca_focus.alpaca.running import RunningServer, ServerStartError
from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.core.values import SavedRun
from alpaca_focus.files.pictures import curve_of_run, picture_png
from alpaca_focus.service.control_server import Handler
from alpaca_focus.service.control_wire import Request
from alpaca_focus.service.threads import start_in_loop
from alpaca_focus.settings.interface_models import WebSection
from alpaca_focus.settings.loader import token_of
from alpaca_focus.settings.models import Settings
from alpaca_focus.web.security import AccessRules, Network
from alpaca_focus.web.source import NightSource

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Wanted:
    listen: str
    port: int
    rules: AccessRules


class WebLink:
    """Keeps the web server open across reloads of the settings, unless its own settings change.

    A context manager; construct it in the daemon's loop.

    Args:
        night: The server's view of the night; its `answer` is called in the server's loop.

    Attributes:
        server: `None` if the settings have none.
    """

    def __init__(self, night: NightSource) -> None:
        self._night = night
        self._wanted: _Wanted | None = None
        self.server: RunningServer | None = None

    def __enter__(self) -> Self:
        """Return itself; the server is not open yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the server."""
        self._close()

    def follow(self, settings: Settings) -> None:
        """Open, close or keep the server, as the settings require.

        Raises:
            ConfigurationError: The server cannot listen there, or its token is missing; the server is closed then.
        """
        wanted = None if settings.web is None else _wanted(settings.web)
        if wanted == self._wanted:
            return
        self._close()
        if wanted is None:
            return
        # Slow to import, and not needed without a dashboard.
        from alpaca_focus.web.pages import make_app  # noqa: PLC0415

        try:
            self.server = RunningServer(make_app(self._night, wanted.rules), host=wanted.listen, port=wanted.port)
        except ServerStartError as error:
            raise ConfigurationError(f"{error.strerror} Check web.listen and web.port.") from error
        self._wanted = wanted
        _log.info("The dashboard is open", address=f"{self.server.base_url}/")

    def _close(self) -> None:
        if self.server is not None:
            self.server.stop()
        self.server, self._wanted = None, None


def answer_from_any_loop(answer: Handler) -> Handler:
    """Return a function that answers a command in the present loop and can be awaited in any other loop."""
    loop = asyncio.get_running_loop()

    async def here(request: Request) -> Mapping[str, object]:
        return await answer(request)

    async def answer_there(request: Request) -> Mapping[str, object]:
        # Shielded: a command is carried out to its end, also if the browser no longer waits for the answer.
        return await asyncio.shield(start_in_loop(loop, here(request)))

    return answer_there


def draw_run(run: SavedRun) -> bytes:
    """Return the V-curve of a run with frames as a PNG picture."""
    fitted, title = curve_of_run(run.number, run.result)
    return picture_png(fitted, title=title)


def _wanted(web: WebSection) -> _Wanted:
    allowed: tuple[Network, ...] = tuple(ip_network(each, strict=False) for each in web.allow)
    rules = AccessRules(allowed=allowed, names=_names(web.listen) | frozenset(web.names), token=token_of(web))
    return _Wanted(listen=web.listen, port=web.port, rules=rules)


def _names(listen: str) -> frozenset[str]:
    """Return the names of this computer, in lower case."""
    name = socket.gethostname().lower()
    short = name.partition(".")[0]
    return frozenset({name, short, f"{short}.local", listen.lower()})
