"""The survey of an Alpaca server: its devices, and what they report of themselves.

Nothing is moved. A device is connected only to be read, and only if it is not connected already; then it is
disconnected again. One that was connected is left so: an imaging program may be using it.
"""

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any, TypeVar

from alpaca_focus.alpaca.management import ConfiguredDevice, parse_devices
from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.core.device_kinds import DEVICE_KINDS, DeviceKind, DiscoveredDevice, DiscoveredFacts, Members
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
from alpaca_focus.devices.requester import Call, Requester
from alpaca_focus.devices.translate import DeviceCall, as_bool, as_float, as_int, as_text, as_texts
from alpaca_focus.devices.transport import Deadline
from alpaca_focus.devices.worker import Worker, see_through

T = TypeVar("T")

LIST_TIMEOUT_S = 10.0
"""Real seconds for the list of a server's devices: the first answer of some takes long."""
PROBED_NUMBERS = range(6)
"""Numbers that are tried on a server that gives no list; some count their devices across all types."""

SILENCES = 2
"""After so many types of devices without any answer, a server that gives no list is given up."""

_TAKEN_AS: Mapping[type, Callable[[Any], object]] = MappingProxyType(
    {bool: as_bool, int: as_int, float: as_float, str: as_text, tuple: as_texts}
)

_log = logging.getLogger(__name__)


async def survey_server(address: str, *, timeout_s: float = LIST_TIMEOUT_S) -> SurveyedServer:
    """List the devices of a server; one that gives no list is asked for the devices one by one.

    Args:
        address: "host:port".
        timeout_s: Real seconds for each answer.

    Raises:
        ConfigurationError: It is no address.
        DeviceUnreachable: Nothing answers there.
        DeviceMisbehaved: What answers there is no Alpaca server.
    """
    asking = _Asking(parse_address(address), timeout_s)
    notes: tuple[str, ...] = ()
    try:
        try:
            listed = await asking.devices()
        except (DeviceRefused, DeviceMisbehaved, DeviceTimeout) as error:
            listed, left_out = await asking.probed()
            if not listed and not isinstance(error, DeviceRefused):
                raise
            _log.debug("No list: %s", error)
            place = asking.address.authority
            notes = (f"The server at {place} gives no list of its devices, so they were tried one by one.", *left_out)
    finally:
        await asking.close()
    devices = (
        DiscoveredDevice(
            kind=device.device_type,
            number=device.number,
            name=device.name,
            unique_id=device.unique_id,
            server=asking.address.authority,
        )
        for device in listed
        if 0 <= device.number < 2**32
    )
    return SurveyedServer(address=asking.address.authority, devices=tuple(devices), notes=notes)


class _Asking:
    """Requests to one server, before it is known which devices it has."""

    def __init__(self, address: DeviceAddress, timeout_s: float) -> None:
        self.address = address
        self._timeout_s = timeout_s
        self._worker = Worker("survey")

    async def close(self) -> None:
        await self._worker.close()

    async def devices(self) -> tuple[ConfiguredDevice, ...]:
        requester = Requester(self.address, DeviceType.FOCUSER, 0)
        asked = f"the server at {self.address.authority}", "the list of its devices"
        return await self._ask(*asked, lambda: parse_devices(requester.configured_devices()))

    async def probed(self) -> tuple[tuple[ConfiguredDevice, ...], tuple[str, ...]]:
        """Return the devices that answer to their numbers, and why some were not tried."""
        found: list[ConfiguredDevice] = []
        left_out: list[str] = []
        for kind in DEVICE_KINDS.values():
            device_type = DeviceType(kind.alpaca_type)
            try:
                for number in PROBED_NUMBERS:
                    found += await self._probe(device_type, number)
            except DeviceTimeout as error:
                left_out.append(f"{error} No other {device_type} was looked for.")
                if not found and len(left_out) >= SILENCES:
                    break
        return tuple(found), tuple(left_out)

    async def _probe(self, kind: DeviceType, number: int) -> tuple[ConfiguredDevice, ...]:
        """Return the device of that number, if there is one."""
        requester = Requester(self.address, kind, number)
        asked = f"{kind} {number} at {self.address.authority}"
        try:
            await self._ask(asked, "Connected", lambda: as_bool(requester.get("connected", {})))
        except (DeviceRefused, DeviceMisbehaved) as error:
            _log.debug("There is none: %s", error)
            return ()
        try:
            name = await self._ask(asked, "Name", lambda: as_text(requester.get("name", {})))
        except (DeviceRefused, DeviceMisbehaved) as error:
            _log.debug("It goes without a name: %s", error)
            name = ""
        return (ConfiguredDevice(name=name, device_type=str(kind), number=number, unique_id=""),)

    async def _ask(self, device: str, text: str, work: Callable[[], T]) -> T:
        question = DeviceCall(device, self.address.authority, text)

        def checked_work() -> T:
            try:
                return work()
            except ValueError as error:
                raise DeviceMisbehaved(device, f"The answer of {device} to {text} makes no sense: {error}.") from error

        return await self._worker.run(checked_work, lambda: Call(question, Deadline(self._timeout_s)))


async def survey_device(
    device: DiscoveredDevice, kind: DeviceKind, *, timeout_s: float = CALL_TIMEOUT_S
) -> DiscoveredFacts:
    """Read what a device reports of itself; what went wrong is in its notes."""
    values: dict[str, Any] = {}
    notes: list[str] = []
    if kind.facts.MEMBERS:
        try:
            async with _visited(device, notes, timeout_s) as connection:
                await _read(connection, kind.facts.MEMBERS, values)
        except (ConfigurationError, DeviceError) as error:
            notes.append(str(error))
    return kind.facts.of(device, values, notes)


async def _read(connection: Connection, members: Members, values: dict[str, Any]) -> None:
    """Read the members one by one into `values`; one that the device refuses is left out."""
    for member, value_type in members.items():
        try:
            values[member] = await connection.get(member, _TAKEN_AS[value_type])
        except NotConnected:
            raise
        except (DeviceRefused, DeviceMisbehaved) as error:
            _log.debug("Not known: %s", error)


@asynccontextmanager
async def _visited(device: DiscoveredDevice, notes: list[str], timeout_s: float) -> AsyncIterator[Connection]:
    """Connect a device for a while, and leave it as it was; a failure to do so is added to the notes."""
    address = parse_address(device.server, device.number)
    connection = Connection(DeviceType(device.kind), address, SystemClock(), timeout_s=timeout_s)
    to_disconnect = False
    try:
        to_disconnect = not await connection.is_connected()
        await connection.open()
        yield connection
    finally:
        if to_disconnect:
            await see_through(_disconnect(connection, notes))
        await connection.close()


async def _disconnect(connection: Connection, notes: list[str]) -> None:
    try:
        await connection.disconnect()
    except DeviceError as error:
        notes.append(f"{error} It may still be connected, and was not before.")
