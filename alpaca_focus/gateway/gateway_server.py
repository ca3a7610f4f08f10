"""The gateway as an Alpaca server: devices that stand in front of real ones, and pass everything on to them."""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from types import MappingProxyType

from starlette.types import Message, Receive, Scope, Send

from alpaca_focus.alpaca.errors import AlpacaError
from alpaca_focus.alpaca.replies import ApiRequest, Handler, Reply, text_reply
from alpaca_focus.alpaca.sending import WireResponse
from alpaca_focus.alpaca.served import ServedDevice
from alpaca_focus.alpaca.server import AlpacaServer
from alpaca_focus.alpaca.standard import INTERFACES, DeviceType
from alpaca_focus.gateway.upstream import Upstream, UpstreamLost

NAME_TIMEOUT_S = 2.0
"""Longest wait for a device's name, which the list of the gateway's devices mentions."""
IN_FRONT = "through alpaca-focus"
"""The end of the names of all its devices."""
_PASSED_METHODS = frozenset({"GET", "PUT"})
_NAMED_IN = ("/management/v1/configureddevices", "/setup")


class PassThrough:
    """An ASGI application with one device in front of each real one, number 0 of its type.

    Attributes:
        devices: The devices in front, as the management API lists them.
    """

    def __init__(
        self,
        upstreams: Sequence[Upstream],
        *,
        allowed: Sequence[IPv4Network | IPv6Network],
        version: str,
        location: str,
        doors: Mapping[DeviceType, Handler] = MappingProxyType({}),
    ) -> None:
        """Put a device in front of each real one.

        Args:
            upstreams: The real devices, at most one of each type.
            allowed: Networks from which clients may come; others get HTTP 403.
            version: Version of the gateway.
            location: Where the gateway stands, for people.
            doors: What answers the requests to a type of device; by default they are passed on.

        Raises:
            ValueError: There are two devices of one type, or a door without a device.
        """
        self._upstreams = {upstream.device_type: upstream for upstream in upstreams}
        if len(self._upstreams) < len(upstreams):
            raise ValueError("The gateway stands in front of one device of each type: name only one.")
        if unknown := set(doors) - set(self._upstreams):
            raise ValueError(f"The gateway has a door without a device behind it: {', '.join(sorted(unknown))}.")
        self._doors: Mapping[str, Handler] = {
            str(kind): doors.get(kind, upstream.forward) for kind, upstream in self._upstreams.items()
        }
        self._allowed = tuple(allowed)
        self.devices: Mapping[DeviceType, ServedDevice] = MappingProxyType(
            {kind: _device_in_front(upstream) for kind, upstream in self._upstreams.items()}
        )
        self._server = AlpacaServer(
            self.devices.values(),
            server_name="alpaca-focus gateway",
            manufacturer="alpaca-focus",
            manufacturer_version=version,
            location=location,
            interceptor=self._pass,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or stop to when the client hangs up."""
        if not self._is_allowed(scope):
            host = scope["client"][0] if scope["client"] else "an unknown client"
            sentence = (
                f"This gateway does not serve {host}: add its network to those that the gateway's settings allow."
            )
            await WireResponse(text_reply(403, sentence))(scope, receive, send)
            return
        line = _ClientConnection(scope, receive)
        async with line.watched():
            if scope["path"].startswith(_NAMED_IN):
                await self._learn_names()
            await self._server(scope, line.receive, send)

    def _is_allowed(self, scope: Scope) -> bool:
        if scope["client"] is None:  # gone before it could be asked who it is
            return False
        address = ip_address(scope["client"][0])
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._allowed)

    async def _pass(self, request: ApiRequest, handler: Handler) -> Reply:
        door = self._doors.get(request.device_type)
        if door is None or request.device_number != 0 or request.method not in _PASSED_METHODS:
            return await handler(request)
        return await door(request)

    async def _learn_names(self) -> None:
        await asyncio.gather(*(self._learn_name(kind) for kind in self._upstreams))

    async def _learn_name(self, kind: DeviceType) -> None:
        """Name the device after the real one; one that cannot be asked just now keeps the name it has."""
        with suppress(TimeoutError, AlpacaError, UpstreamLost):
            async with asyncio.timeout(NAME_TIMEOUT_S):
                self.devices[kind].name = _name_in_front(str(await self._upstreams[kind].get("name")))


class _ClientConnection:
    """The line to a client: what it sends, and whether it is still there."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self._gone = asyncio.Event()
        self._request_has_come = asyncio.Event()
        if scope["method"] == "GET":  # its parameters are in its path; nobody asks for more
            self._request_has_come.set()

    def watched(self) -> "_Watch":
        """Return a context that is cancelled, and ends in silence, when the client hangs up."""
        return _Watch(self)

    async def receive(self) -> Message:
        """Return the next part of the request, and after the last one wait until the client hangs up."""
        if self._request_has_come.is_set():
            await self._gone.wait()
            return {"type": "http.disconnect"}
        message = await self._receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._request_has_come.set()
        return message

    async def wait_until_gone(self) -> None:
        """Return when the client has hung up."""
        await self._request_has_come.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone.set()


class _Watch:
    """Cancels what is done for a client that has hung up."""

    def __init__(self, line: _ClientConnection) -> None:
        self._line = line
        self._watcher: asyncio.Task[None] | None = None
        self._has_cancelled = False

    async def __aenter__(self) -> None:
        work = asyncio.current_task()
        self._watcher = asyncio.get_running_loop().create_task(self._watch(work))

    async def _watch(self, work: "asyncio.Task[object] | None") -> None:
        await self._line.wait_until_gone()
        if work is not None:
            self._has_cancelled = True
            work.cancel()

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        if self._watcher is not None:
            self._watcher.cancel()
        work = asyncio.current_task()
        if not self._has_cancelled or work is None:
            return False
        # Another cancellation, as by the stop of the server, goes on.
        return work.uncancel() == 0 and (kind is None or issubclass(kind, asyncio.CancelledError))


def _name_in_front(name: str) -> str:
    return f"{name} {IN_FRONT}"


def _device_in_front(upstream: Upstream) -> ServedDevice:
    of_this_type = type("DeviceInFront", (ServedDevice,), {"device_type": upstream.device_type})
    device: ServedDevice = of_this_type(
        name=_name_in_front(INTERFACES[upstream.device_type].display_name),
        unique_id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"alpaca-focus gateway before {_identity(upstream)}")),
    )
    return device


def _identity(upstream: Upstream) -> str:
    return f"{upstream.device_type} {upstream.unique_id}" if upstream.unique_id else upstream.name
