"""The simulated filter wheel: IFilterWheelV3."""

from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.simulator.simulated_device import SimulatedDevice
from alpaca_focus.simulator.world import World

MOVING = -1


class SimulatedFilterWheel(SimulatedDevice):
    """A wheel that turns a slot at a time."""

    device_type = DeviceType.FILTERWHEEL

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._filters = world.settings.filters

    @override
    def device_state(self) -> Mapping[str, Any]:
        return {"Position": self.get_position()}

    def get_names(self) -> list[str]:
        """Return the names of the filters by slot."""
        return [each.name for each in self._filters]

    def get_focusoffsets(self) -> list[int]:
        """Return the focus offsets that the wheel claims, by slot."""
        return [
            each.offset_steps if each.reported_offset_steps is None else each.reported_offset_steps
            for each in self._filters
        ]

    def get_position(self) -> int:
        """Return the slot in the light path, -1 while turning."""
        wheel = self.world.wheel
        hidden = "wheel-position-never-minus-one" in self.world.quirks
        return MOVING if wheel.is_turning(self.world.clock.now_s()) and not hidden else wheel.target

    def put_position(self, slot: int) -> None:
        """Turn to a slot."""
        if not 0 <= slot < len(self._filters):
            raise AlpacaError(
                ErrorNumber.INVALID_VALUE,
                f"{self.name} has no slot {slot}: its slots are 0 to {len(self._filters) - 1}.",
            )
        self.world.wheel.turn(slot, self.world.clock.now_s())
