"""A filter wheel over Alpaca."""

import asyncio

from typing_extensions import override

from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.core.errors import DeviceMisbehaved, InvalidValue
from alpaca_focus.devices.address import DeviceAddress
from alpaca_focus.devices.connection import CALL_TIMEOUT_S, AlpacaDevice
from alpaca_focus.devices.translate import as_int, as_signed_ints, as_texts
from alpaca_focus.ports import Clock

TURN_TIMEOUT_S = 60.0
"""Clock seconds that a turn of the wheel may take."""

_POLL_S = 0.2
_STILL_POLLS = 2


class AlpacaFilterWheel(AlpacaDevice):
    """A filter wheel; implements `ports.FilterWheel`."""

    device_type = DeviceType.FILTERWHEEL

    def __init__(
        self,
        address: DeviceAddress,
        clock: Clock,
        *,
        turn_timeout_s: float = TURN_TIMEOUT_S,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> None:
        super().__init__(address, clock, timeout_s=timeout_s)
        self._turn_timeout_s = turn_timeout_s
        self._turning = asyncio.Lock()
        self._names: tuple[str, ...] | None = None
        self._offsets: tuple[int, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the filters by slot; known once connected."""
        return self._known(self._names)

    @property
    def focus_offsets_steps(self) -> tuple[int, ...]:
        """The device's own focus offsets by slot, 0 where it has none; known once connected."""
        return (self._offsets + (0,) * len(self.names))[: len(self.names)]

    @override
    async def connect(self) -> None:
        """Connect the wheel to its hardware, and read its filters."""
        await super().connect()
        self._names = await self._connection.get("Names", as_texts)
        self._offsets = await self._connection.get_or("FocusOffsets", as_signed_ints, default=())

    async def slot(self) -> int | None:
        """Return the slot in the light path, or `None` while the wheel turns."""
        slot = await self._connection.get("Position", as_int)
        return slot if 0 <= slot < len(self.names) else None

    async def move_to(self, slot: int) -> None:
        """Turn to a slot and return once it is there.

        Raises:
            InvalidValue: There is no such slot.
            DeviceMisbehaved: The wheel did not arrive.
        """
        if not 0 <= slot < len(self.names):
            raise InvalidValue(
                self.name,
                f"{self.name} has no slot {slot}: it has 0 to {len(self.names) - 1} ({', '.join(self.names)})."
                " Correct the filter in the settings.",
            )
        async with self._turning:
            if await self.slot() != slot:
                await self._connection.set("Position", slot)
                await self._wait_for(slot)

    async def _wait_for(self, slot: int) -> None:
        """Wait until the wheel has reported its target twice: some never report -1 while they move."""
        ends_at = self._clock.monotonic() + self._turn_timeout_s
        arrived_polls = 0
        while arrived_polls < _STILL_POLLS:
            if self._clock.monotonic() > ends_at:
                raise DeviceMisbehaved(
                    self.name,
                    f"{self.name} has not arrived at slot {slot} ({self.names[slot]}) within"
                    f" {self._turn_timeout_s:g} s. Check that the wheel is not stuck.",
                )
            await self._clock.sleep(_POLL_S)
            arrived_polls = arrived_polls + 1 if await self.slot() == slot else 0
