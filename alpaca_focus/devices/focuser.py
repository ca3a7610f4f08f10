"""A focuser over Alpaca."""

import asyncio
import logging
import math
from collections.abc import Callable
from dataclasses import replace

from typing_extensions import override

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
from alpaca_focus.devices.arrival import ArrivalRules, MoveProgress, MoveWatch, legs
from alpaca_focus.devices.channel import Lane
from alpaca_focus.devices.connection import CALL_TIMEOUT_S, AlpacaDevice
from alpaca_focus.devices.translate import as_bool, as_float, as_int
from alpaca_focus.devices.worker import shield_until_done
from alpaca_focus.ports import Clock, FocuserInfo

POLL_S = 0.1
"""Clock seconds between two readings of a moving focuser."""

_TRIES = 2

_log = logging.getLogger(__name__)


class AlpacaFocuser(AlpacaDevice):
    """An absolute focuser; implements `ports.Focuser`.

    Args:
        lowest: The user's own limit, within those of the device; like `highest`.
        tolerance_steps: Returns the distance from the target at which a move has ended, for the reported travel of one
            step in micrometres or `None`.
    """

    device_type = DeviceType.FOCUSER

    def __init__(
        self,
        address: DeviceAddress,
        clock: Clock,
        *,
        lowest: Position | None = None,
        highest: Position | None = None,
        tolerance_steps: Callable[[float | None], int] = lambda _: 1,
        rules: ArrivalRules | None = None,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> None:
        super().__init__(address, clock, timeout_s=timeout_s)
        self._lowest = lowest
        self._highest = highest
        self._tolerance_steps = tolerance_steps
        self._rules = rules or ArrivalRules()
        self._info: FocuserInfo | None = None
        self._moving = asyncio.Lock()

    @property
    def info(self) -> FocuserInfo:
        """Limits and abilities of the focuser; known once connected."""
        return self._known(self._info)

    @override
    async def connect(self) -> None:
        """Connect the focuser to its hardware, and read its limits and abilities.

        Raises:
            ConfigurationError: Wrong address, hardware that refuses to connect, a relative focuser, or limits that
                leave no room.
            DeviceUnreachable: Nothing answers there; the server may be started later.
        """
        await super().connect()
        if not await self._connection.get("Absolute", as_bool):
            raise ConfigurationError(
                f"{self.name} is a relative focuser: it does not know its position, and this program cannot focus with"
                " it. Set it to absolute positions in its own server if it can do that, or use another focuser."
            )
        get_or = self._connection.get_or
        max_step = await self._connection.get("MaxStep", as_int)
        max_increment = await get_or("MaxIncrement", as_int, default=max_step)
        reported_um = await get_or("StepSize", as_float, default=math.nan)
        step_size_um = reported_um if 0 < reported_um < math.inf else None
        self._rules = replace(self._rules, tolerance_steps=self._tolerance_steps(step_size_um))
        self._info = FocuserInfo(
            max_step=max_step,
            max_increment_steps=max_increment if max_increment > 0 else max_step,
            step_size_um=step_size_um,
            has_temperature_compensation=await get_or("TempCompAvailable", as_bool, default=False),
            tolerance_steps=self._rules.tolerance_steps,
        )
        low, high = self._limits()
        if low >= high:
            raise ConfigurationError(
                f"{self.name} has no room to move: it goes from 0 to {max_step}, and the limits set for it leave"
                f" {low} to {high}. Correct its limits."
            )

    def _limits(self) -> tuple[Position, Position]:
        low = 0 if self._lowest is None else max(0, self._lowest)
        high = self.info.max_step if self._highest is None else min(self.info.max_step, self._highest)
        return low, high

    async def position(self) -> Position:
        """Return the current position."""
        return await self._connection.get("Position", as_int)

    async def is_moving(self) -> bool:
        """Return whether the device reports that it moves."""
        return await self._connection.get_or("IsMoving", as_bool, default=False)

    async def temperature_c(self) -> float | None:
        """Return the sensor's reading, or `None` if there is none or it is not plausible."""
        return plausible_temperature_c(await self._connection.get_or("Temperature", as_float, default=math.nan))

    async def temperature_compensation(self) -> bool:
        """Return whether the device's own compensation is on."""
        return await self._connection.get_or("TempComp", as_bool, default=False)

    async def set_temperature_compensation(self, *, enabled: bool) -> None:
        """Switch the device's own compensation; a device without one ignores switching it off.

        Raises:
            NotSupported: It is switched on, and the device has none.
        """
        try:
            await self._connection.set("TempComp", enabled)
        except NotSupported:
            if enabled:
                raise

    # Moving.

    async def move_to(self, target: Position) -> Position:
        """Move to `target` and return the position at which the focuser came to rest.

        A move longer than the device's `MaxIncrement` is made in several parts, all in the same direction.

        Raises:
            InvalidValue: The target is beyond the limits; nothing has moved. Some servers accept such a move.
            DeviceMisbehaved: The focuser came to rest elsewhere, or never came to rest.
        """
        low, high = self._limits()
        if not low <= target <= high:
            raise InvalidValue(
                self.name,
                f"{self.name} was not moved to {target}: it may go from {low} to {high}. Change the target, or the"
                " limits in the settings if they are too narrow.",
            )
        async with self._moving:
            try:
                position = await self.position()
                for leg_end in legs(position, target, self.info.max_increment_steps):
                    position = await self._move_leg(position, leg_end)
            except asyncio.CancelledError:
                await shield_until_done(self._halt_after_cancellation())
                raise
            return position

    async def _move_leg(self, start: Position, target: Position) -> Position:
        position = start
        for _ in range(_TRIES):
            await self._begin_move(position, target)
            progress, position = await self._wait_for_end(position, target)
            if progress is MoveProgress.ARRIVED:
                return position
            if progress is MoveProgress.STALLED:
                await self._send_halt()
                raise DeviceMisbehaved(
                    self.name,
                    f"{self.name} stands at {position} on its way to {target} and has not come nearer for"
                    f" {self._rules.stall_timeout_s:g} s. It was halted. Check that it is not blocked or slipping.",
                )
            _log.warning("%s stopped at %d on its way to %d.", self.name, position, target)
        raise DeviceMisbehaved(
            self.name,
            f"{self.name} was sent to {target} {_TRIES} times and stopped at {position}. Check that it is not at a"
            " mechanical stop, slipping, or too heavily loaded.",
        )

    async def _begin_move(self, position: Position, target: Position) -> None:
        """Send the move; send it again only if the position shows that it was lost."""
        try:
            await self._connection.do("Move", target)
        except NotConnected:
            # Nothing has moved. Reading the position reconnects it, and may show that it has lost its count.
            if await self.position() != position:
                raise
            await self._connection.do("Move", target)
        except DeviceUnreachable:
            await self._clock.sleep(self._rules.start_patience_s)
            if await self.position() == position and position != target:
                await self._connection.do("Move", target)

    async def _wait_for_end(self, start: Position, target: Position) -> tuple[MoveProgress, Position]:
        watch = MoveWatch(target, start, self._clock.monotonic(), self._rules)
        while True:
            await self._clock.sleep(POLL_S)
            is_moving = await self.is_moving()
            position = await self.position()
            progress = watch.update(position, self._clock.monotonic(), is_moving=is_moving)
            if progress is not MoveProgress.UNDER_WAY:
                return progress, position

    async def _send_halt(self) -> None:
        """Stop the focuser at once, even while another call to it hangs.

        A focuser without `Halt` is sent to its current position, which stops most of them.

        Raises:
            DeviceError: No answer, or the focuser refuses to stop.
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
            _log.warning("%s may still be moving: it could not be halted. %s", self.name, error)
