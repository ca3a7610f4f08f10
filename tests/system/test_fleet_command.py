"""`alpaca-focus fleet` as a user runs it, with Debian's mosquitto."""

import json
from pathlib import Path

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.mosquitto import PATIENCE_S, Mosquitto
from tests.system.conftest import Run


def test_a_script_and_a_person_are_told_who_is_in_trouble(run: Run, tmp_path: Path) -> None:
    broker = Mosquitto(tmp_path)
    broker.start()
    config = tmp_path / "east.yaml"
    config.write_text(f"mqtt: {{broker: '127.0.0.1:{broker.port}', prefix: sky}}\n")
    try:
        nobody = run("fleet", "--config", config, "--json")
        client = Client(CallbackAPIVersion.VERSION2)
        client.connect("127.0.0.1", broker.port)
        client.loop_start()
        for name, online in {"east": "online", "west": "offline"}.items():
            state = json.dumps({"telescope": name.title(), "state": "watching", "position": 25412})
            client.publish(f"sky/{name}/state", state, qos=1, retain=True).wait_for_publish(PATIENCE_S)
            client.publish(f"sky/{name}/availability", online, qos=1, retain=True).wait_for_publish(PATIENCE_S)
        table = run("fleet", "--config", config)
        client.publish("sky/west/availability", "online", qos=1, retain=True).wait_for_publish(PATIENCE_S)
        well = run("fleet", "--config", config, "--json")
        client.disconnect()
        client.loop_stop()
    finally:
        broker.stop()
    assert nobody.returncode == 2
    assert json.loads(nobody.stdout)["telescopes"] == []
    assert "The MQTT broker" in nobody.stderr
    assert table.returncode == 1, table.stderr
    assert [line.split()[:3] for line in table.stdout.splitlines()[1:3]] == [
        ["TROUBLE", "West", "OFFLINE"],
        ["ok", "East", "watching"],
    ]
    assert "West: its daemon is offline; last reported state: watching." in table.stdout
    assert "\x1b" not in table.stdout
    assert well.returncode == 0, well.stderr
    assert json.loads(well.stdout)["all_well"] is True
    gone = run("fleet", "--config", config)
    assert (gone.returncode, gone.stdout) == (2, "")
    assert gone.stderr.count("\n") == 1
