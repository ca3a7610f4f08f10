"""Thermometers that are texts: a file that another program writes repeatedly, and a web page."""

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
"""A longer file or page holds something else, and is not read to its end."""
OLDEST_S = 600.0
"""A file that was not written for this long holds an old temperature."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NoText:
    """There is nothing to read; `reason` is a clause."""

    reason: str


class _TextThermometer:
    """Converts the texts of one source, and logs when its readings cease and when they come back.

    Attributes:
        name: Name of the source in messages.
        problem: Why the last reading failed, as a clause; empty: it did not.
    """

    server = ""

    def __init__(self, name: str) -> None:
        self.name = name
        self.problem = ""

    async def close(self) -> None:
        """Do nothing: a file or a connection is open only while it is read."""

    def _convert(self, text: bytes | NoText) -> float | None:
        """Return the temperature in degrees Celsius, or `None` if the text holds none that is plausible."""
        had_problem = bool(self.problem)
        match text:
            case NoText(reason):
                reading_c = None
            case content if len(content) > LONGEST_BYTES:
                reading_c, reason = None, f"it is longer than {LONGEST_BYTES} bytes"
            case content:
                reading_c = temperature_of_text(_decoded(content))
                reason = "it does not begin with a plausible number of degrees Celsius"
        self.problem = reason if reading_c is None else ""
        if self.problem and not had_problem:
            _log.warning("%s gives no temperature: %s. Retrying at each poll.", self.name, reason)
        elif had_problem and not self.problem:
            _log.info("%s gives a temperature again: %.1f C.", self.name, reading_c)
        return reading_c


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:  # small devices write the degree sign as one byte
        return content.decode("latin-1")


class FileThermometer(_TextThermometer):
    """A file with a temperature, which need not exist yet; implements `ports.Thermometer`.

    `core.temperature` describes what it may contain.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(f"the temperature file {path}")
        self._path = path

    async def connect(self) -> None:
        """Check the path; the program that writes the file may be started later.

        Raises:
            ConfigurationError: The path is a folder.
        """
        if await asyncio.to_thread(self._path.is_dir):
            raise ConfigurationError(f"{self._path} is a folder. Name the file with the temperature in it.")

    async def temperature_c(self) -> float | None:
        """Return the temperature in the file, or `None` if there is none from the last ten minutes."""
        return self._convert(await asyncio.to_thread(self._read))

    def _read(self) -> bytes | NoText:
        try:
            status = self._path.stat()
            if not stat.S_ISREG(status.st_mode):  # reading a pipe could block without end
                return NoText("it is not an ordinary file")
            # By the computer's clock, which also dates the file, not by the `Clock` port. A file from the future would
            # never grow old.
            age_s = time.time() - status.st_mtime
            if abs(age_s) > OLDEST_S:
                return NoText(f"it was written {abs(age_s) / 60:.0f} minutes {'ago' if age_s > 0 else 'in the future'}")
            with self._path.open("rb") as file:
                return file.read(LONGEST_BYTES + 1)
        except OSError as error:
            return NoText(f"it cannot be read ({error.strerror})")


class UrlThermometer(_TextThermometer):
    """A web page with a temperature; implements `ports.Thermometer`.

    `core.temperature` describes what it may contain. Redirects are not followed, and proxies and passwords of the
    environment are not used. `timeout_s` is in real seconds, for the whole reply.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        # Without user name, password and key, which the URL may contain.
        page = url.partition("?")[0].rpartition("@")[2]
        super().__init__(f"the temperature page {page.partition('://')[2] or page}")
        self._url = url
        self._timeout_s = timeout_s
        self._request: asyncio.Future[bytes | NoText] | None = None

    async def connect(self) -> None:
        """Check the URL; the server may be started later.

        Raises:
            ConfigurationError: It is not the URL of a page.
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

    async def temperature_c(self) -> float | None:
        """Return the temperature on the page, or `None` if there is none, or no reply in time."""
        if self._request is not None and not self._request.done():
            # A thread cannot be stopped: if one hangs in name resolution, no second one is started.
            return self._convert(NoText("the previous request is still not answered"))
        # A late reply to the previous request is not used: it may be old by now.
        loop = asyncio.get_running_loop()
        self._request = loop.run_in_executor(None, _fetch, self._url, self._timeout_s)
        await asyncio.wait({self._request}, timeout=self._timeout_s)
        if not self._request.done():
            return self._convert(_late(self._timeout_s))
        return self._convert(self._request.result())


def _late(timeout_s: float) -> NoText:
    return NoText(f"it did not answer within {timeout_s:g} s")


def _fetch(url: str, timeout_s: float) -> bytes | NoText:
    ends_at = time.monotonic() + timeout_s
    content = bytearray()
    with requests.Session() as session:
        session.trust_env = False
        try:
            with session.get(url, timeout=timeout_s, stream=True, allow_redirects=False) as reply:
                if reply.is_redirect:
                    return NoText(f"it has moved to {reply.headers['Location']}; that has to be its address")
                if reply.status_code != requests.codes.ok:
                    return NoText(f"its server answers with HTTP status {reply.status_code}")
                for part in reply.iter_content(chunk_size=1):  # a longer piece could block beyond the deadline
                    content += part
                    if time.monotonic() > ends_at:
                        return _late(timeout_s)
                    if len(content) > LONGEST_BYTES:
                        break
        except requests.Timeout:
            return _late(timeout_s)
        except requests.ConnectionError:
            return NoText("there is no connection to its server")
        except (requests.RequestException, ValueError) as error:  # ValueError: a URL that cannot be encoded
            return NoText(f"what came back is broken ({type(error).__name__})")
    return bytes(content)
