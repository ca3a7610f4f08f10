"""Devices that are only read: the mount, the weather station, the safety monitor, another program's camera."""

import math
from typing import Any

from alpaca.camera import CameraStates
from alpaca.telescope import PierSide as AlpacaPierSide

from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.core.night.state import PierSide
from alpaca_focus.core.temperature import plausible_temperature_c
from alpaca_focus.devices.connection import AlpacaDevice
from alpaca_focus.devices.translate import as_bool, as_float, as_text
from alpaca_focus.ports import CameraActivity, MountState

EXPOSING = frozenset({CameraStates.cameraWaiting, CameraStates.cameraExposing, CameraStates.cameraReading})
_PIER_SIDES = {AlpacaPierSide.pierEast: PierSide.EAST, AlpacaPierSide.pierWest: PierSide.WEST}


def _pier_side(value: object) -> PierSide:
    return _PIER_SIDES.get(value, PierSide.UNKNOWN)


class AlpacaMount(AlpacaDevice):
    """A mount; implements `ports.Mount`.

    Some mounts report east and west reversed, so only a change of the pier side means something.
    """

    device_type = DeviceType.TELESCOPE

    async def state(self) -> MountState:
        """Read the mount once; a member that it refuses or reports wrongly is `None` or unknown."""
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
        """Return the reading, or `None` if there is none or it is not plausible."""
        return plausible_temperature_c(await self._connection.get_or("Temperature", as_float, default=math.nan))


class AlpacaSafetyMonitor(AlpacaDevice):
    """A safety monitor; implements `ports.SafetyMonitor`."""

    device_type = DeviceType.SAFETYMONITOR

    async def is_safe(self) -> bool:
        """Return whether the observatory is safe; no answer is an error, not "safe"."""
        return await self._connection.get("IsSafe", as_bool)


def as_camera_state(value: Any) -> CameraStates | None:
    """Return the state as it is: alpyca has converted it, and raised ValueError for an unknown one."""
    return value


class AlpacaCameraWatch(AlpacaDevice):
    """A camera that another program exposes with; implements `ports.CameraWatch`."""

    device_type = DeviceType.CAMERA

    async def activity(self) -> CameraActivity:
        """Read the camera once; a member that it refuses or reports wrongly is `None` or False.

        Raises:
            DeviceUnreachable: No answer.
        """
        state = await self._connection.get_or("CameraState", as_camera_state, default=None)
        busy = state in EXPOSING
        if state == CameraStates.cameraDownload:
            # The camera sends the image to its server; with the image ready it is at rest: some servers stay there.
            busy = not await self._connection.get_or("ImageReady", as_bool, default=False)
        # Cameras refuse these two until the first image after power-up.
        started = await self._connection.get_or("LastExposureStartTime", as_text, default="")
        exposure_s = await self._connection.get_or("LastExposureDuration", as_float, default=math.nan)
        return CameraActivity(
            busy=busy,
            preparing=state == CameraStates.cameraWaiting,
            exposure_started=started or None,
            exposure_s=exposure_s if math.isfinite(exposure_s) and exposure_s >= 0 else None,
        )
