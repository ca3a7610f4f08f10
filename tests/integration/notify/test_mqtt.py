"""The night over MQTT, with Debian's mosquitto."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pytest
import structlog
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from structlog.testing import capture_logs
from structlog.typing import EventDict

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.core.status import LastRun, measured_light
from alpaca_focus.core.values import Light
from alpaca_focus.feed.feed import Feed
from alpaca_focus.notify import mqtt
from alpaca_focus.notify.mqtt import MqttLink
from alpaca_focus.notify.mqtt_client import MqttSettings
from alpaca_focus.service.control_wire import Request
from tests.mosquitto import PATIENCE_S, Mosquitto
from tests.ports import free_port
from tests.statuses import COMPENSATION, LAST_FOCUS, a_status

BASE = "alpaca-focus/big-dob"
STATUS = a_status(
    due=("the temperature has fallen by 1.2 degrees",),
    blocked_by=("exposure running",),
    temperature_c=4.126,
    since_s=754.0,
    position=25412,
    last_focus=replace(LAST_FOCUS, at=datetime(2026, 11, 21, 19, 47, 26, tzinfo=UTC), value=2.514),
    compensation=replace(COMPENSATION, enabled=True),
    last_run=LastRun(outcome="focused", reason="Focused."),
)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[EventDict]]:
    monkeypatch.setattr(mqtt, "_log", structlog.get_logger())
    with capture_logs() as told:
        yield told


class House:
    """Home Assistant, as far as MQTT goes; a context manager."""

    def __init__(self, broker: Mosquitto) -> None:
        self.heard: dict[str, str] = {}
        self.all_heard: list[tuple[str, str]] = []
        self._came = threading.Condition()
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_message = self._hear
        self._client.on_connect = lambda client, *_: client.subscribe("#", 1)
        self._client.connect("127.0.0.1", broker.port)

    def __enter__(self) -> Self:
        self._client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _hear(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        with self._came:
            self.heard[message.topic] = message.payload.decode()
            self.all_heard.append((message.topic, message.payload.decode()))
            self._came.notify_all()

    async def hears(self, topic: str, is_so: Callable[[str], object] = bool) -> str:
        """Wait for a message."""

        def wait() -> str:
            with self._came:
                assert self._came.wait_for(lambda: is_so(self.heard.get(topic, "")), PATIENCE_S), self.heard
                return self.heard[topic]

        return await asyncio.to_thread(wait)

    async def hears_all(self, topic: str, *payloads: str) -> None:
        """Wait for messages of a topic of which these are the last."""
        await self.hears(
            topic, lambda _: [text for each, text in self.all_heard if each == topic][-len(payloads) :] == [*payloads]
        )

    def says(self, topic: str, payload: str, *, retain: bool = False) -> None:
        self._client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(PATIENCE_S)


class Telescope:
    """Carries out commands."""

    def __init__(self) -> None:
        self.feed = Feed(lambda: datetime.now(UTC))
        self.asked: list[Request] = []

    async def answer(self, request: Request) -> Mapping[str, object]:
        self.asked.append(request)
        if request.command == "abort":
            raise ConfigurationError("There is nothing to abort.")
        return {"said": f"{request.command} it is.", "runs_ended": 3}

    @asynccontextmanager
    async def linked(self, port: int) -> AsyncIterator[MqttLink]:
        settings = MqttSettings(host="127.0.0.1", port=port, telescope="Big Dob!", user="dob", password="hunter2")  # noqa: S106
        async with MqttLink(settings, self.feed, self.answer) as link:
            yield link


def lived(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(story())


def test_home_assistant_discovers_the_telescope_and_its_state(broker: Mosquitto) -> None:
    async def story() -> None:
        telescope = Telescope()
        telescope.feed.publish("status", STATUS)
        async with telescope.linked(broker.port):
            with House(broker) as house:
                state = json.loads(await house.hears(f"{BASE}/state"))
                assert await house.hears(f"{BASE}/availability") == "online"
                found = {topic: json.loads(text) for topic, text in house.heard.items() if topic.endswith("/config")}
                telescope.feed.publish("light", measured_light(Light(ended_at=datetime.now(UTC), hfd_px=3.75)))
                telescope.feed.publish("status", replace(STATUS, due=(), paused=True))
                later = json.loads(await house.hears(f"{BASE}/state", lambda text: '"paused": true' in text))
        kinds = [topic.split("/")[1] for topic in found]
        assert (kinds.count("sensor"), kinds.count("button"), kinds.count("switch")) == (7, 2, 2)
        assert len({each["unique_id"] for each in found.values()}) == len(found)
        for each in found.values():
            assert each["availability_topic"] == f"{BASE}/availability"
            assert each["device"]["identifiers"] == ["alpaca_focus_big_dob"]
            assert each.get("state_topic", f"{BASE}/state") == f"{BASE}/state"
            assert each.get("command_topic", f"{BASE}/command/").startswith(f"{BASE}/command/")
        temperature = found["homeassistant/sensor/alpaca_focus_big_dob/temperature/config"]
        assert (temperature["unit_of_measurement"], temperature["value_template"]) == (
            "\u00b0C",
            "{{ value_json.temperature }}",
        )
        assert len(state.pop("daemon")) == 8
        assert state == {
            "telescope": "Big Dob!",
            "state": "watching",
            "headline": "",
            "temperature": 4.13,
            "position": 25412,
            "expected_position": None,
            "hfd": 2.51,
            "minutes": 12,
            "focused_at": "2026-11-21T19:47:26+00:00",
            "blocked_by": ["exposure running"],
            "waits_for": "",
            "silent": [],
            "due": "the temperature has fallen by 1.2 degrees",
            "result": "focused",
            "reason": "Focused.",
            "paused": False,
            "compensation": True,
        }
        assert (later["due"], later["blocked_by"], later["hfd"]) == ("nothing", [], 3.75)

    lived(story)


def test_a_command_arrives_and_is_answered(broker: Mosquitto) -> None:
    async def story() -> None:
        telescope = Telescope()
        async with telescope.linked(broker.port):
            with House(broker) as house:
                await house.hears(f"{BASE}/availability")
                for command, payload, said in (
                    ("refocus", "PRESS", "refocus it is."),
                    ("pause", "ON", "pause it is."),
                    ("pause", "OFF", "resume it is."),
                    ("compensation", "OFF", "compensation it is."),
                    ("abort", "PRESS", "There is nothing to abort."),
                    ("refocus", "", "There is no command refocus ."),
                    ("explode", "ON", "There is no command explode ON."),
                ):
                    house.says(f"{BASE}/command/{command}", payload)
                    await house.hears(f"{BASE}/said", lambda text, said=said: f'"{said}"' in text)  # type: ignore[misc]
        assert telescope.asked == [
            Request("refocus", {}),
            Request("pause", {}),
            Request("resume", {}),
            Request("compensation", {"enabled": False}),
            Request("abort", {}),
        ]

    lived(story)


def test_a_retained_command_is_not_carried_out(broker: Mosquitto, log: list[EventDict]) -> None:
    async def story() -> None:
        telescope = Telescope()
        with House(broker) as house:
            house.says(f"{BASE}/command/refocus", "PRESS", retain=True)
            async with telescope.linked(broker.port):
                await house.hears(f"{BASE}/availability", lambda text: text == "online")
                house.says(f"{BASE}/command/pause", "ON")
                await house.hears(f"{BASE}/said")
            assert await house.hears(f"{BASE}/availability", lambda text: text == "offline")
        assert telescope.asked == [Request("pause", {})]

    lived(story)
    assert any("may be old" in line["event"] for line in log)


def test_the_link_reconnects_after_a_restart_of_the_broker(broker: Mosquitto, log: list[EventDict]) -> None:
    async def story() -> None:
        telescope = Telescope()
        telescope.feed.publish("status", STATUS)
        async with telescope.linked(broker.port):
            with House(broker) as house:
                await house.hears(f"{BASE}/state")
            broker.stop()
            telescope.feed.publish("status", replace(STATUS, state="a focus run"))
            broker.start()
            # Nothing is left of what the broker knew.
            with House(broker) as house:
                state = json.loads(await house.hears(f"{BASE}/state"))
                assert state["state"] == "a focus run"
                assert await house.hears(f"{BASE}/availability") == "online"
                assert any(topic.startswith("homeassistant/switch/") for topic in house.heard)
                house.heard.clear()
                # Home Assistant was started anew.
                house.says("homeassistant/status", "online")
                await house.hears("homeassistant/switch/alpaca_focus_big_dob/pause/config")

    lived(story)
    told = [line["event"] for line in log]
    assert told.count("MQTT broker connected") == 2
    assert "hunter2" not in str(log)


def test_a_second_telescope_of_the_same_name_is_logged_once_and_a_restarted_daemon_is_not(
    broker: Mosquitto, log: list[EventDict]
) -> None:
    def warnings() -> int:
        return sum("same telescope name" in line["event"] for line in log)

    async def story() -> None:
        first, second = Telescope(), Telescope()
        async with first.linked(broker.port):
            first.feed.publish("status", STATUS)
            with House(broker) as house:
                await house.hears(f"{BASE}/state")
        # The same daemon, started anew: what the broker has kept is its own.
        async with first.linked(broker.port):
            first.feed.publish("status", replace(STATUS, paused=True))
            with House(broker) as house:
                await house.hears(f"{BASE}/state", lambda text: '"paused": true' in text)
                assert warnings() == 0
                async with second.linked(broker.port):
                    for number in range(2):
                        second.feed.publish("status", replace(STATUS, temperature_c=float(number)))
                        await house.hears(
                            f"{BASE}/state",
                            lambda text, number=number: f'"temperature": {number}.0' in text,  # type: ignore[misc]
                        )
                    # Its own messages come back to the second one, too, and are no stranger's.
                    ends_at = time.monotonic() + PATIENCE_S
                    while warnings() < 1 and time.monotonic() < ends_at:  # noqa: ASYNC110
                        await asyncio.sleep(0.02)

    lived(story)
    assert warnings() == 1


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_second_daemon_of_the_same_name_does_not_leave_the_living_one_offline(
    broker: Mosquitto, *, is_killed: bool
) -> None:
    async def story() -> None:
        living, second = Telescope(), Telescope()
        async with living.linked(broker.port):
            living.feed.publish("status", STATUS)
            with House(broker) as house:
                await house.hears(f"{BASE}/state", lambda text: '"state": "watching"' in text)
                if is_killed:
                    program = subprocess.Popen([sys.executable, "-c", KILLED, str(broker.port)])  # noqa: ASYNC220
                    await house.hears(f"{BASE}/state", lambda text: '"state": "a second one"' in text)
                    program.kill()
                    program.wait(PATIENCE_S)
                else:
                    async with second.linked(broker.port):
                        second.feed.publish("status", replace(STATUS, state="a second one"))
                        await house.hears(f"{BASE}/state", lambda text: '"state": "a second one"' in text)
                await house.hears_all(f"{BASE}/availability", "offline", "online")
            # What the broker keeps is what a house that is started now is told.
            with House(broker) as house:
                assert await house.hears(f"{BASE}/availability", lambda text: text == "online")
                assert await house.hears(f"{BASE}/state", lambda text: '"state": "watching"' in text)

    lived(story)


def test_an_unreachable_broker_is_logged_once_and_delays_nobody(log: list[EventDict]) -> None:
    async def story() -> None:
        async with Telescope().linked(free_port()):
            ends_at = time.monotonic() + PATIENCE_S
            while not log and time.monotonic() < ends_at:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            await asyncio.sleep(1.5)

    lived(story)
    assert [line["event"] for line in log] == ["MQTT broker does not answer. Retrying; check mqtt.broker."]


KILLED = """
import asyncio, sys
from datetime import UTC, datetime
from alpaca_focus.core.status import Waiting
from alpaca_focus.notify.mqtt import MqttLink
from alpaca_focus.notify.mqtt_client import MqttSettings
from alpaca_focus.feed.feed import Feed

async def answer(request):
    return {}

async def main():
    settings = MqttSettings(host="127.0.0.1", port=int(sys.argv[1]), telescope="Big Dob!")
    feed = Feed(lambda: datetime.now(UTC))
    feed.publish("status", Waiting(state="a second one", why=""))
    async with MqttLink(settings, feed, answer):
        await asyncio.sleep(60)

asyncio.run(main())
"""


def test_the_broker_publishes_that_a_killed_program_is_offline(broker: Mosquitto) -> None:
    async def story() -> None:
        with House(broker) as house:
            program = subprocess.Popen([sys.executable, "-c", KILLED, str(broker.port)])  # noqa: ASYNC220
            try:
                await house.hears(f"{BASE}/availability", lambda text: text == "online")
            finally:
                program.kill()
                program.wait(PATIENCE_S)
            await house.hears(f"{BASE}/availability", lambda text: text == "offline")

    lived(story)
