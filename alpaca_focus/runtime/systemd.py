"""Notifies systemd of the state of a service of `Type=notify`, by datagrams as sd_notify(3) describes them.

Without systemd, when `NOTIFY_SOCKET` is not set, nothing happens. No failure here is one of the program: it is logged.
"""

import os
import socket

import structlog

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
