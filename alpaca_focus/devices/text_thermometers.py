"""The thermometers that are a text: a file that another program keeps writing, and a page on the network."""

import asyncio
import logging
import stat
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import requests

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.core.temperature import temperature_of_text

LONGEST_BYTES = 65536
"""No file or page with a temperature is longer; a longer one is something else, and is not read to its end."""
OLDEST_S = 600.0
"""A file that has not been written for so long holds an old temperature."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Missing:
    """There is nothing to read; `reason` is a clause."""

    reason: str


class TextReadings:
    """The readings of one source; it logs when they cease and when they come back, and not each one that is missing.

    Args:
        name: What to call the source in a message.

    Attributes:
        trouble: Why the last answer holds no temperature, as a clause; empty: it holds one.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._is_missing = False
        self.trouble = ""

    def take(self, answer: bytes | Missing) -> float | None:
        """Return the temperature in degrees Celsius in an answer, `None` if it holds none that is plausible."""
        match answer:
            case Missing(reason):
                reading_c = None
            case content if len(content) > LONGEST_BYTES:
                reading_c, reason = None, f"it is longer than {LONGEST_BYTES} bytes"
            case content:
                reading_c = temperature_of_text(_decoded(content))
                reason = "it does not begin with a number of degrees Celsius that makes sense"
        if reading_c is None and not self._is_missing:
            _log.warning("%s gives no temperature: %s. It is asked again each time.", self._name, reason)
        elif reading_c is not None and self._is_missing:
            _log.info("%s gives a temperature again: %.1f C.", self._name, reading_c)
        self._is_missing = reading_c is None
        self.trouble = reason if reading_c is None else ""
        return reading_c


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:  # small devices write the degree sign as one byte
        return content.decode("latin-1")


class FileThermometer:
    """A file with a temperature; implements `ports.Thermometer`.

    `core.temperature` describes what it may contain.

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


class UrlThermometer:
    """A page with a temperature; implements `ports.Thermometer`.

    `core.temperature` describes what it may contain. Redirects are not followed, and proxies and passwords of the
    environment are not used.

    Args:
        url: Address of the page, http or https.
        timeout_s: Real seconds for the whole answer.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._readings = TextReadings(self.name)
        self._request: asyncio.Future[bytes | Missing] | None = None

    @property
    def name(self) -> str:
        """What to call it in a message; without name, password and key, which the address may hold."""
        page = self._url.partition("?")[0].rpartition("@")[2]
        return f"the temperature page {page.partition('://')[2] or page}"

    @property
    def trouble(self) -> str:
        """Why the last reading was none, as a clause; empty: it was one."""
        return self._readings.trouble

    async def connect(self) -> None:
        """Check the address; the page may come up later.

        Raises:
            ConfigurationError: It is not the address of a page.
        """
        try:
            parts = urlsplit(self._url)
            is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_address = False
        if not is_address:
            raise ConfigurationError(
                f"{self._url!r} is not the address of a page. Write it as in http://192.168.1.30/temperature.txt."
            )

    async def close(self) -> None:
        """Do nothing: each question has a connection of its own."""

    async def temperature_c(self) -> float | None:
        """Return the temperature on the page, or `None` when there is none, or no answer in time."""
        if self._request is not None and not self._request.done():
            # A thread cannot be stopped; one that hangs in a name server must not be joined by others.
            return self._readings.take(Missing("the question before is still not answered"))
        # An answer that came too late for the question before is not used: it may be old by now.
        loop = asyncio.get_running_loop()
        self._request = loop.run_in_executor(None, _fetch, self._url, self._timeout_s)
        await asyncio.wait({self._request}, timeout=self._timeout_s)
        if not self._request.done():
            return self._readings.take(_late(self._timeout_s))
        return self._readings.take(self._request.result())


def _late(timeout_s: float) -> Missing:
    return Missing(f"it did not answer within {timeout_s:g} s")


def _fetch(url: str, timeout_s: float) -> bytes | Missing:
    ends_at = time.monotonic() + timeout_s
    content = bytearray()
    with requests.Session() as session:
        session.trust_env = False
        try:
            with session.get(url, timeout=timeout_s, stream=True, allow_redirects=False) as reply:
                if reply.is_redirect:
                    return Missing(f"it has moved to {reply.headers['Location']}; that has to be its address")
                if reply.status_code != requests.codes.ok:
                    return Missing(f"its server answers with the HTTP status {reply.status_code}")
                for part in reply.iter_content(chunk_size=1):  # a longer piece would be waited for beyond the deadline
                    content += part
                    if time.monotonic() > ends_at:
                        return _late(timeout_s)
                    if len(content) > LONGEST_BYTES:
                        break
        except requests.Timeout:
            return _late(timeout_s)
        except requests.ConnectionError:
            return Missing("there is no connection to its server")
        except (requests.RequestException, ValueError) as error:  # ValueError: an address that cannot be encoded
            return Missing(f"what came back is broken ({type(error).__name__})")
    return bytes(content)
