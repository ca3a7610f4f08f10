"""Calls to a device: deadlines, isolation, repeats, reconnecting, and the errors when it cannot be connected."""

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from typing import TypeVar

import pytest
from alpaca.device import Device

from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from alpaca_focus.alpaca.replies import TEXT_PLAIN, ApiRequest, Reply
from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.core.errors import (
    ConfigurationError,
    DeviceError,
    DeviceMisbehaved,
    DeviceRefused,
    DeviceTimeout,
    DeviceUnreachable,
    NotConnected,
)
from alpaca_focus.core.values import ExposureSettings
from alpaca_focus.devices.address import DeviceAddress
from alpaca_focus.devices.camera import AlpacaCamera
from alpaca_focus.devices.channel import Lane
from alpaca_focus.devices.clock import ScaledClock
from alpaca_focus.devices.connection import Connection
from alpaca_focus.devices.focuser import AlpacaFocuser
from alpaca_focus.devices.translate import as_bool, as_int
from tests.ports import free_port
from tests.served_devices import HANG, TIME_FACTOR, Faults, ServedCamera, ServedFocuser, serve, until

T = TypeVar("T")

HERE = "127.0.0.1"
BROKEN = Reply(body=b'{"Value": 1}', cut_after=5)


def connection_to(port: int, number: int = 0, unique_id: str | None = None, timeout_s: float = 5.0) -> Connection:
    address = DeviceAddress(HERE, port, number, unique_id)
    return Connection(DeviceType.FOCUSER, address, ScaledClock(TIME_FACTOR), timeout_s=timeout_s)


async def with_connection(connection: Connection, work: Callable[[Connection], Awaitable[T]]) -> T:
    try:
        await connection.open()
        return await work(connection)
    finally:
        await connection.close()


def open_and(work: Callable[[Connection], Awaitable[T]], faults: Faults, served: ServedFocuser | None = None) -> T:
    with serve([served or ServedFocuser()], faults) as server:
        return asyncio.run(with_connection(connection_to(server.port), work))


async def nothing(_: Connection) -> None:
    """Connecting is all."""


@contextlib.contextmanager
def talking(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that reads a request and answers with whatever `answer` does, one connection after the other."""
    listener = socket.create_server((HERE, 0))
    stop = threading.Event()

    def run() -> None:
        listener.settimeout(0.05)
        while not stop.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            with connection, contextlib.suppress(OSError):
                connection.settimeout(5.0)
                connection.recv(65536)
                answer(connection)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        stop.set()
        thread.join()
        listener.close()


def dribble(text: bytes) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        for i in range(len(text)):
            connection.sendall(text[i : i + 1])
            time.sleep(0.05)

    return answer


# Deadlines and isolation.


def test_a_hung_download_does_not_delay_the_halt_of_a_cancelled_move() -> None:
    focuser_device = ServedFocuser(speed_steps_s=100.0)
    faults = Faults(instead={"imagearray": HANG})

    async def main(port: int) -> None:
        clock = ScaledClock(TIME_FACTOR)
        address = DeviceAddress(HERE, port, 0)
        camera, focuser = AlpacaCamera(address, clock), AlpacaFocuser(address, clock)
        try:
            await camera.connect()
            await focuser.connect()
            await camera.expose(ExposureSettings(exposure_s=0.1))
            download = asyncio.create_task(camera.download())
            move = asyncio.create_task(focuser.move_to(9000))
            await until(lambda: focuser_device.get_position() > 5000 and faults.count("GET", "imagearray"))
            move.cancel()
            with pytest.raises(asyncio.CancelledError):
                await move
            await camera.abort()
            assert not download.done()
            download.cancel()
            await asyncio.wait([download])
        finally:
            await camera.close()
            await focuser.close()

    with serve([ServedCamera(), focuser_device], faults) as server:
        asyncio.run(main(server.port))
    assert focuser_device.halts == 1
    assert not focuser_device.get_ismoving()


def test_the_lock_of_alpycas_class_is_not_used() -> None:
    async def read(connection: Connection) -> int:
        with Device._ctid_lock:
            return await connection.get("Position", as_int)

    assert open_and(read, Faults()) == 5000


def test_devices_have_transaction_numbers_of_their_own() -> None:
    faults = Faults()
    open_and(nothing, faults)
    numbers = [request.client_transaction_id for request in faults.seen]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len({request.client_id for request in faults.seen}) == 1
    assert faults.seen[0].client_id > 0


@pytest.mark.parametrize(
    "text",
    [
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Slow: " + 200 * b"z",
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + 200 * b" ",
    ],
)
def test_a_server_that_sends_a_byte_now_and_then_meets_the_deadline(text: bytes) -> None:
    async def main(port: int) -> None:
        connection = connection_to(port, timeout_s=0.3)
        try:
            with pytest.raises(DeviceTimeout, match=r"did not answer Connected within 0.3 s"):
                await connection.open()
        finally:
            await connection.close()

    with talking(dribble(text)) as port:
        asyncio.run(main(port))


def test_closing_does_not_wait_for_a_hanging_call() -> None:
    faults = Faults()

    async def hang(connection: Connection) -> None:
        faults.instead["position"] = HANG
        calls = [asyncio.create_task(connection.get("Position", as_int)) for _ in range(3)]
        await until(lambda: faults.seen[-1].member == "position")
        await connection.close()
        await connection.close()
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(result, DeviceUnreachable) for result in results)
        with pytest.raises(DeviceUnreachable, match="its connection has been closed"):
            await connection.get("Position", as_int)

    with serve([ServedFocuser()], faults) as server:
        asyncio.run(with_connection(connection_to(server.port, timeout_s=600.0), hang))


def test_a_closed_connection_can_be_opened_again() -> None:
    async def reopen(connection: Connection) -> int:
        await connection.close()
        await connection.open()
        return await connection.get("Position", as_int)

    assert open_and(reopen, Faults()) == 5000


def test_calls_that_hang_in_the_system_are_given_up_and_bounded() -> None:
    release = threading.Event()

    async def hang(connection: Connection) -> None:
        for _ in range(4):
            with pytest.raises(DeviceTimeout, match="did not answer name resolution within"):
                await connection.call(
                    "name resolution", lambda _: release.wait(20.0), repeatable=False, lane=Lane.URGENT, timeout_s=0.05
                )
        with pytest.raises(DeviceTimeout, match="4 earlier calls still hang in the operating system"):
            await connection.get("Position", as_int, lane=Lane.URGENT)
        assert await connection.get("Position", as_int) == 5000
        release.set()

    open_and(hang, Faults())


def test_ipv6_is_spoken() -> None:
    async def main(port: int) -> str:
        address = DeviceAddress("::1", port, 0)
        connection = Connection(DeviceType.FOCUSER, address, ScaledClock(TIME_FACTOR))
        await with_connection(connection, nothing)
        return connection.name

    try:
        server = serve([ServedFocuser()], Faults(), host="::1")
    except OSError as error:
        pytest.skip(f"this machine has no IPv6 loopback: {error}")
    with server:
        assert asyncio.run(main(server.port)) == f"focuser 0 at [::1]:{server.port} (Test focuser)"


# Repeats.


def test_a_read_is_repeated_when_the_connection_breaks() -> None:
    faults = Faults()

    async def read(connection: Connection) -> int:
        faults.before["position"] = [BROKEN, BROKEN]
        return await connection.get("Position", as_int)

    assert open_and(read, faults) == 5000
    assert faults.count("GET", "position") == 3


def test_two_reads_without_an_answer_are_repeated() -> None:
    faults = Faults()

    async def read(connection: Connection) -> int:
        faults.instead["position"] = HANG
        reading = asyncio.create_task(connection.get("Position", as_int))
        await until(lambda: faults.count("GET", "position") == 2)
        del faults.instead["position"]
        return await reading

    with serve([ServedFocuser()], faults) as server:
        assert asyncio.run(with_connection(connection_to(server.port, timeout_s=0.3), read)) == 5000


def test_a_write_is_repeated_when_the_connection_breaks() -> None:
    faults = Faults()

    async def write(connection: Connection) -> bool:
        faults.before["tempcomp"] = [BROKEN]
        await connection.set("TempComp", True)
        return await connection.get("TempComp", as_bool)

    assert open_and(write, faults, ServedFocuser(temp_comp=False))
    assert faults.count("PUT", "tempcomp") == 2


def test_a_method_is_not_repeated() -> None:
    faults = Faults()

    async def call(connection: Connection) -> None:
        faults.before["move"] = [BROKEN]
        with pytest.raises(DeviceUnreachable):
            await connection.do("Move", 6000)

    open_and(call, faults)
    assert faults.count("PUT", "move") == 1


def test_repeats_come_to_an_end() -> None:
    faults = Faults()

    async def read(connection: Connection) -> None:
        faults.instead["position"] = BROKEN
        with pytest.raises(DeviceUnreachable, match="the connection was closed in the middle of the reply"):
            await connection.get("Position", as_int)

    open_and(read, faults)
    assert faults.count("GET", "position") == 3


def test_a_refusal_is_not_repeated() -> None:
    faults = Faults()

    async def read(connection: Connection) -> None:
        with pytest.raises(DeviceRefused):
            await connection.get("StepSize", as_int)

    open_and(read, faults)
    assert faults.count("GET", "stepsize") == 1


# Servers with habits.


def test_replies_without_an_error_number_are_understood() -> None:
    def strip(_: ApiRequest, reply: Reply) -> Reply:
        assert isinstance(reply.body, bytes)
        fields = json.loads(reply.body)
        return replace(reply, body=json.dumps({"Value": fields["Value"]} if "Value" in fields else {}).encode())

    async def use(connection: Connection) -> int:
        await connection.do("Move", 6000)
        return await connection.get("MaxStep", as_int)

    assert open_and(use, Faults(change=strip)) == 10000


def test_a_server_that_looks_for_parameters_in_the_query_finds_them_there() -> None:
    served = ServedFocuser()
    faults = Faults()
    plain = faults.__call__

    async def only_query(request: ApiRequest, handler: Callable[[ApiRequest], Awaitable[Reply]]) -> Reply:
        if request.method == "PUT":
            request = replace(request, parameters=request.query)
        return await plain(request, handler)

    async def use(connection: Connection) -> None:
        await connection.do("Move", 6000)
        await connection.do("Move", 7000)

    with serve([served], only_query) as server:
        asyncio.run(with_connection(connection_to(server.port), use))
    assert served.moves == [6000, 7000]
    assert faults.count("PUT", "move") == 3


@pytest.mark.parametrize("status", [400, 404, 422, 500])
def test_a_bad_http_status_is_a_refusal_with_the_words_of_the_server(status: int) -> None:
    faults = Faults()

    async def read(connection: Connection) -> None:
        faults.instead["position"] = Reply(status=status, content_type=TEXT_PLAIN, body=b"the drawtube is locked")
        with pytest.raises(DeviceRefused, match=rf'"the drawtube is locked" \(HTTP status {status}\)') as caught:
            await connection.get("Position", as_int)
        assert caught.value.number == status

    open_and(read, faults)


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"Value": "far out", "ErrorNumber": 0}', b'{"Value": null}'])
def test_nonsense_is_a_misbehaviour(body: bytes) -> None:
    faults = Faults()

    async def read(connection: Connection) -> None:
        faults.instead["position"] = Reply(body=body)
        with pytest.raises(DeviceMisbehaved, match=r"The answer of focuser 0 .* to Position makes no sense"):
            await connection.get("Position", as_int)

    open_and(read, faults)


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 200 OK\r\n\r\n<html>printer</html>"])
def test_a_server_that_is_not_alpaca_is_a_configuration_error(answer: bytes) -> None:
    with talking(lambda connection: connection.sendall(answer)) as port, pytest.raises(ConfigurationError) as caught:
        asyncio.run(with_connection(connection_to(port), nothing))
    assert f"What answers at {HERE}:{port} is not an Alpaca server." in str(caught.value)
    assert "Check host and port of the focuser." in str(caught.value)


# Connecting.


def test_without_a_server_the_error_names_what_to_check() -> None:
    port = free_port()
    with pytest.raises(DeviceUnreachable) as caught:
        asyncio.run(with_connection(connection_to(port), nothing))
    assert f"Nothing answers at {HERE}:{port}: connection refused." in str(caught.value)
    assert "Is the server running, and are host and port right?" in str(caught.value)


def test_a_host_without_an_address_is_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(DeviceUnreachable, match="name or service not known"):
        asyncio.run(with_connection(connection_to(11111), nothing))


@pytest.mark.parametrize("version", [3, 4])
def test_hardware_that_is_not_connected_is_connected(version: int) -> None:
    served = ServedFocuser(version=version)
    served.requires_connection = True
    faults = Faults()
    assert open_and(lambda connection: connection.get("Position", as_int), faults, served) == 5000
    assert faults.count("PUT", "connect") == (1 if version == 4 else 0)


def test_hardware_that_takes_its_time_is_waited_for() -> None:
    class Slow(ServedFocuser):
        async def connect_hardware(self) -> None:
            await asyncio.sleep(0.3)

    served = Slow()
    open_and(nothing, Faults(), served)
    assert served.connected


def test_a_device_that_does_not_know_connect_is_connected_the_old_way() -> None:
    served = ServedFocuser()
    open_and(nothing, Faults(instead={"connect": Reply(status=404, body=b"no such method")}), served)
    assert served.connected


@pytest.mark.parametrize("version", [3, 4])
def test_hardware_that_refuses_is_a_configuration_error_with_its_words(version: int) -> None:
    served = ServedFocuser(version=version, hardware_error="USB device not found")
    with pytest.raises(ConfigurationError) as caught:
        open_and(nothing, Faults(), served)
    assert "does not connect to its hardware" in str(caught.value)
    assert '"USB device not found"' in str(caught.value)
    assert "Check its power and cable" in str(caught.value)


def test_hardware_that_accepts_and_stays_unconnected_is_a_configuration_error() -> None:
    not_connected = Reply(body=b'{"Value": false, "ErrorNumber": 0}')
    faults = Faults(instead={"connected": not_connected, "connect": Reply(body=b"{}")})
    with pytest.raises(ConfigurationError, match="Connected has not become True within 5 s"):
        open_and(nothing, faults)


UNKNOWN = {
    "HTTP 200 with an error": Reply(body=b'{"Value": 0, "ErrorNumber": 1024, "ErrorMessage": "no such device"}'),
    "HTTP 400": Reply(status=400, content_type=TEXT_PLAIN, body=b"no such device"),
    "HTTP 404": Reply(status=404, content_type="text/html", body=b"<h1>Not found</h1>"),
}


@pytest.mark.parametrize("reply", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_a_device_that_is_not_there_is_answered_with_what_is_there(reply: Reply) -> None:
    faults = Faults(instead={"connected": reply})
    with serve([ServedFocuser(), ServedCamera()], faults) as server, pytest.raises(ConfigurationError) as caught:
        asyncio.run(with_connection(connection_to(server.port, 3), nothing))
    assert str(caught.value) == (
        f'There is no focuser 3 at {HERE}:{server.port}; the server has: focuser 0 "Test focuser", camera 0'
        ' "Test camera". Correct the device\'s number, or add the device to the server.'
    )


def test_a_device_that_is_not_there_on_a_server_without_a_list() -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.0 404 Not Found\r\nContent-Length: 9\r\n\r\nNot found")

    with talking(answer) as port, pytest.raises(ConfigurationError) as caught:
        asyncio.run(with_connection(connection_to(port), nothing))
    assert '"Not found" (HTTP status 404)' in str(caught.value)
    assert "The server gives no list of its devices" in str(caught.value)


@pytest.mark.parametrize("wanted", ["FOCUSER-ONE", "test focuser"])
def test_a_device_is_found_by_its_unique_id_or_name_whatever_its_number(wanted: str) -> None:
    served = ServedFocuser()
    with serve({(DeviceType.FOCUSER, 7): served}, Faults()) as server:
        connection = connection_to(server.port, 0, wanted)
        position = asyncio.run(with_connection(connection, lambda c: c.get("Position", as_int)))
    assert position == 5000
    assert connection.name == f"focuser 7 at {HERE}:{server.port} (Test focuser)"


def test_an_unknown_unique_id_is_answered_with_what_is_there() -> None:
    with serve([ServedFocuser()], Faults()) as server, pytest.raises(ConfigurationError) as caught:
        asyncio.run(with_connection(connection_to(server.port, 0, "no-such-id"), nothing))
    assert str(caught.value) == (
        f'There is no focuser with the unique id or name "no-such-id" at {HERE}:{server.port}; the server has:'
        ' focuser 0 "Test focuser". Correct the setting, or add the device to the server.'
    )


def test_a_unique_id_on_a_server_without_a_list_is_explained() -> None:
    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.0 404 Not Found\r\nContent-Length: 9\r\n\r\nNot found")

    with talking(answer) as port, pytest.raises(ConfigurationError, match="Set the device's number instead"):
        asyncio.run(with_connection(connection_to(port, 0, "some-id"), nothing))


# Coming back.


def test_a_device_that_has_lost_its_hardware_is_connected_again() -> None:
    served = ServedFocuser()
    served.requires_connection = True

    async def lose(connection: Connection) -> int:
        served.connected = False
        return await connection.get("Position", as_int)

    assert open_and(lose, Faults(), served) == 5000
    assert served.connected


def test_a_device_that_stays_unconnected_is_read_once_more_only() -> None:
    faults = Faults()
    gone = Reply(body=b'{"ErrorNumber": 1031, "ErrorMessage": "unplugged"}')

    async def lose(connection: Connection) -> None:
        faults.instead["position"] = gone
        with pytest.raises(NotConnected, match="unplugged"):
            await connection.get("Position", as_int)

    open_and(lose, faults)
    assert faults.count("GET", "position") == 2


def test_a_server_that_was_restarted_is_used_again() -> None:
    async def main() -> None:
        served = ServedFocuser()
        served.requires_connection = True
        first = serve([served], Faults(), port=free_port())
        connection = connection_to(first.port)
        try:
            await connection.open()
            first.stop()
            with pytest.raises(DeviceUnreachable, match="connection refused"):
                await connection.get("Position", as_int)
            with pytest.raises(DeviceUnreachable, match="connection refused"):
                await connection.get("Position", as_int)
            served.connected = False
            second = serve([served], Faults(), port=first.port)
            try:
                assert await connection.get("Position", as_int) == 5000
                assert served.connected
            finally:
                second.stop()
        finally:
            first.stop()
            await connection.close()

    asyncio.run(main())


def test_a_device_that_got_another_number_is_found_again() -> None:
    async def main() -> None:
        first = serve({(DeviceType.FOCUSER, 0): ServedFocuser()}, Faults(), port=free_port())
        connection = connection_to(first.port, 0, "focuser-one")
        try:
            await connection.open()
            first.stop()
            with pytest.raises(DeviceUnreachable):
                await connection.get("Position", as_int)
            with (
                serve([ServedCamera()], Faults(), port=first.port),
                pytest.raises(DeviceUnreachable, match="There is no focuser with the unique id"),
            ):
                await connection.get("Position", as_int)
            with serve({(DeviceType.FOCUSER, 2): ServedFocuser()}, Faults(), port=first.port):
                assert await connection.get("Position", as_int) == 5000
                assert connection.name.startswith("focuser 2 at")
        finally:
            first.stop()
            await connection.close()

    asyncio.run(main())


def test_a_device_can_be_used_before_it_was_reached_once() -> None:
    async def main() -> None:
        port = free_port()
        connection = connection_to(port)
        try:
            with pytest.raises(DeviceUnreachable):
                await connection.open()
            with serve([ServedFocuser()], Faults(), port=port):
                assert await connection.get("Position", as_int) == 5000
        finally:
            await connection.close()

    asyncio.run(main())


def test_a_driver_error_keeps_its_number() -> None:
    served = ServedFocuser()

    def jammed() -> int:
        raise AlpacaError(ErrorNumber.DRIVER_BASE + 7, "motor jammed")

    served.get_position = jammed

    async def read(connection: Connection) -> None:
        with pytest.raises(DeviceRefused, match=r"motor jammed.*0x507") as caught:
            await connection.get("Position", as_int)
        assert caught.value.number == 0x507
        assert isinstance(caught.value, DeviceError)

    open_and(read, Faults(), served)
