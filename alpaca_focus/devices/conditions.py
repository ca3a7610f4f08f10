"""A weather station over Alpaca, for its thermometer."""

import math

from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.core.temperature import plausible_temperature_c
from alpaca_focus.devices.translate import as_float
from alpaca_focus.devices.watched import WatchedDevice


class AlpacaThermometer(WatchedDevice):
    """The temperature of an ObservingConditions device; implements `ports.Thermometer`."""

    device_type = DeviceType.OBSERVINGCONDITIONS

    async def temperature_c(self) -> float | None:
        """Return the reading, or `None` when there is none or it makes no sense."""
        return plausible_temperature_c(await self._connection.get_or("Temperature", as_float, default=math.nan))
