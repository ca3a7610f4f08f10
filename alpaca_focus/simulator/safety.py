"""The simulated safety monitor: ISafetyMonitorV3."""

from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.simulator.simulated_device import SimulatedDevice


class SimulatedSafetyMonitor(SimulatedDevice):
    """A monitor that says what it was told to say; not connected, it says "not safe" as the standard wants."""

    device_type = DeviceType.SAFETYMONITOR
    requires_connection = False

    @override
    def device_state(self) -> Mapping[str, Any]:
        return {"IsSafe": self.get_issafe()}

    def get_issafe(self) -> bool:
        """Tell whether the observatory is safe."""
        return self.connected and self.world.weather.safe
