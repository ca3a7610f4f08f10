"""The connection to one device: safe repeats, and coming back after a restart."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.core.errors import (
    ConfigurationError,
    DeviceMisbehaved,
    DeviceRefused,
    DeviceTimeout,
    DeviceUnreachable,
    NotConnected,
)
from alpaca_focus.devices.address import DeviceAddress
from alpaca_focus.devices.line import Lane, Line
from alpaca_focus.devices.reaching import establish, has_hardware, part, what_is_wrong
from alpaca_focus.ports import Clock

T = TypeVar("T")

CALL_TIMEOUT_S = 5.0
"""Real seconds for an ordinary call."""

_REPEAT_PAUSES_S = (0.2, 1.0)
_REPEATS_AFTER_TIMEOUT = 1

_log = logging.getLogger(__name__)


class Connection:
    """Calls to one device.

    A read or a write of a property is repeated a few times when the server does not answer, a method call only if it
    is said to be repeatable. After a failure the device is looked at anew before the next call, and connected again to
    its hardware if it has to be.
    """

    def __init__(
        self, kind: DeviceType, address: DeviceAddress, clock: Clock, *, timeout_s: float = CALL_TIMEOUT_S
    ) -> None:
        self._line = Line(kind, address, timeout_s=timeout_s)
        self._clock = clock
        self._is_doubtful = True
        self._is_closed = False
        self._recovering = asyncio.Lock()

    @property
    def name(self) -> str:
        """What to call the device in a message."""
        return self._line.name

    @property
    def replies(self) -> int:
        """How many calls have been answered."""
        return self._line.replies

    @property
    def clock(self) -> Clock:
        """The clock by which the device's motions and exposures are timed."""
        return self._clock

    # Calls.

    async def get(
        self, member: str, as_type: Callable[[Any], T], *, lane: Lane = Lane.ORDINARY, timeout_s: float | None = None
    ) -> T:
        """Read a property and take its value with `as_type`.

        Raises:
            DeviceError: No answer, a refusal, or a value that `as_type` does not take (it raises ValueError).
        """
        return await self.call(
            member, lambda device: as_type(getattr(device, member)), repeatable=True, lane=lane, timeout_s=timeout_s
        )

    async def get_or(self, member: str, as_type: Callable[[Any], T], *, default: T) -> T:
        """Read a property; a device that refuses it or answers nonsense has `default`.

        Raises:
            DeviceUnreachable: No answer.
            NotConnected: The device has lost its hardware.
        """
        try:
            return await self.get(member, as_type)
        except NotConnected:
            raise
        except (DeviceRefused, DeviceMisbehaved) as error:
            _log.debug("%s is taken to be %r: %s", member, default, error)
            return default

    async def set(self, member: str, value: object) -> None:
        """Write a property.

        Raises:
            DeviceError: No answer, a refusal, or nonsense.
        """
        await self.call(f"{member} = {value}", lambda device: setattr(device, member, value), repeatable=True)

    async def do(
        self,
        member: str,
        *arguments: object,
        repeatable: bool = False,
        lane: Lane = Lane.ORDINARY,
    ) -> None:
        """Call a method.

        Raises:
            DeviceError: No answer, a refusal, or nonsense. After a `DeviceUnreachable` it may have been carried out.
        """
        text = f"{member}({', '.join(map(str, arguments))})"
        await self.call(text, lambda device: getattr(device, member)(*arguments), repeatable=repeatable, lane=lane)

    async def call(
        self,
        text: str,
        work: Callable[[Any], T],
        *,
        repeatable: bool,
        lane: Lane = Lane.ORDINARY,
        timeout_s: float | None = None,
    ) -> T:
        """Carry out `work` on the alpyca device in a worker thread; `text` says in messages what was asked.

        Raises:
            DeviceError: No answer, a refusal, or nonsense.
        """
        if self._is_doubtful and lane is not Lane.URGENT:
            await self._recover()
        failures = 0
        has_reconnected = False
        while True:
            try:
                return await self._line.once(text, work, lane=lane, timeout_s=timeout_s)
            except NotConnected:
                self._is_doubtful = True
                if not repeatable or has_reconnected or lane is Lane.URGENT:
                    raise
                has_reconnected = True
                await self._recover()
            except DeviceUnreachable as error:
                allowed = _REPEATS_AFTER_TIMEOUT if isinstance(error, DeviceTimeout) else len(_REPEAT_PAUSES_S)
                if not repeatable or self._is_closed or failures >= allowed:
                    self._doubt(error)
                    raise
                await self._clock.sleep(_REPEAT_PAUSES_S[failures])
                failures += 1

    # Connecting.

    async def open(self) -> None:
        """Reach the device, check what it is, and connect it to its hardware.

        Raises:
            ConfigurationError: No Alpaca server there, no such device, or hardware that refuses to connect.
            DeviceUnreachable: Nothing answers; it may be started later.
        """
        self._is_closed = False
        self._line.open()
        try:
            await establish(self._line, self._clock)
        except (DeviceRefused, DeviceMisbehaved) as error:
            raise await what_is_wrong(self._line, error) from error
        self._is_doubtful = False

    async def is_connected(self) -> bool:
        """Tell whether the device has its hardware already; it is not connected by that.

        Raises:
            ConfigurationError: No Alpaca server there, or no such device.
            DeviceUnreachable: Nothing answers.
        """
        try:
            return await has_hardware(self._line)
        except (DeviceRefused, DeviceMisbehaved) as error:
            raise await what_is_wrong(self._line, error) from error

    async def disconnect(self) -> None:
        """Part the device from its hardware, for whoever found it so. Nothing else in this program does that.

        Raises:
            DeviceError: It does not answer, or refuses.
        """
        self._is_doubtful = True
        await part(self._line)

    async def close(self) -> None:
        """Let go of all threads and sockets within about a second. May be called twice."""
        self._is_closed = True
        await self._line.close()

    def _doubt(self, error: DeviceUnreachable) -> None:
        if not self._is_doubtful and not self._is_closed:
            _log.warning("%s", error)
        self._is_doubtful = True

    async def _recover(self) -> None:
        """Look at the device anew after a failure.

        Raises:
            DeviceError: It is still not there, or not usable.
        """
        async with self._recovering:
            if not self._is_doubtful:
                return
            try:
                await establish(self._line, self._clock)
            except ConfigurationError as error:
                raise DeviceUnreachable(self.name, str(error)) from error
            self._is_doubtful = False
        _log.info("%s answers and is connected again.", self.name)
