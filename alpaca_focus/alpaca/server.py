"""A small Alpaca server: devices in, an ASGI application out.

Sources: ASCOM Alpaca API Reference (paths, parameters, replies, HTTP status), ASCOM Alpaca Management API. Where they
leave a choice or contradict each other: docs/decisions/0002-parameter-names.md.
"""

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from alpaca_focus.alpaca import pages
from alpaca_focus.alpaca.answers import done_reply, error_reply, text_reply, value_reply
from alpaca_focus.alpaca.errors import AlpacaError, BadRequest
from alpaca_focus.alpaca.replies import ApiRequest, Interceptor, Reply
from alpaca_focus.alpaca.requests import (
    client_number,
    parse_device_number,
    parse_pairs,
    read_api_request,
    typed_arguments,
)
from alpaca_focus.alpaca.sending import WireResponse
from alpaca_focus.alpaca.served import ServedDevice
from alpaca_focus.alpaca.standard import INTERFACES, DeviceType, Member

log = structlog.get_logger(__name__)

_ANY_METHOD = ("GET", "PUT", "POST", "DELETE", "PATCH")
Numbered = Mapping[tuple[DeviceType, int], ServedDevice]


class WrongMethod(BadRequest):
    """A member that exists, asked for by the wrong HTTP method."""

    def __init__(self, message: str, *, allowed: str) -> None:
        super().__init__(message)
        self.allowed = allowed


class AlpacaServer:
    """Devices behind the Alpaca device API and the management API, as an ASGI application.

    Attributes:
        devices: The devices by type and number.
        server_name: Name of the server for people.
        manufacturer: Who makes the server.
        manufacturer_version: Version of the server.
        location: Where the server stands.
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
    ) -> None:
        self.devices: Numbered = MappingProxyType(
            dict(devices) if isinstance(devices, Mapping) else number_devices(devices)
        )
        self.server_name = server_name
        self.manufacturer = manufacturer
        self.manufacturer_version = manufacturer_version
        self.location = location
        self._interceptor = interceptor
        self._transactions = itertools.count(1)
        self._app = Starlette(
            routes=[
                Route("/api/v1/{device_type}/{device_number}/{member}", self._device_api, methods=_ANY_METHOD),
                Route("/management/apiversions", self._api_versions),
                Route("/management/v1/description", self._description),
                Route("/management/v1/configureddevices", self._configured_devices),
                Route("/setup", self._setup),
                Route("/setup/v1/{device_type}/{device_number}/setup", self._device_setup),
                *extra_routes,
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._app(scope, receive, send)

    async def handle(self, request: ApiRequest) -> Reply:
        """Answer a request to a device, without the interceptor; never raises but when cancelled."""
        try:
            device, member = self._find(request)
            value = await device.call(member, typed_arguments(member, request.parameters))
            if not member.returns_value:
                return done_reply(request)
            return await value_reply(request, value)
        except AlpacaError as error:
            return error_reply(request, error)
        except WrongMethod as error:
            return text_reply(405, str(error), headers=(("allow", error.allowed),))
        except BadRequest as error:
            return text_reply(400, str(error))

    async def _device_api(self, http: Request) -> Response:
        try:
            request = await read_api_request(http, server_transaction_id=next(self._transactions))
        except BadRequest as error:
            return WireResponse(text_reply(400, str(error)))
        try:
            if self._interceptor is None:
                return WireResponse(await self.handle(request))
            return WireResponse(await self._interceptor(request, self.handle))
        except Exception:
            log.exception(
                "request_failed", device=f"{request.device_type} {request.device_number}", member=request.member
            )
            sentence = (
                f"The server failed in {request.method} {request.member} of {request.device_type}"
                f" {request.device_number}: see its log."
            )
            return WireResponse(text_reply(500, sentence))

    def _find(self, request: ApiRequest) -> tuple[ServedDevice, Member]:
        device = self._find_device(request.device_type, request.device_number)
        members = INTERFACES[device.device_type].members
        member = members.get((request.method, request.member))
        if member is not None:
            return device, member
        methods = sorted(method for method, name in members if name == request.member)
        if methods:
            allowed = ", ".join(methods)
            raise WrongMethod(f"{request.member} is called by {allowed}, not by {request.method}.", allowed=allowed)
        raise BadRequest(f"A {request.device_type} has no member {request.member!r}; names are in lower case.")

    def _find_device(self, device_type: str, number: int) -> ServedDevice:
        if device_type not in set(DeviceType):
            raise BadRequest(f"There is no device type {device_type!r} here; device types are in lower case.")
        device = self.devices.get((DeviceType(device_type), number))
        if device is None:
            raise BadRequest(f"There is no {device_type} with the number {number} here.")
        return device

    async def _api_versions(self, http: Request) -> Response:
        return self._management_reply(http, [1])

    async def _description(self, http: Request) -> Response:
        return self._management_reply(
            http,
            {
                "ServerName": self.server_name,
                "Manufacturer": self.manufacturer,
                "ManufacturerVersion": self.manufacturer_version,
                "Location": self.location,
            },
        )

    async def _configured_devices(self, http: Request) -> Response:
        return self._management_reply(
            http,
            [
                {
                    "DeviceName": device.name,
                    "DeviceType": INTERFACES[device_type].display_name,
                    "DeviceNumber": number,
                    "UniqueID": device.unique_id,
                }
                for (device_type, number), device in self.devices.items()
            ],
        )

    def _management_reply(self, http: Request, value: Any) -> Response:
        try:
            client_transaction_id = client_number(parse_pairs(http.url.query), "ClientTransactionID")
        except BadRequest as error:
            return WireResponse(text_reply(400, str(error)))
        reply = {
            "Value": value,
            "ClientTransactionID": client_transaction_id,
            "ServerTransactionID": next(self._transactions),
        }
        return WireResponse(Reply(body=json.dumps(reply).encode()))

    async def _setup(self, _http: Request) -> Response:
        return HTMLResponse(pages.server_page(self.server_name, self.manufacturer_version, self.devices))

    async def _device_setup(self, http: Request) -> Response:
        try:
            number = parse_device_number(http.path_params["device_number"])
            device = self._find_device(http.path_params["device_type"], number)
        except BadRequest as error:
            return WireResponse(text_reply(400, str(error)))
        return HTMLResponse(pages.device_page(device, number))


def number_devices(devices: Iterable[ServedDevice]) -> dict[tuple[DeviceType, int], ServedDevice]:
    """Number devices from 0 within each type, in the order given."""
    counts: Counter[DeviceType] = Counter()
    numbered = {}
    for device in devices:
        numbered[device.device_type, counts[device.device_type]] = device
        counts[device.device_type] += 1
    return numbered
