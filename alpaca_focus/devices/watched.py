"""The devices that are only read, over Alpaca: the mount, the weather station, the safety monitor, another's camera."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from alpaca.camera import CameraStates
from alpaca.telescope import PierSide as AlpacaPierSide

from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.core.night.state import PierSide
from alpaca_focus.core.temperature import plausible_temperature_c
from alpaca_focus.devices.address import DeviceAddress
from alpaca_focus.devices.connection import CALL_TIMEOUT_S, Connection
from alpaca_focus.devices.translate import as_bool, as_float, as_text
from alpaca_focus.ports import CameraActivity, Clock, MountState

_BUSY = frozenset(
    {
        CameraStates.cameraWaiting,
        CameraStates.cameraExposing,
        CameraStates.cameraReading,
        # The image belongs to the other program and is lost when another exposure begins before its download ends.
        CameraStates.cameraDownload,
    }
)
_PIER_SIDES: Mapping[AlpacaPierSide, PierSide] = MappingProxyType(
    {AlpacaPierSide.pierEast: PierSide.EAST, AlpacaPierSide.pierWest: PierSide.WEST}
)


class AlpacaDevice:
    """A device with one connection; implements `ports.Device`."""

    device_type: ClassVar[DeviceType]

    def __init__(self, address: DeviceAddress, clock: Clock, *, timeout_s: float = CALL_TIMEOUT_S) -> None:
        self._connection = Connection(self.device_type, address, clock, timeout_s=timeout_s)

    @property
    def name(self) -> str:
        """What to call it in a message."""
        return self._connection.name

    async def connect(self) -> None:
        """Reach the device and connect it to its hardware.

        Raises:
            ConfigurationError: Wrong address, or hardware that refuses to connect.
            DeviceUnreachable: Nothing answers there; it may be started later.
        """
        await self._connection.open()

    async def close(self) -> None:
        """Let go of the connection; leaves the hardware as it is."""
        await self._connection.close()


def _pier_side(value: object) -> PierSide:
    return _PIER_SIDES.get(value, PierSide.UNKNOWN)


class AlpacaMount(AlpacaDevice):
    """A mount; implements `ports.Mount`.

    Mounts differ in which side they call east, so only a change means something.
    """

    device_type = DeviceType.TELESCOPE

    async def state(self) -> MountState:
        """Read the mount once; what it does not implement, refuses or garbles is `None` or unknown."""
        altitude_deg = await self._connection.get_or("Altitude", as_float, default=math.nan)
        return MountState(
            tracking=await self._flag("Tracking"),
            parked=await self._flag("AtPark"),
            slewing=await self._flag("Slewing"),
            pier_side=await self._connection.get_or("SideOfPier", _pier_side, default=PierSide.UNKNOWN),
            altitude_deg=altitude_deg if math.isfinite(altitude_deg) else None,
        )

    async def _flag(self, member: str) -> bool | None:
        return await self._connection.get_or(member, as_bool, default=None)


class AlpacaThermometer(AlpacaDevice):
    """The temperature of an ObservingConditions device; implements `ports.Thermometer`."""

    device_type = DeviceType.OBSERVINGCONDITIONS

    async def temperature_c(self) -> float | None:
        """Return the reading, or `None` when there is none or it makes no sense."""
        return plausible_temperature_c(await self._connection.get_or("Temperature", as_float, default=math.nan))


class AlpacaSafetyMonitor(AlpacaDevice):
    """Tells whether the observatory is safe; implements `ports.SafetyMonitor`."""

    device_type = DeviceType.SAFETYMONITOR

    async def is_safe(self) -> bool:
        """Return whether the monitor reports safe; no answer is an error, not "safe"."""
        return await self._connection.get("IsSafe", as_bool)


def _as_state(value: Any) -> CameraStates | None:
    return value


class AlpacaCameraWatch(AlpacaDevice):
    """A camera of another program's images; implements `ports.CameraWatch`."""

    device_type = DeviceType.CAMERA

    async def activity(self) -> CameraActivity:
        """Look once at what the camera does; what it does not implement, refuses or garbles is `None` or False.

        Raises:
            DeviceUnreachable: No answer.
        """
        state = await self._connection.get_or("CameraState", _as_state, default=None)
        # Without an image since power-up cameras refuse these two.
        started = await self._connection.get_or("LastExposureStartTime", as_text, default="")
        exposure_s = await self._connection.get_or("LastExposureDuration", as_float, default=math.nan)
        return CameraActivity(
            busy=state in _BUSY,
            preparing=state == CameraStates.cameraWaiting,
            exposure_started=started or None,
            exposure_s=exposure_s if math.isfinite(exposure_s) and exposure_s >= 0 else None,
        )
