"""Debian's MQTT broker on a free port of loopback."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.ports import free_port

PATIENCE_S = 10.0


def executable() -> str:
    """Return where mosquitto is, or skip with a reason; where all tests are wanted it has to be there."""
    # Debian puts it where only the superuser looks.
    found = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        if os.environ.get("ALPACA_FOCUS_ALL_TESTS") == "1":
            pytest.fail("mosquitto is missing and all tests are wanted: `make system-deps` installs it")
        pytest.skip("mosquitto is missing: `make system-deps` installs it")
    return found


class Mosquitto:
    """A broker that can be stopped and started anew on the same port.

    Attributes:
        port: Where it listens.
    """

    def __init__(self, directory: Path) -> None:
        self._executable = executable()
        self._config = directory / "mosquitto.conf"
        self.port = free_port()
        self._config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self._process = subprocess.Popen(
            [self._executable, "-c", str(self._config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        ends_at = time.monotonic() + PATIENCE_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1.0).close()
            except OSError:
                assert time.monotonic() < ends_at, "mosquitto does not listen"
                time.sleep(0.02)
            else:
                return

    def stop(self) -> None:
        """Stop it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE_S)
            self._process = None
