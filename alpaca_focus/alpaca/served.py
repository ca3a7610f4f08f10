"""Base class of served devices, whose methods are named after the members of the standard.

`GET position` calls `get_position(self)`, `PUT move` calls `put_move(self, position)`, with the arguments parsed and in
the standard's order. A method returns the Value (`None` for a member without one) or raises `AlpacaError`. It is a
coroutine, or a plain method that must not block the event loop.
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
"""Members that do not need a connection."""


def _reader(attribute: str) -> Callable[["ServedDevice"], Any]:
    """Return a getter method for an attribute."""
    return lambda device: getattr(device, attribute)


class ServedDevice:
    """A device to serve; subclasses add `get_...` and `put_...` methods, called in the server's event loop.

    A standard member without a method is answered with NOT_IMPLEMENTED.

    Attributes:
        device_type: Set by the subclass.
        requires_connection: Whether members other than `WITHOUT_CONNECTION` are refused with NOT_CONNECTED until a
            client has connected the device.
        interface_version: By default the version in `standard`.
        connected: Whether a client has connected the device; a device that connects by itself may set it.
        values: Values of read-only members without a method, or functions that return them.
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
        """Call the method of a member; return its Value for JSON, an `ImageReply`, or `None`.

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
        """Raise `AlpacaError` if a member cannot be used just now; subclasses may add conditions."""
        if self.requires_connection and not self.connected and member.name not in WITHOUT_CONNECTION:
            raise AlpacaError(
                ErrorNumber.NOT_CONNECTED, f"{self.name} is not connected: connect it before using {member.name}."
            )

    # Hooks for subclasses.

    async def connect_hardware(self) -> None:
        """Connect the hardware; may raise `AlpacaError`."""

    async def disconnect_hardware(self) -> None:
        """Disconnect the hardware; may raise `AlpacaError`."""

    def device_state(self) -> Mapping[str, Any]:
        """Return the operational state by ASCOM name, without TimeStamp."""
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
        """Connect or disconnect, and return when that is finished."""
        if connected != self.connected:
            await (self.connect_hardware() if connected else self.disconnect_hardware())
            self.connected = connected

    def _begin_transition(self, *, connected: bool) -> None:
        if self._transition is not None and not self._transition.done():
            raise AlpacaError(
                ErrorNumber.INVALID_OPERATION, f"{self.name} is already connecting or disconnecting: wait for it."
            )
        self._transition = asyncio.get_running_loop().create_task(self.put_connected(connected))
        # `Connecting` raises the error; retrieved here too, as asyncio logs it if the client never reads `Connecting`.
        self._transition.add_done_callback(lambda task: task.cancelled() or task.exception())

    def put_connect(self) -> None:
        """Begin to connect; `Connecting` becomes false at the end, or raises the error."""
        self._begin_transition(connected=True)

    def put_disconnect(self) -> None:
        """Begin to disconnect."""
        self._begin_transition(connected=False)

    def get_connecting(self) -> bool:
        """Return whether `Connect` or `Disconnect` is under way; raise its error once."""
        if self._transition is None:
            return False
        if not self._transition.done():
            return True
        finished, self._transition = self._transition, None
        finished.result()
        return False

    def get_devicestate(self) -> list[dict[str, Any]]:
        """Return the operational state with its time."""
        state = [{"Name": name, "Value": value} for name, value in self.device_state().items()]
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return [*state, {"Name": "TimeStamp", "Value": now}]
