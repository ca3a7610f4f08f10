"""A mount over Alpaca, which is only looked at."""

import math
from collections.abc import Mapping
from types import MappingProxyType

from alpaca.telescope import PierSide as AlpacaPierSide

from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.devices.address import DeviceAddress
from alpaca_focus.devices.connection import CALL_TIMEOUT_S, Connection
from alpaca_focus.devices.translate import as_bool, as_float
from alpaca_focus.ports import Clock, MountState, PierSide

_PIER_SIDES: Mapping[AlpacaPierSide, PierSide] = MappingProxyType(
    {AlpacaPierSide.pierEast: PierSide.EAST, AlpacaPierSide.pierWest: PierSide.WEST}
)


def _pier_side(value: object) -> PierSide:
    return _PIER_SIDES.get(value, PierSide.UNKNOWN)


class AlpacaMount:
    """A mount; implements `ports.Mount`.

    It reports what the mount says. Mounts differ in which side they call east, so only a change means something.
    """

    def __init__(self, address: DeviceAddress, clock: Clock, *, timeout_s: float = CALL_TIMEOUT_S) -> None:
        self._connection = Connection(DeviceType.TELESCOPE, address, clock, timeout_s=timeout_s)

    @property
    def name(self) -> str:
        """What to call it in a message."""
        return self._connection.name

    async def connect(self) -> None:
        """Reach the mount and connect it to its hardware.

        Raises:
            ConfigurationError: Wrong address, or hardware that refuses to connect.
            DeviceUnreachable: Nothing answers there; it may be started later.
        """
        await self._connection.open()

    async def close(self) -> None:
        """Let go of the connection; leaves the hardware as it is."""
        await self._connection.close()

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
