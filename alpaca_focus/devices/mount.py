"""A mount over Alpaca, which is only looked at."""

import math
from collections.abc import Mapping
from types import MappingProxyType

from alpaca.telescope import PierSide as AlpacaPierSide

from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.core.night import PierSide
from alpaca_focus.devices.translate import as_bool, as_float
from alpaca_focus.devices.watched import WatchedDevice
from alpaca_focus.ports import MountState

_PIER_SIDES: Mapping[AlpacaPierSide, PierSide] = MappingProxyType(
    {AlpacaPierSide.pierEast: PierSide.EAST, AlpacaPierSide.pierWest: PierSide.WEST}
)


def _pier_side(value: object) -> PierSide:
    return _PIER_SIDES.get(value, PierSide.UNKNOWN)


class AlpacaMount(WatchedDevice):
    """A mount; implements `ports.Mount`.

    It reports what the mount says. Mounts differ in which side they call east, so only a change means something.
    """

    device_type = DeviceType.TELESCOPE

    async def state(self) -> MountState:
        """Read the mount once; what it does not implement, refuses or garbles is `None` or unknown."""
        altitude_deg = await self._connection.get_or("Altitude", as_float, default=math.nan)
        return MountState(
            tracking=await self._flag("Tracking"),
            parked=await self._flag("AtPark"),
            slewing=await self._flag("Slewing"),
            pier_side=await self._connection.get_or("SideOfPier", _pier_side, default=PierSide.UNKNOWN),
            altitude_deg=altitude_deg if math.isfinite(altitude_deg) else None,
        )

    async def _flag(self, member: str) -> bool | None:
        return await self._connection.get_or(member, as_bool, default=None)
