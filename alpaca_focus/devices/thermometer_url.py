"""A page on the network that says the temperature."""

import asyncio
import time
from urllib.parse import urlsplit

import requests

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.devices.text_readings import LONGEST_BYTES, Missing, TextReadings


class UrlThermometer:
    """A page with a temperature; implements `ports.Thermometer`.

    What may stand on it says `core.temperature`. Redirects are not followed, and proxies and passwords of the
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
        # An answer that came too late for the question before is not looked at: it may be old by now.
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
