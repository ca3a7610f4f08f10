"""The kinds of devices, one row a kind, and what each of them reports of itself when the first settings are made.

Other rooms key tables of their own on these rows: `focusing.connected` the adapters, `doctor.diagnostics` the probes,
`gateway.service` the virtual devices.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Self

from typing_extensions import override

from alpaca_focus.core.temperature import plausible_temperature_c

LONGEST_LINE = 100
"""Characters shown of a text that comes from elsewhere."""

LARGEST_PIXEL_UM = 1000.0
LARGEST_STEP_UM = 10_000.0
_APERTURES_MM = (10.0, 20_000.0)
_FOCAL_LENGTHS_MM = (20.0, 100_000.0)
_FOCAL_RATIOS = (1.0, 40.0)

Members = Mapping[str, type]
"""Properties as the standard spells them, each with its type; `tuple` is a list of texts."""


def one_line(text: str) -> str:
    """Return a text of others as it can stand in a line or a comment: printable, and not too long."""
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return line if len(line) <= LONGEST_LINE else f"{line[: LONGEST_LINE - 3]}..."


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
        """Its type and number in words: mount 0."""
        return f"{one_line(name_of_type(self.kind))} {self.number}"

    @property
    def words(self) -> str:
        """What to call it: mount 0 "EQ6"."""
        name = one_line(self.name)
        return f'{self.numbered} "{name}"' if name else self.numbered


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFacts:
    """A device and what it reports of itself.

    Attributes:
        device: The device.
        notes: Sentences on what was odd.
    """

    MEMBERS: ClassVar[Members] = MappingProxyType({})
    """What is read of it; without any it is not connected for this."""

    device: FoundDevice
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, device: FoundDevice, values: Mapping[str, Any], notes: Iterable[str]) -> Self:
        """Return the plausible facts in the values of `MEMBERS` that the device has answered."""
        return cls(device=device, notes=tuple(notes), **cls._plausible(values))

    @classmethod
    def _plausible(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        del values
        return {}

    @property
    def words(self) -> tuple[str, ...]:
        """The facts for a person, a few words each; empty where one is not known."""
        return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundCamera(FoundFacts):
    """A camera and what it reports of itself; `None`: it does not."""

    MEMBERS = MappingProxyType({"PixelSizeX": float, "CameraXSize": int, "CameraYSize": int, "SensorName": str})

    pixel_size_um: float | None = None
    width_px: int | None = None
    height_px: int | None = None
    sensor: str = ""

    @classmethod
    @override
    def _plausible(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        return {
            "pixel_size_um": believable_size_um(values.get("PixelSizeX"), LARGEST_PIXEL_UM),
            "width_px": _positive(values.get("CameraXSize")),
            "height_px": _positive(values.get("CameraYSize")),
            "sensor": values.get("SensorName", "").strip(),
        }

    @property
    @override
    def words(self) -> tuple[str, ...]:
        """Its size and that of its pixels."""
        return (
            f"{self.width_px} x {self.height_px} pixels" if self.width_px and self.height_px else "",
            f"{self.pixel_size_um:g} um a pixel" if self.pixel_size_um else "",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFocuser(FoundFacts):
    """A focuser and what it reports of itself; `None`: it does not.

    Attributes:
        absolute: Whether it knows its position.
        max_step: Highest position.
        step_size_um: Travel of one step.
        temperature_c: Reading of its thermometer.
        compensating: Whether its own temperature compensation is on.
    """

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
            "step_size_um": believable_size_um(values.get("StepSize"), LARGEST_STEP_UM),
            "temperature_c": plausible_temperature_c(values.get("Temperature")),
            "compensating": values.get("TempComp", False),
        }

    @property
    @override
    def words(self) -> tuple[str, ...]:
        """Its travel, its step and its temperature."""
        return (
            f"positions 0 to {self.max_step}" if self.max_step else "",
            f"{self.step_size_um:g} um a step" if self.step_size_um else "",
            "no thermometer" if self.temperature_c is None else f"{self.temperature_c:.1f} C",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundWheel(FoundFacts):
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
        """Its filters."""
        return (one_line(", ".join(self.filters)),)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundMount(FoundFacts):
    """A mount and what it reports of the telescope on it and of its place; `None`: nothing plausible."""

    MEMBERS = MappingProxyType(
        {"FocalLength": float, "ApertureDiameter": float, "SiteLatitude": float, "SiteLongitude": float}
    )

    focal_length_mm: float | None = None
    aperture_mm: float | None = None
    latitude_deg: float | None = None
    longitude_deg: float | None = None

    @classmethod
    @override
    def _plausible(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        optics = believable_optics_mm(values.get("FocalLength"), values.get("ApertureDiameter")) or (None, None)
        site = believable_site_deg(values.get("SiteLatitude"), values.get("SiteLongitude")) or (None, None)
        return {
            "focal_length_mm": optics[0],
            "aperture_mm": optics[1],
            "latitude_deg": site[0],
            "longitude_deg": site[1],
        }

    @property
    @override
    def words(self) -> tuple[str, ...]:
        """Its optics and its place."""
        latitude_deg, longitude_deg = self.latitude_deg, self.longitude_deg
        return (
            f"{self.focal_length_mm:g} mm, aperture {self.aperture_mm:g} mm" if self.focal_length_mm else "",
            "" if latitude_deg is None else f"at {latitude_deg:.4g}, {longitude_deg:.4g} degrees",
        )


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


def _positive(number: int | None) -> int | None:
    return number if number is not None and number > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceKind:
    """A kind of device.

    Attributes:
        alpaca_type: Its type in lower case, as it stands in an Alpaca path.
        section: Its section of the settings.
        name: What people call it.
        required: Whether there is no focus run without it.
        facts: What it reports of itself.
        comment: Comment in the first settings file.
        fronted: Whether the gateway puts a virtual device in front of it.
    """

    alpaca_type: str
    section: str
    name: str
    required: bool = False
    facts: type[FoundFacts] = FoundFacts
    comment: str = ""
    fronted: bool = False


_KINDS = {
    kind.section: kind
    for kind in (
        DeviceKind(
            alpaca_type="camera", section="camera", name="camera", required=True, facts=FoundCamera, fronted=True
        ),
        DeviceKind(
            alpaca_type="focuser", section="focuser", name="focuser", required=True, facts=FoundFocuser, fronted=True
        ),
        DeviceKind(
            alpaca_type="filterwheel", section="filter_wheel", name="filter wheel", facts=FoundWheel, fronted=True
        ),
        DeviceKind(
            alpaca_type="telescope",
            section="mount",
            name="mount",
            facts=FoundMount,
            comment="It is only looked at, never moved.",
            fronted=True,
        ),
        DeviceKind(
            alpaca_type="observingconditions",
            section="observing_conditions",
            name="weather station",
            comment="The weather station.",
        ),
        DeviceKind(
            alpaca_type="safetymonitor",
            section="safety_monitor",
            name="safety monitor",
            comment="Nothing is done while it says: not safe.",
        ),
    )
}
DEVICE_KINDS: Mapping[str, DeviceKind] = MappingProxyType(_KINDS)
"""All kinds by their section of the settings, in the order in which a person reads of them."""


def name_of_type(device_type: str) -> str:
    """Return what people call a type of device; the type itself where this program has no use for it."""
    return next((kind.name for kind in DEVICE_KINDS.values() if kind.alpaca_type == device_type), device_type)
