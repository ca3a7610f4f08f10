"""Replies to a request, made by the server or by an interceptor."""

import asyncio
import json
from dataclasses import replace

import numpy as np
import pytest

from alpaca_focus.alpaca.errors import AlpacaError
from alpaca_focus.alpaca.imagebytes import decode_image
from alpaca_focus.alpaca.replies import (
    IMAGE_BYTES,
    JSON,
    ApiRequest,
    ImageReply,
    done_reply,
    error_reply,
    text_reply,
    value_reply,
)

REQUEST = ApiRequest(
    method="GET",
    device_type="camera",
    device_number=0,
    member="imagearray",
    parameters={},
    query={},
    accept="",
    client_id=1,
    client_transaction_id=2,
    server_transaction_id=3,
)
FOR_BYTES = replace(REQUEST, accept="application/ImageBytes, application/json")
NUMBERS = {"ClientTransactionID": 2, "ServerTransactionID": 3}


@pytest.mark.parametrize("value", [True, 7, 1.5, "ü", [1, 2], [{"Name": "x", "Value": None}], None])
def test_a_value(value: object) -> None:
    reply = asyncio.run(value_reply(FOR_BYTES, value))
    assert (reply.status, reply.content_type) == (200, JSON)
    assert json.loads(reply.body) == NUMBERS | {"ErrorNumber": 0, "ErrorMessage": "", "Value": value}  # type: ignore[arg-type]


def test_no_value() -> None:
    assert json.loads(done_reply(REQUEST).body) == NUMBERS | {"ErrorNumber": 0, "ErrorMessage": ""}  # type: ignore[arg-type]


def test_an_image_is_sent_in_the_requested_format() -> None:
    pixels = np.arange(6, dtype=np.uint16).reshape(2, 3)
    reply = asyncio.run(value_reply(FOR_BYTES, ImageReply(pixels=pixels)))
    assert reply.content_type == IMAGE_BYTES
    assert np.array_equal(decode_image(b"".join(map(bytes, reply.body))), pixels)  # type: ignore[arg-type]
    assert asyncio.run(value_reply(REQUEST, ImageReply(pixels=pixels))).content_type == JSON


@pytest.mark.parametrize("request_", [REQUEST, FOR_BYTES, replace(FOR_BYTES, member="gain")])
def test_an_error_is_json_also_in_place_of_image_bytes(request_: ApiRequest) -> None:
    reply = error_reply(request_, AlpacaError(0x40B, "não agora"))
    assert reply.content_type == JSON
    expected = NUMBERS | {"ErrorNumber": 0x40B, "ErrorMessage": "não agora"}
    assert json.loads(reply.body) == expected  # type: ignore[arg-type]


def test_a_sentence() -> None:
    reply = text_reply(405, "não", headers=(("allow", "GET"),))
    assert (reply.status, reply.body, reply.headers) == (405, "não".encode(), (("allow", "GET"),))
