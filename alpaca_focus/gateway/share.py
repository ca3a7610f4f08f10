"""The camera's share for focus runs, from the thread of the engine."""

import structlog

from alpaca_focus.alpaca.errors import AlpacaError
from alpaca_focus.alpaca.running import RunningServer
from alpaca_focus.core.errors import DeviceRefused, DeviceUnreachable
from alpaca_focus.gateway.camera_arbiter import CameraArbiter
from alpaca_focus.gateway.upstream import UpstreamLost

_log = structlog.get_logger(__name__)


class GatewayShare:
    """Takes turns with the imaging program that comes through the gateway; implements `ports.CameraShare`.

    Args:
        server: Runs the gateway, in its own thread.
        arbiter: Belongs to that thread.
        camera: What to call the camera in a message.
    """

    def __init__(self, server: RunningServer, arbiter: CameraArbiter, camera: str) -> None:
        self._server = server
        self._arbiter = arbiter
        self._name = camera

    async def take(self) -> None:
        """Wait for the next gap in the imaging, and take the camera.

        Raises:
            DeviceUnreachable: The camera does not answer.
            DeviceRefused: It does not say what it is set to.
        """
        try:
            await self._server.run(self._arbiter.take())
        except UpstreamLost as error:
            raise DeviceUnreachable(self._name, str(error)) from error
        except AlpacaError as error:
            raise DeviceRefused(self._name, str(error), number=error.number, device_message=error.message) from error

    def left_s(self) -> float:
        """Return the seconds of the clock until the camera has to be given back; infinite while nobody waits."""
        return self._arbiter.left_s()

    async def give_back(self) -> None:
        """Let the imaging program have the camera again; harmless when it has it already. Never raises."""
        try:
            await self._server.run(self._arbiter.give_back())
        except RuntimeError as error:
            # The gateway has ended before the run.
            _log.warning("The camera could not be given back", why=str(error))
