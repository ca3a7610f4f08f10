"""A file that another program keeps writing the temperature into."""

import asyncio
import stat
import time
from pathlib import Path

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.devices.text_readings import LONGEST_BYTES, Missing, TextReadings

OLDEST_S = 600.0
"""A file that nobody has written for so long says what the temperature was."""


class FileThermometer:
    """A file with a temperature; implements `ports.Thermometer`.

    What may stand in it says `core.temperature`.

    Args:
        path: The file; it need not exist yet.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._readings = TextReadings(self.name)

    @property
    def name(self) -> str:
        """What to call it in a message."""
        return f"the temperature file {self._path}"

    @property
    def trouble(self) -> str:
        """Why the last reading was none, as a clause; empty: it was one."""
        return self._readings.trouble

    async def connect(self) -> None:
        """Check the path; the program that writes the file may be started later.

        Raises:
            ConfigurationError: The path is a folder.
        """
        if await asyncio.to_thread(self._path.is_dir):
            raise ConfigurationError(f"{self._path} is a folder. Name the file with the temperature in it.")

    async def close(self) -> None:
        """Do nothing: the file is open only while it is read."""

    async def temperature_c(self) -> float | None:
        """Return the temperature in the file, or `None` when there is none, or none from the last ten minutes."""
        return self._readings.take(await asyncio.to_thread(self._read))

    def _read(self) -> bytes | Missing:
        try:
            return self._read_young()
        except OSError as error:
            return Missing(f"it cannot be read ({error.strerror})")

    def _read_young(self) -> bytes | Missing:
        status = self._path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe could keep the reader waiting for ever
            return Missing("it is not an ordinary file")
        # By the computer's own clock, as the file's time is, whatever clock the program runs by. A file from the future
        # would never grow old.
        age_s = time.time() - status.st_mtime
        if abs(age_s) > OLDEST_S:
            return Missing(f"it was written {abs(age_s) / 60:.0f} minutes {'ago' if age_s > 0 else 'in the future'}")
        with self._path.open("rb") as file:
            return file.read(LONGEST_BYTES + 1)
