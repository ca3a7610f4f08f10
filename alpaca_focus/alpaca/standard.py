"""The members of the ASCOM device interfaces as Alpaca spells them.

Source: ASCOM Alpaca Device API (https://ascom-standards.org/api/), interfaces ICameraV4, IFocuserV4, IFilterWheelV3,
ITelescopeV4, IObservingConditionsV2 and ISafetyMonitorV3 with the members common to all devices.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TypeAlias

Scalar: TypeAlias = bool | int | float | str
ScalarType: TypeAlias = type[bool] | type[int] | type[float] | type[str]


class DeviceType(StrEnum):
    """Device types as spelled in a path."""

    CAMERA = "camera"
    FOCUSER = "focuser"
    FILTERWHEEL = "filterwheel"
    TELESCOPE = "telescope"
    OBSERVINGCONDITIONS = "observingconditions"
    SAFETYMONITOR = "safetymonitor"


class HttpMethod(StrEnum):
    """HTTP methods of the device API."""

    GET = "GET"
    PUT = "PUT"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter with its ASCOM name, and a default unless it is required."""

    name: str
    type: ScalarType
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """A property or method of a device interface.

    Attributes:
        name: Name in lower case, as in a path.
        parameters: In the standard's order.
        returns_value: Whether a successful reply has a Value.
    """

    name: str
    method: HttpMethod
    parameters: tuple[Parameter, ...] = ()
    returns_value: bool = True


def _get(names: str) -> tuple[Member, ...]:
    """Return readable properties, from their names with blanks between."""
    return tuple(Member(name, HttpMethod.GET) for name in names.split())


def _query(name: str, *parameters: Parameter) -> Member:
    """Return a method that is called by GET because it changes nothing."""
    return Member(name, HttpMethod.GET, parameters)


def _set(kind: ScalarType, names: str) -> tuple[Member, ...]:
    """Return writable properties; the parameter has the property's ASCOM name."""
    return tuple(
        Member(name.lower(), HttpMethod.PUT, (Parameter(name, kind),), returns_value=False) for name in names.split()
    )


def _do(name: str, *parameters: Parameter, returns_value: bool = False) -> Member:
    """Return a method that is called by PUT."""
    return Member(name, HttpMethod.PUT, parameters, returns_value=returns_value)


_COMMAND = (Parameter("Command", str), Parameter("Raw", bool))
_ALTAZ = (Parameter("Azimuth", float), Parameter("Altitude", float))
_EQUATORIAL = (Parameter("RightAscension", float), Parameter("Declination", float))
_PULSE = (Parameter("Direction", int), Parameter("Duration", int))
_AXIS = Parameter("Axis", int)
_SENSOR = Parameter("SensorName", str)

_COMMON = (
    *_get(
        "connected connecting description devicestate driverinfo driverversion interfaceversion name supportedactions"
    ),
    *_set(bool, "Connected"),
    _do("connect"),
    _do("disconnect"),
    _do("action", Parameter("Action", str), Parameter("Parameters", str, default=""), returns_value=True),
    _do("commandblind", *_COMMAND),
    _do("commandbool", *_COMMAND, returns_value=True),
    _do("commandstring", *_COMMAND, returns_value=True),
)

_CAMERA = (
    *_get(
        "bayeroffsetx bayeroffsety binx biny camerastate cameraxsize cameraysize canabortexposure canasymmetricbin"
        " canfastreadout cangetcoolerpower canpulseguide cansetccdtemperature canstopexposure ccdtemperature cooleron"
        " coolerpower electronsperadu exposuremax exposuremin exposureresolution fastreadout fullwellcapacity gain"
        " gainmax gainmin gains hasshutter heatsinktemperature imagearray imagearrayvariant imageready ispulseguiding"
        " lastexposureduration lastexposurestarttime maxadu maxbinx maxbiny numx numy offset offsetmax offsetmin"
        " offsets percentcompleted pixelsizex pixelsizey readoutmode readoutmodes sensorname sensortype"
        " setccdtemperature startx starty subexposureduration"
    ),
    *_set(int, "BinX BinY Gain NumX NumY Offset ReadoutMode StartX StartY"),
    *_set(bool, "CoolerOn FastReadout"),
    *_set(float, "SetCCDTemperature SubExposureDuration"),
    _do("abortexposure"),
    _do("pulseguide", *_PULSE),
    _do("startexposure", Parameter("Duration", float), Parameter("Light", bool)),
    _do("stopexposure"),
)

_FOCUSER = (
    *_get("absolute ismoving maxincrement maxstep position stepsize tempcomp tempcompavailable temperature"),
    *_set(bool, "TempComp"),
    _do("halt"),
    _do("move", Parameter("Position", int)),
)

_FILTERWHEEL = (*_get("focusoffsets names position"), *_set(int, "Position"))

_TELESCOPE = (
    *_get(
        "alignmentmode altitude aperturearea aperturediameter athome atpark azimuth canfindhome canpark canpulseguide"
        " cansetdeclinationrate cansetguiderates cansetpark cansetpierside cansetrightascensionrate cansettracking"
        " canslew canslewaltaz canslewaltazasync canslewasync cansync cansyncaltaz canunpark declination"
        " declinationrate doesrefraction equatorialsystem focallength guideratedeclination guideraterightascension"
        " ispulseguiding rightascension rightascensionrate sideofpier siderealtime siteelevation sitelatitude"
        " sitelongitude slewing slewsettletime targetdeclination targetrightascension tracking trackingrate"
        " trackingrates utcdate"
    ),
    _query("axisrates", _AXIS),
    _query("canmoveaxis", _AXIS),
    _query("destinationsideofpier", *_EQUATORIAL),
    *_set(
        float,
        "DeclinationRate GuideRateDeclination GuideRateRightAscension RightAscensionRate SiteElevation SiteLatitude"
        " SiteLongitude TargetDeclination TargetRightAscension",
    ),
    *_set(int, "SideOfPier SlewSettleTime TrackingRate"),
    *_set(bool, "DoesRefraction Tracking"),
    *_set(str, "UTCDate"),
    _do("abortslew"),
    _do("findhome"),
    _do("moveaxis", _AXIS, Parameter("Rate", float)),
    _do("park"),
    _do("pulseguide", *_PULSE),
    _do("setpark"),
    _do("slewtoaltaz", *_ALTAZ),
    _do("slewtoaltazasync", *_ALTAZ),
    _do("slewtocoordinates", *_EQUATORIAL),
    _do("slewtocoordinatesasync", *_EQUATORIAL),
    _do("slewtotarget"),
    _do("slewtotargetasync"),
    _do("synctoaltaz", *_ALTAZ),
    _do("synctocoordinates", *_EQUATORIAL),
    _do("synctotarget"),
    _do("unpark"),
)

_OBSERVINGCONDITIONS = (
    *_get(
        "averageperiod cloudcover dewpoint humidity pressure rainrate skybrightness skyquality skytemperature"
        " starfwhm temperature winddirection windgust windspeed"
    ),
    *_set(float, "AveragePeriod"),
    _do("refresh"),
    _query("sensordescription", _SENSOR),
    _query("timesincelastupdate", _SENSOR),
)

_SAFETYMONITOR = _get("issafe")


@dataclass(frozen=True, slots=True)
class Interface:
    """The interface of a device type.

    Attributes:
        display_name: The type as spelled in the management API.
        version: Version of the interface in this table.
        members: Members by (HTTP method, name in the path), including the common ones.
    """

    display_name: str
    version: int
    members: Mapping[tuple[str, str], Member]


def _interface(display_name: str, version: int, members: Iterable[Member]) -> Interface:
    by_name = {(str(member.method), member.name): member for member in (*_COMMON, *members)}
    return Interface(display_name, version, MappingProxyType(by_name))


_INTERFACES = {
    DeviceType.CAMERA: _interface("Camera", 4, _CAMERA),
    DeviceType.FOCUSER: _interface("Focuser", 4, _FOCUSER),
    DeviceType.FILTERWHEEL: _interface("FilterWheel", 3, _FILTERWHEEL),
    DeviceType.TELESCOPE: _interface("Telescope", 4, _TELESCOPE),
    DeviceType.OBSERVINGCONDITIONS: _interface("ObservingConditions", 2, _OBSERVINGCONDITIONS),
    DeviceType.SAFETYMONITOR: _interface("SafetyMonitor", 3, _SAFETYMONITOR),
}
INTERFACES: Mapping[DeviceType, Interface] = MappingProxyType(_INTERFACES)

COMMON_MEMBERS: frozenset[str] = frozenset(member.name for member in _COMMON)
"""Names of the members of every device."""
