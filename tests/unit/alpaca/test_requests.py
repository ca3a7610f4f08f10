"""Parameters: names in any case in a GET, exact in a PUT; values checked strictly."""

import pytest

from alpaca_focus.alpaca.errors import BadRequest
from alpaca_focus.alpaca.requests import client_number, parse_pairs, typed_arguments
from alpaca_focus.alpaca.standard import INTERFACES, DeviceType, HttpMethod, Member, Parameter

MOVE = INTERFACES[DeviceType.FOCUSER].members["PUT", "move"]
AXIS_RATES = INTERFACES[DeviceType.TELESCOPE].members["GET", "axisrates"]
START_EXPOSURE = INTERFACES[DeviceType.CAMERA].members["PUT", "startexposure"]


def one(kind: type) -> Member:
    return Member("thing", HttpMethod.PUT, (Parameter("Thing", kind),))


@pytest.mark.parametrize("name", ["Axis", "axis", "AXIS", "aXIS"])
def test_names_of_a_get_may_have_any_case(name: str) -> None:
    assert typed_arguments(AXIS_RATES, {name: "1"}) == [1]


@pytest.mark.parametrize("name", ["position", "POSITION", "pOSITION"])
def test_another_case_in_a_put_is_refused_with_the_right_spelling(name: str) -> None:
    with pytest.raises(BadRequest, match=f"'{name}' of PUT move has to be spelled 'Position'"):
        typed_arguments(MOVE, {name: "5"})


@pytest.mark.parametrize("order", [("position", "Position", "POSITION"), ("Position", "position")])
def test_the_exact_name_wins_over_another_case(order: tuple[str, ...]) -> None:
    assert typed_arguments(MOVE, {name: "2" if name == "Position" else "1" for name in order}) == [2]


def test_values_come_in_the_standards_order() -> None:
    assert typed_arguments(START_EXPOSURE, {"Light": "false", "Duration": "1.5"}) == [1.5, False]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (int, "-5", -5),
        (int, "+7", 7),
        (int, "2147483647", 2147483647),
        (float, "5", 5.0),
        (float, "-.5e-3", -0.0005),
        (float, "1.", 1.0),
        (bool, "TRUE", True),
        (bool, "fAlse", False),
        (str, "", ""),
        (str, " any text ", " any text "),
    ],
)
def test_value_is_taken(kind: type, text: str, value: object) -> None:
    assert typed_arguments(one(kind), {"Thing": text}) == [value]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (int, ""),
        (int, "five"),
        (int, "1.0"),
        (int, "1_000"),
        (int, " 5"),
        (int, "\u0665"),
        (int, "2147483648"),
        (float, ""),
        (float, "1,5"),
        (float, "nan"),
        (float, "inf"),
        (float, "1_0.0"),
        (float, "."),
        (bool, "1"),
        (bool, "yes"),
        (bool, ""),
    ],
)
def test_value_is_refused_with_its_name(kind: type, text: str) -> None:
    with pytest.raises(BadRequest, match="Thing"):
        typed_arguments(one(kind), {"Thing": text})


def test_missing_parameter_is_refused_with_its_name() -> None:
    with pytest.raises(BadRequest, match="Position of PUT move is missing"):
        typed_arguments(MOVE, {"Target": "5"})


@pytest.mark.parametrize("text", ["-1", "abc", "", "  ", "1.5", "4294967296"])
def test_senseless_client_numbers_are_refused(text: str) -> None:
    with pytest.raises(BadRequest, match="ClientID"):
        client_number({"ClientID": text}, "ClientID")


def test_client_number_is_0_when_absent_and_found_in_any_casing() -> None:
    assert client_number({}, "ClientTransactionID") == 0
    assert client_number({"clienttransactionid": "4294967295"}, "ClientTransactionID") == 4294967295


def test_forms_are_decoded() -> None:
    assert parse_pairs("Action=a%26b&Parameters=&x=%C3%A9+1&x=2") == {"Action": "a&b", "Parameters": "", "x": "2"}
    with pytest.raises(BadRequest):
        parse_pairs("x=%ff")
