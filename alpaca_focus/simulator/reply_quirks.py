"""Deviations that change a request on its way in or a reply on its way out."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np

from alpaca_focus.alpaca.errors import ErrorNumber
from alpaca_focus.alpaca.imagebytes import HEADER_BYTES, Header, decode_image, encode_image
from alpaca_focus.alpaca.replies import IMAGE_BYTES, JSON, TEXT_PLAIN, ApiRequest, Reply
from alpaca_focus.alpaca.standard import DeviceType

IMAGE_MEMBERS = frozenset({"imagearray", "imagearrayvariant"})
MAX_STEP_OF_QUIRK = 20_000_000


@dataclass(frozen=True, slots=True)
class MissingMember:
    """A member that a server with this deviation does not implement."""

    device_type: DeviceType
    members: frozenset[str]


MISSING: Mapping[str, MissingMember] = MappingProxyType(
    {
        "no-abort": MissingMember(DeviceType.CAMERA, frozenset({"abortexposure"})),
        "no-halt": MissingMember(DeviceType.FOCUSER, frozenset({"halt"})),
        "no-step-size": MissingMember(DeviceType.FOCUSER, frozenset({"stepsize"})),
        "no-temperature": MissingMember(DeviceType.FOCUSER, frozenset({"temperature"})),
        "no-temp-comp": MissingMember(DeviceType.FOCUSER, frozenset({"tempcomp"})),
        "destination-side-missing": MissingMember(DeviceType.TELESCOPE, frozenset({"destinationsideofpier"})),
    }
)

JsonObject: TypeAlias = dict[str, Any]


def changed_request(request: ApiRequest, quirks: frozenset[str]) -> ApiRequest:
    """Return the request as a server with these deviations understands it."""
    if request.member in IMAGE_MEMBERS:
        if "json-images-only" in quirks:
            return replace(request, accept=JSON)
        if "imagebytes-unasked" in quirks:
            return replace(request, accept=IMAGE_BYTES)
    if request.method == "PUT" and "parameters-in-query" in quirks:
        return replace(request, parameters=request.query)
    return request


def missing_reply(request: ApiRequest, quirks: frozenset[str]) -> Reply | None:
    """Return the answer to a member that these deviations lack; `None` when they have it."""
    for name, missing in MISSING.items():
        if name in quirks and request.device_type == missing.device_type and request.member in missing.members:
            return json_error(request, ErrorNumber.NOT_IMPLEMENTED, f"{request.member} is not implemented")
    return None


def json_error(request: ApiRequest, number: int, message: str) -> Reply:
    """Return an Alpaca error as a reply."""
    fields = {
        "ClientTransactionID": request.client_transaction_id,
        "ServerTransactionID": request.server_transaction_id,
        "ErrorNumber": number,
        "ErrorMessage": message,
    }
    return Reply(body=json.dumps(fields).encode())


def changed_reply(request: ApiRequest, reply: Reply, quirks: frozenset[str], *, present_size: tuple[int, int]) -> Reply:
    """Return the reply as a server with these deviations sends it.

    Args:
        request: What was asked.
        reply: The reply of a server that keeps to the standard.
        quirks: The deviations.
        present_size: NumX and NumY of the camera.
    """
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


def _changed_image(reply: Reply, quirks: frozenset[str], present_size: tuple[int, int]) -> Reply:
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
    fields: JsonObject = json.loads(bytes(reply.body)) if isinstance(reply.body, bytes) else {}
    if "transaction-zero" in quirks:
        fields |= {"ClientTransactionID": 0, "ServerTransactionID": 0}
    if "no-error-number" in quirks and fields.get("ErrorNumber") == 0:
        del fields["ErrorNumber"], fields["ErrorMessage"]
    if request.method == "GET" and "Value" in fields:
        change = _VALUES.get((request.device_type, request.member))
        if change is not None and change[0] in quirks:
            fields["Value"] = change[1](fields["Value"])
    return replace(reply, body=json.dumps(fields).encode())


def _unsigned(offsets: list[int]) -> list[int]:
    return [offset % 2**32 for offset in offsets]


_VALUES: Mapping[tuple[str, str], tuple[str, Callable[[Any], Any]]] = MappingProxyType(
    {
        (DeviceType.CAMERA, "gain"): ("gain-reads-off-by-one", lambda gain: gain - 1),
        (DeviceType.FOCUSER, "maxstep"): ("max-step-20-million", lambda _: MAX_STEP_OF_QUIRK),
        (DeviceType.FOCUSER, "tempcompavailable"): ("no-temp-comp", lambda _: False),
        (DeviceType.FILTERWHEEL, "focusoffsets"): ("filter-offsets-unsigned", _unsigned),
        (DeviceType.CAMERA, "canabortexposure"): ("no-abort", lambda _: False),
    }
)
