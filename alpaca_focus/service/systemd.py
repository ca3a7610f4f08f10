"""Notifies systemd of the state of a service of `Type=notify`, by datagrams as sd_notify(3) describes them.

Without systemd, when `NOTIFY_SOCKET` is not set, nothing happens. No failure here is one of the program: it is logged.
"""

import contextlib
import errno
import fcntl
import logging
import os
import re
import socket
import sys
from collections.abc import Mapping
from typing import IO

import structlog
from typing_extensions import override

_SEND_TIMEOUT_S = 1.0

_log = structlog.get_logger(__name__)


def ready() -> None:
    """Report that the service has started."""
    _notify("READY=1")


def status(text: str) -> None:
    """Say in a line what the service does now; `systemctl status` shows it."""
    _notify(f"STATUS={' '.join(text.split())}")


def watchdog() -> None:
    """Say that the service is alive."""
    _notify("WATCHDOG=1")


def stopping() -> None:
    """Say that the service has begun to stop."""
    _notify("STOPPING=1")


def _notify(text: str) -> None:
    place = os.environ.get("NOTIFY_SOCKET", "")
    if not place:
        return
    if place.startswith("@"):  # an abstract socket, whose name begins with a zero byte
        place = f"\0{place[1:]}"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify_socket:
            notify_socket.settimeout(_SEND_TIMEOUT_S)
            notify_socket.sendto(text.encode(), place)
    except OSError as error:
        _log.warning(f"systemd could not be told {text.partition('=')[0]} ({error}).")


JOURNAL_SOCKET = "/run/systemd/journal/socket"
IDENTIFIER = "alpaca-focus"
PREFIX = "ALPACA_FOCUS_"
LONGEST_NAME = 64
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG = 7
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
"""The journal trusts no file that could still change."""
_NOT_FACTS = frozenset({"event", "exception", "level", "timestamp", "exc_info", "stack_info"})

_NOT_IN_A_NAME = re.compile(r"[^A-Z0-9_]+")


def journal_reads(stream: IO[str], told: str | None) -> bool:
    """Say whether the journal itself reads this stream.

    Args:
        stream: Standard error, usually.
        told: The variable `JOURNAL_STREAM`: device and inode of the stream that systemd has set up. A program started
            by a service inherits it, and may write elsewhere.
    """
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return told == f"{found.st_dev}:{found.st_ino}"


def priority(level: int) -> int:
    """Return the journal's priority for a level of `logging`."""
    return next((number for least, number in _PRIORITIES if level >= least), _DEBUG)


def entry(fields: Mapping[str, str]) -> bytes:
    """Return the fields of one entry as the journal takes them."""
    return b"".join(_field(name, value) for name, value in fields.items())


def _field(name: str, value: str) -> bytes:
    data = value.encode(errors="backslashreplace")
    if b"\n" in data:
        return name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"
    return name.encode() + b"=" + data + b"\n"


def field_name(name: str) -> str:
    """Return what a fact is called in the journal: `position` is ALPACA_FOCUS_POSITION."""
    return (PREFIX + _NOT_IN_A_NAME.sub("_", name.upper()))[:LONGEST_NAME]


def text_of(said: str, facts: Mapping[str, object]) -> str:
    """Return an event as one text for people: what happened, and the facts after it."""
    told = ", ".join(f"{name}={value}" for name, value in facts.items())
    return f"{said} [{told}]" if told else said


class JournalHandler(logging.Handler):
    """Sends each event of the log to the journal."""

    def __init__(self, place: str = JOURNAL_SOCKET) -> None:
        super().__init__()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(_SEND_TIMEOUT_S)
        self._place = place

    @override
    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._tell(fields_of(record))
        except Exception:  # noqa: BLE001 - as all handlers of `logging` do it: no line of a log stops the night
            self.handleError(record)

    def _tell(self, fields: Mapping[str, str]) -> None:
        try:
            self._send(entry(fields))
        except OSError as error:
            # The journal may be started anew at any moment; what is lost for it is read from standard error.
            with contextlib.suppress(OSError):
                print(f"{fields['MESSAGE']} (the journal does not take it: {error})", file=sys.stderr, flush=True)  # noqa: T201

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendto(data, self._place)
        except OSError as error:
            if error.errno not in {errno.EMSGSIZE, errno.ENOBUFS}:
                raise
            self._send_as_file(data)

    def _send_as_file(self, data: bytes) -> None:
        """Hand over an entry that is too large for a datagram as a file in memory, as the protocol wants it."""
        number = os.memfd_create("journal-entry", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        with os.fdopen(number, "wb") as file, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
            file.write(data)
            file.flush()
            fcntl.fcntl(number, fcntl.F_ADD_SEALS, _SEALS)
            sending.settimeout(_SEND_TIMEOUT_S)
            # Not sendto: send_fds knows no address.
            sending.connect(self._place)
            socket.send_fds(sending, [b""], [number])

    @override
    def close(self) -> None:
        self._socket.close()
        super().close()


def fields_of(record: logging.LogRecord) -> dict[str, str]:
    """Return what the journal keeps of an event of ours, or of a library's."""
    # structlog hands its events over as they are.
    event = dict(record.msg) if isinstance(record.msg, Mapping) else {}
    event.setdefault("event", record.getMessage())
    if record.exc_info:
        event["exc_info"] = record.exc_info
    event = dict(structlog.processors.format_exc_info(None, record.levelname, event))
    facts = {name: value for name, value in event.items() if name not in _NOT_FACTS}
    fields = {
        "MESSAGE": text_of(str(event["event"]), facts),
        "PRIORITY": str(priority(record.levelno)),
        "SYSLOG_IDENTIFIER": IDENTIFIER,
        "LOGGER": record.name,
        "THREAD_NAME": record.threadName or "",
    }
    if "exception" in event:
        fields["TRACEBACK"] = str(event["exception"])
    return fields | {field_name(name): str(value) for name, value in facts.items()}
