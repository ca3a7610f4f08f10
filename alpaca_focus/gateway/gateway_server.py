"""The gateway as an Alpaca server: lists the virtual devices, and passes their requests on."""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from types import MappingProxyType
from typing import Self

from starlette.types import Message, Receive, Scope, Send

from alpaca_focus.alpaca.errors import AlpacaError
from alpaca_focus.alpaca.replies import ApiRequest, Handler, Reply, text_reply
from alpaca_focus.alpaca.sending import WireResponse
from alpaca_focus.alpaca.served import ServedDevice
from alpaca_focus.alpaca.server import AlpacaServer
from alpaca_focus.alpaca.standard import INTERFACES, DeviceType
from alpaca_focus.gateway.upstream import Upstream, UpstreamLost

NAME_TIMEOUT_S = 2.0
"""Longest wait for a real device's name when the virtual devices are listed."""
VIRTUAL_NAME_SUFFIX = "through alpaca-focus"
"""The end of every virtual device's name."""
_PASSED_METHODS = frozenset({"GET", "PUT"})
_LISTING_PATHS = ("/management/v1/configureddevices", "/setup")


class PassThrough:
    """An ASGI application with one virtual device for each real one, number 0 of its type.

    Attributes:
        devices: The virtual devices, as the management API lists them.
    """

    def __init__(
        self,
        upstreams: Sequence[Upstream],
        *,
        allowed: Sequence[IPv4Network | IPv6Network],
        version: str,
        location: str,
        any_case: bool = False,
        handlers: Mapping[DeviceType, Handler] = MappingProxyType({}),
    ) -> None:
        """Create one virtual device for each real one.

        Clients from other networks than those `allowed` get HTTP 403. Requests to a type of device without one of the
        `handlers` are passed on. `version` and `location` are for the management API. With `any_case` the parameter
        names of a PUT are corrected.

        Raises:
            ValueError: There are two devices of one type, or a handler without a device.
        """
        self._upstreams = {upstream.device_type: upstream for upstream in upstreams}
        if len(self._upstreams) < len(upstreams):
            raise ValueError("The gateway serves one device of each type. Name only one.")
        if unknown := set(handlers) - set(self._upstreams):
            raise ValueError(f"The gateway has a handler without a device: {', '.join(sorted(unknown))}.")
        self._handlers: Mapping[str, Handler] = {
            str(kind): handlers.get(kind, upstream.forward) for kind, upstream in self._upstreams.items()
        }
        self._allowed = tuple(allowed)
        self.devices: Mapping[DeviceType, ServedDevice] = MappingProxyType(
            {kind: _listing_of(upstream) for kind, upstream in self._upstreams.items()}
        )
        self._server = AlpacaServer(
            self.devices.values(),
            server_name="alpaca-focus gateway",
            manufacturer="alpaca-focus",
            manufacturer_version=version,
            location=location,
            interceptor=self._pass,
            any_case=any_case,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, until the client hangs up."""
        if not self._is_allowed(scope):
            host = scope["client"][0] if scope["client"] else "an unknown client"
            sentence = f"The gateway does not serve {host}: add its network to the setting gateway.allow."
            await WireResponse(text_reply(403, sentence))(scope, receive, send)
            return
        async with _ClientConnection(scope, receive) as connection:
            if scope["path"].startswith(_LISTING_PATHS):
                await asyncio.gather(*(self._learn_name(kind) for kind in self._upstreams))
            await self._server(scope, connection.receive, send)

    def _is_allowed(self, scope: Scope) -> bool:
        if scope["client"] is None:  # it hung up before its address was known
            return False
        address = ip_address(scope["client"][0])
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._allowed)

    async def _pass(self, request: ApiRequest, handler: Handler) -> Reply:
        own = self._handlers.get(request.device_type)
        if own is None or request.device_number != 0 or request.method not in _PASSED_METHODS:
            return await handler(request)
        return await own(request)

    async def _learn_name(self, kind: DeviceType) -> None:
        """Name the virtual device after the real one; it keeps its name if the real one does not answer in time."""
        with suppress(TimeoutError, AlpacaError, UpstreamLost):
            async with asyncio.timeout(NAME_TIMEOUT_S):
                self.devices[kind].name = _virtual_name(str(await self._upstreams[kind].get("name")))


class _ClientConnection:
    """Receives a client's request; a context that is cancelled, and ends in silence, when the client hangs up."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self._gone = asyncio.Event()
        self._request_has_come = asyncio.Event()
        if scope["method"] == "GET":  # its parameters are in its path, so that its body is never read
            self._request_has_come.set()
        self._watcher: asyncio.Task[None] | None = None
        self._has_cancelled = False

    async def receive(self) -> Message:
        """Return the next part of the request, and after the last one wait until the client hangs up."""
        if self._request_has_come.is_set():
            await self._gone.wait()
            return {"type": "http.disconnect"}
        message = await self._receive()
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            self._request_has_come.set()
        return message

    async def __aenter__(self) -> Self:
        self._watcher = asyncio.create_task(self._cancel_when_gone(asyncio.current_task()))
        return self

    async def _cancel_when_gone(self, work: "asyncio.Task[object] | None") -> None:
        await self._request_has_come.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._gone.set()
        if work is not None:
            self._has_cancelled = True
            work.cancel()

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        if self._watcher is not None:
            self._watcher.cancel()
        work = asyncio.current_task()
        if not self._has_cancelled or work is None:
            return False
        # Any other cancellation, such as that of a stopping server, has to go on.
        return work.uncancel() == 0 and (kind is None or issubclass(kind, asyncio.CancelledError))


def _virtual_name(name: str) -> str:
    return f"{name} {VIRTUAL_NAME_SUFFIX}"


def _listing_of(upstream: Upstream) -> ServedDevice:
    of_this_type = type("VirtualListing", (ServedDevice,), {"device_type": upstream.device_type})
    identity = f"{upstream.device_type} {upstream.unique_id}" if upstream.unique_id else upstream.name
    device: ServedDevice = of_this_type(
        name=_virtual_name(INTERFACES[upstream.device_type].display_name),
        unique_id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"alpaca-focus gateway before {identity}")),
    )
    return device
