"""The whole daemon with a simulated observatory and a broker: a button is pressed, and the telescope focuses."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

from alpaca_focus.simulator.observatory import Observatory
from alpaca_focus.simulator.settings import FocuserSettings
from tests.integration.notify.test_mqtt import House
from tests.integration.test_daemon import START, Night, watching
from tests.mosquitto import Mosquitto

BASE = "alpaca-focus/telescope"


def focused(state: str) -> bool:
    """Tell by the state whether a refocus has ended well, and the look after it has seen that."""
    return '"result": "focused"' in state and '"due": "nothing"' in state


def test_a_button_refocuses_and_a_switch_pauses(observatory_with: Callable[..., Observatory], tmp_path: Path) -> None:
    observatory = observatory_with(focuser=FocuserSettings(start_position=START))
    night = Night(observatory, tmp_path, observatory.address)
    broker = Mosquitto(tmp_path)
    night.sections["mqtt"] = {"broker": f"127.0.0.1:{broker.port}"}
    broker.start()

    async def story() -> None:
        async with night.kept():
            await night.status_when(watching)
            with House(broker) as house:
                await house.hears(f"{BASE}/state")
                house.says(f"{BASE}/command/refocus", "PRESS")
                state = json.loads(await house.hears(f"{BASE}/state", focused))
                assert not state["paused"]
                assert abs(state["position"] - night.motor()) <= 1
                house.says(f"{BASE}/command/pause", "ON")
                await house.hears(f"{BASE}/state", lambda text: '"paused": true' in text)
                assert (await night.send("status"))["paused"]
                house.says(f"{BASE}/command/compensation", "ON")
                said = await house.hears(f"{BASE}/said", lambda text: '"error"' in text)
                assert "settings do not enable it" in json.loads(said)["error"]

    try:
        asyncio.run(story())
    finally:
        broker.stop()
