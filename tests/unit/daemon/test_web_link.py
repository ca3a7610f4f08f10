"""The web server follows the settings, in a thread of its own; commands come to the daemon's loop."""

import asyncio
import threading
from collections.abc import Mapping
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.daemon.web_link import WebLink, answer_from_any_loop
from alpaca_focus.service.control_wire import Request
from alpaca_focus.settings.models import Settings
from tests.ports import free_port
from tests.web_night import TOKEN, Page

PAUSE = Request("pause", {})


def settings(**web: Any) -> Settings:
    section = None if web.pop("none", False) else {"port": free_port(), **web}
    return Settings.model_validate({"telescope": {"focal_length_mm": 530, "aperture_mm": 106}, "web": section})


def status_of(port: int, name: str = "127.0.0.1") -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/healthz", headers={"Host": name})
        return connection.getresponse().status
    finally:
        connection.close()


def test_it_is_opened_kept_moved_and_closed(tmp_path: Path) -> None:
    first, second = settings(), settings()
    with WebLink(Page(tmp_path).night) as link:
        assert link.server is None
        link.follow(first)
        server = link.server
        assert server is not None
        assert status_of(server.port) == 200
        link.follow(first)
        assert link.server is server
        link.follow(second)
        assert link.server is not None
        assert link.server.port != server.port
        with pytest.raises(ConnectionRefusedError):
            status_of(server.port)
        link.follow(settings(none=True))
        assert link.server is None
        link.follow(first)
    assert link.server is None


def test_a_name_of_a_proxy_can_be_allowed(tmp_path: Path) -> None:
    with WebLink(Page(tmp_path).night) as link:
        for names, status in (([], 403), (["Pier.example.org"], 200)):
            link.follow(settings(names=names))
            assert link.server is not None
            assert status_of(link.server.port, "pier.example.org") == status


def test_a_token_comes_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN.replace(' ', '-')}\nanything\n")
    wanted = settings(token_file=str(file))
    with WebLink(Page(tmp_path).night) as link:
        link.follow(wanted)
        server = link.server
        link.follow(wanted)
        assert link.server is server
        # A new token in the same file is taken over with the settings.
        file.write_text("another-secret-altogether\n")
        link.follow(wanted)
        assert link.server is not server


@pytest.mark.parametrize("content", [None, b"", b"\n" + b"a" * 20, b"short", b"\xff" * 20])
def test_without_the_token_that_should_be_there_it_stays_closed(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with (
        WebLink(Page(tmp_path).night) as link,
        pytest.raises(ConfigurationError, match=r"web\.token_file:? .* (cannot be read|is no token)"),
    ):
        link.follow(settings(token_file=str(file)))
    assert link.server is None


def test_commands_are_carried_out_in_the_loop_of_the_daemon() -> None:
    threads: list[str] = []

    async def answer(request: Request) -> Mapping[str, object]:
        await asyncio.sleep(0)
        threads.append(threading.current_thread().name)
        return {"said": request.command}

    async def daemon() -> Mapping[str, object]:
        ask = answer_from_any_loop(answer)
        return await asyncio.to_thread(lambda: asyncio.run(_asked(ask)))

    assert asyncio.run(daemon()) == {"said": "pause"}
    assert threads == [threading.current_thread().name]


async def _asked(ask: Any) -> Mapping[str, object]:
    told: Mapping[str, object] = await ask(PAUSE)
    return told


def test_a_command_is_carried_out_though_nobody_waits_any_more() -> None:
    async def hang_up(ask: Any) -> None:
        asking = asyncio.create_task(ask(PAUSE))
        await asyncio.sleep(0.01)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking

    async def daemon() -> None:
        done = asyncio.Event()

        async def answer(_: Request) -> Mapping[str, object]:
            await asyncio.sleep(0.05)
            done.set()
            return {}

        ask = answer_from_any_loop(answer)
        await asyncio.to_thread(lambda: asyncio.run(hang_up(ask)))
        await asyncio.wait_for(done.wait(), 10)

    asyncio.run(daemon())


def test_after_the_daemon_has_ended_commands_are_refused() -> None:
    async def answer(_: Request) -> Mapping[str, object]:
        await asyncio.sleep(0)
        return {}

    async def daemon() -> Any:
        await asyncio.sleep(0)
        return answer_from_any_loop(answer)

    ask = asyncio.run(daemon())
    with pytest.raises(ConfigurationError, match="has just stopped"):
        asyncio.run(ask(PAUSE))
