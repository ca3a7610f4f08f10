"""The servers and devices discovered on the network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from alpaca_focus.core.device_kinds import (
    DiscoveredCamera,
    DiscoveredDevice,
    DiscoveredFacts,
    DiscoveredFocuser,
    DiscoveredMount,
    DiscoveredWheel,
)
from alpaca_focus.core.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyedServer:
    """A server, its "host:port", its devices, and sentences about unexpected answers."""

    address: str
    devices: tuple[DiscoveredDevice, ...]
    notes: tuple[str, ...] = ()

    def of_kind(self, kind: str) -> tuple[DiscoveredDevice, ...]:
        """Return the devices of one type by number."""
        return tuple(sorted((each for each in self.devices if each.kind == kind), key=lambda each: each.number))

    @property
    def words(self) -> str:
        """The devices: focuser 0 "Moonlite", camera 0."""
        return ", ".join(each.words for each in self.devices) or "no devices"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveredObservatory:
    """The devices of one telescope.

    Attributes:
        server: "host:port" of the server that most of them are on.
        devices: By section of the settings, in the order of `DEVICE_KINDS`; the required ones are always there.
    """

    server: str
    devices: Mapping[str, DiscoveredFacts]

    @property
    def camera(self) -> DiscoveredCamera:
        """The camera."""
        return cast("DiscoveredCamera", self.devices["camera"])

    @property
    def focuser(self) -> DiscoveredFocuser:
        """The focuser."""
        return cast("DiscoveredFocuser", self.devices["focuser"])

    @property
    def filter_wheel(self) -> DiscoveredWheel | None:
        """The filter wheel, if there is one."""
        return cast("DiscoveredWheel | None", self.devices.get("filter_wheel"))

    @property
    def mount(self) -> DiscoveredMount | None:
        """The mount, if there is one."""
        return cast("DiscoveredMount | None", self.devices.get("mount"))


def distinct_servers(servers: Sequence[SurveyedServer]) -> tuple[SurveyedServer, ...]:
    """Return the servers without those that answered from a second address; IPv4 goes before IPv6."""
    distinct: dict[object, SurveyedServer] = {}
    for server in sorted(servers, key=lambda each: (each.address.startswith("["), each.address)):
        port = server.address.rpartition(":")[2]
        devices = tuple(sorted((each.kind, each.number, each.unique_id) for each in server.devices))
        # Without unique ids two servers with the same devices may be two telescopes.
        distinct.setdefault((port, devices) if any(each.unique_id for each in server.devices) else id(server), server)
    return tuple(distinct.values())


def servers_with_focuser(servers: Sequence[SurveyedServer]) -> tuple[SurveyedServer, ...]:
    """Return the servers that have a focuser.

    Raises:
        ConfigurationError: There are none.
    """
    with_focuser = tuple(server for server in servers if server.of_kind("focuser"))
    if not with_focuser:
        has = "; ".join(f"{server.address} has {server.words}" for server in servers)
        raise ConfigurationError(
            f"There is no focuser: {has}. Add the focuser to its Alpaca server, or name another server with --address "
            "HOST:PORT."
        )
    return with_focuser
