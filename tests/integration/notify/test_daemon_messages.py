"""The whole daemon with a simulated observatory, and people who are told of what goes wrong."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from alpaca_focus.simulator.faults import FaultRequest
from alpaca_focus.simulator.observatory import Observatory
from alpaca_focus.simulator.settings import FocuserSettings
from tests.integration.test_daemon import START, Night, watching
from tests.web_hook import WebHook


@pytest.fixture
def night(observatory_with: Callable[..., Observatory], tmp_path: Path) -> Night:
    observatory = observatory_with(focuser=FocuserSettings(start_position=START))
    return Night(observatory, tmp_path, observatory.address, timeout_s=1.0)


def test_people_get_a_message_about_a_lost_device_and_of_a_failed_run(night: Night) -> None:
    world = night.observatory.world

    async def story() -> None:
        with WebHook() as hook:
            night.sections["messages"] = {"services": [hook.url]}
            async with night.kept():
                await night.status_when(watching)
                world.faults.add(FaultRequest(kind="no-answer", device="telescope"))
                (lost,) = await asyncio.to_thread(hook.messages, 1)
                assert lost["title"].startswith("telescope: Telescope 0")
                assert lost["title"].endswith("does not answer")
                world.faults.clear()
                _, back = await asyncio.to_thread(hook.messages, 2)
                assert back["title"].endswith("is back")
                world.faults.add(FaultRequest(kind="no-answer", device="camera", members=("startexposure",)))
                await night.send("refocus")
                *_, failed = await asyncio.to_thread(hook.messages, 3)
                told = await night.send("status")
                assert (failed["title"], failed["type"]) == ("telescope: A refocus failed", "failure")
                assert failed["message"] == told["last_run"]["reason"]

    asyncio.run(story())
