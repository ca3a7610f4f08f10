"""The daemon's control socket, with real sockets and clients that behave badly."""

import asyncio
import json
import logging
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import pytest

from alpaca_focus.core.errors import ConfigurationError, DaemonNotRunning, DaemonUnresponsive, RunAborted
from alpaca_focus.service.control_client import ask
from alpaca_focus.service.control_server import ControlServer
from alpaca_focus.service.control_wire import LONGEST_PATH_BYTES, Request

KILLED_DAEMON = """
import asyncio, pathlib, sys
from alpaca_focus.service.control_server import ControlServer

async def main():
    async with ControlServer(pathlib.Path(sys.argv[1]), None):
        print("listening", flush=True)
        await asyncio.sleep(3600)

asyncio.run(main())
"""


@pytest.fixture(autouse=True)
def _plain_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alpaca_focus.service.control_server._log", logging.getLogger("control"))


@pytest.fixture
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("c") / "control.sock"


async def echo(request: Request) -> Mapping[str, object]:
    match request.command:
        case "abort":
            raise RunAborted("There is nothing to abort.")
        case "crash":
            raise KeyError("unforeseen")
        case "unknown-to-json":
            return {"path": Path()}
        case "slow":
            await asyncio.sleep(3600)
    return {"command": request.command, **request.arguments}


def served(path: Path, work: Callable[[], Awaitable[Any]], handle: Any = echo) -> Any:
    async def main() -> Any:
        async with ControlServer(path, handle):
            return await work()

    return asyncio.run(main())


def send(path: Path, command: str, **arguments: object) -> dict[str, object]:
    async def work() -> dict[str, object]:
        return await asyncio.to_thread(ask, path, command, arguments, timeout_s=10.0)

    reply: dict[str, object] = served(path, work)
    return reply


@asynccontextmanager
async def talking(path: Path) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_unix_connection(str(path), limit=2**22)
    try:
        yield reader, writer
    finally:
        writer.close()


def test_a_command_is_answered(path: Path) -> None:
    assert send(path, "status", unit="°C", night=7) == {"command": "status", "unit": "°C", "night": 7}


def test_the_socket_is_its_users_alone_and_goes_with_the_server(path: Path) -> None:
    async def mode() -> int:
        return stat.S_IMODE((await asyncio.to_thread(path.stat)).st_mode)

    before = os.umask(0)
    try:
        assert served(path, mode) == 0o600
    finally:
        os.umask(before)
    assert not path.exists()
    assert send(path, "status") == {"command": "status"}


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("abort", "There is nothing to abort."),
        ("crash", "The command crash failed for an unexpected reason: see the daemon's log."),
        (
            "unknown-to-json",
            "The command unknown-to-json failed for an unexpected reason: see the daemon's log.",
        ),
    ],
)
def test_a_failure_is_a_sentence(path: Path, command: str, sentence: str) -> None:
    assert send(path, command) == {"error": sentence}


def test_an_unforeseen_failure_is_logged_with_its_cause(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    send(path, "crash")
    assert "KeyError: 'unforeseen'" in caplog.text


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b"", "The line is not JSON."),
        (b"hello", "The line is not JSON."),
        (b"\xff\xfe", "The line is not JSON."),
        (b"[" * 30_000, "The line is not JSON."),
        (b"[1]", "The line is not a JSON object."),
        (b"{}", "The request has no command"),
        (b'{"command": 5}', "The request has no command"),
        (b'{"command": "status", "arguments": [1]}', "The arguments of the request are not a JSON object"),
    ],
)
def test_a_malformed_request_is_explained_and_the_next_is_answered(path: Path, line: bytes, sentence: str) -> None:
    async def work() -> tuple[dict[str, str], dict[str, str]]:
        async with talking(path) as (reader, writer):
            writer.write(line + b'\n{"command": "status"}\n')
            return json.loads(await reader.readline()), json.loads(await reader.readline())

    first, second = served(path, work)
    assert first["error"].startswith(sentence)
    assert second == {"command": "status"}


def test_a_megabyte_of_nonsense_is_refused_and_others_are_answered(path: Path) -> None:
    def pour() -> bytes:
        with closing(socket.socket(socket.AF_UNIX)) as client:
            client.settimeout(10.0)
            client.connect(str(path))
            with suppress(OSError):  # hung up on
                client.sendall(b"x" * 1_000_000)
            return client.recv(10_000)

    async def work() -> tuple[bytes, dict[str, object]]:
        refusal = await asyncio.to_thread(pour)
        return refusal, await asyncio.to_thread(ask, path, "status", {}, timeout_s=10.0)

    refusal, reply = served(path, work)
    assert json.loads(refusal) == {"error": "The request is longer than 65536 bytes."}
    assert reply == {"command": "status"}


def test_a_hundred_clients_at_once_each_get_their_own_answer(path: Path) -> None:
    async def one(number: int) -> int:
        async with talking(path) as (reader, writer):
            for part in (b'{"command": "status", ', f'"arguments": {{"number": {number}}}}}\n'.encode()):
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0)
            return int(json.loads(await reader.readline())["number"])

    async def work() -> list[int]:
        return await asyncio.gather(*(one(number) for number in range(100)))

    assert served(path, work) == list(range(100))


def test_half_a_request_of_a_killed_client_is_not_carried_out(path: Path) -> None:
    seen: list[Request] = []

    async def note(request: Request) -> Mapping[str, object]:
        seen.append(request)
        return {}

    async def work() -> None:
        async with talking(path) as (_, writer):
            writer.write(b'{"command": "refocus"}')  # without the end of the line
            await writer.drain()
        await asyncio.to_thread(ask, path, "status", {}, timeout_s=10.0)

    served(path, work, note)
    assert seen == [Request("status", {})]


def test_a_command_goes_on_when_its_client_is_killed(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "asyncio")
    begun, may_end, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def long(request: Request) -> Mapping[str, object]:
        if request.command == "refocus":
            begun.set()
            await may_end.wait()
            ended.set()
        return {"done": True, "bulk": "x" * 1_000_000}

    async def work() -> dict[str, object]:
        script = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); "
        script += 's.sendall(b\'{"command": "refocus"}\\n\'); s.recv(1)'
        client = await asyncio.create_subprocess_exec(sys.executable, "-c", script, str(path))
        await begun.wait()
        client.kill()
        assert await client.wait() == -signal.SIGKILL
        may_end.set()
        await ended.wait()
        return await asyncio.to_thread(ask, path, "status", {}, timeout_s=10.0)

    assert served(path, work, long)["done"] is True
    assert not caplog.records


def test_a_client_that_never_reads_does_not_hold_up_the_end(path: Path) -> None:
    async def bulk(_: Request) -> Mapping[str, object]:
        return {"bulk": "x" * 10_000_000}

    async def work() -> None:
        _, writer = await asyncio.open_unix_connection(str(path), limit=10)
        writer.write(b'{"command": "status"}\n')
        await asyncio.sleep(0.1)
        clients.append(writer)

    async def main() -> None:
        async with ControlServer(path, bulk):
            await work()
        for writer in clients:
            writer.close()

    clients: list[asyncio.StreamWriter] = []
    asyncio.run(asyncio.wait_for(main(), 10.0))


def test_the_command_to_stop_is_answered_before_the_end(path: Path) -> None:
    stop = asyncio.Event()

    async def handle(_: Request) -> Mapping[str, object]:
        stop.set()
        await asyncio.sleep(0.05)
        return {"stopping": True}

    async def main() -> dict[str, object]:
        async with ControlServer(path, handle):
            client = asyncio.create_task(asyncio.to_thread(ask, path, "stop", {}, timeout_s=10.0))
            idle, writer = await asyncio.open_unix_connection(str(path))
            await stop.wait()
        assert await idle.read() == b""
        writer.close()
        return await client

    assert asyncio.run(main()) == {"stopping": True}


def test_a_second_daemon_is_refused_and_the_first_goes_on(path: Path) -> None:
    async def work() -> dict[str, object]:
        for lock in (path.with_name("control.sock.lock"), None):  # also when somebody has removed the lock
            with pytest.raises(
                ConfigurationError, match=r"Another alpaca-focus runs already with this storage\.directory"
            ):
                async with ControlServer(path, echo):
                    pass
            if lock is not None:
                lock.unlink()
        return await asyncio.to_thread(ask, path, "status", {}, timeout_s=10.0)

    assert served(path, work) == {"command": "status"}


@pytest.fixture
def killed_daemon(path: Path) -> None:
    """A daemon in another process that was killed; before that, it kept this one from starting."""
    daemon = subprocess.Popen([sys.executable, "-c", KILLED_DAEMON, str(path)], stdout=subprocess.PIPE)
    assert daemon.stdout is not None
    with daemon:
        assert daemon.stdout.readline() == b"listening\n"
        with pytest.raises(ConfigurationError, match="runs already"):
            send(path, "status")
        daemon.kill()
    assert path.is_socket()


@pytest.mark.usefixtures("killed_daemon")
def test_what_a_killed_daemon_left_is_replaced(path: Path) -> None:
    with pytest.raises(DaemonNotRunning, match="systemctl start alpaca-focus"):
        ask(path, "status", {}, timeout_s=1.0)
    assert send(path, "status") == {"command": "status"}


def test_a_file_in_the_way_is_not_removed(path: Path) -> None:
    path.write_text("precious", "utf-8")
    with pytest.raises(ConfigurationError, match="is in the way of the control socket"):
        send(path, "status")
    assert path.read_text("utf-8") == "precious"


def test_the_longest_path_works_and_a_longer_one_is_explained(path: Path) -> None:
    room = LONGEST_PATH_BYTES - len(os.fsencode(path.parent)) - 1
    assert send(path.parent / ("x" * room), "status") == {"command": "status"}
    too_long = path.parent / ("x" * (room + 1))
    with pytest.raises(ConfigurationError, match=r"is 108 bytes long.*choose a storage\.directory with a shorter path"):
        send(too_long, "status")
    with pytest.raises(ConfigurationError, match="108 bytes long"):
        ask(too_long, "status", {}, timeout_s=1.0)
    assert not too_long.with_name(f"{too_long.name}.lock").exists()


def test_a_folder_that_cannot_be_made_is_explained(path: Path) -> None:
    path.write_text("", "utf-8")
    with pytest.raises(ConfigurationError, match=r"The lock .* cannot be opened \((Not a directory|File exists)\)"):
        send(path / "x" / "control.sock", "status")


def test_without_a_daemon_the_error_explains_how_to_start_it(path: Path) -> None:
    with pytest.raises(DaemonNotRunning, match=r"No alpaca-focus runs with the storage\.directory .*systemctl start"):
        ask(path, "status", {}, timeout_s=1.0)


def test_a_slow_daemon_is_given_up_in_time(path: Path) -> None:
    async def work() -> None:
        with pytest.raises(DaemonUnresponsive, match=r"did not answer the command slow within 0\.2 s"):
            await asyncio.to_thread(ask, path, "slow", {}, timeout_s=0.2)

    served(path, work)


@pytest.mark.parametrize("reply", [b"", b"nonsense\n", b"[]\n", b'{"cut": '])
def test_a_daemon_with_an_invalid_reply_is_unresponsive(path: Path, reply: bytes) -> None:
    async def reply_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(reply)
        writer.close()

    async def main() -> None:
        server = await asyncio.start_unix_server(reply_and_close, str(path))
        with pytest.raises(DaemonUnresponsive, match="answer to the command status makes no sense"):
            await asyncio.to_thread(ask, path, "status", {}, timeout_s=5.0)
        server.close()

    asyncio.run(main())
