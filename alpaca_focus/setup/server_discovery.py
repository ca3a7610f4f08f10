"""Discovers the Alpaca servers of a network, or surveys a named one, with their devices."""

import asyncio
from collections.abc import Callable, Sequence

from alpaca_focus.alpaca.discovery import DISCOVERY_PORT, DiscoveredServer, discover
from alpaca_focus.core.discovered import SurveyedServer, distinct_servers
from alpaca_focus.core.errors import ConfigurationError, DeviceError
from alpaca_focus.devices.address import DEFAULT_PORT, DeviceAddress, parse_address
from alpaca_focus.devices.survey import survey_server
from alpaca_focus.gateway.gateway_server import VIRTUAL_NAME_SUFFIX
from alpaca_focus.settings.section import checked_address

DISCOVERY_S = 2.0


async def discover_servers(
    address: str | None, echo: Callable[[str], None], *, port: int = DISCOVERY_PORT
) -> tuple[SurveyedServer, ...]:
    """Return one server with its devices, or all that answer discovery.

    Raises:
        ConfigurationError: There is no usable server.
        DeviceError: The server at the address does not answer as an Alpaca server.
    """
    if address is not None:
        named = parse_address(address)
        if not address.rstrip("/").endswith(f":{named.port}"):
            echo(f"No port was given: using {named.port}, Alpaca's default.")
        server = await survey_server(_authority(named))
        echo_notes(echo, server.notes)
        if _is_own_gateway(server):
            raise ConfigurationError(
                f"At {server.address} is the gateway of alpaca-focus. Name the server of the real devices."
            )
        return (server,)
    echo(f"Searching for Alpaca servers for {DISCOVERY_S:g} s ...")
    answered = await asyncio.to_thread(discover, DISCOVERY_S, port=port)
    addresses = usable_addresses(answered)
    surveyed = await asyncio.gather(*(_surveyed(address, echo) for address in addresses))
    servers = distinct_servers([server for server in surveyed if server is not None])
    if not servers:
        raise ConfigurationError(
            f"No usable Alpaca server{' among those that' if answered else ''} answered discovery. If it is running,"
            " name it with --address HOST:PORT: discovery (UDP port 32227) finds no server in another network, behind a"
            " firewall, or without discovery."
        )
    for server in servers:
        echo(f"{server.address} has {server.words}.")
        echo_notes(echo, server.notes)
    return servers


def usable_addresses(answered: Sequence[DiscoveredServer]) -> list[DeviceAddress]:
    """Return the addresses without link-local ones (unusable in settings) of servers that answered from another too."""
    ports = {server.port for server in answered if "%" not in server.host}
    return [
        DeviceAddress(server.host, server.port, 0)
        for server in answered
        if "%" not in server.host or server.port not in ports
    ]


def _authority(address: DeviceAddress) -> str:
    try:
        return checked_address(address.authority, f"192.168.1.20:{DEFAULT_PORT}")
    except ValueError as error:
        raise ConfigurationError(f"The address cannot be used: {error}.") from error


async def _surveyed(address: DeviceAddress, echo: Callable[[str], None]) -> SurveyedServer | None:
    try:
        server = await survey_server(_authority(address))
    except (ConfigurationError, DeviceError) as error:
        echo(f"{address.authority} answers discovery, but is skipped. {error}")
        return None
    if _is_own_gateway(server):
        echo(f"{server.address} is the gateway of alpaca-focus: skipped.")
        return None
    return server


def _is_own_gateway(server: SurveyedServer) -> bool:
    return bool(server.devices) and all(device.name.endswith(VIRTUAL_NAME_SUFFIX) for device in server.devices)


def echo_notes(echo: Callable[[str], None], notes: Sequence[str]) -> None:
    """Print the notes on a device or a server, indented."""
    for note in notes:
        echo(f"  {note}")
