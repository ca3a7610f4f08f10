"""The kinds of devices, one row a kind, and the facts that `init` reads from each.

Other rooms key tables of their own on these rows: `run.device_adapters` the adapters, `doctor.diagnostics` the probes,
`gateway.service` the virtual devices.
"""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Self

from typing_extensions import override

from alpaca_focus.core.temperature import plausible_temperature_c

LONGEST_LINE = 100
"""Characters shown of a text from outside, such as a device's name."""

LARGEST_PIXEL_UM = 1000.0
LARGEST_STEP_UM = 10_000.0

Members = Mapping[str, type]
"""Properties as ASCOM spells them, each with its type; `tuple` is a list of texts."""


def one_line(text: str) -> str:
    """Return a text from outside on one line: printable characters only, at most `LONGEST_LINE`."""
    line = " ".join("".join(character if character.isprintable() else " " for character in text).split())
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 3]}..."


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveredDevice:
    """A device as its server lists it.

    Attributes:
        kind: The Alpaca type in lower case, as in a path.
        name: DeviceName; may be empty.
        unique_id: UniqueID; empty if the server gives none.
        server: "host:port".
    """

    kind: str
    number: int
    name: str
    unique_id: str = ""
    server: str

    @property
    def numbered(self) -> str:
        """Type and number: mount 0."""
        return f"{one_line(name_of_type(self.kind))} {self.number}"

    @property
    def words(self) -> str:
        """Type, number and name: mount 0 "EQ6"."""
        name = one_line(self.name)
        return f'{self.numbered} "{name}"' if name else self.numbered


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveredFacts:
    """A device and the facts it reports; `notes` are sentences about unexpected answers."""

    MEMBERS: ClassVar[Members] = MappingProxyType({})
    """The properties to read; without any the device is not connected."""

    device: DiscoveredDevice
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, device: DiscoveredDevice, values: Mapping[str, Any], notes: Iterable[str]) -> Self:
        """Return the facts that are plausible among the values of `MEMBERS`."""
        return cls(device=device, notes=tuple(notes), **cls._plausible(values))

    @classmethod
    def _plausible(cls, _values: Mapping[str, Any]) -> Mapping[str, Any]:
        return {}

    @property
    def words(self) -> tuple[str, ...]:
        """The facts for a person, a few words each; empty where unknown."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveredCamera(DiscoveredFacts):
    """A camera; `None`: not reported."""

    MEMBERS = MappingProxyType({"PixelSizeX": float, "CameraXSize": int, "CameraYSize": int, "SensorName": str})

    pixel_size_um: float | None = None
    width_px: int | None = None
    height_px: int | None = None
    sensor: str = ""

    @classmethod
    @override
    def _plausible(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        return {
            "pixel_size_um": plausible_size_um(values.get("PixelSizeX"), LARGEST_PIXEL_UM),
            "width_px": _positive(values.get("CameraXSize")),
            "height_px": _positive(values.get("CameraYSize")),
            "sensor": values.get("SensorName", "").strip(),
        }

    @property
    @override
    def words(self) -> tuple[str, ...]:
        return (
            f"{self.width_px} x {self.height_px} pixels" if self.width_px and self.height_px else "",
            f"{self.pixel_size_um:g} um a pixel" if self.pixel_size_um else "",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveredFocuser(DiscoveredFacts):
    """A focuser; `None`: not reported. `compensating`: its own temperature compensation is on."""

    MEMBERS = MappingProxyType(
        {"Absolute": bool, "MaxStep": int, "StepSize": float, "TempComp": bool, "Temperature": float}
    )

    absolute: bool | None = None
    max_step: int | None = None
    step_size_um: float | None = None
    temperature_c: float | None = None
    compensating: bool = False

    @classmethod
    @override
    def _plausible(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        return {
            "absolute": values.get("Absolute"),
            "max_step": _positive(values.get("MaxStep")),
            "step_size_um": plausible_size_um(values.get("StepSize"), LARGEST_STEP_UM),
            "temperature_c": plausible_temperature_c(values.get("Temperature")),
            "compensating": values.get("TempComp", False),
        }

    @property
    @override
    def words(self) -> tuple[str, ...]:
        return (
            f"positions 0 to {self.max_step}" if self.max_step else "",
            f"{self.step_size_um:g} um a step" if self.step_size_um else "",
            "no thermometer" if self.temperature_c is None else f"{self.temperature_c:.1f} C",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveredWheel(DiscoveredFacts):
    """A filter wheel and its filters by slot."""

    MEMBERS = MappingProxyType({"Names": tuple})

    filters: tuple[str, ...] = ()

    @classmethod
    @override
    def _plausible(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"filters": values.get("Names", ())}

    @property
    @override
    def words(self) -> tuple[str, ...]:
        return (one_line(", ".join(self.filters)),)


MOUNT_ABILITIES = ("CanSlew", "CanSlewAsync", "CanSetTracking", "Tracking", "CanPark")


def is_idle_mount(abilities: Collection[bool | None]) -> bool:
    """Return whether a mount can neither slew, track nor park by its `MOUNT_ABILITIES`; `None`: not reported.

    Some servers list a guider as a mount.
    """
    return False in abilities and not any(abilities)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscoveredMount(DiscoveredFacts):
    """A mount with the optics and the site that it reports; `None`: nothing plausible.

    Attributes:
        is_idle: As `is_idle_mount`.
    """

    MEMBERS = MappingProxyType(
        {"FocalLength": float, "ApertureDiameter": float, "SiteLatitude": float, "SiteLongitude": float}
        | dict.fromkeys(MOUNT_ABILITIES, bool)
    )

    is_idle: bool = False
    focal_length_mm: float | None = None
    aperture_mm: float | None = None
    latitude_deg: float | None = None
    longitude_deg: float | None = None

    @classmethod
    @override
    def _plausible(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        optics = plausible_optics_mm(values.get("FocalLength"), values.get("ApertureDiameter")) or (None, None)
        site = plausible_site_deg(values.get("SiteLatitude"), values.get("SiteLongitude")) or (None, None)
        names = ("focal_length_mm", "aperture_mm", "latitude_deg", "longitude_deg")
        is_idle = is_idle_mount([values.get(name) for name in MOUNT_ABILITIES])
        return {"is_idle": is_idle, **dict(zip(names, (*optics, *site), strict=True))}

    @property
    @override
    def words(self) -> tuple[str, ...]:
        latitude_deg, longitude_deg = self.latitude_deg, self.longitude_deg
        return (
            f"{self.focal_length_mm:g} mm, aperture {self.aperture_mm:g} mm" if self.focal_length_mm else "",
            "" if latitude_deg is None else f"at {latitude_deg:.4g}, {longitude_deg:.4g} degrees",
        )


def plausible_size_um(size_um: float | None, largest_um: float) -> float | None:
    """Return the size of a pixel or a step, or `None` if it is 0, NaN or larger than any there is."""
    return size_um if size_um is not None and 0 < size_um <= largest_um else None


def plausible_optics_mm(focal_length_m: float | None, aperture_m: float | None) -> tuple[float, float] | None:
    """Return focal length and aperture in millimetres, or `None` if no telescope has them.

    ASCOM's unit is the metre; many mounts report 0, and some report millimetres.
    """
    focal_length_mm, aperture_mm = _millimetres(focal_length_m), _millimetres(aperture_m)
    if not 20.0 <= focal_length_mm <= 100_000.0 or not 10.0 <= aperture_mm <= 20_000.0:
        return None
    return (focal_length_mm, aperture_mm) if 1.0 <= focal_length_mm / aperture_mm <= 40.0 else None


def plausible_site_deg(latitude_deg: float | None, longitude_deg: float | None) -> tuple[float, float] | None:
    """Return latitude and longitude (-180 to 180), or `None` if out of range or both 0, as of an unset mount."""
    if latitude_deg is None or longitude_deg is None or (not latitude_deg and not longitude_deg):
        return None
    if not -90.0 <= latitude_deg <= 90.0 or not -180.0 <= longitude_deg <= 360.0:
        return None
    return latitude_deg, longitude_deg - 360.0 if longitude_deg > 180.0 else longitude_deg


def _millimetres(metres: float | None) -> float:
    # Rounded, because 0.53 m times 1000 is 530.0000000000001.
    return math.nan if metres is None or not math.isfinite(metres) else round(metres * 1000.0, 3)


def _positive(number: int | None) -> int | None:
    return number if number is not None and number > 0 else None


@dataclass(frozen=True, slots=True)
class DeviceKind:
    """A kind of device.

    Attributes:
        alpaca_type: The type in lower case, as in an Alpaca path.
        section: Section of the settings.
        name: The name that people use.
        required: Whether a focus run needs it.
        facts: The facts that `init` reads.
        comment: Comment in the first settings file.
        has_virtual_device: Whether the gateway serves a virtual device in its place.
    """

    alpaca_type: str
    section: str
    name: str
    required: bool = False
    facts: type[DiscoveredFacts] = DiscoveredFacts
    comment: str = ""
    has_virtual_device: bool = False


_KINDS = {
    kind.section: kind
    for kind in (
        DeviceKind("camera", "camera", "camera", required=True, facts=DiscoveredCamera, has_virtual_device=True),
        DeviceKind("focuser", "focuser", "focuser", required=True, facts=DiscoveredFocuser, has_virtual_device=True),
        DeviceKind("filterwheel", "filter_wheel", "filter wheel", facts=DiscoveredWheel, has_virtual_device=True),
        DeviceKind(
            "telescope",
            "mount",
            "mount",
            facts=DiscoveredMount,
            comment="It is only polled, never moved.",
            has_virtual_device=True,
        ),
        DeviceKind("observingconditions", "observing_conditions", "weather station", comment="The weather station."),
        DeviceKind("safetymonitor", "safety_monitor", "safety monitor", comment="No refocus while it reports unsafe."),
    )
}
DEVICE_KINDS: Mapping[str, DeviceKind] = MappingProxyType(_KINDS)
"""All kinds by their section of the settings, in the order in which they are listed for people."""


def name_of_type(device_type: str) -> str:
    """Return the name that people use for an Alpaca type; the type itself if this program has no use for it."""
    return next((kind.name for kind in DEVICE_KINDS.values() if kind.alpaca_type == device_type), device_type)
