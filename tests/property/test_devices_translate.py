"""Whatever a server sends, the answer is a value or an error of this program."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alpaca_focus.core.errors import ConfigurationError, DeviceError, DeviceMisbehaved, DeviceRefused
from alpaca_focus.devices.address import parse_address
from alpaca_focus.devices.arrival import legs
from alpaca_focus.devices.translate import DeviceRequest, value_of_reply

REQUEST = DeviceRequest("focuser 0 at pi:11111", "pi:11111", "Position")
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
REPLIES = st.fixed_dictionaries(
    {}, optional={"Value": JSON_VALUES, "ErrorNumber": JSON_VALUES, "ErrorMessage": JSON_VALUES}
)


@given(
    body=st.binary()
    | JSON_VALUES.map(lambda value: json.dumps(value).encode())
    | REPLIES.map(lambda r: json.dumps(r).encode()),
    status=st.integers(100, 599),
    needs_value=st.booleans(),
)
def test_a_reply_is_a_value_or_an_error_that_names_the_device(body: bytes, status: int, needs_value: bool) -> None:
    error: DeviceError | None = None
    value: object = None
    try:
        value = value_of_reply(REQUEST, status, body, needs_value=needs_value)
    except (DeviceRefused, DeviceMisbehaved) as raised:
        error = raised
    if error is None:
        assert 200 <= status < 300
        assert value is not None or not needs_value
    else:
        assert error.device == REQUEST.device
        assert REQUEST.device in str(error)
        assert str(error).endswith((".", "?"))


def test_nesting_without_end_is_nonsense() -> None:
    with pytest.raises(DeviceMisbehaved, match="makes no sense"):
        value_of_reply(REQUEST, 200, b"[" * 1_000_000, needs_value=True)


@given(st.text(max_size=60))
def test_an_address_is_taken_or_explained(text: str) -> None:
    sentence = ""
    try:
        address = parse_address(text)
    except ConfigurationError as error:
        sentence = str(error)
    assert sentence.startswith("The address") if sentence else parse_address(address.authority) == address


@given(start=st.integers(0, 10**6), target=st.integers(0, 10**6), longest=st.integers(500, 10**6))
def test_legs_lead_to_the_target_in_one_direction(start: int, target: int, longest: int) -> None:
    stops = (start, *legs(start, target, longest))
    steps = [after - before for before, after in itertools.pairwise(stops)]
    assert stops[-1] == target
    assert all(abs(step) <= longest for step in steps)
    assert all(step > 0 for step in steps) or all(step < 0 for step in steps) or start == target
