"""What all simulated devices have in common."""

import uuid
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

from typing_extensions import override

from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from alpaca_focus.alpaca.served import ServedDevice
from alpaca_focus.alpaca.standard import INTERFACES, HttpMethod, Member, Scalar
from alpaca_focus.simulator.world import World

_IDS = uuid.UUID("6f0d36a5-6c0a-4a5e-9f4e-6d1f3c2b7a10")


class SimulatedDevice(ServedDevice):
    """A device of the simulated observatory.

    Attributes:
        world: State of the observatory.
        state_members: The members of DeviceState as the standard spells them.
        ranges: Lowest and highest value of parameters, by the standard's name; values outside are refused.
        stored: Names of the members whose value is only stored: a PUT replaces the entry in `values`.
    """

    requires_connection = True
    state_members: tuple[str, ...]
    ranges: Mapping[str, tuple[float, float]] = MappingProxyType({})
    stored: ClassVar[frozenset[str]] = frozenset()
    values: dict[str, Any]

    def __init__(self, world: World) -> None:
        kind = INTERFACES[self.device_type].display_name
        super().__init__(
            name=f"Simulated {kind}",
            unique_id=str(uuid.uuid5(_IDS, f"{world.settings.seed} {self.device_type}")),
            description=f"{kind} of the simulated observatory",
            driver_info="alpaca-focus simulator",
        )
        self.world = world
        self.values = {}

    @property
    def _now_s(self) -> float:
        return self.world.clock.now_s()

    @override
    async def call(self, member: Member, arguments: Sequence[Scalar]) -> Any:
        self.check_ready(member)
        for parameter, value in zip(member.parameters, arguments, strict=True):
            if parameter.name in self.ranges:
                self._check_range(parameter.name, float(value), *self.ranges[parameter.name])
        if member.method is HttpMethod.PUT and member.name in self.stored:
            self.values[member.name] = arguments[0]
            return None
        return await super().call(member, arguments)

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

    def _check_range(self, name: str, value: float, lowest: float, highest: float) -> None:
        if not lowest <= value <= highest:
            raise AlpacaError(
                ErrorNumber.INVALID_VALUE,
                f"{name} {value:g} of {self.name} is not possible: the range is {lowest:g} to {highest:g}.",
            )
