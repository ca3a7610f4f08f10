"""Notifies systemd of the service's state, as sd_notify(3) describes it, and sends the log to its journal.

Without systemd (`NOTIFY_SOCKET` is not set) the notifications do nothing. Failures are logged and never raised.
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


def notify(state: str) -> None:
    """Report a state of the service, such as "READY=1", "STOPPING=1", "WATCHDOG=1" or "STATUS=waiting", in one line."""
    if not (address := os.environ.get("NOTIFY_SOCKET", "")):
        return
    if address.startswith("@"):  # an abstract socket, whose name begins with a zero byte
        address = f"\0{address[1:]}"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify_socket:
            notify_socket.settimeout(_SEND_TIMEOUT_S)
            notify_socket.sendto(" ".join(state.split()).encode(), address)
    except OSError as error:
        _log.warning(f"systemd did not receive {state.partition('=')[0]} ({error}).")


JOURNAL_SOCKET = "/run/systemd/journal/socket"
IDENTIFIER = "alpaca-focus"
PREFIX = "ALPACA_FOCUS_"
LONGEST_NAME = 64
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG = 7
_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SEAL
"""The journal accepts only a file that cannot change any more."""
_NOT_FACTS = frozenset({"event", "exception", "level", "timestamp", "exc_info", "stack_info"})
_NOT_IN_A_NAME = re.compile(r"[^A-Z0-9_]+")


def journal_reads(stream: IO[str], journal_stream: str | None) -> bool:
    """Return whether the journal reads this stream, by the variable `JOURNAL_STREAM`.

    It has device and inode of the stream that systemd has set up; a program that a service starts inherits it, and may
    write elsewhere.
    """
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return journal_stream == f"{status.st_dev}:{status.st_ino}"


def priority(level: int) -> int:
    """Return the journal's priority for a level of `logging`."""
    return next((number for least, number in _PRIORITIES if level >= least), _DEBUG)


def entry(fields: Mapping[str, str]) -> bytes:
    """Return an entry in the journal's native protocol, where the length precedes a value of several lines."""
    data = bytearray()
    for name, text in fields.items():
        value = text.encode(errors="backslashreplace")
        separator = b"\n" + len(value).to_bytes(8, "little") if b"\n" in value else b"="
        data += name.encode() + separator + value + b"\n"
    return bytes(data)


def field_name(name: str) -> str:
    """Return the journal's field name of a fact: ALPACA_FOCUS_POSITION for `position`."""
    return (PREFIX + _NOT_IN_A_NAME.sub("_", name.upper()))[:LONGEST_NAME]


class JournalHandler(logging.Handler):
    """Sends each event of the log to the journal."""

    def __init__(self, address: str = JOURNAL_SOCKET) -> None:
        super().__init__()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(_SEND_TIMEOUT_S)
        self._address = address

    @override
    def emit(self, record: logging.LogRecord) -> None:
        try:
            fields = fields_of(record)
            try:
                self._send(entry(fields))
            except OSError as error:
                # The journal may restart at any moment; then it reads the message from standard error.
                with contextlib.suppress(OSError):
                    print(f"{fields['MESSAGE']} (the journal refused it: {error})", file=sys.stderr, flush=True)  # noqa: T201
        except Exception:  # noqa: BLE001 - as in every handler of `logging`: a failing log line must not stop the daemon
            self.handleError(record)

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendto(data, self._address)
        except OSError as error:
            if error.errno not in {errno.EMSGSIZE, errno.ENOBUFS}:
                raise
            self._send_as_file(data)

    def _send_as_file(self, data: bytes) -> None:
        """Send an entry that is too large for a datagram as a file in memory, as the protocol requires."""
        number = os.memfd_create("journal-entry", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        with os.fdopen(number, "wb") as file, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sending:
            file.write(data)
            file.flush()
            fcntl.fcntl(number, fcntl.F_ADD_SEALS, _SEALS)
            sending.settimeout(_SEND_TIMEOUT_S)
            # connect, because send_fds takes no address.
            sending.connect(self._address)
            socket.send_fds(sending, [b""], [number])

    @override
    def close(self) -> None:
        self._socket.close()
        super().close()


def fields_of(record: logging.LogRecord) -> dict[str, str]:
    """Return the journal fields of an event of this program or of a library."""
    # A record of structlog has the event itself as its message.
    event = dict(record.msg) if isinstance(record.msg, Mapping) else {}
    event.setdefault("event", record.getMessage())
    if record.exc_info:
        event["exc_info"] = record.exc_info
    event = dict(structlog.processors.format_exc_info(None, record.levelname, event))
    facts = {name: value for name, value in event.items() if name not in _NOT_FACTS}
    text = ", ".join(f"{name}={value}" for name, value in facts.items())
    fields = {
        "MESSAGE": f"{event['event']} [{text}]" if text else str(event["event"]),
        "PRIORITY": str(priority(record.levelno)),
        "SYSLOG_IDENTIFIER": IDENTIFIER,
        "LOGGER": record.name,
        "THREAD_NAME": record.threadName or "",
    }
    if "exception" in event:
        fields["TRACEBACK"] = str(event["exception"])
    return fields | {field_name(name): str(value) for name, value in facts.items()}
