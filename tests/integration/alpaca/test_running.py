"""Starting and stopping, and replies that break the rules on purpose."""

import asyncio
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from http.client import HTTPConnection, IncompleteRead, RemoteDisconnected
from typing import Any

import numpy as np
import pytest
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from alpaca_focus.alpaca.http import HttpError, HttpTimeout
from alpaca_focus.alpaca.replies import ApiRequest, Handler, ImageReply, Reply
from alpaca_focus.alpaca.running import RunningServer, ServerStartError, listen
from alpaca_focus.alpaca.served import ServedDevice
from alpaca_focus.alpaca.server import AlpacaServer
from alpaca_focus.alpaca.standard import DeviceType
from tests.blocking import fetch_image
from tests.ports import free_port

POSITION = "/api/v1/focuser/0/position"
Observe = Callable[..., Any]


class Focuser(ServedDevice):
    device_type = DeviceType.FOCUSER


def small_app(**options: Any) -> AlpacaServer:
    devices = options.pop("devices", [])
    return AlpacaServer(devices, server_name="s", manufacturer="m", manufacturer_version="1", location="l", **options)


def altering(change: Callable[[Reply], Reply]) -> Callable[[ApiRequest, Handler], Awaitable[Reply]]:
    async def intercept(request: ApiRequest, handler: Handler) -> Reply:
        return change(await handler(request))

    return intercept


async def never(_request: ApiRequest, _handler: Handler) -> Reply:
    await asyncio.Event().wait()
    raise AssertionError


def test_port_in_use_gives_one_clear_sentence() -> None:
    with (
        RunningServer(small_app()) as running,
        pytest.raises(ServerStartError, match="another program uses that port") as caught,
    ):
        RunningServer(small_app(), port=running.port)
    assert str(running.port) in str(caught.value)


@pytest.mark.parametrize("host", ["192.0.2.77", "no-such-host.invalid"])
def test_address_of_another_machine_gives_one_clear_sentence(host: str) -> None:
    with pytest.raises(ServerStartError, match=f"Cannot listen at {host}"):
        RunningServer(small_app(), host=host)


def test_a_port_can_be_used_again_at_once() -> None:
    port = free_port()
    with RunningServer(small_app(), port=port) as running:
        connection = HTTPConnection(running.host, running.port, timeout=10)
        connection.request("GET", "/management/apiversions")
        connection.getresponse().read()
    connection.close()
    with RunningServer(small_app(), port=port) as again:
        assert again.port == port


@pytest.mark.parametrize("host", ["::1", "::", "0.0.0.0", "localhost"])  # noqa: S104 - what users write
def test_other_hosts_can_be_reached_at_their_url(host: str) -> None:
    try:
        running = RunningServer(small_app(), host=host)
    except ServerStartError:
        pytest.skip(f"this machine cannot listen at {host}")
    with running:
        connection = HTTPConnection(running.host, running.port, timeout=10)
        connection.request("GET", "/management/apiversions")
        assert connection.getresponse().status == 200
        connection.close()
        assert running.base_url.endswith(f":{running.port}")


def test_stop_does_not_wait_for_hung_requests_and_idle_connections(observe: Observe) -> None:
    entered = threading.Event()

    async def hang(request: ApiRequest, handler: Handler) -> Reply:
        if request.member == "name":
            return await handler(request)
        entered.set()
        return await never(request, handler)

    observatory = observe(hang)
    running = observatory.running
    idle = HTTPConnection(running.host, running.port, timeout=10)
    idle.request("GET", "/api/v1/focuser/0/name")
    assert idle.getresponse().read()
    hung = HTTPConnection(running.host, running.port, timeout=10)
    hung.request("GET", POSITION)
    assert entered.wait(10)
    running.stop()
    with pytest.raises((RemoteDisconnected, ConnectionResetError)):
        hung.getresponse()
    idle.close()
    hung.close()
    running.stop()


def test_stop_does_not_wait_for_a_client_that_does_not_read(observe: Observe) -> None:
    observatory = observe()
    observatory.camera.image = ImageReply(pixels=np.zeros((4000, 4000), dtype=np.uint16))
    with socket.create_connection((observatory.running.host, observatory.running.port)) as client:
        client.sendall(b"GET /api/v1/camera/0/imagearray HTTP/1.1\r\nAccept: application/imagebytes\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200 OK")
        observatory.running.stop()


def test_stop_does_not_wait_for_a_device_that_is_connecting() -> None:
    class Slow(Focuser):
        async def connect_hardware(self) -> None:
            await asyncio.Event().wait()

    with RunningServer(small_app(devices=[Slow(name="slow", unique_id="slow")])) as running:
        connection = HTTPConnection(running.host, running.port, timeout=10)
        connection.request("PUT", "/api/v1/focuser/0/connect", body="")
        assert connection.getresponse().read()
        connection.request("GET", "/api/v1/focuser/0/connecting")
        assert b'"Value": true' in connection.getresponse().read()
        connection.close()


def test_other_devices_answer_while_one_hangs(observe: Observe) -> None:
    async def hang_focuser(request: ApiRequest, handler: Handler) -> Reply:
        return await (never(request, handler) if request.device_type == "focuser" else handler(request))

    observatory = observe(hang_focuser)
    hung = HTTPConnection(observatory.running.host, observatory.running.port, timeout=10)
    hung.request("GET", POSITION)
    assert observatory.json("GET", "/api/v1/camera/0/name")["Value"] == "Small camera"
    hung.close()


def test_interceptor_sees_the_request_as_sent(observe: Observe) -> None:
    seen: list[ApiRequest] = []

    async def look(request: ApiRequest, handler: Handler) -> Reply:
        seen.append(request)
        return await handler(request)

    observatory = observe(look)
    observatory.ask("PUT", "/api/v1/focuser/0/move?Position=1", body=b"Position=2&ClientTransactionID=3&ClientID=4")
    (request,) = seen
    assert (request.method, request.device_type, request.device_number, request.member) == ("PUT", "focuser", 0, "move")
    assert request.parameters == {"Position": "2", "ClientTransactionID": "3", "ClientID": "4"}
    assert request.query == {"Position": "1"}
    assert (request.client_id, request.client_transaction_id, request.server_transaction_id) == (4, 3, 1)
    assert observatory.focuser.position == 2


def test_interceptor_can_answer_itself_or_change_the_request(observe: Observe) -> None:
    async def swap(request: ApiRequest, handler: Handler) -> Reply:
        if request.member == "name":
            return Reply(status=503, content_type="text/plain", body=b"later", headers=(("Retry-After", "5"),))
        return await handler(replace(request, parameters={"Position": "77"}))

    observatory = observe(swap)
    assert observatory.ask("GET", "/api/v1/focuser/0/name") == (503, "text/plain", b"later")
    observatory.json("PUT", "/api/v1/focuser/0/move", Position=1)
    assert observatory.focuser.position == 77


def test_failing_interceptor_is_500(observe: Observe) -> None:
    async def fail(_request: ApiRequest, _handler: Handler) -> Reply:
        raise RuntimeError("a secret of the interceptor")

    status, _, body = observe(fail).ask("GET", POSITION)
    assert status == 500
    assert b"secret" not in body


def test_declared_length_can_lie(observe: Observe) -> None:
    observatory = observe(altering(lambda reply: replace(reply, declared_length=10)))
    status, _, body = observatory.ask("GET", POSITION)
    assert (status, len(body)) == (200, 10)
    observatory = observe(altering(lambda reply: replace(reply, declared_length=10_000)))
    with pytest.raises(IncompleteRead):
        observatory.ask("GET", POSITION)


def test_length_without_the_image_header_is_what_fetch_image_copes_with(observe: Observe) -> None:
    pixels = np.arange(3_000_000, dtype=np.uint16).reshape(1500, 2000)
    observatory = observe(altering(lambda reply: replace(reply, declared_length=pixels.nbytes)))
    observatory.camera.image = ImageReply(pixels=pixels)
    assert np.array_equal(fetch_image(observatory.running.address, 0, timeout_s=20), pixels)


@pytest.mark.parametrize("cut_after", [0, 20, 1_500_000])
def test_connection_can_be_cut_within_the_body(observe: Observe, cut_after: int) -> None:
    observatory = observe(altering(lambda reply: replace(reply, cut_after=cut_after)))
    observatory.camera.image = ImageReply(pixels=np.zeros((1000, 1000), dtype=np.uint16))
    with pytest.raises(HttpError):
        fetch_image(observatory.running.address, 0, timeout_s=20)


def test_body_can_stall(observe: Observe) -> None:
    observatory = observe(altering(lambda reply: replace(reply, stall_after=1000)))
    observatory.camera.image = ImageReply(pixels=np.zeros((1000, 1000), dtype=np.uint16))
    with pytest.raises(HttpTimeout):
        fetch_image(observatory.running.address, 0, timeout_s=20, stall_timeout_s=0.2)


def test_extra_routes_are_served() -> None:
    route = Route("/extra", lambda _request: PlainTextResponse("more"))
    with RunningServer(small_app(extra_routes=[route])) as running:
        connection = HTTPConnection(running.host, running.port, timeout=10)
        connection.request("GET", "/extra")
        assert connection.getresponse().read() == b"more"
        connection.close()


def test_devices_are_numbered_by_type_or_as_given() -> None:
    first, second = Focuser(name="a", unique_id="a"), Focuser(name="b", unique_id="b")
    assert dict(small_app(devices=[first, second]).devices) == {
        (DeviceType.FOCUSER, 0): first,
        (DeviceType.FOCUSER, 1): second,
    }
    assert dict(small_app(devices={(DeviceType.FOCUSER, 5): first}).devices) == {(DeviceType.FOCUSER, 5): first}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_foreground_server_ends_cleanly_on_a_signal(number: signal.Signals) -> None:
    program = textwrap.dedent("""
        from alpaca_focus.alpaca.running import serve_forever
        from alpaca_focus.alpaca.server import AlpacaServer
        app = AlpacaServer([], server_name="s", manufacturer="m", manufacturer_version="1", location="l")
        serve_forever(app, host="127.0.0.1", port=0, on_started=lambda port: print(port, flush=True))
    """)
    with subprocess.Popen(
        [sys.executable, "-X", "dev", "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/management/apiversions")
        assert connection.getresponse().status == 200
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
        connection.close()
    assert (process.returncode, errors) == (0, "")


def test_connections_do_not_wait_for_the_client_to_acknowledge_the_head_of_a_reply() -> None:
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
