"""A safety monitor over Alpaca."""

from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.devices.address import DeviceAddress
from alpaca_focus.devices.connection import CALL_TIMEOUT_S, Connection
from alpaca_focus.devices.translate import as_bool
from alpaca_focus.ports import Clock


class AlpacaSafetyMonitor:
    """Tells whether the observatory is safe; implements `ports.SafetyMonitor`."""

    def __init__(self, address: DeviceAddress, clock: Clock, *, timeout_s: float = CALL_TIMEOUT_S) -> None:
        self._connection = Connection(DeviceType.SAFETYMONITOR, address, clock, timeout_s=timeout_s)

    @property
    def name(self) -> str:
        """What to call it in a message."""
        return self._connection.name

    async def connect(self) -> None:
        """Reach the safety monitor and connect it to its hardware.

        Raises:
            ConfigurationError: Wrong address, or hardware that refuses to connect.
            DeviceUnreachable: Nothing answers there; it may be started later.
        """
        await self._connection.open()

    async def close(self) -> None:
        """Let go of the connection; leaves the hardware as it is."""
        await self._connection.close()

    async def is_safe(self) -> bool:
        """Return the monitor's word; no answer is an error, not "safe"."""
        return await self._connection.get("IsSafe", as_bool)
