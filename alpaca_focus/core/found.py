"""What was found on Alpaca servers, and what of it can be believed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from alpaca_focus.core.errors import ConfigurationError

LARGEST_PIXEL_UM = 1000.0
LARGEST_STEP_UM = 10_000.0
KIND_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "filterwheel": "filter wheel",
        "telescope": "mount",
        "observingconditions": "weather station",
        "safetymonitor": "safety monitor",
    }
)
"""What people call the types of devices whose names in Alpaca are others."""
LONGEST_LINE = 100
"""Characters that are shown of a text of others."""
_APERTURES_MM = (10.0, 20_000.0)
_FOCAL_LENGTHS_MM = (20.0, 100_000.0)
_FOCAL_RATIOS = (1.0, 40.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDevice:
    """A device as its server lists it.

    Attributes:
        kind: Its type in lower case, as it stands in a path.
        number: Its number within the type.
        name: Its name for people; may be empty.
        unique_id: Its UniqueID; empty if the server gives none.
        server: "host:port" of its server.
    """

    kind: str
    number: int
    name: str
    unique_id: str = ""
    server: str

    @property
    def numbered(self) -> str:
        """Its type and number, as people say them: mount 0."""
        return f"{one_line(KIND_NAMES.get(self.kind, self.kind))} {self.number}"

    @property
    def words(self) -> str:
        """What to call it: mount 0 "EQ6"."""
        name = one_line(self.name)
        return f'{self.numbered} "{name}"' if name else self.numbered


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
class FoundCamera:
    """A camera and what it says of itself; `None`: it does not."""

    device: FoundDevice
    pixel_size_um: float | None = None
    width_px: int | None = None
    height_px: int | None = None
    sensor: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFocuser:
    """A focuser and what it says of itself; `None`: it does not.

    Attributes:
        device: The device.
        absolute: Whether it knows its position.
        max_step: Highest position.
        step_size_um: Travel of one step.
        temperature_c: What its thermometer reads.
        compensating: Whether its own temperature compensation is on.
        notes: Sentences on what was odd.
    """

    device: FoundDevice
    absolute: bool | None = None
    max_step: int | None = None
    step_size_um: float | None = None
    temperature_c: float | None = None
    compensating: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundWheel:
    """A filter wheel and its filters by slot."""

    device: FoundDevice
    filters: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundMount:
    """A mount and what it says of the telescope on it and of its place; `None`: nothing that can be believed."""

    device: FoundDevice
    focal_length_mm: float | None = None
    aperture_mm: float | None = None
    latitude_deg: float | None = None
    longitude_deg: float | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundObservatory:
    """The devices of one telescope; `None`: there is none.

    Attributes:
        server: "host:port" of the server that most of them are on.
        camera: The camera, on that server or another.
        focuser: The focuser.
        filter_wheel: The filter wheel.
        mount: The mount.
        observing_conditions: The weather station.
        safety_monitor: The safety monitor.
    """

    server: str
    camera: FoundCamera
    focuser: FoundFocuser
    filter_wheel: FoundWheel | None = None
    mount: FoundMount | None = None
    observing_conditions: FoundDevice | None = None
    safety_monitor: FoundDevice | None = None


def believable_size_um(size_um: float | None, largest_um: float) -> float | None:
    """Return the size of a pixel or a step, `None` if it is none: 0, NaN, or larger than the largest there is."""
    return size_um if size_um is not None and 0 < size_um <= largest_um else None


def believable_optics_mm(focal_length_m: float | None, aperture_m: float | None) -> tuple[float, float] | None:
    """Return focal length and aperture in millimetres, `None` if there is no such telescope.

    Mounts give them in metres; many give 0, and some millimetres.
    """
    focal_length_mm, aperture_mm = _millimetres(focal_length_m), _millimetres(aperture_m)
    if not _within(focal_length_mm, _FOCAL_LENGTHS_MM) or not _within(aperture_mm, _APERTURES_MM):
        return None
    if not _within(focal_length_mm / aperture_mm, _FOCAL_RATIOS):
        return None
    return focal_length_mm, aperture_mm


def believable_site_deg(latitude_deg: float | None, longitude_deg: float | None) -> tuple[float, float] | None:
    """Return latitude and longitude, `None` if there is no such place, or it is the one where both are 0."""
    if latitude_deg is None or longitude_deg is None or (not latitude_deg and not longitude_deg):
        return None
    if not _within(latitude_deg, (-90.0, 90.0)) or not _within(longitude_deg, (-180.0, 360.0)):
        return None
    return latitude_deg, longitude_deg - 360.0 if longitude_deg > 180.0 else longitude_deg


def _millimetres(metres: float | None) -> float:
    # To a thousandth, because 0.53 m times 1000 is 530.0000000000001.
    return math.nan if metres is None or not math.isfinite(metres) else round(metres * 1000.0, 3)


def _within(value: float, limits: tuple[float, float]) -> bool:
    return limits[0] <= value <= limits[1]


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


def one_line(text: str) -> str:
    """Return a text of others as it can stand in a line or a comment: printable, and not too long."""
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 3]}..."
