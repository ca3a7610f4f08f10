"""The rules of ASCOM's protocol checker over every member of every device, of the simulator and through the gateway.

The rules are those of the Alpaca API reference and of the checker's reports: names and their case, missing and
senseless values, transaction numbers, and which fault is an HTTP status and which an error number.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlencode

import pytest

from alpaca_focus.alpaca.running import RunningServer
from alpaca_focus.alpaca.standard import INTERFACES, DeviceType, Member
from alpaca_focus.devices.clock import SystemClock
from alpaca_focus.gateway.service import Gateway, GatewaySettings, RealDevice
from alpaca_focus.simulator.observatory import Observatory
from alpaca_focus.simulator.settings import ObservatorySettings, SensorSettings
from tests.fakes import FakeCameraMarker
from tests.gateway_scene import FakeEngine

Ask = Callable[..., tuple[int, bytes]]
VALUES: dict[type, str] = {bool: "True", int: "1", float: "1.0", str: "abc"}
SENSELESS: dict[type, tuple[str, ...]] = {
    bool: ("", "abc", "1", "yes"),
    int: ("", "abc", "1.5", "99999999999"),
    float: ("", "abc", "1,5", "nan"),
    str: (),
}
CLIENT_NUMBERS = {"ClientID": "34", "ClientTransactionID": "56"}
SENSELESS_CLIENT_NUMBERS = ("", "-1", "abc", "1.5", "4294967296")


def members_of(kind: DeviceType, method: str) -> list[Member]:
    return [member for (verb, _), member in INTERFACES[kind].members.items() if verb == method]


@pytest.fixture(params=["simulator", "gateway"])
def ask(request: pytest.FixtureRequest) -> Iterator[Ask]:
    """Asks a device of the simulator, directly or through the gateway; returns HTTP status and body."""
    sensor = SensorSettings(width_px=64, height_px=48)
    with ExitStack() as stack:
        observatory = stack.enter_context(Observatory(ObservatorySettings(seed=1, sensor=sensor)).start())
        address = observatory.address
        if request.param == "gateway":
            devices = [RealDevice(device_type=kind, authority=address, device_number=0) for kind in DeviceType]
            settings = GatewaySettings(
                listen="",
                port=0,
                allowed=(ip_network("127.0.0.0/8"),),
                discovery=False,
                patience_s=45.0,
                idle_s=60.0,
                least_image_s=0.0,
                any_case=False,
                location="here",
                version="1",
            )
            app = Gateway(devices, FakeEngine(), SystemClock(), settings, FakeCameraMarker()).app
            address = stack.enter_context(RunningServer(app)).address

        def send(method: str, path: str, parameters: dict[str, str] | None = None) -> tuple[int, bytes]:
            text = urlencode(parameters or {})
            is_put = method == "PUT"
            headers = {"Content-Type": "application/x-www-form-urlencoded"} if is_put else {}
            with closing(HTTPConnection(address, timeout=30)) as connection:
                target = path if is_put or not text else f"{path}?{text}"
                connection.request(method, target, body=text.encode() if is_put else None, headers=headers)
                reply = connection.getresponse()
                return reply.status, reply.read()

        for kind in DeviceType:
            send("PUT", f"/api/v1/{kind}/0/connected", {"Connected": "True"})
        yield send


def path_of(kind: DeviceType, member: Member) -> str:
    return f"/api/v1/{kind}/0/{member.name}"


def good(member: Member) -> dict[str, str]:
    return {parameter.name: VALUES[parameter.type] for parameter in member.parameters}


def check_reply(body: bytes, *, transaction: int) -> dict[str, Any]:
    """Check the fields that every reply has, and return it."""
    fields: dict[str, Any] = json.loads(body)
    assert fields["ClientTransactionID"] == transaction
    assert fields["ServerTransactionID"] > 0
    number, message = fields["ErrorNumber"], fields["ErrorMessage"]
    assert number == 0 or 0x400 <= number <= 0xFFF
    assert bool(message) == bool(number)
    return fields


def other_cases(name: str) -> set[str]:
    return {name.lower(), name.upper(), name.swapcase()} - {name}


@pytest.mark.parametrize("kind", DeviceType)
def test_what_is_read(kind: DeviceType, ask: Ask) -> None:
    for member in members_of(kind, "GET"):
        check_get(kind, member, ask)


def check_get(kind: DeviceType, member: Member, ask: Ask) -> None:
    path, values = path_of(kind, member), good(member)
    status, body = ask("GET", path, values | CLIENT_NUMBERS)
    assert status == 200
    fields = check_reply(body, transaction=56)
    assert ("Value" in fields) == (fields["ErrorNumber"] == 0)
    lower = {name.lower(): value for name, value in (values | CLIENT_NUMBERS).items()}
    status, body = ask("GET", path, lower)
    assert status == 200
    check_reply(body, transaction=56)
    assert ask("GET", path, values)[0] == 200
    for name in CLIENT_NUMBERS:
        for senseless in SENSELESS_CLIENT_NUMBERS:
            assert ask("GET", path, values | CLIENT_NUMBERS | {name: senseless})[0] == 400, (name, senseless)
    for parameter in member.parameters:
        assert ask("GET", path, {k: v for k, v in values.items() if k != parameter.name})[0] == 400
        for senseless in SENSELESS[parameter.type]:
            assert ask("GET", path, values | {parameter.name: senseless})[0] == 400


@pytest.mark.parametrize("kind", DeviceType)
def test_what_is_written_or_called(kind: DeviceType, ask: Ask) -> None:
    for member in members_of(kind, "PUT"):
        check_put(kind, member, ask)


def check_put(kind: DeviceType, member: Member, ask: Ask) -> None:
    path, values = path_of(kind, member), good(member)
    for parameter in member.parameters:
        rest = {name: value for name, value in values.items() if name != parameter.name}
        if parameter.default is None:
            assert ask("PUT", path, rest | CLIENT_NUMBERS)[0] == 400
        for name in other_cases(parameter.name):
            status, body = ask("PUT", path, rest | {name: values[parameter.name]} | CLIENT_NUMBERS)
            assert status == 400, name
            assert f"'{parameter.name}'" in body.decode()
        for senseless in SENSELESS[parameter.type]:
            assert ask("PUT", path, values | {parameter.name: senseless} | CLIENT_NUMBERS)[0] == 400, senseless
    for name in CLIENT_NUMBERS:
        for senseless in SENSELESS_CLIENT_NUMBERS:
            assert ask("PUT", path, values | CLIENT_NUMBERS | {name: senseless})[0] == 400, (name, senseless)
    numbers = {name.lower(): value for name, value in CLIENT_NUMBERS.items()}
    status, body = ask("PUT", path, values | numbers)
    assert status == 200
    check_reply(body, transaction=0)
    status, body = ask("PUT", path, values | CLIENT_NUMBERS)
    assert status == 200
    fields = check_reply(body, transaction=56)
    assert member.returns_value or "Value" not in fields
    # So that the next member meets a connected device that is not parked.
    ask("PUT", f"/api/v1/{kind}/0/connected", {"Connected": "True"})
    if kind is DeviceType.TELESCOPE:
        ask("PUT", f"/api/v1/{kind}/0/unpark")


@pytest.mark.parametrize("kind", DeviceType)
def test_what_is_no_member_of_a_device(kind: DeviceType, ask: Ask) -> None:
    for path in (
        f"/api/v1/{kind}/0/nosuchmember",
        f"/api/v1/{kind}/0/Connected",
        f"/api/v1/{str(kind).upper()}/0/connected",
        f"/api/v1/{kind}/99/connected",
        f"/api/v1/{kind}/-1/connected",
        f"/api/v1/{kind}/A/connected",
        "/api/v1/nosuchdevice/0/connected",
    ):
        status, body = ask("GET", path)
        assert status == 400, path
        assert body, "a sentence says what is wrong"
    for path in (f"/API/v1/{kind}/0/connected", f"/apx/v1/{kind}/0/connected", f"/api/v2/{kind}/0/connected"):
        assert ask("GET", path)[0] in {400, 404}, path
    for method in ("POST", "DELETE"):
        assert ask(method, f"/api/v1/{kind}/0/connected")[0] in {400, 403, 404, 405}


@pytest.mark.parametrize("path", ["apiversions", "v1/description", "v1/configureddevices"])
def test_management(path: str, ask: Ask) -> None:
    for names in (CLIENT_NUMBERS, {name.lower(): value for name, value in CLIENT_NUMBERS.items()}):
        status, body = ask("GET", f"/management/{path}", names)
        fields = json.loads(body)
        assert (status, fields["ClientTransactionID"]) == (200, 56)
        assert fields["ServerTransactionID"] > 0
        assert fields["Value"]


def test_each_parameter_of_a_property_is_named_after_it() -> None:
    """The table of members against the names of a client written by others."""
    import alpaca.camera  # noqa: PLC0415 - only for this test
    import alpaca.focuser  # noqa: PLC0415
    import alpaca.telescope  # noqa: PLC0415

    for kind, client in (
        (DeviceType.CAMERA, alpaca.camera.Camera),
        (DeviceType.FOCUSER, alpaca.focuser.Focuser),
        (DeviceType.TELESCOPE, alpaca.telescope.Telescope),
    ):
        for name in dir(client):
            prop = getattr(client, name)
            if isinstance(prop, property) and prop.fset is not None:
                (parameter,) = INTERFACES[kind].members["PUT", name.lower()].parameters
                assert parameter.name == name
