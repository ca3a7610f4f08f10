"""The rules of the Alpaca API over plain HTTP, and alpyca's exceptions at the other end."""

import json
from typing import Any

import pytest
from alpaca import exceptions
from alpaca.filterwheel import FilterWheel
from alpaca.focuser import Focuser

from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber

FOCUSER = "/api/v1/focuser/0"
WHEEL = "/api/v1/filterwheel/0"


def test_value_and_client_transaction_number_come_back(observatory: Any) -> None:
    reply = observatory.json("GET", f"{FOCUSER}/position", ClientTransactionID=4294967295, ClientID=3)
    assert reply["Value"] == 100
    assert reply["ClientTransactionID"] == 4294967295
    assert (reply["ErrorNumber"], reply["ErrorMessage"]) == (0, "")


def test_client_transaction_number_is_0_when_absent(observatory: Any) -> None:
    assert observatory.json("GET", f"{FOCUSER}/position")["ClientTransactionID"] == 0


def test_server_transaction_numbers_rise_from_1(observatory: Any) -> None:
    replies = [observatory.json("GET", path) for path in (f"{FOCUSER}/position", "/management/apiversions")]
    replies.append(observatory.json("PUT", f"{FOCUSER}/move", Position=1))
    assert [reply["ServerTransactionID"] for reply in replies] == [1, 2, 3]


def test_put_without_value_has_none(observatory: Any) -> None:
    reply = observatory.json("PUT", f"{FOCUSER}/move", Position=321, ClientTransactionID=9)
    assert "Value" not in reply
    assert reply["ClientTransactionID"] == 9
    assert observatory.focuser.position == 321


def test_parameter_names_of_a_get_may_have_any_case_and_those_of_a_put_may_not(observatory: Any) -> None:
    assert observatory.ask("PUT", f"{FOCUSER}/move", pOsItIoN=7)[0] == 400
    assert observatory.focuser.position == 100
    reply = observatory.json("PUT", f"{FOCUSER}/move", Position=7, clienttransactionid=5, CLIENTID=1)
    assert observatory.focuser.position == 7
    assert reply["ClientTransactionID"] == 0
    assert observatory.json("GET", f"{FOCUSER}/position", CLIENTTRANSACTIONID=6)["ClientTransactionID"] == 6


def test_unknown_parameters_are_ignored(observatory: Any) -> None:
    assert observatory.json("PUT", f"{FOCUSER}/move", Position=8, Colour="red")["ErrorNumber"] == 0


@pytest.mark.parametrize(
    ("method", "path", "parameters", "words"),
    [
        ("PUT", f"{FOCUSER}/move", {}, "Position of PUT move is missing"),
        ("PUT", f"{FOCUSER}/move", {"Position": "far"}, "'far'"),
        ("PUT", f"{FOCUSER}/move", {"Position": ""}, "whole number"),
        ("PUT", f"{FOCUSER}/move", {"Position": "1", "ClientID": "-1"}, "ClientID"),
        ("PUT", f"{FOCUSER}/move", {"Position": "1", "ClientTransactionID": "x"}, "ClientTransactionID"),
        ("GET", f"{FOCUSER}/position", {"ClientID": "abc"}, "ClientID"),
        ("GET", f"{FOCUSER}/position", {"ClientTransactionID": " "}, "ClientTransactionID"),
        ("GET", f"{FOCUSER}/colour", {}, "no member 'colour'"),
        ("GET", f"{FOCUSER}/Position", {}, "lower case"),
        ("GET", "/api/v1/Focuser/0/position", {}, "lower case"),
        ("GET", "/api/v1/dome/0/azimuth", {}, "no device type 'dome'"),
        ("GET", "/api/v1/focuser/1/position", {}, "no focuser with the number 1"),
        ("GET", "/api/v1/focuser/-1/position", {}, "device number"),
        ("GET", "/api/v1/focuser/first/position", {}, "device number"),
        ("GET", "/management/v1/description", {"ClientTransactionID": "x"}, "ClientTransactionID"),
        ("GET", "/setup/v1/focuser/5/setup", {}, "number 5"),
    ],
)
def test_senseless_request_is_400_with_a_sentence(
    observatory: Any, method: str, path: str, parameters: dict[str, str], words: str
) -> None:
    status, content_type, body = observatory.ask(method, path, **parameters)
    assert (status, content_type) == (400, "text/plain")
    assert words in body.decode()
    assert observatory.focuser.position == 100


def test_put_takes_its_parameters_from_the_body_only(observatory: Any) -> None:
    assert observatory.ask("PUT", f"{FOCUSER}/move?Position=5", body=b"")[0] == 400


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"Position": 5}', "application/json"),
        (b"Position=%ff", "application/x-www-form-urlencoded"),
        (b"Position=\xff", "application/x-www-form-urlencoded"),
        (b"x" * (1 << 20) + b"x", "application/x-www-form-urlencoded"),
    ],
)
def test_body_that_is_no_form_is_400(observatory: Any, body: bytes, content_type: str) -> None:
    headers = {"Content-Type": content_type}
    assert observatory.ask("PUT", f"{FOCUSER}/move", body=body, headers=headers)[0] == 400


@pytest.mark.parametrize(
    ("method", "member", "allowed"), [("GET", "move", "PUT"), ("PUT", "position", "GET"), ("POST", "move", "PUT")]
)
def test_wrong_http_method_is_405(observatory: Any, method: str, member: str, allowed: str) -> None:
    status, content_type, body = observatory.ask(method, f"{FOCUSER}/{member}")
    assert (status, content_type) == (405, "text/plain")
    assert allowed in body.decode()


@pytest.mark.parametrize("path", ["/", "/API/v1/focuser/0/position", "/api/v2/focuser/0/position", "/api/v1/focuser/0"])
def test_path_outside_the_api_is_404(observatory: Any, path: str) -> None:
    assert observatory.ask("GET", path)[0] == 404


def test_failing_handler_is_500_without_its_secrets(observatory: Any, capfd: pytest.CaptureFixture[str]) -> None:
    status, content_type, body = observatory.ask("GET", f"{FOCUSER}/maxstep")
    assert (status, content_type) == (500, "text/plain")
    assert b"secret" not in body
    assert b"maxstep" in body
    assert "request_failed" in capfd.readouterr().out


def test_member_without_handler_is_not_implemented_by_name(observatory: Any) -> None:
    reply = observatory.json("GET", f"{FOCUSER}/temperature")
    assert reply["ErrorNumber"] == ErrorNumber.NOT_IMPLEMENTED
    assert "temperature" in reply["ErrorMessage"]
    for member in ("commandblind", "commandbool", "commandstring"):
        reply = observatory.json("PUT", f"{FOCUSER}/{member}", Command="x", Raw="true")
        assert reply["ErrorNumber"] == ErrorNumber.NOT_IMPLEMENTED


ALPYCA = {
    ErrorNumber.NOT_IMPLEMENTED: exceptions.NotImplementedException,
    ErrorNumber.INVALID_VALUE: exceptions.InvalidValueException,
    ErrorNumber.VALUE_NOT_SET: exceptions.ValueNotSetException,
    ErrorNumber.NOT_CONNECTED: exceptions.NotConnectedException,
    ErrorNumber.PARKED: exceptions.ParkedException,
    ErrorNumber.SLAVED: exceptions.SlavedException,
    ErrorNumber.INVALID_OPERATION: exceptions.InvalidOperationException,
    ErrorNumber.ACTION_NOT_IMPLEMENTED: exceptions.ActionNotImplementedException,
    ErrorNumber.OPERATION_CANCELLED: exceptions.OperationCancelledException,
    ErrorNumber.UNSPECIFIED: exceptions.DriverException,
    ErrorNumber.DRIVER_BASE: exceptions.DriverException,
    ErrorNumber.DRIVER_MAX: exceptions.DriverException,
}


@pytest.mark.parametrize("number", ErrorNumber)
def test_every_error_number_is_the_right_exception_in_alpyca(observatory: Any, number: ErrorNumber) -> None:
    observatory.focuser.error = AlpacaError(number, "Não se move")
    client = Focuser(observatory.running.address, 0, "http")
    with pytest.raises(ALPYCA[number], match="Não se move"):
        _ = client.Position
    client.rqs.close()


def test_common_members_through_alpyca(observatory: Any) -> None:
    client = Focuser(observatory.running.address, 0, "http")
    assert (client.Name, client.InterfaceVersion, client.DriverVersion) == ("Small <focuser>", 4, "1.0")
    assert client.SupportedActions == ["Echo"]
    assert client.Action("Echo", "hello") == "hello"
    assert client.Action("Echo") == ""
    with pytest.raises(exceptions.ActionNotImplementedException):
        client.Action("Dance")
    state = {entry["Name"]: entry["Value"] for entry in client.DeviceState}
    assert (state["Position"], state["IsMoving"]) == (100, False)
    assert state["TimeStamp"].endswith("Z")
    client.Connect()
    while client.Connecting:
        pass
    assert client.Connected
    client.rqs.close()


def test_unconnected_device_answers_who_it_is_and_nothing_else(observatory: Any) -> None:
    assert observatory.json("GET", f"{WHEEL}/name")["Value"] == "Shy wheel"
    assert observatory.json("GET", f"{WHEEL}/position")["ErrorNumber"] == ErrorNumber.NOT_CONNECTED
    assert observatory.json("GET", f"{WHEEL}/devicestate")["ErrorNumber"] == ErrorNumber.NOT_CONNECTED
    client = FilterWheel(observatory.running.address, 0, "http")
    client.Connected = True
    assert client.Position == 2
    client.Disconnect()
    while client.Connecting:
        pass
    with pytest.raises(exceptions.NotConnectedException):
        _ = client.Position
    client.rqs.close()


def test_failed_connect_is_reported_by_connecting(observatory: Any) -> None:
    observatory.wheel.refusal = AlpacaError(0x500, "No power")
    assert observatory.json("PUT", f"{WHEEL}/connect")["ErrorNumber"] == 0
    assert observatory.json("GET", f"{WHEEL}/connecting")["ErrorMessage"] == "No power"
    assert observatory.json("GET", f"{WHEEL}/connecting")["Value"] is False
    assert observatory.json("GET", f"{WHEEL}/connected")["Value"] is False
    assert observatory.json("PUT", f"{WHEEL}/connect")["ErrorNumber"] == 0
    observatory.wheel.refusal = None
    assert observatory.json("PUT", f"{WHEEL}/connect")["ErrorNumber"] == 0
    assert observatory.json("GET", f"{WHEEL}/connecting")["Value"] is False
    assert observatory.json("GET", f"{WHEEL}/connected")["Value"] is True


def test_management_api(observatory: Any) -> None:
    assert observatory.json("GET", "/management/apiversions", ClientTransactionID=2)["Value"] == [1]
    reply = observatory.json("GET", "/management/v1/description", ClientTransactionID=2)
    assert reply["ClientTransactionID"] == 2
    assert reply["Value"] == {
        "ServerName": "Small observatory",
        "Manufacturer": "Tests",
        "ManufacturerVersion": "1.0",
        "Location": "Loopback",
    }
    devices = observatory.json("GET", "/management/v1/configureddevices")["Value"]
    assert devices[0] == {
        "DeviceName": "Small <focuser>",
        "DeviceType": "Focuser",
        "DeviceNumber": 0,
        "UniqueID": "small-focuser",
    }
    assert [device["DeviceType"] for device in devices] == ["Focuser", "Camera", "FilterWheel"]


@pytest.mark.parametrize("path", ["/setup", "/setup/v1/focuser/0/setup"])
def test_setup_pages_are_html_with_names_escaped(observatory: Any, path: str) -> None:
    status, content_type, body = observatory.ask("GET", path)
    assert (status, content_type) == (200, "text/html")
    assert b"Small &lt;focuser&gt;" in body


def test_replies_are_json_objects_with_the_standard_fields(observatory: Any) -> None:
    _, _, body = observatory.ask("GET", f"{FOCUSER}/position")
    assert set(json.loads(body)) == {
        "Value",
        "ClientTransactionID",
        "ServerTransactionID",
        "ErrorNumber",
        "ErrorMessage",
    }
