"""What all simulated devices have in common."""

import uuid
from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from alpaca_focus.alpaca.served import ServedDevice
from alpaca_focus.alpaca.standard import INTERFACES
from alpaca_focus.simulator.world import World

_IDS = uuid.UUID("6f0d36a5-6c0a-4a5e-9f4e-6d1f3c2b7a10")


class SimulatedDevice(ServedDevice):
    """A device of the simulated observatory.

    Attributes:
        world: What is true there.
        state_members: The members of DeviceState as the standard spells them.
    """

    requires_connection = True
    state_members: tuple[str, ...]

    def __init__(self, world: World) -> None:
        kind = INTERFACES[self.device_type].display_name
        super().__init__(
            name=f"Simulated {kind}",
            unique_id=str(uuid.uuid5(_IDS, f"{world.settings.seed} {self.device_type}")),
            description=f"{kind} of the simulated observatory",
            driver_info="alpaca-focus simulator",
        )
        self.world = world

    @override
    def device_state(self) -> Mapping[str, Any]:
        return {name: self._read(name.lower()) for name in self.state_members}

    def _read(self, member: str) -> Any:
        value = getattr(self, f"get_{member}", self.values.get(member))
        return value() if callable(value) else value

    @override
    async def connect_hardware(self) -> None:
        if self.world.faults.take("refuse-connect", self.device_type) is not None:
            raise AlpacaError(ErrorNumber.DRIVER_BASE, f"{self.name} does not answer on its cable.")

    def _in_range(self, member: str, value: float, lowest: float, highest: float) -> None:
        if not lowest <= value <= highest:
            raise AlpacaError(
                ErrorNumber.INVALID_VALUE,
                f"{member} {value:g} of {self.name} is not possible: {lowest:g} to {highest:g} is.",
            )
