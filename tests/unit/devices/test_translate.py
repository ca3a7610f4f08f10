import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from alpaca_focus.core.errors import (
    DeviceMisbehaved,
    DeviceRefused,
    InvalidValue,
    NotConnected,
    NotSupported,
)
from alpaca_focus.devices.translate import (
    DeviceRequest,
    WrongValue,
    as_bool,
    as_float,
    as_int,
    as_signed_ints,
    as_text,
    as_texts,
    timed_out,
    unreachable,
    value_of_reply,
)

REQUEST = DeviceRequest("focuser 0 at pi:11111 (Moonlite)", "pi:11111", "Position")


def value(reply: object, status: int = 200, *, needs_value: bool = True) -> object:
    body = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
    return value_of_reply(REQUEST, status, body, needs_value=needs_value)


def test_a_decent_reply_gives_its_value() -> None:
    assert value({"Value": 5, "ErrorNumber": 0, "ErrorMessage": ""}) == 5


def test_a_reply_without_an_error_number_is_a_success() -> None:
    assert value({"Value": False}) is False
    assert value({}, needs_value=False) is None


def test_a_byte_order_mark_does_no_harm() -> None:
    assert value(b'\xef\xbb\xbf{"Value": 7}') == 7


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (0x400, NotSupported),
        (0x40C, NotSupported),
        (0x401, InvalidValue),
        (0x407, NotConnected),
        (0x40B, DeviceRefused),
        (0x500, DeviceRefused),
        ("1031", NotConnected),
    ],
)
def test_error_numbers_become_the_errors_of_this_program(number: object, kind: type[DeviceRefused]) -> None:
    with pytest.raises(DeviceRefused) as caught:
        value({"ErrorNumber": number, "ErrorMessage": "no such luck"})
    assert type(caught.value) is kind
    assert caught.value.number == int(str(number))
    beginning = 'focuser 0 at pi:11111 (Moonlite) refused Position: "no such luck" (Alpaca error 0x'
    assert str(caught.value).startswith(beginning)


def test_an_error_without_a_number_is_still_an_error() -> None:
    with pytest.raises(DeviceRefused, match="broken cable"):
        value({"ErrorMessage": "broken cable"})


@pytest.mark.parametrize("status", [400, 404, 422, 500])
def test_a_bad_http_status_carries_the_words_of_the_server(status: int) -> None:
    with pytest.raises(DeviceRefused) as caught:
        value(b"There is no\n focuser 7", status)
    assert caught.value.number == status
    assert f'"There is no focuser 7" (HTTP status {status})' in str(caught.value)


def test_an_alpaca_error_within_a_bad_http_status_counts() -> None:
    with pytest.raises(NotConnected):
        value({"ErrorNumber": 0x407, "ErrorMessage": "not connected"}, 500)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[1]", b"\xff\xfe", b'{"Value": 5', b'{"ErrorNumber": 0}', b'{"ErrorNumber": "x"}'],
)
def test_garbage_is_a_misbehaviour(body: bytes) -> None:
    with pytest.raises(DeviceMisbehaved, match=r"^The answer of focuser 0 .* to Position makes no sense"):
        value(body)


def test_long_pages_are_quoted_short() -> None:
    with pytest.raises(DeviceMisbehaved) as caught:
        value(b"<p>" * 5000)
    assert len(str(caught.value)) < 700


def test_unreachable_names_cause_request_and_remedy() -> None:
    error = unreachable(REQUEST, ConnectionRefusedError(111, "Connection refused"))
    assert str(error) == (
        "Nothing answers at pi:11111: connection refused. Position was requested from focuser 0 at pi:11111"
        " (Moonlite). Is the server running, and are host and port right?"
    )


def test_a_timeout_names_device_member_and_time() -> None:
    error = timed_out(REQUEST, 5.0)
    assert error.device == REQUEST.device
    assert "did not answer Position within 5 s" in str(error)


@pytest.mark.parametrize(
    ("take", "given", "taken"),
    [
        (as_int, 5, 5),
        (as_int, 5.0, 5),
        (as_int, "12", 12),
        (as_int, 2**53 + 1, 2**53 + 1),
        (as_float, 5, 5.0),
        (as_float, "1.5", 1.5),
        (as_float, math.inf, math.inf),
        (as_bool, True, True),
        (as_bool, "False", False),
        (as_bool, 1, True),
        (as_text, "", ""),
        (as_texts, ["L", "R"], ("L", "R")),
        (as_signed_ints, [0, 4294967293, -3], (0, -3, -3)),
    ],
)
def test_values_are_taken_as_servers_send_them(take: Callable[[Any], object], given: object, taken: object) -> None:
    assert take(given) == taken


@pytest.mark.parametrize(
    ("take", "given"),
    [
        (as_int, 5.5),
        (as_int, math.nan),
        (as_int, True),
        (as_int, "ten"),
        (as_int, None),
        (as_float, []),
        (as_bool, 2),
        (as_bool, None),
        (as_text, 5),
        (as_texts, "LRGB"),
        (as_texts, [1]),
        (as_signed_ints, {}),
    ],
)
def test_other_values_are_not_taken(take: Callable[[Any], object], given: object) -> None:
    with pytest.raises(WrongValue):
        take(given)
