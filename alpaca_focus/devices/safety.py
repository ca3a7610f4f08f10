"""A safety monitor over Alpaca."""

from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.devices.translate import as_bool
from alpaca_focus.devices.watched import WatchedDevice


class AlpacaSafetyMonitor(WatchedDevice):
    """Tells whether the observatory is safe; implements `ports.SafetyMonitor`."""

    device_type = DeviceType.SAFETYMONITOR

    async def is_safe(self) -> bool:
        """Return the monitor's word; no answer is an error, not "safe"."""
        return await self._connection.get("IsSafe", as_bool)
