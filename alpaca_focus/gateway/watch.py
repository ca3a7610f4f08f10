"""The camera as the gateway knows it, for whoever looks after the night."""

from alpaca_focus.gateway.shutter import Shutter
from alpaca_focus.ports import CameraActivity, CameraWatch


class GatewayCameraWatch:
    """Looks at the real camera, and knows of the imaging program's exposures; implements `ports.CameraWatch`.

    Args:
        camera: Looks at the real camera.
        shutter: Knows the exposures.
    """

    def __init__(self, camera: CameraWatch, shutter: Shutter) -> None:
        self._camera = camera
        self._shutter = shutter

    @property
    def name(self) -> str:
        """What to call it in a message."""
        return self._camera.name

    async def connect(self) -> None:
        """Reach the real camera."""
        await self._camera.connect()

    async def close(self) -> None:
        """Let go of the real camera."""
        await self._camera.close()

    async def activity(self) -> CameraActivity:
        """Look once; an image that is still being downloaded does not keep the focuser from moving.

        Raises:
            DeviceUnreachable: No answer.
        """
        real, shutter = await self._camera.activity(), self._shutter
        # What began before the gateway was started only the camera itself knows.
        is_untold = real.busy and not (shutter.exposures.is_told or shutter.held or shutter.taken)
        return CameraActivity(
            busy=shutter.exposing or is_untold,
            preparing=False,
            exposure_started=real.exposure_started,
            exposure_s=real.exposure_s,
            free=shutter.is_free,
            images=shutter.exposures.images,
        )
