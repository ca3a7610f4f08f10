"""The camera behind the gateway, used from the daemon's thread: acquired for focus runs, and watched."""

import structlog

from alpaca_focus.alpaca.errors import AlpacaError
from alpaca_focus.alpaca.running import RunningServer
from alpaca_focus.core.errors import DeviceRefused, DeviceUnreachable
from alpaca_focus.gateway.camera_arbiter import CameraArbiter
from alpaca_focus.gateway.upstream import UpstreamLost
from alpaca_focus.ports import CameraActivity, CameraWatch

TEST_SHOTS = 3
"""So many test shots in a row are not just those of a plate solver between two images."""

_log = structlog.get_logger(__name__)


class GatewayCameraSharing:
    """Shares the camera with the imaging program; implements `ports.CameraSharing`.

    `server` runs the gateway in its own thread, to which the arbiter belongs; `camera` is its name in messages.
    """

    def __init__(self, server: RunningServer, arbiter: CameraArbiter, camera: str) -> None:
        self._server = server
        self._arbiter = arbiter
        self._name = camera

    async def acquire(self) -> None:
        """Wait for the next gap in the imaging, and acquire the camera.

        Raises:
            DeviceUnreachable: The camera does not answer.
            DeviceRefused: The camera refuses.
        """
        try:
            await self._server.run(self._arbiter.acquire())
        except UpstreamLost as error:
            raise DeviceUnreachable(self._name, str(error)) from error
        except AlpacaError as error:
            raise DeviceRefused(self._name, str(error), number=error.number) from error

    @property
    def left_s(self) -> float:
        """Seconds until the camera has to be released; infinite while no exposure waits."""
        return self._arbiter.left_s

    async def release(self) -> None:
        """Return the camera to the imaging program; harmless when it has it already. Never raises."""
        try:
            await self._server.run(self._arbiter.release())
        except RuntimeError as error:
            # The gateway has ended before the run.
            _log.warning("The camera could not be released", why=str(error))


class GatewayCameraWatch:
    """Combines the camera's state with the exposures that the gateway knows; implements `ports.CameraWatch`."""

    def __init__(self, camera: CameraWatch, arbiter: CameraArbiter) -> None:
        self._camera = camera
        self._arbiter = arbiter
        self.connect = camera.connect
        self.close = camera.close

    @property
    def name(self) -> str:
        """The camera's name in messages."""
        return self._camera.name

    @property
    def server(self) -> str:
        """Host and port of the camera's server."""
        return self._camera.server

    async def activity(self) -> CameraActivity:
        """Poll the camera once; it is not busy while an image is downloaded, as the focuser may move then.

        Raises:
            DeviceUnreachable: No answer.
        """
        real, arbiter = await self._camera.activity(), self._arbiter
        # An exposure that began before the gateway was started is known to the camera only.
        is_unknown = real.busy and not (arbiter.exposures.is_known or arbiter.held or arbiter.leased)
        return CameraActivity(
            busy=arbiter.exposing or is_unknown,
            preparing=False,
            exposure_started=real.exposure_started,
            exposure_s=real.exposure_s,
            free=arbiter.is_free,
            test_shots=arbiter.exposures.test_shots >= TEST_SHOTS,
        )
