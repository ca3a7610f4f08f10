"""What devices have in common that are only looked at: the mount, the weather station, the safety monitor."""

from typing import ClassVar

from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.devices.address import DeviceAddress
from alpaca_focus.devices.connection import CALL_TIMEOUT_S, Connection
from alpaca_focus.ports import Clock


class WatchedDevice:
    """A device that is read and never told anything; implements `ports.Device`."""

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
