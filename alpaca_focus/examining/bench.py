"""What all looks at devices have in common: where they are, what is allowed, and to leave them as they were found."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.checkup.checks import Check, Subject
from alpaca_focus.core.errors import AlpacaFocusError, DeviceError
from alpaca_focus.devices.address import DeviceAddress
from alpaca_focus.devices.connection import Connection
from alpaca_focus.devices.reaching import CONNECT_TIMEOUT_S
from alpaca_focus.devices.translate import as_int, as_text
from alpaca_focus.devices.worker import see_through
from alpaca_focus.focusing.connected import address_of
from alpaca_focus.ports import Clock, Device
from alpaca_focus.settings.models import DeviceSection, Settings

DeviceT = TypeVar("DeviceT", bound=Device)
Look = Callable[[Connection], Awaitable[None]]

QUESTIONS = 20
"""All looks at one device together may last as long as so many answers that come just in time."""


@dataclass(slots=True, kw_only=True)
class Bench:
    """What is looked at, and how.

    Attributes:
        settings: What the user set.
        clock: Time.
        takes_frame: Whether the camera may take a frame.
        moves: Whether the focuser may be moved.
        gently: Why the devices are only looked at, as a clause; empty: they need not be.
        silent: Servers that do not answer.
        found: The checks of the present subject.
        is_stranded: Whether the focuser could not be brought back.
    """

    settings: Settings
    clock: Clock
    takes_frame: bool
    moves: bool
    gently: str = ""
    silent: set[str] = field(default_factory=set)
    found: list[Check] = field(default_factory=list)
    is_stranded: bool = False

    @property
    def timeout_s(self) -> float:
        """Longest wait for an answer."""
        return self.settings.alpaca.timeout_s

    def address(self, section: DeviceSection) -> DeviceAddress:
        """Return where a device is.

        Raises:
            ConfigurationError: What the settings say is no address.
        """
        return address_of(section, self.settings)

    async def look_at(
        self, subject: Subject, kind: DeviceType, section: DeviceSection, look: Look, act: Look | None = None
    ) -> None:
        """Connect a device, look at it, and leave it as it was found.

        Args:
            subject: What it is called.
            kind: What it is.
            section: Where it is.
            look: Looks at it.
            act: Does something with it afterwards, by deadlines of its own.
        """
        address = self.address(section)
        if address.authority in self.silent:
            self.found.append(subject.not_tried("connection", f"its server {address.authority} does not answer"))
            return
        connection = Connection(kind, address, self.clock, timeout_s=self.timeout_s)
        try:
            async with asyncio.timeout(self.timeout_s * 2):
                was_connected = await connection.is_connected()
            if self.gently and not was_connected:
                self.found.append(
                    subject.not_tried("connection", f"{connection.name} is not connected just now; {self.gently}")
                )
                return
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S + QUESTIONS * self.timeout_s):
                    await connection.open()
                    told = await _introduction(connection)
                    left = "" if was_connected else "; not connected before, and disconnected again afterwards"
                    self.found.append(subject.ok("connection", f"{told}{left}"))
                    await look(connection)
                if act is not None:
                    await act(connection)
            finally:
                if not was_connected:
                    await see_through(self._disconnect(subject, connection))
        except (AlpacaFocusError, TimeoutError) as error:
            self.found.extend(self._given_up(subject, connection, error))
        finally:
            await connection.close()

    def _given_up(
        self, subject: Subject, connection: Connection, error: AlpacaFocusError | TimeoutError
    ) -> tuple[Check, Check]:
        rest = subject.not_tried("the rest", "something above fails")
        if isinstance(error, TimeoutError):
            seen = f"{connection.name} answers so slowly that it was given up"
            return subject.fails("answers", seen, "Look whether its server or its hardware hangs."), rest
        is_connected = any(check.name == "connection" for check in self.found)
        return subject.failed("answers" if is_connected else "connection", str(error)), rest

    async def _disconnect(self, subject: Subject, connection: Connection) -> None:
        try:
            await connection.disconnect()
        except DeviceError as error:
            self.found.append(
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
    """Say what a device calls itself and its driver."""
    driver = await connection.get_or("DriverInfo", as_text, default="")
    version = await connection.get_or("DriverVersion", as_text, default="")
    interface = await connection.get_or("InterfaceVersion", as_int, default=0)
    first_line = next(iter(driver.strip().splitlines()), "")
    told = f"{first_line} {'' if version in first_line else version}".strip()
    parts = [
        connection.name,
        f"driver {told}" if told else "",
        f"interface {interface}" if interface else "",
    ]
    return ", ".join(part for part in parts if part)
