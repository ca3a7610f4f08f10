"""What all probes share: the settings, the permissions, and connecting a device and leaving it unchanged."""

import asyncio
import math
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.core.device_kinds import DEVICE_KINDS
from alpaca_focus.core.errors import AlpacaFocusError, DeviceError
from alpaca_focus.devices.address import DeviceAddress
from alpaca_focus.devices.connecting import CONNECT_TIMEOUT_S
from alpaca_focus.devices.connection import Connection
from alpaca_focus.devices.translate import as_float, as_int, as_text
from alpaca_focus.devices.worker import shield_until_done
from alpaca_focus.doctor.checks import Check, Subject
from alpaca_focus.ports import Clock, Device
from alpaca_focus.run.device_adapters import address_of
from alpaca_focus.settings.models import DeviceSection, Settings

T = TypeVar("T")
DeviceT = TypeVar("DeviceT", bound=Device)
DeviceWork = Callable[[Connection], Awaitable[None]]

REQUESTS = 20
"""All requests to one device together may take as long as this many answers that come just before the timeout."""


@dataclass(slots=True, kw_only=True)
class ProbeContext:
    """The settings and permissions of all probes, and the checks of the current subject.

    Attributes:
        read_only_reason: Why the devices may only be read, as a clause; empty if they may be operated.
        daemon_runs: Whether the daemon of these settings runs.
        unreachable: Authorities of the servers that do not answer.
        is_stranded: Whether the focuser could not be brought back.
    """

    settings: Settings
    clock: Clock
    frame_allowed: bool
    move_allowed: bool
    read_only_reason: str = ""
    daemon_runs: bool = False
    unreachable: set[str] = field(default_factory=set)
    checks: list[Check] = field(default_factory=list)
    is_stranded: bool = False

    @property
    def timeout_s(self) -> float:
        """Longest wait for an answer."""
        return self.settings.alpaca.timeout_s

    def address(self, section: str) -> DeviceAddress:
        """Return the address of the device in a section of the settings.

        Raises:
            ConfigurationError: The settings hold no address.
        """
        device: DeviceSection = getattr(self.settings, section)
        return address_of(device, self.settings)

    def connected(self, section: str, adapter: Callable[..., DeviceT]) -> AbstractAsyncContextManager[DeviceT]:
        """Return a context manager that connects one of the program's adapters."""
        return using(adapter(self.address(section), self.clock, timeout_s=self.timeout_s))

    def add(self, *checks: Check) -> None:
        """Add checks to those of the current subject."""
        self.checks.extend(checks)

    async def probe_device(self, section: str, read: DeviceWork, act: DeviceWork | None = None) -> None:
        """Connect a device of the settings, probe it, and disconnect it if it was not connected before.

        Args:
            section: The device's section of the settings, as in `DEVICE_KINDS`.
            read: Reads the device.
            act: Operates the device afterwards, with deadlines of its own.
        """
        kind = DEVICE_KINDS[section]
        subject = Subject(kind.name)
        address = self.address(section)
        if address.authority in self.unreachable:
            self.add(subject.not_tried("connection", f"its server {address.authority} does not answer"))
            return
        connection = Connection(DeviceType(kind.alpaca_type), address, self.clock, timeout_s=self.timeout_s)
        try:
            async with asyncio.timeout(self.timeout_s * 2):
                was_connected = await connection.is_connected()
            if self.read_only_reason and not was_connected:
                seen = f"{connection.name} is not connected just now; {self.read_only_reason}"
                self.add(subject.not_tried("connection", seen))
                return
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S + REQUESTS * self.timeout_s):
                    await connection.open()
                    description = await _description(connection)
                    left = "" if was_connected else "; not connected before, and disconnected again afterwards"
                    self.add(subject.ok("connection", f"{description}{left}"))
                    await read(connection)
                if act is not None:
                    await act(connection)
            finally:
                if not was_connected:
                    await shield_until_done(self._disconnect(subject, connection))
        except (AlpacaFocusError, TimeoutError) as error:
            self.add(*self._given_up(subject, connection, error))
        finally:
            await connection.close()

    def _given_up(
        self, subject: Subject, connection: Connection, error: AlpacaFocusError | TimeoutError
    ) -> tuple[Check, Check]:
        rest = subject.not_tried("the rest", "something above fails")
        if isinstance(error, TimeoutError):
            seen = f"{connection.name} answers too slowly, and was given up"
            return subject.fails("answers", seen, "Check whether its server or its hardware hangs."), rest
        is_connected = any(check.name == "connection" for check in self.checks)
        return subject.failed("answers" if is_connected else "connection", str(error)), rest

    async def _disconnect(self, subject: Subject, connection: Connection) -> None:
        try:
            await connection.disconnect()
        except DeviceError as error:
            seen = f"it was not connected before, and cannot be disconnected: {error}"
            self.add(subject.note("connection", seen, "Disconnect it in its server if that matters."))


@asynccontextmanager
async def using(device: DeviceT) -> AsyncIterator[DeviceT]:
    """Connect one of the program's adapters, and close it at the end."""
    try:
        await device.connect()
        yield device
    finally:
        await device.close()


async def number_or_none(connection: Connection, member: str) -> float | None:
    """Return a property that is a number; `None` if the device reports none."""
    value = await connection.get_or(member, as_float, default=math.nan)
    return value if math.isfinite(value) else None


async def _description(connection: Connection) -> str:
    """Return the device, its driver and its interface version as text."""
    driver = await connection.get_or("DriverInfo", as_text, default="")
    version = await connection.get_or("DriverVersion", as_text, default="")
    interface = await connection.get_or("InterfaceVersion", as_int, default=0)
    first_line = next(iter(driver.strip().splitlines()), "")
    name = f"{first_line} {'' if version in first_line else version}".strip()
    parts = [connection.name, f"driver {name}" if name else "", f"interface {interface}" if interface else ""]
    return ", ".join(filter(None, parts))


async def run_in_thread(work: Callable[[], T], timeout_s: float) -> T:
    """Run a blocking call in a daemon thread, so that one that hangs does not delay the end of the program.

    Raises:
        TimeoutError: The call has not ended in time.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def deliver(set_outcome: Callable[[], None]) -> None:
        if not outcome.done():
            set_outcome()

    def run() -> None:
        try:
            set_outcome = partial(outcome.set_result, work())
        except Exception as error:  # noqa: BLE001 - it is raised again in the loop
            set_outcome = partial(outcome.set_exception, error)
        # The loop may have ended meanwhile, and the caller with it.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(deliver, set_outcome)

    threading.Thread(target=run, name="doctor", daemon=True).start()
    async with asyncio.timeout(timeout_s):
        return await outcome
