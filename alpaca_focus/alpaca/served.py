"""Devices to serve: a class whose methods are named after the members of the standard.

`GET position` calls `get_position(self)`, `PUT move` calls `put_move(self, position)`: positional arguments in the
standard's order, already parsed. A handler returns the Value (`None` for a member without one), or raises
`AlpacaError`. It may be a plain method, which runs in the event loop and has to be quick, or a coroutine.
"""

import asyncio
import inspect
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, ClassVar

from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from alpaca_focus.alpaca.standard import DISPLAY_NAMES, INTERFACE_VERSIONS, DeviceType, Member, Method, Scalar

WITHOUT_CONNECTION = frozenset(
    {
        "connect",
        "connected",
        "connecting",
        "description",
        "disconnect",
        "driverinfo",
        "driverversion",
        "interfaceversion",
        "name",
        "supportedactions",
    }
)
"""Members that answer also when the device is not connected."""


class ServedDevice:
    """A device to serve; subclasses add `get_...` and `put_...` methods.

    A standard member without a method is answered with NOT_IMPLEMENTED. Everything runs in the server's event loop.

    Attributes:
        device_type: Set by the subclass.
        requires_connection: Whether members other than those of `WITHOUT_CONNECTION` are refused with NOT_CONNECTED
            until a client has connected the device.
        name: The device's Name.
        description: The device's Description.
        driver_info: The device's DriverInfo.
        driver_version: The device's DriverVersion.
        interface_version: The device's InterfaceVersion; by default the one of the table in `standard`.
        unique_id: The device's UniqueID, the same for ever.
        values: Members that are only read and have no method: the value of each, or a function that returns it.
    """

    device_type: ClassVar[DeviceType]
    requires_connection: ClassVar[bool] = False
    values: Mapping[str, Any] = MappingProxyType({})

    def __init__(
        self,
        *,
        name: str,
        unique_id: str,
        description: str = "",
        driver_info: str = "",
        driver_version: str = "1.0",
        interface_version: int | None = None,
    ) -> None:
        self.name = name
        self.unique_id = unique_id
        self.description = description or name
        self.driver_info = driver_info or name
        self.driver_version = driver_version
        self.interface_version = (
            INTERFACE_VERSIONS[self.device_type] if interface_version is None else interface_version
        )
        self._connected = False
        self._transition: asyncio.Task[None] | None = None

    async def call(self, member: Member, arguments: Sequence[Scalar]) -> Any:
        """Call the method for a member.

        Returns:
            The Value: something for JSON, an `ImageReply`, or `None`.

        Raises:
            AlpacaError: The device refuses, does not implement the member, or is not connected.
        """
        self.check_ready(member)
        method = getattr(self, f"{member.method.lower()}_{member.name}", None)
        if method is None and member.method is Method.GET:
            method = self.values.get(member.name)
        if method is None:
            verb = "read" if member.returns_value and not member.parameters else "called or set"
            raise AlpacaError(
                ErrorNumber.NOT_IMPLEMENTED,
                f"{DISPLAY_NAMES[self.device_type]} {member.name} cannot be {verb}: {self.name} does not implement it.",
            )
        value = method(*arguments) if callable(method) else method
        return await value if inspect.isawaitable(value) else value

    def check_ready(self, member: Member) -> None:
        """Refuse a member that cannot be used just now; subclasses may refuse more."""
        if self.requires_connection and not self._connected and member.name not in WITHOUT_CONNECTION:
            raise AlpacaError(
                ErrorNumber.NOT_CONNECTED, f"{self.name} is not connected: connect it before using {member.name}."
            )

    # Hooks for subclasses.

    async def connect_hardware(self) -> None:
        """Do what connecting takes; may raise `AlpacaError`."""

    async def disconnect_hardware(self) -> None:
        """Do what disconnecting takes; may raise `AlpacaError`."""

    def device_state(self) -> Mapping[str, Any]:
        """Return the operational state by the members' names as the standard spells them, without TimeStamp."""
        return {}

    def supported_actions(self) -> Sequence[str]:
        """Return the names that `perform_action` knows."""
        return ()

    async def perform_action(self, action: str, parameters: str) -> str:  # noqa: ARG002 - for subclasses
        """Carry out an action of this device's own and return its answer."""
        raise AlpacaError(
            ErrorNumber.ACTION_NOT_IMPLEMENTED, f"{self.name} has no action {action!r}: see its SupportedActions."
        )

    # Members common to all devices.

    @property
    def connected(self) -> bool:
        """Whether a client has connected the device; for a device that connects by itself it can be set."""
        return self._connected

    @connected.setter
    def connected(self, connected: bool) -> None:
        self._connected = connected

    async def _change_connection(self, *, connected: bool) -> None:
        if connected == self._connected:
            return
        await (self.connect_hardware() if connected else self.disconnect_hardware())
        self._connected = connected

    def _begin_transition(self, *, connected: bool) -> None:
        if self._transition is not None and not self._transition.done():
            raise AlpacaError(
                ErrorNumber.INVALID_OPERATION, f"{self.name} is already connecting or disconnecting: wait for it."
            )
        self._transition = asyncio.get_running_loop().create_task(self._change_connection(connected=connected))
        # What went wrong is told by `Connecting`; a client that never asks for it is no fault of the program.
        self._transition.add_done_callback(lambda task: task.cancelled() or task.exception())

    def put_connect(self) -> None:
        """Begin to connect; `Connecting` tells when it is over, and raises what went wrong."""
        self._begin_transition(connected=True)

    def put_disconnect(self) -> None:
        """Begin to disconnect."""
        self._begin_transition(connected=False)

    def get_connecting(self) -> bool:
        """Tell whether `Connect` or `Disconnect` is still at work; raise once if it failed."""
        if self._transition is None:
            return False
        if not self._transition.done():
            return True
        finished, self._transition = self._transition, None
        finished.result()
        return False

    def get_connected(self) -> bool:
        """Tell whether the device is connected."""
        return self._connected

    async def put_connected(self, connected: bool) -> None:  # noqa: FBT001 - the standard's signature
        """Connect or disconnect, and return once it is done."""
        await self._change_connection(connected=connected)

    def get_name(self) -> str:
        """Return the device's name."""
        return self.name

    def get_description(self) -> str:
        """Return what the device is."""
        return self.description

    def get_driverinfo(self) -> str:
        """Return what serves the device."""
        return self.driver_info

    def get_driverversion(self) -> str:
        """Return the version of what serves the device."""
        return self.driver_version

    def get_interfaceversion(self) -> int:
        """Return the version of the device interface."""
        return self.interface_version

    def get_devicestate(self) -> list[dict[str, Any]]:
        """Return the operational state in one piece, with the time it was read."""
        state = [{"Name": name, "Value": value} for name, value in self.device_state().items()]
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return [*state, {"Name": "TimeStamp", "Value": now}]

    def get_supportedactions(self) -> list[str]:
        """Return the names of the device's own actions."""
        return list(self.supported_actions())

    async def put_action(self, action: str, parameters: str) -> str:
        """Carry out one of the device's own actions."""
        return await self.perform_action(action, parameters)
