"""What systemd wants to hear from a service of `Type=notify-reload`: datagrams as sd_notify(3) describes them.

Without systemd, when `NOTIFY_SOCKET` is not set, nothing happens. No failure here is one of the program: it is logged.
"""

import os
import socket
import time

import structlog

_SEND_TIMEOUT_S = 1.0

_log = structlog.get_logger(__name__)


def ready() -> None:
    """Say that the service has started, or has read its settings again after `reloading`."""
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


def reloading() -> None:
    """Say that the service reads its settings again; `ready` has to follow."""
    # The time tells systemd which of its reload signals this belongs to.
    _notify(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")


def watchdog_interval_s() -> float | None:
    """Return after how many seconds each `watchdog` has to be called again, `None` if systemd does not ask for it.

    It is half of the time after which systemd takes the service for dead, as sd_watchdog_enabled(3) recommends.
    """
    limit_us, process = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", str(os.getpid()))
    if process != str(os.getpid()) or not (limit_us.isascii() and limit_us.isdigit()) or int(limit_us) == 0:
        return None
    return int(limit_us) / 2e6


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
