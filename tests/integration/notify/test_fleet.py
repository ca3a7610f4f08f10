"""What a listener hears of two telescopes from Debian's mosquitto."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.notify.fleet import Health, TelescopeRow, rows
from alpaca_focus.notify.fleet_listener import FleetListener
from alpaca_focus.notify.mqtt_client import MqttSettings
from tests.mosquitto import PATIENCE_S, Mosquitto

TELESCOPE = """
import asyncio, sys
from datetime import UTC, datetime
from alpaca_focus.notify.mqtt import MqttLink
from alpaca_focus.notify.mqtt_client import MqttSettings
from alpaca_focus.feed.feed import Feed
from tests.statuses import a_status

async def answer(request):
    return {}

async def main():
    feed = Feed(lambda: datetime.now(UTC))
    feed.publish("status", a_status(position=25412))
    settings = MqttSettings(host="127.0.0.1", port=int(sys.argv[1]), telescope=sys.argv[2])
    async with MqttLink(settings, feed, answer):
        await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def telescope(broker: Mosquitto) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Starts a telescope in a process of its own, as far as MQTT goes."""
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen([sys.executable, "-c", TELESCOPE, str(broker.port), name]))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait(PATIENCE_S)


def settings(port: int) -> MqttSettings:
    return MqttSettings(host="127.0.0.1", port=port)


def healths(listener: FleetListener) -> dict[str, Health]:
    return {row.name: row.health for row in rows(listener.fleet, datetime.now(UTC))}


def seen(look: Callable[[], object], wanted: object) -> None:
    ends_at = time.monotonic() + PATIENCE_S
    while look() != wanted:
        assert time.monotonic() < ends_at, look()
        time.sleep(0.02)


def test_one_of_two_telescopes_dies_and_the_broker_goes_and_comes(
    broker: Mosquitto, telescope: Callable[[str], subprocess.Popen[bytes]]
) -> None:
    with FleetListener(settings(broker.port)) as listener:
        listener.start()
        east = telescope("East")
        telescope("West")
        seen(lambda: healths(listener), {"East": Health.WELL, "West": Health.WELL})
        east.kill()
        seen(lambda: healths(listener), {"East": Health.OFFLINE, "West": Health.WELL})
        # Whoever comes later is told what the broker has kept.
        with FleetListener(settings(broker.port)) as later:
            found = rows(later.read_retained(), datetime.now(UTC))
        assert [(row.name, row.health) for row in found] == [("East", Health.OFFLINE), ("West", Health.WELL)]
        assert isinstance(found[1], TelescopeRow)
        assert found[1].last.position == 25412
        broker.stop()
        seen(lambda: listener.problem[0], "The MQTT broker does not answer.")
        assert not listener.is_listening
        broker.start()
        seen(lambda: listener.problem[0], "")
        seen(lambda: healths(listener), {"East": Health.OFFLINE, "West": Health.WELL})
        assert listener.is_listening


def test_malformed_retained_messages_are_shown_as_unclear(broker: Mosquitto) -> None:
    client = Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    for topic, payload in {
        "east/availability": "online",
        "east/state": json.dumps({"state": "watching", "position": "far", "due": 7, "silent": {"a": 1}}),
        "west/availability": "x" * 1_000_000,
        "west/state": "[" * 100_000,
        "north/said": "{}",
    }.items():
        client.publish(f"alpaca-focus/{topic}", payload, qos=1, retain=True).wait_for_publish(PATIENCE_S)
    client.disconnect()
    client.loop_stop()
    with FleetListener(settings(broker.port)) as listener:
        found = rows(listener.read_retained(), datetime.now(UTC))
    assert [(row.name, row.health) for row in found] == [("west", Health.OFFLINE), ("east", Health.WELL)]
    assert (found[1].last.position, found[1].last.due, found[1].last.silent) == (None, "", ())


def test_a_refused_connection_is_reported_once_and_live(tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    broker._config.write_text(broker._config.read_text().replace("allow_anonymous true", "allow_anonymous false"))
    broker.start()
    try:
        words = "The MQTT broker refuses the connection (Not authorized). Check the user and the password."
        with FleetListener(settings(broker.port)) as listener, pytest.raises(ConfigurationError) as caught:
            listener.read_retained()
        assert str(caught.value) == words
        with FleetListener(settings(broker.port)) as listener:
            listener.start()
            seen(lambda: listener.problem[0], words)
    finally:
        broker.stop()


def test_a_server_that_is_no_broker_is_reported_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alpaca_focus.notify.fleet_listener.ACCEPT_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port: int = silent.getsockname()[1]
        with (
            FleetListener(settings(port)) as listener,
            pytest.raises(ConfigurationError, match="does not answer as an MQTT broker does"),
        ):
            listener.read_retained()
    with FleetListener(settings(port)) as listener, pytest.raises(ConfigurationError, match="cannot be reached"):
        listener.read_retained()
