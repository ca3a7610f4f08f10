"""The whole daemon with a simulated observatory, and people who are told of what goes wrong."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alpaca_focus.core.night.notice_log import LOST_AFTER_S
from alpaca_focus.core.outages import sentences
from alpaca_focus.simulator.faults import FaultRequest
from alpaca_focus.simulator.observatory import Observatory
from alpaca_focus.simulator.settings import FocuserSettings
from tests.integration.test_daemon import START, Night, Reply, watching
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
                assert lost["title"] == "telescope: Focus is not kept"
                assert lost["message"].startswith("Telescope 0 at ")
                world.faults.clear()
                _, back = await asyncio.to_thread(hook.messages, 2)
                assert back["title"] == "telescope: Focus is kept again"
                world.faults.add(FaultRequest(kind="no-answer", device="camera", members=("startexposure",)))
                await night.send("refocus")
                *_, failed = await asyncio.to_thread(hook.messages, 3)
                told = await night.send("status")
                assert (failed["title"], failed["type"]) == ("telescope: A refocus failed", "failure")
                first, *_, last = sentences(told["last_run"]["reason"])
                assert failed["message"] == f"{first} {last}"

    asyncio.run(story())


def test_a_server_that_is_killed_twice_in_a_night_brings_two_messages_at_most(night: Night) -> None:
    observatory = night.observatory
    port, clock = observatory.running.port, observatory.world.clock

    def fine(status: Reply) -> bool:
        return watching(status) and not (status["silent"] or status["due"] or status["blocked_by"])

    def lost(status: Reply) -> bool:
        return watching(status) and "no answer from camera" in " ".join(status["blocked_by"])

    async def passes(duration_s: float) -> None:
        ends_s = clock.now_s() + duration_s
        while clock.now_s() < ends_s:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    async def story() -> list[dict[str, Any]]:
        with WebHook() as hook:
            night.sections["messages"] = {"services": [hook.url]}
            async with night.kept():
                await night.status_when(watching)
                await night.send("refocus")
                await night.status_when(lambda status: status["state"] == "a focus run" and night.motor() != START)
                await asyncio.to_thread(observatory.stop)
                await night.status_when(lost)
                await asyncio.to_thread(hook.messages, 1)
                await asyncio.to_thread(observatory.start, port=port)
                # The driver of a server that is started anew does not know of the exposure.
                await asyncio.to_thread(night.put, "camera/0/abortexposure")
                await night.status_when(lambda status: fine(status) and status["last_run"]["outcome"] == "focused")
                await asyncio.to_thread(hook.messages, 2)
                await asyncio.to_thread(observatory.stop)
                await night.status_when(lost)
                await passes(3 * LOST_AFTER_S)
                await asyncio.to_thread(observatory.start, port=port)
                await night.status_when(fine)
                await passes(3 * LOST_AFTER_S)
            return hook.told

    told = asyncio.run(story())
    for each in told:
        print(f"{each['title']}\n    {each['message']}")
    first, second = told
    assert first["title"] == "telescope: Focuser out of focus"
    assert first["message"] == (
        f"All devices of Alpaca server {night.address} stopped answering during run 1. The focuser belongs at {START}; "
        "it is moved there when it answers."
    )
    # The refocus that verifies the position may have ended by then.
    assert second["title"] in {"telescope: Focus is kept again", "telescope: Focus unverified"}
    assert "answer again after" in second["message"]
    for each in told:
        assert len(re.findall(r"[.!?](?= |$)", each["message"])) <= 2
