"""Intercepts every request to the simulated devices: applies faults first, then the quirks of the imitated server."""

import asyncio
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from alpaca_focus.alpaca.errors import ErrorNumber
from alpaca_focus.alpaca.imagebytes import HEADER_BYTES, Header, decode_image, encode_image
from alpaca_focus.alpaca.replies import IMAGE_BYTES, JSON, TEXT_PLAIN, ApiRequest, Handler, Reply
from alpaca_focus.alpaca.served import ServedDevice
from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.simulator.world import World

SLOW_FIRST_S = 2.0
POLL_S = 0.05
IMAGE_MEMBERS = frozenset({"imagearray", "imagearrayvariant"})
MAX_STEP_OF_QUIRK = 20_000_000
MISSING: Mapping[str, tuple[DeviceType, str]] = MappingProxyType(
    {
        "no-abort": (DeviceType.CAMERA, "abortexposure"),
        "no-halt": (DeviceType.FOCUSER, "halt"),
        "no-step-size": (DeviceType.FOCUSER, "stepsize"),
        "no-temperature": (DeviceType.FOCUSER, "temperature"),
        "no-temp-comp": (DeviceType.FOCUSER, "tempcomp"),
        "destination-side-missing": (DeviceType.TELESCOPE, "destinationsideofpier"),
    }
)
"""Member that a server with each quirk does not implement."""
Devices = Mapping[tuple[DeviceType, int], ServedDevice]


class FaultInterceptor:
    """The interceptor of the simulated server."""

    def __init__(self, world: World, devices: Devices) -> None:
        self._world = world
        self._devices = {(str(kind), number): device for (kind, number), device in devices.items()}
        self._answered: set[str] = set()

    async def __call__(self, request: ApiRequest, handler: Handler) -> Reply:
        """Answer a request, unless a fault prevents it."""
        faults, kind, member = self._world.faults, request.device_type, request.member
        await self._delay(request)
        if faults.take("power-off", kind, member) is not None:
            device = self._devices.get((kind, request.device_number))
            if device is not None:
                device.connected = False
            return json_reply(request, ErrorNumber.DRIVER_BASE, f"The {kind} has no power.")
        if faults.take("http-500", kind, member) is not None:
            return Reply(status=500, content_type=TEXT_PLAIN, body=b"The server failed.")
        if faults.take("garbage", kind, member) is not None:
            return Reply(body=b"<html>\xff\xfe it works!</html>")
        if kind == DeviceType.FOCUSER and member == "temperature" and faults.take("temperature-nan") is not None:
            # NaN is not JSON, but some servers send what their language writes.
            return json_reply(request, 0, "", Value=math.nan)
        reply = await self._answer(request, handler)
        return self._cut(reply) if reply.content_type == IMAGE_BYTES else reply

    async def _delay(self, request: ApiRequest) -> None:
        """Delay the answer, for ever if a fault requires it: stopping the server cancels the wait."""
        faults, kind, member = self._world.faults, request.device_type, request.member
        if "slow-first-reply" in self._world.quirks and kind not in self._answered:
            self._answered.add(kind)
            await asyncio.sleep(SLOW_FIRST_S)
        slow = faults.take("slow", kind, member)
        if slow is not None:
            await asyncio.sleep(slow.value)
        silent = faults.take("no-answer", kind, member)
        while silent is not None and faults.is_on(silent.number):  # noqa: ASYNC110 - faults end without an event
            await asyncio.sleep(POLL_S)

    async def _answer(self, request: ApiRequest, handler: Handler) -> Reply:
        quirks = self._world.quirks
        for name, missing in MISSING.items():
            if name in quirks and (request.device_type, request.member) == missing:
                return json_reply(request, ErrorNumber.NOT_IMPLEMENTED, f"{request.member} is not implemented")
        reply = await handler(changed_request(request, quirks))
        return changed_reply(request, reply, quirks, present_size=self._world.frame_size)

    def _cut(self, reply: Reply) -> Reply:
        length = sum(memoryview(piece).nbytes for piece in reply.body) if isinstance(reply.body, tuple | list) else 0
        cut = self._world.faults.take("cut-image", DeviceType.CAMERA)
        if cut is not None:
            return replace(reply, cut_after=int(length * cut.value))
        stall = self._world.faults.take("stall-image", DeviceType.CAMERA)
        return reply if stall is None else replace(reply, stall_after=int(length * stall.value))


def changed_request(request: ApiRequest, quirks: frozenset[str]) -> ApiRequest:
    """Return the request as a server with these quirks understands it."""
    if request.member in IMAGE_MEMBERS:
        if "json-images-only" in quirks:
            return replace(request, accept=JSON)
        if "imagebytes-unasked" in quirks:
            return replace(request, accept=IMAGE_BYTES)
    if request.method == "PUT" and "parameters-in-query" in quirks:
        return replace(request, parameters=request.query)
    return request


def json_reply(request: ApiRequest, error_number: int, message: str, **values: Any) -> Reply:
    """Return an Alpaca reply in JSON, for example an error."""
    fields = {
        "ClientTransactionID": request.client_transaction_id,
        "ServerTransactionID": request.server_transaction_id,
        "ErrorNumber": error_number,
        "ErrorMessage": message,
    }
    return Reply(body=json.dumps(fields | values).encode())


def changed_reply(request: ApiRequest, reply: Reply, quirks: frozenset[str], *, present_size: Sequence[int]) -> Reply:
    """Return a standard reply as a server with these quirks sends it; `present_size` is the camera's NumX and NumY."""
    if reply.status != 200:
        return _changed_refusal(reply, quirks)
    if reply.content_type == IMAGE_BYTES:
        return _changed_image(reply, quirks, present_size)
    if reply.content_type == JSON and isinstance(reply.body, bytes):
        return _changed_json(request, reply, quirks)
    return reply


def _changed_refusal(reply: Reply, quirks: frozenset[str]) -> Reply:
    text = bytes(reply.body) if isinstance(reply.body, bytes) else b""
    if reply.status == 400 and text.startswith(b"There is no"):
        if "unknown-device-as-200" in quirks:
            fields = {"ErrorNumber": int(ErrorNumber.UNSPECIFIED), "ErrorMessage": text.decode()}
            return Reply(body=json.dumps(fields).encode())
        if "unknown-device-as-404" in quirks:
            return replace(reply, status=404)
    return replace(reply, status=422) if reply.status == 400 and "http-422" in quirks else reply


def _changed_image(reply: Reply, quirks: frozenset[str], present_size: Sequence[int]) -> Reply:
    if isinstance(reply.body, bytes):
        return _changed_image_error(reply, reply.body, quirks)
    pieces = list(reply.body) if isinstance(reply.body, tuple | list) else []
    if not pieces:
        return reply
    header = Header.parse(pieces[0])
    if "int32-for-everything" in quirks:
        image = decode_image(b"".join(pieces)).astype(np.int32)
        pieces = list(encode_image(image))
        header = replace(
            Header.parse(pieces[0]),
            client_transaction_id=header.client_transaction_id,
            server_transaction_id=header.server_transaction_id,
        )
    if "transaction-zero" in quirks:
        header = replace(header, client_transaction_id=0, server_transaction_id=0)
    if "header-from-present-numx" in quirks:
        header = replace(header, dimension1=present_size[0], dimension2=present_size[1])
    pieces[0] = header.pack()
    length = sum(memoryview(piece).nbytes for piece in pieces)
    short = length - HEADER_BYTES if "content-length-without-header" in quirks else reply.declared_length
    return replace(reply, body=tuple(pieces), declared_length=short)


def _changed_image_error(reply: Reply, body: bytes, quirks: frozenset[str]) -> Reply:
    if "image-errors-as-raw-bytes" in quirks:
        return Reply(content_type=TEXT_PLAIN, body=body[HEADER_BYTES:])
    if "image-error-number-zero" in quirks:
        return replace(reply, body=replace(Header.parse(body), error_number=0).pack() + body[HEADER_BYTES:])
    return reply


def _changed_json(request: ApiRequest, reply: Reply, quirks: frozenset[str]) -> Reply:
    fields: dict[str, Any] = json.loads(bytes(reply.body)) if isinstance(reply.body, bytes) else {}
    if "transaction-zero" in quirks:
        fields |= {"ClientTransactionID": 0, "ServerTransactionID": 0}
    if "no-error-number" in quirks and fields.get("ErrorNumber") == 0:
        del fields["ErrorNumber"], fields["ErrorMessage"]
    if request.method == "GET" and "Value" in fields:
        change = _VALUES.get((request.device_type, request.member))
        if change is not None and change[0] in quirks:
            fields["Value"] = change[1](fields["Value"])
    return replace(reply, body=json.dumps(fields).encode())


_VALUES: Mapping[tuple[str, str], tuple[str, Callable[[Any], Any]]] = MappingProxyType(
    {
        (DeviceType.CAMERA, "gain"): ("gain-reads-off-by-one", lambda gain: gain - 1),
        (DeviceType.FOCUSER, "maxstep"): ("max-step-20-million", lambda _: MAX_STEP_OF_QUIRK),
        (DeviceType.FOCUSER, "tempcompavailable"): ("no-temp-comp", lambda _: False),
        (DeviceType.FILTERWHEEL, "focusoffsets"): (
            "filter-offsets-unsigned",
            lambda offsets: [offset % 2**32 for offset in offsets],
        ),
        (DeviceType.CAMERA, "canabortexposure"): ("no-abort", lambda _: False),
    }
)
"""Quirk that changes the Value of a member, and how."""
