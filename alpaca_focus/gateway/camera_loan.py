"""The camera's settings while it is lent to a focus run: read at the beginning, put back at the end."""

import asyncio

import structlog

from alpaca_focus.alpaca.errors import AlpacaError
from alpaca_focus.gateway.camera_program import ProgramSettings, use_whole_sensor
from alpaca_focus.gateway.upstream import Upstream

_log = structlog.get_logger(__name__)


class CameraLoan:
    """Knows what the camera is like for the imaging program.

    Args:
        camera: The real one.

    Attributes:
        program: What the camera was like for the imaging program when it was taken; kept until its next exposure.
        keeps_settings: Whether the camera is not set as the imaging program wants it: `program` speaks for it.
        setting: Held while settings are read or written, so that none is lost between two owners.
    """

    def __init__(self, camera: Upstream) -> None:
        self._camera = camera
        self.program: ProgramSettings | None = None
        self.keeps_settings = False
        self.setting = asyncio.Lock()

    @property
    def is_hidden(self) -> bool:
        """Whether the camera's last exposure is a focus run's, which the imaging program must not see."""
        return self.program is not None

    async def begin(self, *, whole_sensor: bool) -> None:
        """Read how the camera is set, for a focus run that may change it.

        Args:
            whole_sensor: Whether the run is to see more than the imaging program's subframe.

        Raises:
            AlpacaError: The camera does not say what it is set to.
            UpstreamLost: It does not answer.
        """
        await self.settle_up()
        async with self.setting:
            self.program = await ProgramSettings.read(self._camera, before=self.program)
            self.keeps_settings = True
            if whole_sensor:
                await self._read_whole_sensor()

    async def settle_up(self) -> None:
        """Put back what was changed, or could not be put back when the camera was given back.

        Raises:
            UpstreamLost: The camera does not answer.
        """
        async with self.setting:
            if self.keeps_settings and self.program is not None:
                await self.program.put_back(self._camera)
            self.keeps_settings = False

    async def _read_whole_sensor(self) -> None:
        try:
            await use_whole_sensor(self._camera)
        except AlpacaError as error:
            _log.warning("The focus run has only the imaging program's subframe", why=str(error))
