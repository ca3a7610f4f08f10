"""The servers and devices that were found on the network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from alpaca_focus.core.device_kinds import FoundCamera, FoundDevice, FoundFacts, FoundFocuser, FoundMount, FoundWheel
from alpaca_focus.core.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundServer:
    """A server and its devices.

    Attributes:
        address: "host:port".
        devices: What it has, by its own list or by asking for one device after the other.
        notes: Sentences on what was odd.
    """

    address: str
    devices: tuple[FoundDevice, ...]
    notes: tuple[str, ...] = ()

    def of_kind(self, kind: str) -> tuple[FoundDevice, ...]:
        """Return its devices of one type, by number."""
        return tuple(sorted((each for each in self.devices if each.kind == kind), key=lambda each: each.number))

    @property
    def words(self) -> str:
        """What it has: focuser 0 "Moonlite", camera 0."""
        return ", ".join(each.words for each in self.devices) or "no devices"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundObservatory:
    """The devices of one telescope.

    Attributes:
        server: "host:port" of the server that most of them are on.
        devices: The devices by their section of the settings, in the order of `DEVICE_KINDS`; all that are required
            are there.
    """

    server: str
    devices: Mapping[str, FoundFacts]

    @property
    def camera(self) -> FoundCamera:
        """The camera, on that server or another."""
        return cast("FoundCamera", self.devices["camera"])

    @property
    def focuser(self) -> FoundFocuser:
        """The focuser."""
        return cast("FoundFocuser", self.devices["focuser"])

    @property
    def filter_wheel(self) -> FoundWheel | None:
        """The filter wheel; `None`: there is none."""
        return cast("FoundWheel | None", self.devices.get("filter_wheel"))

    @property
    def mount(self) -> FoundMount | None:
        """The mount; `None`: there is none."""
        return cast("FoundMount | None", self.devices.get("mount"))


def distinct_servers(servers: Sequence[FoundServer]) -> tuple[FoundServer, ...]:
    """Leave out a server that answered from a second address; the shorter address, mostly that of IPv4, stays."""
    kept: list[FoundServer] = []
    for server in sorted(servers, key=lambda each: (each.address.startswith("["), each.address)):
        if not any(_is_same(server, other) for other in kept):
            kept.append(server)
    return tuple(kept)


def _is_same(one: FoundServer, other: FoundServer) -> bool:
    def port_and_devices(server: FoundServer) -> tuple[str, list[tuple[str, int, str]]]:
        return server.address.rpartition(":")[2], sorted((d.kind, d.number, d.unique_id) for d in server.devices)

    has_names_for_ever = any(device.unique_id for device in one.devices)
    return has_names_for_ever and port_and_devices(one) == port_and_devices(other)


def servers_with_focuser(servers: Sequence[FoundServer]) -> tuple[FoundServer, ...]:
    """Return the servers that can be worked with.

    Raises:
        ConfigurationError: None of them has a focuser.
    """
    able = tuple(server for server in servers if server.of_kind("focuser"))
    if not able:
        has = "; ".join(f"{server.address} has {server.words}" for server in servers)
        raise ConfigurationError(
            f"There is no focuser: {has}. Add the focuser to its Alpaca server, or name another server with --address "
            "HOST:PORT."
        )
    return able
