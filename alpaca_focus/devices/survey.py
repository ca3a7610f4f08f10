"""Surveys an Alpaca server: its devices and their properties.

Nothing moves. A device that is not connected is connected to be read, and disconnected again. One that was connected
stays so: an imaging program may be using it.
"""

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from alpaca_focus.alpaca.management import ConfiguredDevice, parse_devices
from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.core.device_kinds import DEVICE_KINDS, DeviceKind, DiscoveredDevice, DiscoveredFacts
from alpaca_focus.core.discovered import SurveyedServer
from alpaca_focus.core.errors import (
    ConfigurationError,
    DeviceError,
    DeviceMisbehaved,
    DeviceRefused,
    DeviceTimeout,
    NotConnected,
)
from alpaca_focus.devices.address import DeviceAddress, parse_address
from alpaca_focus.devices.clock import SystemClock
from alpaca_focus.devices.connection import CALL_TIMEOUT_S, Connection
from alpaca_focus.devices.requester import Requester
from alpaca_focus.devices.translate import DeviceRequest, as_bool, as_float, as_int, as_text, as_texts
from alpaca_focus.devices.worker import Worker, shield_until_done

T = TypeVar("T")

LIST_TIMEOUT_S = 10.0
"""Real seconds for the list of a server's devices: the first reply of some servers is slow."""
PROBED_NUMBERS = range(6)
"""Numbers that are tried on a server without a list; some servers number their devices across all types."""

SILENT_KINDS = 2
"""Number of device types without any answer after which a server without a list is given up."""

_CONVERSIONS: Mapping[type, Callable[[Any], object]] = {
    bool: as_bool, int: as_int, float: as_float, str: as_text, tuple: as_texts
}  # fmt: skip

_log = logging.getLogger(__name__)


async def survey_server(address: str, *, timeout_s: float = LIST_TIMEOUT_S) -> SurveyedServer:
    """List the devices of a server; without a list, try the devices one by one.

    `timeout_s` is in real seconds, for each reply.

    Raises:
        ConfigurationError: `address` is not "host:port".
        DeviceUnreachable: Nothing answers there.
        DeviceMisbehaved: What answers there is not an Alpaca server.
    """
    probe = _ServerProbe(parse_address(address), timeout_s)
    notes: tuple[str, ...] = ()
    try:
        try:
            listed = await probe.list_devices()
        except (DeviceRefused, DeviceMisbehaved, DeviceTimeout) as error:
            listed, left_out = await probe.try_devices()
            if not listed and not isinstance(error, DeviceRefused):
                raise
            _log.debug("No list: %s", error)
            server = probe.address.authority
            notes = (f"The server at {server} gives no list of its devices, so they were tried one by one.", *left_out)
    finally:
        await probe.worker.close()
    devices = (
        DiscoveredDevice(
            kind=device.device_type,
            number=device.number,
            name=device.name,
            unique_id=device.unique_id,
            server=probe.address.authority,
        )
        for device in listed
        if 0 <= device.number < 2**32
    )
    return SurveyedServer(address=probe.address.authority, devices=tuple(devices), notes=notes)


class _ServerProbe:
    """Requests to one server whose devices are not known yet."""

    def __init__(self, address: DeviceAddress, timeout_s: float) -> None:
        self.address = address
        self._timeout_s = timeout_s
        self.worker = Worker("survey")

    async def list_devices(self) -> tuple[ConfiguredDevice, ...]:
        requester = Requester(self.address, DeviceType.FOCUSER, 0)
        server = f"the server at {self.address.authority}"
        return await self._run(server, "the list of its devices", lambda: parse_devices(requester.configured_devices()))

    async def try_devices(self) -> tuple[tuple[ConfiguredDevice, ...], tuple[str, ...]]:
        """Return the devices that answer, and why some were not tried."""
        devices: list[ConfiguredDevice] = []
        left_out: list[str] = []
        for kind in DEVICE_KINDS.values():
            device_type = DeviceType(kind.alpaca_type)
            try:
                for number in PROBED_NUMBERS:
                    devices += await self._try_device(device_type, number)
            except DeviceTimeout as error:
                left_out.append(f"{error} No other {device_type} was tried.")
                if not devices and len(left_out) >= SILENT_KINDS:
                    break
        return tuple(devices), tuple(left_out)

    async def _try_device(self, kind: DeviceType, number: int) -> tuple[ConfiguredDevice, ...]:
        """Return the device of that number, if there is one."""
        requester = Requester(self.address, kind, number)
        device = f"{kind} {number} at {self.address.authority}"
        try:
            await self._run(device, "Connected", lambda: as_bool(requester.get("connected", {})))
        except (DeviceRefused, DeviceMisbehaved) as error:
            _log.debug("There is no such device: %s", error)
            return ()
        try:
            name = await self._run(device, "Name", lambda: as_text(requester.get("name", {})))
        except (DeviceRefused, DeviceMisbehaved) as error:
            _log.debug("The device has no name: %s", error)
            name = ""
        return (ConfiguredDevice(name=name, device_type=str(kind), number=number, unique_id=""),)

    async def _run(self, device: str, text: str, work: Callable[[], T]) -> T:
        request = DeviceRequest(device, self.address.authority, text)
        return await self.worker.run(request, work, timeout_s=self._timeout_s)


async def survey_device(
    device: DiscoveredDevice, kind: DeviceKind, *, timeout_s: float = CALL_TIMEOUT_S
) -> DiscoveredFacts:
    """Read the properties of a device; its notes hold the failures."""
    values: dict[str, Any] = {}
    notes: list[str] = []
    if kind.facts.MEMBERS:
        try:
            async with _temporarily_connected(device, notes, timeout_s) as connection:
                for member, value_type in kind.facts.MEMBERS.items():
                    try:
                        values[member] = await connection.get(member, _CONVERSIONS[value_type])
                    except NotConnected:
                        raise
                    except (DeviceRefused, DeviceMisbehaved) as error:
                        _log.debug("Left out: %s", error)
        except (ConfigurationError, DeviceError) as error:
            notes.append(str(error))
    return kind.facts.of(device, values, notes)


@asynccontextmanager
async def _temporarily_connected(
    device: DiscoveredDevice, notes: list[str], timeout_s: float
) -> AsyncIterator[Connection]:
    """Connect a device for a while, and leave it as it was; add a failure to do so to the notes."""
    address = parse_address(device.server, device.number)
    connection = Connection(DeviceType(device.kind), address, SystemClock(), timeout_s=timeout_s)
    to_disconnect = False
    try:
        to_disconnect = not await connection.is_connected()
        await connection.open()
        yield connection
    finally:
        if to_disconnect:
            await shield_until_done(_disconnect(connection, notes))
        await connection.close()


async def _disconnect(connection: Connection, notes: list[str]) -> None:
    try:
        await connection.disconnect()
    except DeviceError as error:
        notes.append(f"{error} The device may still be connected, and was not before.")
