"""Connections to an MQTT broker, for publishers, listeners and the check of the settings."""

import contextlib
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.reasoncodes import ReasonCode

KEEP_ALIVE_S = 30
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1, 60
CLOSE_TIMEOUT_S = 0.5
"""The end of the program must not wait for a broker."""
NETWORK_TURN_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttSettings:
    """The broker, the user, and the names in the topics, which all begin with the prefix."""

    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    prefix: str = "alpaca-focus"
    telescope: str = "telescope"
    tls: bool = False

    @property
    def broker(self) -> str:
        """Host and port, as people write them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def new_client(settings: MqttSettings, *, longest_pause_s: int = LONGEST_PAUSE_S) -> Client:
    """Return an unconnected client that reconnects by itself, with at most `longest_pause_s` between attempts."""
    client = Client(CallbackAPIVersion.VERSION2)
    client.reconnect_delay_set(FIRST_PAUSE_S, longest_pause_s)
    if settings.user is not None:
        client.username_pw_set(settings.user, settings.password)
    if settings.tls:
        client.tls_set()
    return client


def end_client(client: Client) -> None:
    """Disconnect and end the client's thread; abandon the thread if that takes long."""
    with contextlib.suppress(OSError):
        client.disconnect()
    # paho's loop_stop() waits for a connection attempt under way, which may take long.
    ending = threading.Thread(target=client.loop_stop, name="mqtt-end", daemon=True)
    ending.start()
    ending.join(CLOSE_TIMEOUT_S)


def broker_problem(settings: MqttSettings, timeout_s: float) -> str:
    """Connect to a broker and disconnect again; return why it cannot be used, and the remedy; empty if it can.

    Blocks. The timeout is that of the connection and then of the broker's answer. Nothing is published.
    """
    broker = f"{settings.host}:{settings.port}"
    answers: list[ReasonCode] = []
    client = new_client(settings)
    client.connect_timeout = timeout_s
    client.on_connect = lambda _client, _userdata, _flags, reason, _properties: answers.append(reason)
    try:
        client.connect(settings.host, settings.port, KEEP_ALIVE_S)
        ends_s = time.monotonic() + timeout_s
        status = MQTTErrorCode.MQTT_ERR_SUCCESS
        while not answers and status == MQTTErrorCode.MQTT_ERR_SUCCESS and time.monotonic() < ends_s:
            status = client.loop(NETWORK_TURN_S)
        client.disconnect()
        client.loop(NETWORK_TURN_S)
    except ssl.SSLError as error:
        return f"{broker} does not encrypt as requested ({error.reason}). Check mqtt.tls, the port and its certificate."
    except socket.gaierror:
        return f"The name of {broker} has no address. Correct mqtt.broker, or give its IP address."
    except TimeoutError:
        return f"{broker} does not answer within {timeout_s:g} s. Check mqtt.broker, and that the broker is on."
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        return f"{broker} cannot be reached ({why}). Start the broker, or correct mqtt.broker."
    if not answers:
        return f"{broker} does not speak MQTT, or hangs. Check the port in mqtt.broker, and mqtt.tls."
    if answers[0].is_failure:
        return f"{broker} refuses the connection ({answers[0]}). Check mqtt.user and the password."
    return ""
