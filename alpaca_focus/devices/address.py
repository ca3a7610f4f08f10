"""The address of a device: host, port, number, and optionally its unique id."""

import ipaddress
import re
from dataclasses import dataclass

from alpaca_focus.core.errors import ConfigurationError

DEFAULT_PORT = 11111
"""Port that the ASCOM Alpaca API Reference suggests for servers."""

_HOST_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?\.?")
_EXAMPLES = "Write it as in 192.168.1.20:11111, observatory.local or [fe80::1%eth0]:11111"


@dataclass(frozen=True, slots=True)
class DeviceAddress:
    """One device of one Alpaca server.

    Attributes:
        host: Name or IP address; an IPv6 address without brackets, with its scope after a % if it has one.
        unique_id: If given, the device is the one with this UniqueID (or else this DeviceName) in the server's list,
            and `device_number` is not used: some servers renumber their devices at each start.
    """

    host: str
    port: int
    device_number: int
    unique_id: str | None = None

    @property
    def authority(self) -> str:
        """Host and port as in a URL."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str, device_number: int = 0, unique_id: str | None = None) -> DeviceAddress:
    """Parse an address as people write it: "host", "host:port", "http://host:port", "[::1]:11111" or "::1".

    Raises:
        ConfigurationError: The text is not an address, or the number is not a device number.
    """
    if not 0 <= device_number < 2**32:
        raise ConfigurationError(f"The device number {device_number} is not valid: Alpaca counts from 0.")
    host, port = _split(text, _without_scheme(text))
    _check_host(text, host)
    if port and not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise ConfigurationError(f'The address "{text}" has no valid port ("{port}"): a port is 1 to 65535.')
    return DeviceAddress(host, int(port or DEFAULT_PORT), device_number, unique_id)


def _without_scheme(text: str) -> str:
    scheme, found, rest = text.strip().rpartition("://")
    if found and scheme.lower() == "https":
        raise ConfigurationError(f'The address "{text}" asks for https, which is not supported. Use http://{rest}')
    if found and scheme.lower() != "http":
        raise ConfigurationError(f'The address "{text}" is not an http address. {_EXAMPLES}.')
    rest, _, path = rest.partition("/")
    if path:
        raise ConfigurationError(f'The address "{text}" has a path. Leave out "/{path}": host and port are enough.')
    return rest


def _split(text: str, rest: str) -> tuple[str, str]:
    """Split into host and port, each possibly empty."""
    if rest.startswith("["):
        host, bracket, port = rest[1:].partition("]")
        if not bracket or (port and not port.startswith(":")):
            raise ConfigurationError(f'The address "{text}" has a bracket that is not closed. {_EXAMPLES}.')
        return host, port[1:]
    if rest.count(":") > 1:
        return rest, ""
    host, _, port = rest.partition(":")
    return host, port


def _check_host(text: str, host: str) -> None:
    if not host:
        raise ConfigurationError(f'The address "{text}" names no host. {_EXAMPLES}.')
    if ":" in host:
        try:
            ipaddress.IPv6Address(host)
        except ValueError as error:
            raise ConfigurationError(f'The address "{text}" is not a valid IPv6 address: {error}.') from error
    elif not _HOST_NAME.fullmatch(host):
        raise ConfigurationError(f'The address "{text}" has no valid host name ("{host}"). {_EXAMPLES}.')
