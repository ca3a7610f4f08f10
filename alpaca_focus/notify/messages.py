"""Messages to people through the services that Apprise supports; the daemon never waits for them.

The URL of a service contains its secret. It is never logged, and neither are Apprise's own log records.
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

SEND_TIMEOUT_S = 60.0
"""Enough for a picture over a slow line; a thread that hangs for longer is abandoned."""
CLOSE_TIMEOUT_S = 1.0
MOST_WAITING = 20
URGENT = frozenset({Kind.FOCUSER_STRANDED, Kind.FOCUS_FAILED, Kind.DEVICE_LOST})
WORRYING = frozenset({Kind.DEGRADED, Kind.SENSOR_LOST})

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message to people.

    Attributes:
        kind: Kind of the notice; `None` for a test.
        attachment: Creates a file to attach in a folder and returns its path; `None` if there is none.
    """

    title: str
    text: str
    kind: Kind | None = None
    attachment: Callable[[Path], Path | None] = lambda _: None


class Service:
    """One service.

    Attributes:
        name: Its number in the settings, from 1, and, if Apprise supports the URL, its kind.
    """

    def __init__(self, url: str, number: int) -> None:
        # Slow to import, and not needed by other commands.
        import apprise  # noqa: PLC0415

        # Its records contain hosts and URLs, which may be secret.
        logging.getLogger("apprise").disabled = True
        asset = apprise.AppriseAsset(app_id="alpaca-focus", app_desc="Keeps a telescope in focus", app_url="")
        with warnings.catch_warnings():
            # Its plugins, which are loaded now, import deprecated modules.
            warnings.simplefilter("ignore")
            try:
                # Apprise.notify() is not used: the program could not end before its thread pool.
                self._plugin: Any = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=False)
            except Exception:  # noqa: BLE001 - the library's message would quote the URL
                self._plugin = None
        kind = "" if self._plugin is None else f" ({self._plugin.service_name})"
        self.name = f"service {number}{kind}"
        self._sending: threading.Thread | None = None

    @property
    def is_known(self) -> bool:
        """Whether Apprise supports the URL."""
        return self._plugin is not None

    def send(self, message: Message, file: Path | None) -> str:
        """Send a message; return why it could not be sent, as a sentence, empty if it was sent."""
        if self._plugin is None:
            return "Apprise does not support this URL. Check its beginning against Apprise's list of services."
        if self._sending is not None and self._sending.is_alive():
            return "The service still hangs on an earlier message."
        results: list[bool | str] = []
        self._sending = threading.Thread(
            target=self._send, args=(message, file, results), name="message-service", daemon=True
        )
        self._sending.start()
        self._sending.join(SEND_TIMEOUT_S)
        if self._sending.is_alive():
            return f"The service has not answered within {SEND_TIMEOUT_S:.0f} s."
        if results == [True]:
            return ""
        inside = f" ({results[0]})" if isinstance(results[0], str) else ""
        return (
            f"The service cannot be reached, or has refused the message{inside}. Check the network, and the address "
            "and the secret in its URL."
        )

    def _send(self, message: Message, file: Path | None, results: list[bool | str]) -> None:
        try:
            from apprise import AppriseAttachment  # noqa: PLC0415

            kind = "failure" if message.kind in URGENT else "warning" if message.kind in WORRYING else "info"
            is_html = str(getattr(self._plugin.notify_format, "value", self._plugin.notify_format)) == "html"
            text = html.escape(message.text) if is_html else message.text
            attached = AppriseAttachment(str(file)) if file is not None and self._plugin.attachment_support else None
            sent = self._plugin.notify(body=text, title=message.title, notify_type=kind, attach=attached)
            results.append(bool(sent))
        except Exception as error:  # noqa: BLE001 - only its kind: the library's message would quote the URL
            results.append(type(error).__name__)


class Messenger:
    """Sends messages to all services, in a thread of its own; close it at the end."""

    def __init__(self, services: Sequence[Service]) -> None:
        self._services = tuple(services)
        self._queue: queue.Queue[Message | None] = queue.Queue(MOST_WAITING)
        self._failures: dict[str, str] = {}
        self._thread = threading.Thread(target=self._work, name="messages", daemon=True)
        self._thread.start()

    def enqueue(self, message: Message) -> None:
        """Queue a message for sending; returns at once."""
        try:
            self._queue.put_nowait(message)
        except queue.Full:
            _log.error("Message not sent: too many messages wait for services that do not answer", title=message.title)

    def close(self) -> None:
        """End the thread; a message being sent gets a moment to finish, and is abandoned then."""
        with contextlib.suppress(queue.Full):
            self._queue.put_nowait(None)
        self._thread.join(CLOSE_TIMEOUT_S)

    def _work(self) -> None:
        while (message := self._queue.get()) is not None:
            try:
                self.send(message)
            except Exception:  # noqa: BLE001 - the next message is sent all the same; the log has the details
                _log.exception("Message not sent", title=message.title)

    def send(self, message: Message) -> dict[str, str]:
        """Send a message now; return for each service why it failed, empty if it was sent."""
        with tempfile.TemporaryDirectory(prefix="alpaca-focus-", ignore_cleanup_errors=True) as folder:
            file = _attached(message, Path(folder))
            failures = {each.name: each.send(message, file) for each in self._services}
        for name, why in failures.items():
            before = self._failures.get(name, "")
            if why and why != before:
                _log.error("Message not sent", service=name, why=why)
            elif before and not why:
                _log.info("Messages are sent again", service=name)
        self._failures |= failures
        return failures


def _attached(message: Message, folder: Path) -> Path | None:
    try:
        return message.attachment(folder)
    except Exception:  # noqa: BLE001 - the message matters more than its picture
        _log.exception("Message sent without its picture", title=message.title)
        return None
