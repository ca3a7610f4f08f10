"""Messages to people, by the many services that Apprise speaks; nothing ever waits for them.

The URL of a service holds its secret. It is never told, and neither is what Apprise itself logs.
"""

import contextlib
import html
import logging
import queue
import tempfile
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from alpaca_focus.core.night.notices import Kind

ANSWER_S = 60.0
"""For a picture over a slow line; what hangs for longer is left to itself."""
CLOSED_WITHIN_S = 1.0
MOST_WAITING = 20
URGENT = frozenset({Kind.FOCUSER_STRANDED, Kind.FOCUS_FAILED, Kind.DEVICE_LOST})
WORRYING = frozenset({Kind.DEGRADED, Kind.SENSOR_LOST})

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Something to be told to people.

    Attributes:
        title: A few words.
        text: All of it.
        kind: What it is about; `None`: a test.
        attachment: Makes a file to go with it, in a folder, and returns where it is; `None`: there is none.
    """

    title: str
    text: str
    kind: Kind | None = None
    attachment: Callable[[Path], Path | None] = lambda _: None


class Service:
    """One service.

    Attributes:
        name: What to call it: its number in the settings, and its kind where the URL is understood.

    Args:
        url: Apprise's.
        number: In the settings, from 1.
    """

    def __init__(self, url: str, number: int) -> None:
        # Slow to import, and of no use to the other commands.
        import apprise  # noqa: PLC0415

        # It would name hosts and URLs, which may be secret.
        logging.getLogger("apprise").disabled = True
        asset = apprise.AppriseAsset(app_id="alpaca-focus", app_desc="Keeps a telescope in focus", app_url="")
        with warnings.catch_warnings():
            # Its plugins, which are loaded now, import modules of Python that are on their way out.
            warnings.simplefilter("ignore")
            try:
                # Not by its own notify(): that has a pool of threads, which the end of the program would wait for.
                self._plugin: Any = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=False)
            except Exception:  # noqa: BLE001 - the library's message would quote the URL
                self._plugin = None
        kind = "" if self._plugin is None else f" ({self._plugin.service_name})"
        self.name = f"service {number}{kind}"
        self._sending: threading.Thread | None = None

    @property
    def is_known(self) -> bool:
        """Whether Apprise understands the URL."""
        return self._plugin is not None

    def send(self, message: Message, file: Path | None) -> str:
        """Send a message.

        Returns:
            Why it did not go, as a sentence; empty: it went.
        """
        if self._plugin is None:
            return "Apprise does not know that URL: look at its beginning, and at the list of Apprise's services."
        if self._sending is not None and self._sending.is_alive():
            return "It still hangs on a message before."
        went: list[bool | str] = []
        self._sending = threading.Thread(
            target=self._send, args=(message, file, went), name="message-service", daemon=True
        )
        self._sending.start()
        self._sending.join(ANSWER_S)
        if self._sending.is_alive():
            return f"It has not answered within {ANSWER_S:.0f} s."
        if went == [True]:
            return ""
        inside = f" (inside its library: {went[0]})" if isinstance(went[0], str) else ""
        return (
            f"It cannot be reached, or has refused it{inside}: look at the network, the address and the secret in its "
            "URL."
        )

    def _send(self, message: Message, file: Path | None, went: list[bool | str]) -> None:
        try:
            went.append(self._went(message, file))
        except Exception as error:  # noqa: BLE001 - only its kind is told: the library's message would quote the URL
            went.append(type(error).__name__)

    def _went(self, message: Message, file: Path | None) -> bool:
        from apprise import AppriseAttachment  # noqa: PLC0415

        kind = "failure" if message.kind in URGENT else "warning" if message.kind in WORRYING else "info"
        is_html = str(getattr(self._plugin.notify_format, "value", self._plugin.notify_format)) == "html"
        text = html.escape(message.text) if is_html else message.text
        attached = AppriseAttachment(str(file)) if file is not None and self._plugin.attachment_support else None
        return bool(self._plugin.notify(body=text, title=message.title, notify_type=kind, attach=attached))


class Messenger:
    """Sends messages to all services, in a thread of its own; use it as a context manager.

    Args:
        services: Where to.
    """

    def __init__(self, services: Sequence[Service]) -> None:
        self._services = tuple(services)
        self._queue: queue.Queue[Message | None] = queue.Queue(MOST_WAITING)
        self._trouble: dict[str, str] = {}
        self._thread = threading.Thread(target=self._work, name="messages", daemon=True)
        self._thread.start()

    def tell(self, message: Message) -> None:
        """Have a message sent; returns at once."""
        try:
            self._queue.put_nowait(message)
        except queue.Full:
            _log.error("A message is not sent: too many wait for services that do not answer", title=message.title)

    def close(self) -> None:
        """End; what is being sent goes on for a moment, and is left to itself then."""
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(None)
        self._thread.join(CLOSED_WITHIN_S)

    def _work(self) -> None:
        while (message := self._queue.get()) is not None:
            try:
                self.send(message)
            except Exception:  # noqa: BLE001 - the next message goes all the same; the log has it whole
                _log.exception("A message could not be sent", title=message.title)

    def send(self, message: Message) -> dict[str, str]:
        """Send a message now.

        Returns:
            For each service why it did not go; empty: it went.
        """
        with tempfile.TemporaryDirectory(prefix="alpaca-focus-", ignore_cleanup_errors=True) as folder:
            file = _attached(message, Path(folder))
            said = {each.name: each.send(message, file) for each in self._services}
        for name, why in said.items():
            self._tell(name, why)
        return said

    def _tell(self, name: str, why: str) -> None:
        """Tell once of a service that fails, and once more when it works again."""
        before = self._trouble.get(name, "")
        self._trouble[name] = why
        if why and why != before:
            _log.error("A message did not go", service=name, why=why)
        elif before and not why:
            _log.info("Messages go again", service=name)


def _attached(message: Message, folder: Path) -> Path | None:
    try:
        return message.attachment(folder)
    except Exception:  # noqa: BLE001 - the message matters more than its picture
        _log.exception("A message goes without its picture", title=message.title)
        return None
