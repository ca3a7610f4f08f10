"""A small Alpaca server as an ASGI application.

Sources: ASCOM Alpaca API Reference (paths, parameters, replies, HTTP status), ASCOM Alpaca Management API; decision
0002 where they leave a choice or contradict each other.
"""

import itertools
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from html import escape
from types import MappingProxyType
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from alpaca_focus.alpaca.errors import AlpacaError, BadRequest
from alpaca_focus.alpaca.replies import ApiRequest, Interceptor, Reply, done_reply, error_reply, text_reply, value_reply
from alpaca_focus.alpaca.requests import client_number, parse_pairs, read_api_request, typed_arguments, whole_number
from alpaca_focus.alpaca.sending import WireResponse
from alpaca_focus.alpaca.served import ServedDevice
from alpaca_focus.alpaca.standard import INTERFACES, DeviceType, Member

log = structlog.get_logger(__name__)

_ANY_METHOD = ("GET", "PUT", "POST", "DELETE", "PATCH")
Numbered = Mapping[tuple[DeviceType, int], ServedDevice]


class WrongMethod(BadRequest):
    """A member called by the wrong HTTP method."""

    def __init__(self, message: str, *, allowed: str) -> None:
        super().__init__(message)
        self.allowed = allowed


class AlpacaServer:
    """Serves devices over the Alpaca device API and the management API, as an ASGI application.

    Args:
        devices: By type and number, or in order, to be numbered from 0 within each type.
        server_name: For the description in the management API, as are the next three.
        manufacturer: Maker of the server.
        manufacturer_version: Version of the server.
        location: Location of the server.
        interceptor: Answers the requests to devices; it is passed `handle`.
        extra_routes: Further pages.
        any_case: Whether to accept the parameter names of a PUT in any case (decision 0002).
    """

    def __init__(
        self,
        devices: Iterable[ServedDevice] | Numbered,
        *,
        server_name: str,
        manufacturer: str,
        manufacturer_version: str,
        location: str,
        interceptor: Interceptor | None = None,
        extra_routes: Sequence[BaseRoute] = (),
        any_case: bool = False,
    ) -> None:
        self.devices: Numbered = MappingProxyType(
            dict(devices) if isinstance(devices, Mapping) else _number_devices(devices)
        )
        self._description = {
            "ServerName": server_name,
            "Manufacturer": manufacturer,
            "ManufacturerVersion": manufacturer_version,
            "Location": location,
        }
        self._interceptor = interceptor
        self._any_case = any_case
        self._transactions = itertools.count(1)
        self._app = Starlette(
            routes=[
                Route("/api/v1/{device_type}/{device_number}/{member}", self._device_api, methods=_ANY_METHOD),
                Route("/management/apiversions", self._management(lambda: [1])),
                Route("/management/v1/description", self._management(lambda: self._description)),
                Route("/management/v1/configureddevices", self._management(self._configured_devices)),
                Route("/setup", self._setup),
                Route("/setup/v1/{device_type}/{device_number}/setup", self._device_setup),
                *extra_routes,
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._app(scope, receive, send)

    async def handle(self, request: ApiRequest) -> Reply:
        """Answer a request to a device without the interceptor."""
        try:
            device, member = self._find(request)
            value = await device.call(member, typed_arguments(member, request.parameters))
            return await value_reply(request, value) if member.returns_value else done_reply(request)
        except AlpacaError as error:
            return error_reply(request, error)
        except WrongMethod as error:
            return text_reply(405, str(error), headers=(("allow", error.allowed),))
        except BadRequest as error:
            return text_reply(400, str(error))

    async def _device_api(self, http: Request) -> Response:
        try:
            request = await read_api_request(
                http, server_transaction_id=next(self._transactions), any_case=self._any_case
            )
        except BadRequest as error:
            return WireResponse(text_reply(400, str(error)))
        try:
            if self._interceptor is None:
                return WireResponse(await self.handle(request))
            return WireResponse(await self._interceptor(request, self.handle))
        except Exception:
            device = f"{request.device_type} {request.device_number}"
            log.exception("request_failed", device=device, member=request.member)
            sentence = f"The server failed in {request.method} {request.member} of {device}. See its log."
            return WireResponse(text_reply(500, sentence))

    def _find(self, request: ApiRequest) -> tuple[ServedDevice, Member]:
        device = self._find_device(request.device_type, request.device_number)
        members = INTERFACES[device.device_type].members
        member = members.get((request.method, request.member))
        if member is not None:
            return device, member
        allowed = ", ".join(sorted(method for method, name in members if name == request.member))
        if allowed:
            raise WrongMethod(f"{request.member} is called by {allowed}, not by {request.method}.", allowed=allowed)
        raise BadRequest(f"A {request.device_type} has no member {request.member!r}; names are in lower case.")

    def _find_device(self, device_type: str, number: int) -> ServedDevice:
        if device_type not in set(DeviceType):
            raise BadRequest(f"There is no device type {device_type!r} here; device types are in lower case.")
        device = self.devices.get((DeviceType(device_type), number))
        if device is None:
            raise BadRequest(f"There is no {device_type} with the number {number} here.")
        return device

    def _configured_devices(self) -> list[dict[str, Any]]:
        return [
            {
                "DeviceName": device.name,
                "DeviceType": INTERFACES[device_type].display_name,
                "DeviceNumber": number,
                "UniqueID": device.unique_id,
            }
            for (device_type, number), device in self.devices.items()
        ]

    def _management(self, read: Callable[[], Any]) -> Callable[[Request], Awaitable[Response]]:
        """Return an endpoint of the management API with `read`'s result as its Value."""

        async def endpoint(http: Request) -> Response:
            try:
                client_transaction_id = client_number(parse_pairs(http.url.query), "ClientTransactionID")
            except BadRequest as error:
                return WireResponse(text_reply(400, str(error)))
            numbers = {"ClientTransactionID": client_transaction_id, "ServerTransactionID": next(self._transactions)}
            return WireResponse(Reply(body=json.dumps({"Value": read()} | numbers).encode()))

        return endpoint

    async def _setup(self, _http: Request) -> Response:
        rows = "".join(
            f'<li><a href="/setup/v1/{device_type}/{number}/setup">{INTERFACES[device_type].display_name} {number}</a>:'
            f" {escape(device.name)}</li>"
            for (device_type, number), device in self.devices.items()
        )
        version = escape(self._description["ManufacturerVersion"])
        body = f"<p>Version {version}. Devices served here:</p><ul>{rows}</ul>"
        return _page(self._description["ServerName"], body)

    async def _device_setup(self, http: Request) -> Response:
        try:
            number = whole_number("device number", http.path_params["device_number"])
            device = self._find_device(http.path_params["device_type"], number)
        except BadRequest as error:
            return WireResponse(text_reply(400, str(error)))
        facts = {
            "Type": f"{INTERFACES[device.device_type].display_name} {number}",
            "Description": device.description,
            "Driver": f"{device.driver_info} {device.driver_version}",
            "Unique ID": device.unique_id,
        }
        rows = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
        return _page(device.name, f"<dl>{rows}</dl><p>There is nothing to set here.</p>")


def _page(title: str, body: str) -> Response:
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title></head>'
        f"<body><h1>{escape(title)}</h1>{body}</body></html>"
    )


def _number_devices(devices: Iterable[ServedDevice]) -> dict[tuple[DeviceType, int], ServedDevice]:
    counts: Counter[DeviceType] = Counter()
    numbered = {}
    for device in devices:
        numbered[device.device_type, counts[device.device_type]] = device
        counts[device.device_type] += 1
    return numbered
