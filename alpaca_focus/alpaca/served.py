"""Devices to serve: a class whose methods are named after the members of the standard.

`GET position` calls `get_position(self)`, `PUT move` calls `put_move(self, position)`, with the arguments parsed and in
the standard's order. A method returns the Value (`None` for a member without one) or raises `AlpacaError`. It may be a
plain method, which runs in the event loop and has to be quick, or a coroutine.
"""

import asyncio
import inspect
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, ClassVar

from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from alpaca_focus.alpaca.standard import COMMON_MEMBERS, INTERFACES, DeviceType, HttpMethod, Member, Scalar

WITHOUT_CONNECTION = COMMON_MEMBERS - {"action", "commandblind", "commandbool", "commandstring", "devicestate"}
"""Members that a device answers before it is connected."""


def _reader(attribute: str) -> Callable[["ServedDevice"], Any]:
    """Return the method for a member that is an attribute of the device."""
    return lambda device: getattr(device, attribute)


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
        connected: Whether a client has connected the device; a device that connects by itself may set it.
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
            INTERFACES[self.device_type].version if interface_version is None else interface_version
        )
        self.connected = False
        self._transition: asyncio.Task[None] | None = None

    async def call(self, member: Member, arguments: Sequence[Scalar]) -> Any:
        """Call the method for a member; return its Value: something for JSON, an `ImageReply`, or `None`.

        Raises:
            AlpacaError: The device refuses, does not implement the member, or is not connected.
        """
        self.check_ready(member)
        method = getattr(self, f"{member.method.lower()}_{member.name}", None)
        if method is None and member.method is HttpMethod.GET:
            method = self.values.get(member.name)
        if method is None:
            verb = "read" if member.returns_value and not member.parameters else "called or set"
            raise AlpacaError(
                ErrorNumber.NOT_IMPLEMENTED,
                f"{INTERFACES[self.device_type].display_name} {member.name} cannot be {verb}: {self.name} does not"
                " implement it.",
            )
        value = method(*arguments) if callable(method) else method
        return await value if inspect.isawaitable(value) else value

    def check_ready(self, member: Member) -> None:
        """Refuse a member that cannot be used just now; subclasses may refuse more."""
        if self.requires_connection and not self.connected and member.name not in WITHOUT_CONNECTION:
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

    def get_supportedactions(self) -> list[str]:
        """Return the names of the actions that `put_action` knows."""
        return []

    async def put_action(self, action: str, parameters: str) -> str:  # noqa: ARG002 - for subclasses
        """Carry out one of the device's own actions and return its result."""
        raise AlpacaError(
            ErrorNumber.ACTION_NOT_IMPLEMENTED, f"{self.name} has no action {action!r}: see its SupportedActions."
        )

    # Members common to all devices.

    get_connected = _reader("connected")
    get_name = _reader("name")
    get_description = _reader("description")
    get_driverinfo = _reader("driver_info")
    get_driverversion = _reader("driver_version")
    get_interfaceversion = _reader("interface_version")

    async def put_connected(self, connected: bool) -> None:  # noqa: FBT001 - the standard's signature
        """Connect or disconnect, and return once it is done."""
        if connected != self.connected:
            await (self.connect_hardware() if connected else self.disconnect_hardware())
            self.connected = connected

    def _begin_transition(self, *, connected: bool) -> None:
        if self._transition is not None and not self._transition.done():
            raise AlpacaError(
                ErrorNumber.INVALID_OPERATION, f"{self.name} is already connecting or disconnecting: wait for it."
            )
        self._transition = asyncio.get_running_loop().create_task(self.put_connected(connected))
        # `Connecting` raises what went wrong; a client that never reads it leaves an exception that nobody fetched.
        self._transition.add_done_callback(lambda task: task.cancelled() or task.exception())

    def put_connect(self) -> None:
        """Begin to connect; `Connecting` becomes false when it is over, and raises what went wrong."""
        self._begin_transition(connected=True)

    def put_disconnect(self) -> None:
        """Begin to disconnect."""
        self._begin_transition(connected=False)

    def get_connecting(self) -> bool:
        """Return whether `Connect` or `Disconnect` is still at work; raise once if it failed."""
        if self._transition is None:
            return False
        if not self._transition.done():
            return True
        finished, self._transition = self._transition, None
        finished.result()
        return False

    def get_devicestate(self) -> list[dict[str, Any]]:
        """Return the operational state in one piece, with the time it was read."""
        state = [{"Name": name, "Value": value} for name, value in self.device_state().items()]
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return [*state, {"Name": "TimeStamp", "Value": now}]
