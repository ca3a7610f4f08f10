"""A focuser over Alpaca."""

import asyncio
import logging
import math

from typing_extensions import override

from alpaca_focus.alpaca.errors import ErrorNumber
from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.core.errors import (
    ConfigurationError,
    DeviceError,
    DeviceMisbehaved,
    DeviceUnreachable,
    InvalidValue,
    NotConnected,
    NotSupported,
)
from alpaca_focus.core.temperature import plausible_temperature_c
from alpaca_focus.core.values import Position
from alpaca_focus.devices.address import DeviceAddress
from alpaca_focus.devices.arrival import ArrivalRules, MoveWatch, Progress, legs
from alpaca_focus.devices.connection import CALL_TIMEOUT_S
from alpaca_focus.devices.line import Lane
from alpaca_focus.devices.translate import as_bool, as_float, as_int
from alpaca_focus.devices.watched import AlpacaDevice
from alpaca_focus.devices.worker import see_through
from alpaca_focus.ports import Clock, FocuserInfo

POLL_S = 0.1
"""Clock seconds between two readings of a moving focuser."""

_TRIES = 2

_log = logging.getLogger(__name__)


class AlpacaFocuser(AlpacaDevice):
    """An absolute focuser; implements `ports.Focuser`.

    `lowest` and `highest` are the user's own limits, within those of the device.
    """

    device_type = DeviceType.FOCUSER

    def __init__(
        self,
        address: DeviceAddress,
        clock: Clock,
        *,
        lowest: Position | None = None,
        highest: Position | None = None,
        rules: ArrivalRules | None = None,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> None:
        super().__init__(address, clock, timeout_s=timeout_s)
        self._clock = clock
        self._lowest = lowest
        self._highest = highest
        self._rules = rules or ArrivalRules()
        self._info: FocuserInfo | None = None
        self._moving = asyncio.Lock()

    @property
    def replies(self) -> int:
        """How many calls it has answered."""
        return self._connection.replies

    @property
    def info(self) -> FocuserInfo:
        """What the focuser is; known once connected."""
        if self._info is None:
            raise DeviceUnreachable(self.name, f"{self.name} has not been connected yet.")
        return self._info

    @override
    async def connect(self) -> None:
        """Reach the focuser, connect it to its hardware, read what it can do.

        Raises:
            ConfigurationError: Wrong address, hardware that refuses to connect, a relative focuser, or limits that
                leave no room.
            DeviceUnreachable: Nothing answers there; it may be started later.
        """
        await super().connect()
        if not await self._connection.get("Absolute", as_bool):
            raise ConfigurationError(
                f"{self.name} is a relative focuser: it does not know its position, and this program cannot focus with"
                " it. Set it to absolute positions in its own server if it can do that, or use another focuser."
            )
        self._info = await self._read_info()
        self._check_limits(self._info)

    async def _read_info(self) -> FocuserInfo:
        get_or = self._connection.get_or
        max_step = await self._connection.get("MaxStep", as_int)
        max_increment = await get_or("MaxIncrement", as_int, default=max_step)
        step_size_um = await get_or("StepSize", as_float, default=math.nan)
        return FocuserInfo(
            max_step=max_step,
            max_increment_steps=max_increment if max_increment > 0 else max_step,
            step_size_um=step_size_um if 0 < step_size_um < math.inf else None,
            has_temperature_compensation=await get_or("TempCompAvailable", as_bool, default=False),
        )

    def _check_limits(self, info: FocuserInfo) -> None:
        low, high = self._limits(info)
        if low >= high:
            raise ConfigurationError(
                f"{self.name} has no room to move: it goes from 0 to {info.max_step}, and the limits set for it leave"
                f" {low} to {high}. Correct its limits."
            )

    def _limits(self, info: FocuserInfo) -> tuple[Position, Position]:
        low = 0 if self._lowest is None else max(0, self._lowest)
        high = info.max_step if self._highest is None else min(info.max_step, self._highest)
        return low, high

    async def position(self) -> Position:
        """Return where it stands now."""
        return await self._connection.get("Position", as_int)

    async def temperature_c(self) -> float | None:
        """Return the sensor's reading, or `None` when there is none or it makes no sense."""
        return plausible_temperature_c(await self._connection.get_or("Temperature", as_float, default=math.nan))

    async def temperature_compensation(self) -> bool:
        """Tell whether the device's own compensation is on."""
        return await self._connection.get_or("TempComp", as_bool, default=False)

    async def set_temperature_compensation(self, *, enabled: bool) -> None:
        """Switch the device's own compensation; a device that has none ignores switching it off.

        Raises:
            NotSupported: It is to be switched on, and the device has none.
        """
        try:
            await self._connection.set("TempComp", enabled)
        except NotSupported:
            if enabled:
                raise

    # Moving.

    async def move_to(self, target: Position) -> Position:
        """Move to `target` and return the position at which it came to rest.

        A move longer than the device takes at once is made in several parts, always in the same direction.

        Raises:
            InvalidValue: The target is beyond the limits; nothing has moved.
            DeviceMisbehaved: It came to rest elsewhere, or never came to rest.
        """
        self._check_target(target)
        async with self._moving:
            try:
                position = await self.position()
                for leg_end in legs(position, target, self.info.max_increment_steps):
                    position = await self._move_leg(position, leg_end)
            except asyncio.CancelledError:
                await see_through(self._halt_after_cancellation())
                raise
            return position

    def _check_target(self, target: Position) -> None:
        low, high = self._limits(self.info)
        if not low <= target <= high:
            text = f"{target} is not within {low} to {high}"
            raise InvalidValue(
                self.name,
                f"{self.name} was not moved to {target}: it may go from {low} to {high}. Change the target, or the"
                " limits in the settings if they are too narrow.",
                number=ErrorNumber.INVALID_VALUE,
                device_message=text,
            )

    async def _move_leg(self, start: Position, target: Position) -> Position:
        position = start
        for _ in range(_TRIES):
            await self._begin_move(position, target)
            progress, position = await self._follow(position, target)
            if progress is Progress.ARRIVED:
                return position
            if progress is Progress.STALLED:
                await self._halt_stalled(target, position)
            _log.warning("%s stopped at %d on its way to %d.", self.name, position, target)
        raise DeviceMisbehaved(
            self.name,
            f"{self.name} was sent to {target} {_TRIES} times and stopped at {position}. Check that it is not at a"
            " mechanical stop, slipping, or too heavily loaded.",
        )

    async def _begin_move(self, position: Position, target: Position) -> None:
        """Send the move; send it again only if it was lost for certain, which the position tells."""
        try:
            await self._connection.do("Move", target)
        except NotConnected:
            # It did nothing. Reading the position connects it again, and may show that it has lost its count.
            if await self.position() != position:
                raise
            await self._connection.do("Move", target)
        except DeviceUnreachable:
            await self._clock.sleep(self._rules.start_patience_s)
            if await self.position() == position and position != target:
                await self._connection.do("Move", target)

    async def _follow(self, start: Position, target: Position) -> tuple[Progress, Position]:
        watch = MoveWatch(target, start, self._clock.monotonic(), self._rules)
        while True:
            await self._clock.sleep(POLL_S)
            is_moving = await self._connection.get_or("IsMoving", as_bool, default=False)
            position = await self.position()
            progress = watch.update(position, self._clock.monotonic(), is_moving=is_moving)
            if progress is not Progress.UNDER_WAY:
                return progress, position

    async def _halt_stalled(self, target: Position, position: Position) -> None:
        await self._send_halt()
        raise DeviceMisbehaved(
            self.name,
            f"{self.name} stands at {position} on its way to {target} and has not come nearer for"
            f" {self._rules.stall_timeout_s:g} s. It was told to halt. Check that it is not blocked or slipping.",
        )

    async def _send_halt(self) -> None:
        """Stop the focuser at once, also while another call to it hangs.

        A focuser that cannot halt is sent to its present position, which stops most of them.

        Raises:
            DeviceError: It does not answer, or refuses to stop.
        """
        try:
            await self._connection.do("Halt", repeatable=True, lane=Lane.URGENT)
        except NotSupported:
            if await self._connection.get("IsMoving", as_bool, lane=Lane.URGENT):
                position = await self._connection.get("Position", as_int, lane=Lane.URGENT)
                await self._connection.do("Move", position, repeatable=True, lane=Lane.URGENT)

    async def _halt_after_cancellation(self) -> None:
        try:
            await self._send_halt()
        except DeviceError as error:
            _log.warning("%s may still be moving, it could not be halted: %s", self.name, error)
