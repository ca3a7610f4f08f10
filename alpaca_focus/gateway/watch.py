"""The camera as the gateway knows it, for whoever looks after the night."""

from alpaca_focus.gateway.camera_arbiter import CameraArbiter
from alpaca_focus.ports import CameraActivity, CameraWatch


class GatewayCameraWatch:
    """Looks at the real camera, and knows of the imaging program's exposures; implements `ports.CameraWatch`.

    Args:
        camera: Looks at the real camera.
        arbiter: Knows the exposures.
    """

    def __init__(self, camera: CameraWatch, arbiter: CameraArbiter) -> None:
        self._camera = camera
        self._arbiter = arbiter

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
        real, arbiter = await self._camera.activity(), self._arbiter
        # What began before the gateway was started only the camera itself knows.
        is_untold = real.busy and not (arbiter.exposures.is_told or arbiter.held or arbiter.taken)
        return CameraActivity(
            busy=arbiter.exposing or is_untold,
            preparing=False,
            exposure_started=real.exposure_started,
            exposure_s=real.exposure_s,
            free=arbiter.is_free,
            images=arbiter.exposures.images,
        )
