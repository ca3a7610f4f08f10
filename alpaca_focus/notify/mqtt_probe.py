"""Whether an MQTT broker lets this program in; nothing is published."""

import socket
import ssl
import time
from typing import Any

from paho.mqtt.enums import MQTTErrorCode

from alpaca_focus.notify.mqtt_client import KEEP_ALIVE_S, MqttSettings, new_client

_TURN_S = 0.1


def broker_trouble(settings: MqttSettings, timeout_s: float) -> str:
    """Connect to a broker and hang up again; blocks.

    Args:
        settings: Where it is.
        timeout_s: Longest wait, for the connection and then for its word.

    Returns:
        Why it cannot be used, with what to do; empty: it can.
    """
    place, said = f"{settings.host}:{settings.port}", list[Any]()
    client = new_client(settings)
    client.connect_timeout = timeout_s
    client.on_connect = lambda _client, _userdata, _flags, reason, _properties: said.append(reason)
    try:
        client.connect(settings.host, settings.port, KEEP_ALIVE_S)
        ends_at = time.monotonic() + timeout_s
        lost = False
        while not said and not lost and time.monotonic() < ends_at:
            lost = client.loop(_TURN_S) != MQTTErrorCode.MQTT_ERR_SUCCESS
        client.disconnect()
        client.loop(_TURN_S)
    except ssl.SSLError as error:
        return f"{place} does not encrypt as asked ({error.reason}). Look at mqtt.tls, the port and its certificate."
    except socket.gaierror:
        return f"The name of {place} has no address. Correct mqtt.broker, or give its IP address."
    except TimeoutError:
        return f"{place} does not answer within {timeout_s:g} s. Look at mqtt.broker, and whether the broker is on."
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        return f"{place} cannot be reached ({why}). Start the broker, or correct mqtt.broker."
    if not said:
        return f"{place} does not speak MQTT, or hangs. Look at the port in mqtt.broker, and at mqtt.tls."
    if said[0].is_failure:
        return f"{place} refuses the connection ({said[0]}). Look at mqtt.user and the password."
    return ""
