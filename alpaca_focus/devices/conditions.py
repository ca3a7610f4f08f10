"""A weather station over Alpaca, for its thermometer."""

import math

from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.devices.address import DeviceAddress
from alpaca_focus.devices.connection import CALL_TIMEOUT_S, Connection
from alpaca_focus.devices.readings import believable_temperature
from alpaca_focus.devices.translate import as_float
from alpaca_focus.ports import Clock


class AlpacaThermometer:
    """The temperature of an ObservingConditions device; implements `ports.Thermometer`."""

    def __init__(self, address: DeviceAddress, clock: Clock, *, timeout_s: float = CALL_TIMEOUT_S) -> None:
        self._connection = Connection(DeviceType.OBSERVINGCONDITIONS, address, clock, timeout_s=timeout_s)

    @property
    def name(self) -> str:
        """What to call it in a message."""
        return self._connection.name

    async def connect(self) -> None:
        """Reach the weather station and connect it to its hardware.

        Raises:
            ConfigurationError: Wrong address, or hardware that refuses to connect.
            DeviceUnreachable: Nothing answers there; it may be started later.
        """
        await self._connection.open()

    async def close(self) -> None:
        """Let go of the connection; leaves the hardware as it is."""
        await self._connection.close()

    async def temperature_c(self) -> float | None:
        """Return the reading, or `None` when there is none or it makes no sense."""
        return believable_temperature(await self._connection.get_or("Temperature", as_float, default=math.nan))
