"""The connection to one device: repeats what is safe to repeat, and reconnects after a restart."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.core.errors import (
    ConfigurationError,
    DeviceMisbehaved,
    DeviceRefused,
    DeviceUnreachable,
    NotConnected,
)
from alpaca_focus.devices.address import DeviceAddress
from alpaca_focus.devices.channel import DeviceChannel, Lane
from alpaca_focus.devices.connecting import connect_device, explain_failure, is_connected, set_connected
from alpaca_focus.ports import Clock

T = TypeVar("T")

CALL_TIMEOUT_S = 5.0
"""Real seconds for an ordinary call."""

_REPEAT_PAUSES_S = (0.2, 1.0)
"""Pauses before each repetition: a server that reads out a camera may leave two requests in a row unanswered."""

_log = logging.getLogger(__name__)


class Connection:
    """Calls to one device.

    A property is read or written again if the server does not answer; a method is called again only if the caller
    declares it repeatable. After a failure the next call first checks that the device is connected, and reconnects it
    if it is not. Every call raises a `DeviceError` if the device does not answer, refuses, or sends an invalid reply.

    Attributes:
        connections: How often the device was found again after a failure.
    """

    def __init__(
        self, kind: DeviceType, address: DeviceAddress, clock: Clock, *, timeout_s: float = CALL_TIMEOUT_S
    ) -> None:
        self.clock = clock
        self._channel = DeviceChannel(kind, address, timeout_s=timeout_s)
        self.connections = 0
        self._needs_check = True
        self._is_closed = False
        self._recovering = asyncio.Lock()

    @property
    def name(self) -> str:
        """Name of the device in messages."""
        return self._channel.name

    @property
    def server(self) -> str:
        """Host and port of its server."""
        return self._channel.address.authority

    @property
    def replies(self) -> int:
        """Number of calls that the device has answered."""
        return self._channel.replies

    # Calls.

    async def get(self, member: str, as_type: Callable[[Any], T], *, lane: Lane = Lane.ORDINARY) -> T:
        """Read a property and convert its value with `as_type`, which raises ValueError for an invalid one."""
        return await self.call(member, lambda device: as_type(getattr(device, member)), repeatable=True, lane=lane)

    async def get_or(self, member: str, as_type: Callable[[Any], T], *, default: T) -> T:
        """Read a property; return `default` if the device refuses it or sends an invalid value.

        Raises:
            DeviceUnreachable: No answer.
            NotConnected: The device has lost its hardware.
        """
        try:
            return await self.get(member, as_type)
        except NotConnected:
            raise
        except (DeviceRefused, DeviceMisbehaved) as error:
            _log.debug("%s is assumed to be %r: %s", member, default, error)
            return default

    async def set(self, member: str, value: object) -> None:
        """Write a property."""
        await self.call(f"{member} = {value}", lambda device: setattr(device, member, value), repeatable=True)

    async def do(self, member: str, *arguments: object, repeatable: bool = False, lane: Lane = Lane.ORDINARY) -> None:
        """Call a method; after a `DeviceUnreachable` the device may have carried it out."""
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
        """Run `work` on the alpyca device in a worker thread; `text` names the call in messages."""
        # An urgent call goes out at once: reconnecting may take a minute, and a motion has to stop now.
        if self._needs_check and lane is not Lane.URGENT:
            await self._recover()
        failures, has_reconnected = 0, False
        while True:
            try:
                return await self._channel.call(text, work, lane=lane, timeout_s=timeout_s)
            except NotConnected:
                self._needs_check = True
                if not repeatable or has_reconnected or lane is Lane.URGENT:
                    raise
                has_reconnected = True
                await self._recover()
            except DeviceUnreachable as error:
                if not repeatable or self._is_closed or failures == len(_REPEAT_PAUSES_S):
                    if not self._needs_check and not self._is_closed:
                        _log.warning("%s", error)
                    self._needs_check = True
                    raise
                await self.clock.sleep(_REPEAT_PAUSES_S[failures])
                failures += 1

    # Connecting.

    async def open(self) -> None:
        """Find the device and connect it to its hardware.

        Raises:
            ConfigurationError: No Alpaca server there, no such device, or hardware that refuses to connect.
            DeviceUnreachable: Nothing answers; the server may be started later.
        """
        self._is_closed = False
        self._channel.open()
        try:
            await connect_device(self._channel, self.clock)
        except (DeviceRefused, DeviceMisbehaved) as error:
            raise await explain_failure(self._channel, error) from error
        self._needs_check = False

    async def is_connected(self) -> bool:
        """Return whether the device is connected to its hardware, without connecting it.

        Raises:
            ConfigurationError: No Alpaca server there, or no such device.
            DeviceUnreachable: Nothing answers.
        """
        try:
            return await is_connected(self._channel)
        except (DeviceRefused, DeviceMisbehaved) as error:
            raise await explain_failure(self._channel, error) from error

    async def disconnect(self) -> None:
        """Disconnect the device from its hardware; only for a caller that found it disconnected.

        Raises:
            DeviceError: The device does not answer, or refuses.
        """
        self._needs_check = True
        await set_connected(self._channel, value=False)

    async def close(self) -> None:
        """Release all threads and sockets within about a second. May be called twice."""
        self._is_closed = True
        await self._channel.close()

    async def _recover(self) -> None:
        """Reconnect the device after a failure; calls that wait for the lock find it done."""
        async with self._recovering:
            if not self._needs_check:
                return
            try:
                await connect_device(self._channel, self.clock)
            except ConfigurationError as error:
                raise DeviceUnreachable(self.name, str(error)) from error
            self._needs_check = False
            self.connections += 1
        _log.info("%s answers and is connected again.", self.name)


class AlpacaDevice:
    """Base of the adapters: a device with one connection; implements `ports.Device`."""

    device_type: ClassVar[DeviceType]

    def __init__(self, address: DeviceAddress, clock: Clock, *, timeout_s: float = CALL_TIMEOUT_S) -> None:
        self._connection = Connection(self.device_type, address, clock, timeout_s=timeout_s)
        self._clock = clock

    @property
    def name(self) -> str:
        """Name of the device in messages."""
        return self._connection.name

    @property
    def server(self) -> str:
        """Host and port of its Alpaca server."""
        return self._connection.server

    @property
    def replies(self) -> int:
        """Number of calls that the device has answered."""
        return self._connection.replies

    @property
    def connections(self) -> int:
        """How often the device was found again after a failure."""
        return self._connection.connections

    async def connect(self) -> None:
        """Connect the device to its hardware, and read its properties.

        Raises:
            ConfigurationError: Wrong address, hardware that refuses to connect, or a device that cannot be used.
            DeviceUnreachable: Nothing answers there; the server may be started later.
        """
        await self._connection.open()

    async def close(self) -> None:
        """Close the connection; the hardware stays as it is."""
        await self._connection.close()

    def _known(self, value: T | None) -> T:
        """Return what `connect` has read; raise `DeviceUnreachable` before it."""
        if value is None:
            raise DeviceUnreachable(self.name, f"{self.name} has not been connected yet.")
        return value
