"""Finding the Alpaca servers of a network, or the one that a person names, and what devices they have."""

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


async def find_servers(
    address: str | None, tell: Callable[[str], None], *, port: int = DISCOVERY_PORT
) -> tuple[SurveyedServer, ...]:
    """List the devices of one server, or of all that answer discovery.

    Raises:
        ConfigurationError: There is none, or nothing that can be used.
        DeviceError: The server at the address does not answer as one.
    """
    if address is not None:
        place = parse_address(address)
        if not address.rstrip("/").endswith(f":{place.port}"):
            tell(f"No port was given: {place.port} is taken, which is Alpaca's usual one.")
        server = await survey_server(_authority(place))
        tell_notes(tell, server.notes)
        if _is_own_gateway(server):
            raise ConfigurationError(
                f"At {server.address} is the gateway of alpaca-focus itself. Name the server of the real devices."
            )
        return (server,)
    tell(f"Looking for Alpaca servers for {DISCOVERY_S:g} s ...")
    answered = await asyncio.to_thread(discover, DISCOVERY_S, port=port)
    places = usable_places(answered)
    surveyed = await asyncio.gather(*(_surveyed(place, tell) for place in places))
    found = distinct_servers([server for server in surveyed if server is not None])
    if not found:
        raise ConfigurationError(
            f"No Alpaca server can be used{', though some answered' if answered else ': none answered'}. Is it running?"
            " Name it with --address HOST:PORT: discovery (UDP port 32227) finds no server in another network, behind"
            " a firewall, or without discovery."
        )
    for server in found:
        tell(f"{server.address} has {server.words}.")
        tell_notes(tell, server.notes)
    return found


def usable_places(answered: Sequence[DiscoveredServer]) -> list[DeviceAddress]:
    """Leave out link-local addresses, which the settings cannot hold, of servers that answered from another as well."""
    ports = {server.port for server in answered if "%" not in server.host}
    return [
        DeviceAddress(server.host, server.port, 0)
        for server in answered
        if "%" not in server.host or server.port not in ports
    ]


def _authority(place: DeviceAddress) -> str:
    try:
        return checked_address(place.authority, f"192.168.1.20:{DEFAULT_PORT}")
    except ValueError as error:
        raise ConfigurationError(f"The address cannot be used: {error}.") from error


async def _surveyed(place: DeviceAddress, tell: Callable[[str], None]) -> SurveyedServer | None:
    try:
        server = await survey_server(_authority(place))
    except (ConfigurationError, DeviceError) as error:
        tell(f"{place.authority} answers discovery, and is left out. {error}")
        return None
    if _is_own_gateway(server):
        tell(f"{server.address} is the gateway of alpaca-focus itself, and is left out.")
        return None
    return server


def _is_own_gateway(server: SurveyedServer) -> bool:
    return bool(server.devices) and all(device.name.endswith(VIRTUAL_NAME_SUFFIX) for device in server.devices)


def tell_notes(tell: Callable[[str], None], notes: Sequence[str]) -> None:
    """Show the notes on a device or a server, indented."""
    for note in notes:
        tell(f"  {note}")
