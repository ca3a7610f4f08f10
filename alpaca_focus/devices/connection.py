"""The connection to one device: calls with deadlines, safe repeats, and coming back after a restart."""

import asyncio
import logging
from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar

from alpaca_focus.alpaca.errors import ErrorNumber
from alpaca_focus.alpaca.management import ConfiguredDevice
from alpaca_focus.alpaca.standard import INTERFACE_VERSIONS, DeviceType
from alpaca_focus.core.errors import (
    ConfigurationError,
    DeviceError,
    DeviceMisbehaved,
    DeviceRefused,
    DeviceTimeout,
    DeviceUnreachable,
    NotConnected,
)
from alpaca_focus.devices.address import DeviceAddress
from alpaca_focus.devices.alpyca_devices import make_alpyca_device
from alpaca_focus.devices.inventory import describe, find_device, read_inventory
from alpaca_focus.devices.requester import Call, current_call
from alpaca_focus.devices.translate import Question, as_bool, as_int, as_text, nonsense, refusal
from alpaca_focus.devices.transport import Deadline
from alpaca_focus.devices.worker import Worker
from alpaca_focus.ports import Clock

T = TypeVar("T")

CALL_TIMEOUT_S = 5.0
"""Real seconds for an ordinary call."""

CONNECT_TIMEOUT_S = 30.0
"""Real seconds for a call that connects hardware, and for the first answers after it, which can be slow."""

CONNECTING_TIMEOUT_S = 60.0
"""Seconds of the clock that `Connecting` may last."""

_CONNECTED_TIMEOUT_S = 5.0
_CONNECTING_POLL_S = 0.25
_REPEAT_PAUSES_S = (0.2, 1.0)
_REPEATS_AFTER_TIMEOUT = 1

_log = logging.getLogger(__name__)


class Lane(Enum):
    """Threads of one device, so that one kind of call does not wait for another."""

    ORDINARY = "calls"
    URGENT = "urgent"
    """Stopping a motion or an exposure."""
    IMAGE = "image"
    """Downloading a frame."""


class Connection:
    """Calls to one device.

    A read or a write of a property is repeated a few times when the server does not answer, a method call only if it
    is said to be repeatable. After a failure the device is looked at anew before the next call, and connected again to
    its hardware if it has to be.
    """

    def __init__(
        self, kind: DeviceType, address: DeviceAddress, clock: Clock, *, timeout_s: float = CALL_TIMEOUT_S
    ) -> None:
        self._kind = kind
        self._address = address
        self._clock = clock
        self._timeout_s = timeout_s
        self._number = address.device_number
        self._own_name = ""
        self._alpyca = make_alpyca_device(kind, address, self._number)
        self._workers = {lane: Worker(f"{kind} {lane.value}") for lane in Lane}
        self._is_doubtful = True
        self._is_closed = False
        self._recovering = asyncio.Lock()
        self._replies = 0

    @property
    def name(self) -> str:
        """What to call the device in a message."""
        place = f"{self._kind} {self._number} at {self._address.authority}"
        return f"{place} ({self._own_name})" if self._own_name else place

    @property
    def replies(self) -> int:
        """How many calls have been answered."""
        return self._replies

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
                return await self._once(text, work, lane, timeout_s or self._timeout_s)
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

    async def _once(self, text: str, work: Callable[[Any], T], lane: Lane, timeout_s: float) -> T:
        def make_call() -> Call:
            return Call(self._question(text), Deadline(timeout_s))

        alpyca_device = self._alpyca

        def checked_work() -> T:
            try:
                return work(alpyca_device)
            except ValueError as error:  # from `as_type`, or from one of alpyca's enumerations
                raise nonsense(current_call.get().question, str(error)) from error

        answer = await self._workers[lane].run(checked_work, make_call)
        self._replies += 1
        return answer

    def _question(self, text: str) -> Question:
        return Question(self.name, self._address.authority, text)

    # Connecting.

    async def open(self) -> None:
        """Reach the device, check what it is, and connect it to its hardware.

        Raises:
            ConfigurationError: No Alpaca server there, no such device, or hardware that refuses to connect.
            DeviceUnreachable: Nothing answers; it may be started later.
        """
        self._is_closed = False
        for worker in self._workers.values():
            worker.open()
        try:
            await self._establish()
        except (DeviceRefused, DeviceMisbehaved) as error:
            raise await self._configuration_error(error) from error
        self._is_doubtful = False

    async def is_connected(self) -> bool:
        """Tell whether the device has its hardware already; it is not connected by that.

        Raises:
            ConfigurationError: No Alpaca server there, or no such device.
            DeviceUnreachable: Nothing answers.
        """
        try:
            if self._address.unique_id:
                self._use_number(await self._number_of(self._address.unique_id))
            return await self._read("Connected", as_bool, self._timeout_s)
        except (DeviceRefused, DeviceMisbehaved) as error:
            raise await self._configuration_error(error) from error

    async def disconnect(self) -> None:
        """Part the device from its hardware, for whoever found it so. Nothing else in this program does that.

        Raises:
            DeviceError: It does not answer, or refuses.
        """
        self._is_doubtful = True
        await self._once(
            "Connected = False", lambda device: setattr(device, "Connected", False), Lane.ORDINARY, CONNECT_TIMEOUT_S
        )

    async def close(self) -> None:
        """Let go of all threads and sockets within about a second. May be called twice."""
        self._is_closed = True
        await asyncio.gather(*(worker.close() for worker in self._workers.values()))

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
                await self._establish()
            except ConfigurationError as error:
                raise DeviceUnreachable(self.name, str(error)) from error
            self._is_doubtful = False
        _log.info("%s answers and is connected again.", self.name)

    async def _establish(self) -> None:
        if self._address.unique_id:
            self._use_number(await self._number_of(self._address.unique_id))
        if not await self._read("Connected", as_bool, self._timeout_s):
            await self._connect_hardware()
        try:
            self._own_name = await self._read("Name", as_text, CONNECT_TIMEOUT_S)
        except (DeviceRefused, DeviceMisbehaved) as error:
            _log.debug("The device goes without a name: %s", error)

    async def _read(self, member: str, as_type: Callable[[Any], T], timeout_s: float) -> T:
        """Read a property once, without looking at the device anew."""
        return await self._once(member, lambda device: as_type(getattr(device, member)), Lane.ORDINARY, timeout_s)

    async def _connect_hardware(self) -> None:
        if await self._begin_to_connect():
            await self._poll("Connecting", until=False, within_s=CONNECTING_TIMEOUT_S)
        else:
            await self._once(
                "Connected = True",
                lambda device: setattr(device, "Connected", True),
                Lane.ORDINARY,
                CONNECT_TIMEOUT_S,
            )
        await self._poll("Connected", until=True, within_s=_CONNECTED_TIMEOUT_S)

    async def _begin_to_connect(self) -> bool:
        """Connect the way of the newer interfaces; False if the device does not know it."""
        try:
            version = await self._read("InterfaceVersion", as_int, self._timeout_s)
            if version < INTERFACE_VERSIONS[self._kind]:
                return False
            await self._once("Connect()", lambda device: device.Connect(), Lane.ORDINARY, CONNECT_TIMEOUT_S)
        except (DeviceRefused, DeviceMisbehaved) as error:
            _log.debug("%s is connected the old way: %s", self.name, error)
            return False
        return True

    async def _poll(self, member: str, *, until: bool, within_s: float) -> None:
        ends_at = self._clock.monotonic() + within_s
        while await self._read(member, as_bool, CONNECT_TIMEOUT_S) is not until:
            if self._clock.monotonic() > ends_at:
                text = f"{member} has not become {until} within {within_s:g} s"
                raise refusal(self._question("Connect()"), ErrorNumber.NOT_CONNECTED, text)
            await self._clock.sleep(_CONNECTING_POLL_S)

    # The server's list of devices.

    async def _list_devices(self) -> tuple[ConfiguredDevice, ...]:
        return await self._once(
            "the list of devices",
            lambda device: read_inventory(device.requester.configured_devices()),
            Lane.ORDINARY,
            self._timeout_s,
        )

    async def _number_of(self, unique_id: str) -> int:
        """Return the present number of the device with that unique id or name."""
        place = self._address.authority
        try:
            devices = await self._list_devices()
        except (DeviceRefused, DeviceMisbehaved) as error:
            raise ConfigurationError(
                f'The {self._kind} is to be found by its unique id or name "{unique_id}", but the server at {place}'
                f" gives no list of its devices. {error} Set the device's number instead."
            ) from error
        found = find_device(devices, self._kind, unique_id)
        if found is None:
            raise ConfigurationError(
                f'There is no {self._kind} with the unique id or name "{unique_id}" at {place}; the server has:'
                f" {describe(devices)}. Correct the setting, or add the device to the server."
            )
        return found.number

    def _use_number(self, number: int) -> None:
        if number != self._number:
            _log.info("%s is now number %d.", self.name, number)
            self._number = number
            self._alpyca = make_alpyca_device(self._kind, self._address, number)

    async def _configuration_error(self, error: DeviceRefused | DeviceMisbehaved) -> ConfigurationError:
        """Find out what is wrong when the device does not let itself be connected."""
        place = self._address.authority
        try:
            devices = await self._list_devices()
        except DeviceMisbehaved:
            if isinstance(error, DeviceMisbehaved):
                return ConfigurationError(
                    f"What answers at {place} is not an Alpaca server. {error} Check host and port of the {self._kind}."
                )
            return self._no_list_error(error)
        except DeviceError:
            return self._no_list_error(error)
        if not any(device.device_type == self._kind and device.number == self._number for device in devices):
            return ConfigurationError(
                f"There is no {self._kind} {self._number} at {place}; the server has: {describe(devices)}."
                " Correct the device's number, or add the device to the server."
            )
        return ConfigurationError(
            f"{self.name} does not connect to its hardware. {error} Check its power and cable, and whether another"
            " program holds it."
        )

    def _no_list_error(self, error: DeviceError) -> ConfigurationError:
        return ConfigurationError(
            f"{self.name} cannot be used. {error} The server gives no list of its devices: check that the device's type"
            f" and number ({self._kind} {self._number}) are right, and its power and cable."
        )
