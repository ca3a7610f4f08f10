"""The simulated filter wheel: IFilterWheelV3."""

from collections.abc import Mapping
from typing import Any

from typing_extensions import override

from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.simulator.simulated_device import SimulatedDevice
from alpaca_focus.simulator.world import World

SLOT_S = 1.5
MOVING = -1


class SimulatedFilterWheel(SimulatedDevice):
    """A wheel that turns a slot at a time."""

    device_type = DeviceType.FILTERWHEEL

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._filters = world.settings.filters
        self._target = world.slot
        self._arrives_s = 0.0

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
        if self.world.clock.now_s() < self._arrives_s:
            return self._target if "wheel-position-never-minus-one" in self.world.quirks else MOVING
        self.world.slot = self._target
        return self._target

    def put_position(self, slot: int) -> None:
        """Turn to a slot."""
        if not 0 <= slot < len(self._filters):
            raise AlpacaError(
                ErrorNumber.INVALID_VALUE,
                f"{self.name} has no slot {slot}: its slots are 0 to {len(self._filters) - 1}.",
            )
        self.get_position()
        self._target = slot
        self._arrives_s = self.world.clock.now_s() + SLOT_S * abs(slot - self.world.slot)
