"""The way to an MQTT broker, the same for whoever tells something there and for whoever listens."""

import contextlib
import threading
from dataclasses import dataclass, field

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

KEEP_ALIVE_S = 30
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1, 60
CLOSED_WITHIN_S = 0.5
"""Whoever ends the program does not wait for a broker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttSettings:
    """Where the broker is.

    Attributes:
        host: Its name or address.
        port: Its port.
        user: User name; `None`: none.
        password: Password; `None`: none.
        prefix: Beginning of all topics.
        telescope: Name of the telescope.
        tls: Whether the connection is encrypted.
    """

    host: str
    port: int
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    prefix: str = "alpaca-focus"
    telescope: str = "telescope"
    tls: bool = False

    @property
    def broker(self) -> str:
        """The broker as a person writes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def new_client(settings: MqttSettings, *, longest_pause_s: int = LONGEST_PAUSE_S) -> Client:
    """Return a client that is not connected yet, and that connects again and again once it has begun.

    Args:
        settings: Where the broker is.
        longest_pause_s: At most between two attempts.
    """
    client = Client(CallbackAPIVersion.VERSION2)
    client.reconnect_delay_set(FIRST_PAUSE_S, longest_pause_s)
    if settings.user is not None:
        client.username_pw_set(settings.user, settings.password)
    if settings.tls:
        client.tls_set()
    return client


def refusal(reason: ReasonCode) -> str:
    """Return the sentence about a broker that does not let this client in."""
    return f"The MQTT broker refuses the connection ({reason})."


def end_client(client: Client) -> None:
    """Leave the broker and end the client's thread, or leave it to itself where that would take long."""
    with contextlib.suppress(OSError):
        client.disconnect()
    # The end of its thread waits for a connection that is just being made, and that may take long.
    ending = threading.Thread(target=client.loop_stop, name="mqtt-end", daemon=True)
    ending.start()
    ending.join(CLOSED_WITHIN_S)
