"""What all probes have in common: the settings, what is allowed, and to leave each device as it was found."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.core.device_kinds import DEVICE_KINDS
from alpaca_focus.core.errors import AlpacaFocusError, DeviceError
from alpaca_focus.devices.address import DeviceAddress
from alpaca_focus.devices.connecting import CONNECT_TIMEOUT_S
from alpaca_focus.devices.connection import Connection
from alpaca_focus.devices.translate import as_int, as_text
from alpaca_focus.devices.worker import shield_until_done
from alpaca_focus.doctor.checks import Check, Subject
from alpaca_focus.ports import Clock, Device
from alpaca_focus.run.device_adapters import address_of
from alpaca_focus.settings.models import DeviceSection, Settings

T = TypeVar("T")
DeviceT = TypeVar("DeviceT", bound=Device)
DeviceWork = Callable[[Connection], Awaitable[None]]

QUESTIONS = 20
"""All questions to one device together may last as long as so many answers that come just in time."""


@dataclass(slots=True, kw_only=True)
class Examination:
    """What is examined and how, and the checks of the present subject.

    Attributes:
        settings: The user's settings.
        clock: Time.
        takes_frame: Whether the camera may take a frame.
        moves: Whether the focuser may be moved.
        gently: Why the devices are only read, as a clause; empty: they need not be.
        daemon_runs: Whether the daemon of these settings runs.
        silent: Servers that do not answer.
        found: The checks of the present subject.
        is_stranded: Whether the focuser could not be brought back.
    """

    settings: Settings
    clock: Clock
    takes_frame: bool
    moves: bool
    gently: str = ""
    daemon_runs: bool = False
    silent: set[str] = field(default_factory=set)
    found: list[Check] = field(default_factory=list)
    is_stranded: bool = False

    @property
    def timeout_s(self) -> float:
        """Longest wait for an answer."""
        return self.settings.alpaca.timeout_s

    def address(self, section: str) -> DeviceAddress:
        """Return where the device of a section of the settings is.

        Raises:
            ConfigurationError: The settings hold no address.
        """
        device: DeviceSection = getattr(self.settings, section)
        return address_of(device, self.settings)

    def connected(self, section: str, adapter: Callable[..., DeviceT]) -> AbstractAsyncContextManager[DeviceT]:
        """Return a context with one of the program's own adapters, connected."""
        return using(adapter(self.address(section), self.clock, timeout_s=self.timeout_s))

    def add(self, *checks: Check) -> None:
        """Add checks to those of the present subject."""
        self.found.extend(checks)

    async def visit(self, section: str, read: DeviceWork, act: DeviceWork | None = None) -> None:
        """Connect a device that the settings name, examine it, and leave it as it was found.

        Args:
            section: Its section of the settings, as in `DEVICE_KINDS`.
            read: Reads it.
            act: Does something with it afterwards, by deadlines of its own.
        """
        kind = DEVICE_KINDS[section]
        subject = Subject(kind.name)
        address = self.address(section)
        if address.authority in self.silent:
            self.add(subject.not_tried("connection", f"its server {address.authority} does not answer"))
            return
        connection = Connection(DeviceType(kind.alpaca_type), address, self.clock, timeout_s=self.timeout_s)
        try:
            async with asyncio.timeout(self.timeout_s * 2):
                was_connected = await connection.is_connected()
            if self.gently and not was_connected:
                self.add(subject.not_tried("connection", f"{connection.name} is not connected just now; {self.gently}"))
                return
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S + QUESTIONS * self.timeout_s):
                    await connection.open()
                    introduction = await _introduction(connection)
                    left = "" if was_connected else "; not connected before, and disconnected again afterwards"
                    self.add(subject.ok("connection", f"{introduction}{left}"))
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
            seen = f"{connection.name} answers so slowly that it was given up"
            return subject.fails("answers", seen, "Check whether its server or its hardware hangs."), rest
        is_connected = any(check.name == "connection" for check in self.found)
        return subject.failed("answers" if is_connected else "connection", str(error)), rest

    async def _disconnect(self, subject: Subject, connection: Connection) -> None:
        try:
            await connection.disconnect()
        except DeviceError as error:
            self.add(
                subject.note(
                    "connection",
                    f"it was not connected before, and does not disconnect again: {error}",
                    "Disconnect it in its server, if that matters.",
                )
            )


@asynccontextmanager
async def using(device: DeviceT) -> AsyncIterator[DeviceT]:
    """Connect one of the program's own adapters, and let go of it."""
    try:
        await device.connect()
        yield device
    finally:
        await device.close()


async def _introduction(connection: Connection) -> str:
    """Return the names of a device and its driver."""
    driver = await connection.get_or("DriverInfo", as_text, default="")
    version = await connection.get_or("DriverVersion", as_text, default="")
    interface = await connection.get_or("InterfaceVersion", as_int, default=0)
    first_line = next(iter(driver.strip().splitlines()), "")
    name = f"{first_line} {'' if version in first_line else version}".strip()
    parts = [
        connection.name,
        f"driver {name}" if name else "",
        f"interface {interface}" if interface else "",
    ]
    return ", ".join(part for part in parts if part)


async def run_in_thread(work: Callable[[], T], timeout_s: float) -> T:
    """Run a blocking call in a daemon thread; one that hangs does not hold up the end of the program.

    Raises:
        TimeoutError: It has not ended in time.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def deliver(done: Future[T]) -> None:
        if outcome.done():
            return
        error = done.exception()
        if error is not None:
            outcome.set_exception(error)
        else:
            outcome.set_result(done.result())

    def carry_out() -> None:
        done: Future[T] = Future()
        try:
            done.set_result(work())
        except Exception as error:  # noqa: BLE001 - it is raised again in the loop
            done.set_exception(error)
        try:
            loop.call_soon_threadsafe(deliver, done)
        except RuntimeError:
            # The loop has ended, and the caller with it.
            return

    threading.Thread(target=carry_out, name="doctor", daemon=True).start()
    async with asyncio.timeout(timeout_s):
        return await outcome
