"""The key `q` and the signals that end a live display, polled from its loop."""

import os
import select
import signal
import termios
import time
import tty
from types import FrameType
from typing import Any, Self

STANDARD_INPUT = 0
ENDING = (signal.SIGINT, signal.SIGTERM)


class EndRequest:
    """Watches for `q`, Ctrl-C and SIGTERM. A context manager, which restores the terminal."""

    def __init__(self) -> None:
        self.requested = False
        self._keyboard: int | None = None
        self._terminal: list[Any] = []
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        for number in ENDING:
            self._handlers[number] = signal.signal(number, self._on_signal)
        if _is_ours(STANDARD_INPUT):
            self._keyboard = STANDARD_INPUT
            self._terminal = termios.tcgetattr(self._keyboard)
            tty.setcbreak(self._keyboard)
        return self

    def __exit__(self, *_: object) -> None:
        if self._terminal:
            termios.tcsetattr(STANDARD_INPUT, termios.TCSADRAIN, self._terminal)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    @property
    def how(self) -> str:
        """The key that ends the display."""
        return "Ctrl-C" if self._keyboard is None else "q"

    def wait(self, seconds: float) -> bool:
        """Wait for a request to end, at most so many seconds; return whether there is one."""
        deadline = time.monotonic() + seconds
        while not self.requested and (left := deadline - time.monotonic()) > 0:
            # Python resumes a sleep after a signal (PEP 475), so no sleep is long.
            self._poll_key(min(left, 0.1))
        return self.requested

    def poll(self) -> bool:
        """Return whether the end is requested, without waiting."""
        self._poll_key(0.0)
        return self.requested

    def _poll_key(self, seconds: float) -> None:
        if self._keyboard is None:
            time.sleep(seconds)
        elif select.select([self._keyboard], [], [], seconds)[0]:
            keys = os.read(self._keyboard, 64)
            if not keys:
                # The terminal was closed.
                self._keyboard = None
            self.requested = self.requested or b"q" in keys.lower()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.requested = True


def _is_ours(descriptor: int) -> bool:
    """Return whether this is a terminal with us in the foreground: in the background, changing it sends SIGTTOU."""
    return os.isatty(descriptor) and os.tcgetpgrp(descriptor) == os.getpgrp()
