"""What a client sees through the gateway is what it would see directly: errors, faults, odd servers, lost ones."""

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from ipaddress import ip_network
from typing import Any

import pytest
import requests
from alpaca.focuser import Focuser

from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from alpaca_focus.alpaca.imagebytes import Header
from alpaca_focus.alpaca.replies import IMAGE_BYTES, ApiRequest, Reply, error_reply, value_reply
from alpaca_focus.alpaca.running import RunningServer
from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.gateway.gateway_server import PassThrough
from alpaca_focus.gateway.upstream import Upstream
from alpaca_focus.simulator.faults import FaultRequest
from alpaca_focus.simulator.observatory import Observatory
from tests.blocking import list_devices
from tests.integration.alpaca.test_http_rules import ALPYCA
from tests.integration.gateway.conftest import LOOPBACK, ask, upstreams_to
from tests.served_devices import HANG, Faults, ServedFocuser, ServedMount, ServedWheel, serve

FOCUSER = "/api/v1/focuser/0"


class Behind:
    """A focuser, a wheel and a mount behind a gateway, with what stands before them."""

    def __init__(self, gateway_to: Callable[..., RunningServer]) -> None:
        self.faults = Faults()
        self.focuser = ServedFocuser()
        self.running = serve([self.focuser, ServedWheel(), ServedMount()], self.faults)
        self.gateway = gateway_to(self.running.address)


@pytest.fixture
def behind(gateway_to: Callable[..., RunningServer]) -> Any:
    behind = Behind(gateway_to)
    yield behind
    behind.running.stop()


def test_parameters_arrive_as_they_were_sent(behind: Behind) -> None:
    query = "CLIENTid=5&clientTransactionID=4294967295&Odd=a%20b+c&Odd=%C3%BC&empty=&bare"
    reply = json.loads(ask(behind.gateway.address, "GET", f"{FOCUSER}/position?{query}", Accept="text/odd, */*")[2])
    assert reply["ClientTransactionID"] == 4294967295
    form = b"Position=5100&ClientTransactionID=9&Odd=a%20b+c%2B&Odd=1"
    reply = json.loads(ask(behind.gateway.address, "PUT", f"{FOCUSER}/move?in=query", form)[2])
    assert reply["ClientTransactionID"] == 9
    polled, moved = behind.faults.seen
    assert polled.sent_query == query.encode()
    assert polled.accept == "text/odd, */*"
    assert (moved.sent_query, moved.sent_form) == (b"in=query", form)
    assert behind.focuser.moves == [5100]


@pytest.mark.parametrize("member", ["brandnew", "..", "a%20b", "%C3%BC", "%0D%0Ax:1", "%3Fx=1"])
def test_unknown_members_are_the_devices_business(behind: Behind, member: str) -> None:
    direct, passed = (ask(at.address, "GET", f"{FOCUSER}/{member}") for at in (behind.running, behind.gateway))
    assert passed == direct
    assert direct[0] == 400
    assert behind.faults.seen[0].member == behind.faults.seen[1].member


def test_an_error_of_an_image_becomes_json(behind: Behind) -> None:
    text = "Noch kein Bild für Sie"
    body = Header(error_number=ErrorNumber.INVALID_OPERATION).pack() + text.encode()
    behind.faults.instead["imagearray"] = Reply(content_type=IMAGE_BYTES, body=body)
    path = "/api/v1/camera/0/imagearray?ClientTransactionID=8"
    reply = json.loads(ask(behind.gateway.address, "GET", path, Accept=IMAGE_BYTES)[2])
    assert (reply["ErrorNumber"], reply["ErrorMessage"]) == (ErrorNumber.INVALID_OPERATION, text)
    assert reply["ClientTransactionID"] == 8


@pytest.mark.parametrize("number", [*ErrorNumber, 0x499, 1, 4096, -1])
def test_every_error_number_passes(behind: Behind, number: int) -> None:
    body = json.dumps({"ErrorNumber": int(number), "ErrorMessage": "Não se move", "ClientTransactionID": 1}).encode()
    behind.faults.instead["position"] = Reply(body=body)
    assert ask(behind.gateway.address, "GET", f"{FOCUSER}/position")[2] == body
    client = Focuser(behind.gateway.address, 0, "http")
    if number in set(ErrorNumber):
        with pytest.raises(ALPYCA[ErrorNumber(number)], match="Não se move"):
            _ = client.Position
    client.rqs.close()


@pytest.mark.parametrize(
    "reply",
    [
        Reply(status=500, content_type="text/html; charset=utf-16", body=b"\xff\xfe"),
        Reply(status=503, headers=(("retry-after", "5"), ("x-odd", "\xe9")), body=b""),
        Reply(status=204, content_type=""),
        Reply(status=404, content_type="", body=b"x" * 1000),
        Reply(body=b"{" + b" " * 1_000_000 + b"}"),
        Reply(body=b'{"Value": NaN}'),
        Reply(body=b"not the whole", declared_length=50),
        Reply(body=b"x" * 1_000_000, cut_after=700_001),
        Reply(body=b"x" * 100, cut_after=0),
        Reply(hang_up=True),
    ],
)
def test_odd_replies_look_the_same(behind: Behind, reply: Reply) -> None:
    behind.faults.instead["position"] = reply

    def look(address: str) -> Any:
        try:
            status, headers, body = ask(address, "GET", f"{FOCUSER}/position")
        except (HTTPException, OSError) as error:
            return type(error), str(error)
        headers.pop("connection", None)  # a long reply is the last one on its connection
        return status, headers, body

    direct, passed = look(behind.running.address), look(behind.gateway.address)
    assert passed == direct


def test_wrong_methods_are_answered_by_the_gateway(behind: Behind) -> None:
    for method in ("POST", "DELETE", "PATCH", "HEAD"):
        assert ask(behind.gateway.address, method, f"{FOCUSER}/position")[0] == 405
    assert behind.faults.seen == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", f"{FOCUSER}/position?ClientID=-1", None),
        ("GET", f"{FOCUSER}/position?ClientTransactionID=x", None),
        ("PUT", f"{FOCUSER}/move", b"Position=1&ClientID=abc"),
        ("PUT", f"{FOCUSER}/move", b"Position=\xff"),
        ("PUT", f"{FOCUSER}/move", b"x" * (1 << 20) + b"x"),
        ("GET", "/api/v1/focuser/one/position", None),
        ("GET", "/api/v1/focuser/1/position", None),
        ("GET", "/api/v1/dome/0/position", None),
        ("GET", "/api/v1/safetymonitor/0/issafe", None),
    ],
)
def test_malformed_requests_do_not_reach_the_device(behind: Behind, method: str, path: str, body: bytes | None) -> None:
    assert ask(behind.gateway.address, method, path, body)[0] == 400
    assert behind.faults.seen == []


def test_a_slow_device_is_waited_for_and_holds_up_nobody(behind: Behind) -> None:
    behind.faults.delay_s["position"] = 0.4
    found: list[bytes] = []
    waiting = threading.Thread(
        target=lambda: found.append(ask(behind.gateway.address, "GET", f"{FOCUSER}/position")[2])
    )
    waiting.start()
    while not behind.faults.seen:
        pass
    assert ask(behind.gateway.address, "GET", f"{FOCUSER}/maxstep")[0] == 200
    assert found == []
    waiting.join()
    assert json.loads(found[0])["Value"] == 5000


def test_when_the_client_hangs_up_the_device_sees_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        app = PassThrough(upstreams_to(address), allowed=[ip_network("127.0.0.1/32")], version="1", location="")
        with RunningServer(app) as gateway:
            for request in (
                b"GET /api/v1/camera/0/name HTTP/1.1\r\nHost: x\r\n\r\n",
                b"PUT /api/v1/camera/0/gain HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nGain=1",
            ):
                with socket.create_connection((gateway.host, gateway.port)) as client:
                    client.sendall(request)
                    device, _ = listener.accept()
                    with device:
                        device.settimeout(10)
                        assert device.recv(65536)
                        client.close()
                        assert device.recv(65536) == b""


def test_a_lost_server_is_the_same_kind_of_failure_and_works_again(
    gateway_to: Callable[..., RunningServer], capfd: pytest.CaptureFixture[str]
) -> None:
    server = serve([ServedFocuser()], Faults())
    gateway = gateway_to(server.address)
    client = Focuser(gateway.address, 0, "http")
    assert client.Position == 5000
    server.stop()
    for _ in range(3):
        with pytest.raises(requests.exceptions.ConnectionError):
            _ = client.Position
    with serve([ServedFocuser()], Faults(), port=server.port):
        assert client.Position == 5000
        assert client.Position == 5000
    client.rqs.close()
    gateway.stop()
    log = capfd.readouterr().out
    assert log.count("has lost the server") == 1
    assert log.count("is back") == 1
    assert log.index("has lost") < log.index("is back")


def test_faults_of_the_simulator_look_the_same(observatory: Observatory, gateway_to: Callable[..., Any]) -> None:
    gateway = gateway_to(observatory.address)
    for kind in ("garbage", "http-500", "power-off", "temperature-nan", "refuse-connect"):
        observatory.world.faults.add(FaultRequest(kind=kind, device=DeviceType.FOCUSER))
        for method, member in (("GET", "temperature"), ("PUT", "connect"), ("GET", "connecting")):
            direct, passed = (ask(at.address, method, f"{FOCUSER}/{member}") for at in (observatory, gateway))
            for answer in (direct, passed):
                if answer[2].startswith(b"{") and b"NaN" not in answer[2]:
                    assert json.loads(answer[2]).pop("ServerTransactionID")
            assert (passed[0], passed[1]["content-type"]) == (direct[0], direct[1]["content-type"])
            assert passed[2].split(b'"ServerTransactionID"')[0] == direct[2].split(b'"ServerTransactionID"')[0]
        observatory.world.faults.clear()


def test_a_device_that_does_not_answer_is_the_clients_timeout(
    observatory: Observatory, gateway_to: Callable[..., Any]
) -> None:
    gateway = gateway_to(observatory.address)
    number = observatory.world.faults.add(FaultRequest(kind="no-answer", device=DeviceType.FOCUSER))
    for at in (observatory, gateway):
        with pytest.raises(TimeoutError):
            ask(at.address, "GET", f"{FOCUSER}/name", timeout_s=0.2)
    observatory.world.faults.clear(number)
    assert ask(gateway.address, "GET", f"{FOCUSER}/name")[0] == 200


@pytest.mark.parametrize("quirks", [(), ("numbers-change",), ("no-management",), ("numbers-unique-across-types",)])
def test_a_device_is_found_by_its_unique_id(
    observatory_with: Callable[..., Observatory], gateway_to: Callable[..., Any], quirks: tuple[str, ...]
) -> None:
    first = observatory_with(quirks=quirks)
    listed = list_devices(first.address) or ()
    unique_id = next((device.unique_id for device in listed if device.device_type == "focuser"), "unknown")
    focuser = Upstream(DeviceType.FOCUSER, authority=first.address, device_number=0, unique_id=unique_id)
    gateway = gateway_to(upstreams=[focuser])
    assert ask(gateway.address, "GET", f"{FOCUSER}/name")[0] == 200
    port = first.running.port
    first.stop()
    with pytest.raises(ConnectionError):
        ask(gateway.address, "GET", f"{FOCUSER}/name")
    with pytest.raises(ConnectionError):
        ask(gateway.address, "GET", f"{FOCUSER}/name")
    again = Observatory(first.world.settings).start(port=port)
    with again:
        assert ask(gateway.address, "GET", f"{FOCUSER}/name")[0] == 200
        assert focuser.name.startswith("focuser ")


def test_a_device_that_is_not_listed_is_lost(behind: Behind, gateway_to: Callable[..., Any]) -> None:
    focuser = Upstream(DeviceType.FOCUSER, authority=behind.running.address, device_number=0, unique_id="somebody else")
    gateway = gateway_to(upstreams=[focuser])
    with pytest.raises(ConnectionError):
        ask(gateway.address, "GET", f"{FOCUSER}/position")
    assert behind.faults.seen == []


def test_the_gateways_devices_have_names_and_ids_of_their_own(
    observatory: Observatory, gateway_to: Callable[..., Any]
) -> None:
    real = list_devices(observatory.address) or ()
    gateway = gateway_to(observatory.address)
    listed = list_devices(gateway.address) or ()
    assert [device.device_type for device in listed] == ["camera", "focuser", "filterwheel", "telescope"]
    assert {device.number for device in listed} == {0}
    names = {device.device_type: device.name for device in real}
    assert [device.name for device in listed] == [
        f"{names[device.device_type]} through alpaca-focus" for device in listed
    ]
    assert not {device.unique_id for device in listed} & {device.unique_id for device in real}
    assert list_devices(gateway_to(observatory.address).address) == listed
    observatory.stop()
    assert list_devices(gateway.address) == listed
    unnamed = list_devices(gateway_to("127.0.0.1:9").address) or ()
    assert unnamed[0].name == "Camera through alpaca-focus"
    assert ask(gateway.address, "GET", "/setup")[0] == 200
    assert ask(gateway.address, "GET", "/setup/v1/camera/0/setup")[0] == 200


@pytest.mark.parametrize("path", ["/management/apiversions", "/setup", f"{FOCUSER}/position", "/nowhere"])
def test_strangers_are_turned_away(behind: Behind, gateway_to: Callable[..., Any], path: str) -> None:
    gateway = gateway_to(behind.running.address, allowed=[ip_network("192.168.1.0/24"), ip_network("::1/128")])
    status, headers, body = ask(gateway.address, "GET", path)
    assert (status, headers["content-type"]) == (403, "text/plain; charset=utf-8")
    assert b"127.0.0.1" in body
    assert behind.faults.seen == []


def test_a_client_of_ipv4_on_a_socket_of_ipv6_is_known(behind: Behind) -> None:
    app = PassThrough(
        upstreams_to(behind.running.address), allowed=[ip_network("127.0.0.1/32")], version="1", location=""
    )
    with RunningServer(app, host="::") as gateway:
        assert ask(f"127.0.0.1:{gateway.port}", "GET", f"{FOCUSER}/position")[0] == 200
        assert ask(f"[::1]:{gateway.port}", "GET", f"{FOCUSER}/position")[0] == 403


def test_a_door_answers_in_place_of_the_device(behind: Behind, gateway_to: Callable[..., Any]) -> None:
    upstreams = upstreams_to(behind.running.address)
    seen: list[Any] = []

    async def handler(request: ApiRequest) -> Reply:
        focuser = next(upstream for upstream in upstreams if upstream.device_type is DeviceType.FOCUSER)
        if request.member == "position":
            return await value_reply(request, 1 + await focuser.get("position"))
        if request.member == "halt":
            return error_reply(request, AlpacaError(ErrorNumber.INVALID_OPERATION, "a focus run is under way"))
        if request.member == "move":
            seen.append(await focuser.put("move", Position=5003))
            seen.append(await focuser.put("tempcomp", TempComp=True))
        return await focuser.forward(request)

    gateway = gateway_to(upstreams=upstreams, handlers={DeviceType.FOCUSER: handler})
    reply = json.loads(ask(gateway.address, "GET", f"{FOCUSER}/position?ClientTransactionID=3")[2])
    assert (reply["Value"], reply["ClientTransactionID"]) == (5001, 3)
    reply = json.loads(ask(gateway.address, "PUT", f"{FOCUSER}/halt")[2])
    assert (reply["ErrorNumber"], reply["ErrorMessage"]) == (ErrorNumber.INVALID_OPERATION, "a focus run is under way")
    assert json.loads(ask(gateway.address, "GET", f"{FOCUSER}/maxstep")[2])["Value"] == 10000
    behind.focuser.temp_comp = False
    ask(gateway.address, "PUT", f"{FOCUSER}/move", b"Position=1")
    assert seen == [None, None]
    assert behind.focuser.moves == [5003, 1]
    assert behind.focuser.temp_comp is True


def test_a_gateway_has_one_device_of_a_type_and_a_device_for_each_handler() -> None:
    async def handler(request: ApiRequest) -> Reply:
        return error_reply(request, AlpacaError(ErrorNumber.UNSPECIFIED, ""))

    with pytest.raises(ValueError, match="only one"):
        PassThrough(upstreams_to("h:1") + upstreams_to("h:2"), allowed=[], version="1", location="")
    with pytest.raises(ValueError, match="handler without a device: camera"):
        PassThrough([], allowed=[], version="1", location="", handlers={DeviceType.CAMERA: handler})


def test_a_connection_is_kept_for_the_next_call(behind: Behind) -> None:
    connection = HTTPConnection(behind.gateway.address, timeout=10)
    sockets = set()
    for _ in range(3):
        connection.request("GET", f"{FOCUSER}/position")
        sockets.add(connection.sock)
        connection.getresponse().read()
    assert len(sockets) == 1
    connection.close()


def test_the_gateway_stops_at_once_while_a_device_keeps_it_waiting(
    behind: Behind, capfd: pytest.CaptureFixture[str]
) -> None:
    behind.faults.instead["position"] = HANG
    app = PassThrough(upstreams_to(behind.running.address), allowed=LOOPBACK, version="1", location="")
    with RunningServer(app) as gateway, socket.create_connection((gateway.host, gateway.port)) as client:
        client.sendall(b"GET /api/v1/focuser/0/position HTTP/1.1\r\nHost: x\r\n\r\n")
        while not behind.faults.seen:
            pass
        gateway.stop()
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(65536) == b""
    written = capfd.readouterr()
    assert "Traceback" not in written.out + written.err
