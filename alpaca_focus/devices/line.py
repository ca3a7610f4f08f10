"""The line to one device: single calls with deadlines, in threads of its own; nothing is repeated here."""

import asyncio
import logging
from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar

from alpaca_focus.alpaca.management import ConfiguredDevice, parse_devices
from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.devices.address import DeviceAddress
from alpaca_focus.devices.alpyca_devices import make_alpyca_device
from alpaca_focus.devices.requester import Call, current_call
from alpaca_focus.devices.translate import DeviceCall, nonsense
from alpaca_focus.devices.transport import Deadline
from alpaca_focus.devices.worker import Worker

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Lane(Enum):
    """Threads of one device, so that one kind of call does not wait for another."""

    ORDINARY = "calls"
    URGENT = "urgent"
    """Stopping a motion or an exposure."""
    IMAGE = "image"
    """Downloading a frame."""


class Line:
    """Carries single calls to one device.

    Args:
        kind: Of the device.
        address: Where it is.
        timeout_s: Real seconds for an ordinary call.

    Attributes:
        kind: Of the device.
        address: Where it is.
        number: Its number on the server, which may change where it has a unique id.
        timeout_s: Real seconds for an ordinary call.
        own_name: What it calls itself; empty: not known.
        replies: How many calls have been answered.
    """

    def __init__(self, kind: DeviceType, address: DeviceAddress, *, timeout_s: float) -> None:
        self.kind = kind
        self.address = address
        self.number = address.device_number
        self.timeout_s = timeout_s
        self.own_name = ""
        self.replies = 0
        self._alpyca = make_alpyca_device(kind, address, self.number)
        self._workers = {lane: Worker(f"{kind} {lane.value}") for lane in Lane}

    @property
    def name(self) -> str:
        """What to call the device in a message."""
        place = f"{self.kind} {self.number} at {self.address.authority}"
        return f"{place} ({self.own_name})" if self.own_name else place

    def open(self) -> None:
        """Let calls through again after a `close`."""
        for worker in self._workers.values():
            worker.open()

    async def close(self) -> None:
        """Let go of all threads and sockets within about a second. May be called twice."""
        await asyncio.gather(*(worker.close() for worker in self._workers.values()))

    async def once(
        self, text: str, work: Callable[[Any], T], *, lane: Lane = Lane.ORDINARY, timeout_s: float | None = None
    ) -> T:
        """Carry out `work` on the alpyca device in a worker thread, once; `text` says in messages what was asked.

        Raises:
            DeviceError: No answer, a refusal, or nonsense.
        """

        def make_call() -> Call:
            return Call(self.question(text), Deadline(timeout_s or self.timeout_s))

        alpyca_device = self._alpyca

        def checked_work() -> T:
            try:
                return work(alpyca_device)
            except ValueError as error:  # from `as_type`, or from one of alpyca's enumerations
                raise nonsense(current_call.get().question, str(error)) from error

        answer = await self._workers[lane].run(checked_work, make_call)
        self.replies += 1
        return answer

    async def read(self, member: str, as_type: Callable[[Any], T], *, timeout_s: float | None = None) -> T:
        """Read a property once.

        Raises:
            DeviceError: No answer, a refusal, or nonsense.
        """
        return await self.once(member, lambda device: as_type(getattr(device, member)), timeout_s=timeout_s)

    async def list_devices(self) -> tuple[ConfiguredDevice, ...]:
        """Return what devices the server says it has.

        Raises:
            DeviceError: It does not say.
        """
        return await self.once(
            "the list of devices", lambda device: parse_devices(device.requester.configured_devices())
        )

    def use_number(self, number: int) -> None:
        """Go on with the device under another number of the same server."""
        if number != self.number:
            _log.info("%s is now number %d.", self.name, number)
            self.number = number
            self._alpyca = make_alpyca_device(self.kind, self.address, number)

    def question(self, text: str) -> DeviceCall:
        """Return what is asked, for messages."""
        return DeviceCall(self.name, self.address.authority, text)
