"""Discovery on loopback: questions, answers, and answers that are none."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from alpaca_focus.alpaca.discovery import DiscoveredServer, discover
from alpaca_focus.alpaca.running import RunningServer, ServerStartError
from alpaca_focus.alpaca.server import AlpacaServer
from tests.blocking import list_devices
from tests.ports import free_port

QUESTION = b"alpacadiscovery1"


def app() -> AlpacaServer:
    return AlpacaServer([], server_name="s", manufacturer="m", manufacturer_version="1", location="l")


@pytest.fixture
def udp_port() -> int:
    return free_port(socket.SOCK_DGRAM)


def found(count: int, port: int, *addresses: str) -> tuple[DiscoveredServer, ...]:
    """Ask for so many servers, and with more patience where a busy computer was too slow."""
    servers: tuple[DiscoveredServer, ...] = ()
    for patience_s in (0.1, 1.0, 10.0):
        servers = discover(patience_s, port=port, addresses=addresses)
        if len(servers) >= count:
            break
    return servers


@pytest.fixture
def answer_with() -> Iterator[Callable[..., int]]:
    """A responder that sends these datagrams for every question; its port."""
    finish = threading.Event()
    threads: list[threading.Thread] = []

    def start(*answers: bytes) -> int:
        listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(0.05)

        def run() -> None:
            with listener:
                while not finish.is_set():
                    try:
                        _, address = listener.recvfrom(100)
                    except TimeoutError:
                        continue
                    for answer in answers:
                        listener.sendto(answer, address)

        threads.append(threading.Thread(target=run))
        threads[-1].start()
        return int(listener.getsockname()[1])

    yield start
    finish.set()
    for thread in threads:
        thread.join()


def start_or_skip(host: str, udp_port: int) -> RunningServer:
    try:
        return RunningServer(app(), host=host, discovery_port=udp_port)
    except ServerStartError:
        pytest.skip(f"this machine cannot listen at {host}")


@pytest.mark.parametrize(
    ("host", "target", "answered_from"),
    [
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "127.255.255.255", "127.0.0.1"),
        ("0.0.0.0", "127.255.255.255", "127.0.0.1"),  # noqa: S104 - what users write
        ("::1", "::1", "::1"),
        ("::", "::1", "::1"),
        ("::", "127.0.0.1", "127.0.0.1"),
    ],
)
def test_running_server_is_found(udp_port: int, host: str, target: str, answered_from: str) -> None:
    with start_or_skip(host, udp_port) as running:
        servers = found(1, udp_port, target)
        assert servers == (DiscoveredServer(answered_from, running.port),)
        assert list_devices(servers[0].base_url.removeprefix("http://")) == ()


@pytest.mark.parametrize(("host", "target"), [("127.0.0.1", "::1"), ("::1", "127.0.0.1")])
def test_server_does_not_answer_where_it_cannot_be_reached(udp_port: int, host: str, target: str) -> None:
    with start_or_skip(host, udp_port):
        assert discover(0.1, port=udp_port, addresses=[target]) == ()


def test_two_servers_on_one_machine_are_both_found(udp_port: int) -> None:
    with (
        RunningServer(app(), discovery_port=udp_port) as one,
        RunningServer(app(), discovery_port=udp_port) as two,
    ):
        servers = found(2, udp_port, "127.255.255.255")
    assert {server.port for server in servers} == {one.port, two.port}


def test_a_server_that_claims_its_addresses_alone_answers_there_whichever_came_first(udp_port: int) -> None:
    """Otherwise the kernel chooses between the servers that share the port, by the client's port."""
    with ExitStack() as stack:
        stack.enter_context(RunningServer(app(), discovery_port=udp_port))
        own = stack.enter_context(RunningServer(app(), discovery_port=udp_port, claims_addresses=True))
        stack.enter_context(RunningServer(app(), host="0.0.0.0", discovery_port=udp_port))  # noqa: S104
        for _ in range(16):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
                asking.settimeout(30)
                asking.sendto(QUESTION, ("127.0.0.1", udp_port))
                assert json.loads(asking.recv(100)) == {"AlpacaPort": own.port}
        assert len(found(3, udp_port, "127.255.255.255")) == 3


@pytest.mark.parametrize("host", ["0.0.0.0", "::1", "::"])  # noqa: S104 - what users write
def test_a_server_that_claims_its_addresses_is_found_once(udp_port: int, host: str) -> None:
    target = "::1" if host == "::1" else "127.0.0.1"
    try:
        running = RunningServer(app(), host=host, discovery_port=udp_port, claims_addresses=True)
    except ServerStartError:
        pytest.skip(f"this machine cannot listen at {host}")
    with running:
        assert found(1, udp_port, target) == (DiscoveredServer(target, running.port),)


def test_an_answer_comes_from_the_address_at_which_the_server_listens(udp_port: int) -> None:
    with RunningServer(app(), host="127.0.0.2", discovery_port=udp_port, claims_addresses=True) as running:
        servers = found(1, udp_port, "127.255.255.255")
    assert servers == (DiscoveredServer("127.0.0.2", running.port),)


def test_server_without_discovery_is_not_found(udp_port: int) -> None:
    with RunningServer(app()):
        assert discover(0.1, port=udp_port, addresses=["127.0.0.1", "127.255.255.255"]) == ()


def test_other_questions_are_not_answered(udp_port: int) -> None:
    with RunningServer(app(), discovery_port=udp_port), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(5)
        for question in (b"hello", b"", b"alpaca", QUESTION):
            asking.sendto(question, ("127.0.0.1", udp_port))
        assert b"AlpacaPort" in asking.recv(100)
        asking.settimeout(0.1)
        with pytest.raises(TimeoutError):
            asking.recv(100)


def test_repeated_answers_are_one_server(answer_with: Callable[..., int]) -> None:
    port = answer_with(b'{"AlpacaPort": 11111}', b'{"AlpacaPort":11111}', b'{"AlpacaPort": 22222}')
    assert found(2, port, "127.0.0.1", "127.0.0.1") == (
        DiscoveredServer("127.0.0.1", 11111),
        DiscoveredServer("127.0.0.1", 22222),
    )


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"hello",
        b"\xff\xfe",
        b"[]",
        b"11111",
        b"{}",
        b'{"AlpacaPort": "11111"}',
        b'{"AlpacaPort": 0}',
        b'{"AlpacaPort": 65536}',
        b'{"AlpacaPort": true}',
        b'{"AlpacaPort": 1.5}',
        b"[" * 1000,
    ],
)
def test_garbage_is_ignored(answer_with: Callable[..., int], answer: bytes) -> None:
    port = answer_with(answer, b'{"AlpacaPort": 11111}')
    assert found(1, port, "127.0.0.1") == (DiscoveredServer("127.0.0.1", 11111),)


def test_targets_that_cannot_be_reached_are_skipped(answer_with: Callable[..., int]) -> None:
    port = answer_with(b'{"AlpacaPort": 11111}')
    assert len(found(1, port, "no-such-host.invalid", "127.0.0.1")) == 1


def test_server_works_when_the_discovery_port_is_taken(udp_port: int, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("0.0.0.0", udp_port))  # noqa: S104 - as another discovery responder would
        with RunningServer(app(), discovery_port=udp_port) as running:
            assert running.port
    assert "discovery_unavailable" in capfd.readouterr().out


def test_urls_of_discovered_servers() -> None:
    assert DiscoveredServer("192.0.2.1", 11111).base_url == "http://192.0.2.1:11111"
    assert DiscoveredServer("fe80::1%eth0", 11111).base_url == "http://[fe80::1%eth0]:11111"
