"""A camera that another program exposes with, over Alpaca; it is only looked at."""

import math
from typing import Any

from alpaca.camera import CameraStates

from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.devices.translate import as_float, as_text
from alpaca_focus.devices.watched import WatchedDevice
from alpaca_focus.ports import CameraActivity

_BUSY = frozenset(
    {
        CameraStates.cameraWaiting,
        CameraStates.cameraExposing,
        CameraStates.cameraReading,
        # The image belongs to the other program and is lost when another exposure begins before its download ends.
        CameraStates.cameraDownload,
    }
)


def _as_state(value: Any) -> CameraStates | None:
    return value


class AlpacaCameraWatch(WatchedDevice):
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
