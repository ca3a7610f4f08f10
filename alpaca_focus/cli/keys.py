"""Single keys from the terminal and the signals that end a program, asked for between two steps of a loop."""

import os
import select
import signal
import termios
import time
import tty
from types import FrameType, TracebackType
from typing import Any, Self

STANDARD_INPUT = 0
ENDING = (signal.SIGINT, signal.SIGTERM)


class EndRequest:
    """Knows whether `q`, Ctrl-C or SIGTERM has asked for the end. A context manager: it restores the terminal."""

    def __init__(self) -> None:
        self.asked = False
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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._terminal:
            termios.tcsetattr(STANDARD_INPUT, termios.TCSADRAIN, self._terminal)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    @property
    def how(self) -> str:
        """What a person can do to end it."""
        return "Ctrl-C" if self._keyboard is None else "q"

    def wait(self, seconds: float) -> bool:
        """Wait until the end is asked for, at most so long; return whether it is."""
        deadline = time.monotonic() + seconds
        while not self.asked and (left := deadline - time.monotonic()) > 0:
            # A signal does not wake a sleeper, so no sleep is long.
            self._look_for_key(min(left, 0.1))
        return self.asked

    def look(self) -> bool:
        """Return whether the end is asked for, without waiting."""
        self._look_for_key(0.0)
        return self.asked

    def _look_for_key(self, seconds: float) -> None:
        if self._keyboard is None:
            time.sleep(seconds)
        elif select.select([self._keyboard], [], [], seconds)[0]:
            keys = os.read(self._keyboard, 64)
            if not keys:
                # The terminal was closed.
                self._keyboard = None
            self.asked = self.asked or b"q" in keys.lower()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True


def _is_ours(descriptor: int) -> bool:
    """Tell whether it is a terminal in whose foreground the program runs; else touching it would stop the program."""
    return os.isatty(descriptor) and os.tcgetpgrp(descriptor) == os.getpgrp()
