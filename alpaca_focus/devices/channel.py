"""The channel to one device: each call is sent once, with a deadline, in a thread of the device's own."""

import asyncio
import logging
from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar

from alpaca_focus.alpaca.management import ConfiguredDevice, parse_devices
from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.devices.address import DeviceAddress
from alpaca_focus.devices.requester import make_alpyca_device
from alpaca_focus.devices.translate import DeviceRequest
from alpaca_focus.devices.worker import Worker

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Lane(Enum):
    """The three threads of a device, so that stopping it never waits for a slow read or download (decision 0024)."""

    ORDINARY = "calls"
    URGENT = "urgent"
    """Stopping a motion or an exposure."""
    IMAGE = "image"
    """Downloading a frame."""


class DeviceChannel:
    """Sends single calls to one device, without repeats.

    Every call raises a `DeviceError` if the device does not answer, refuses, or sends an invalid reply.

    Attributes:
        number: The device's number on the server; it may change if the address has a unique id.
        timeout_s: Real seconds for an ordinary call.
        own_name: The device's Name; empty: not known.
        replies: Number of calls that the device has answered.
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
        """Name of the device in messages."""
        name = f"{self.kind} {self.number} at {self.address.authority}"
        return f"{name} ({self.own_name})" if self.own_name else name

    def open(self) -> None:
        """Accept calls again after a `close`."""
        for worker in self._workers.values():
            worker.open()

    async def close(self) -> None:
        """Release all threads and sockets within about a second. May be called twice."""
        await asyncio.gather(*(worker.close() for worker in self._workers.values()))

    async def call(
        self, text: str, work: Callable[[Any], T], *, lane: Lane = Lane.ORDINARY, timeout_s: float | None = None
    ) -> T:
        """Run `work` on the alpyca device in a worker thread; `text` names the call in messages."""
        alpyca_device = self._alpyca
        answer = await self._workers[lane].run(
            self.request(text), lambda: work(alpyca_device), timeout_s=timeout_s or self.timeout_s
        )
        self.replies += 1
        return answer

    async def read(self, member: str, as_type: Callable[[Any], T], *, timeout_s: float | None = None) -> T:
        """Read a property."""
        return await self.call(member, lambda device: as_type(getattr(device, member)), timeout_s=timeout_s)

    async def list_devices(self) -> tuple[ConfiguredDevice, ...]:
        """Return the server's list of devices."""
        return await self.call(
            "the list of devices", lambda device: parse_devices(device.requester.configured_devices())
        )

    def use_number(self, number: int) -> None:
        """Continue with the device under another number of the same server."""
        if number != self.number:
            _log.info("%s is now number %d.", self.name, number)
            self.number = number
            self._alpyca = make_alpyca_device(self.kind, self.address, number)

    def request(self, text: str) -> DeviceRequest:
        """Describe a request to the device, for messages."""
        return DeviceRequest(self.name, self.address.authority, text)
