"""Receives what the daemons of several telescopes publish through their MQTT broker."""

import threading
import time
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from paho.mqtt.client import Client, MQTTMessage

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.notify.fleet import Fleet
from alpaca_focus.notify.mqtt_client import KEEP_ALIVE_S, MqttSettings, end_client, new_client

ACCEPT_TIMEOUT_S = 5.0
"""For the broker's answer after the connection is made."""
QUIET_S, LONGEST_READ_S = 0.4, 3.0
"""Retained messages follow the subscription at once: they are complete after this pause, or at the latest after this
time."""
LONGEST_PAUSE_S = 10
POLL_S = 0.02


class FleetListener:
    """Listens until it is closed, and reconnects by itself. A context manager."""

    def __init__(self, settings: MqttSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._fleet = Fleet(settings.prefix)
        self._problem, self._problem_since = "", datetime.now(UTC)
        self._refused = ""
        self._received_at_s = 0.0
        self._is_listening = threading.Event()
        self._client = client = new_client(settings, longest_pause_s=LONGEST_PAUSE_S)
        client.on_connect = self._connected
        client.on_connect_fail = self._not_connected
        client.on_disconnect = self._disconnected
        client.on_subscribe = self._subscribed
        client.on_message = self._received

    @property
    def fleet(self) -> Fleet:
        """The messages received so far."""
        with self._lock:
            return self._fleet

    @property
    def is_listening(self) -> bool:
        """Whether the broker has accepted the subscription."""
        return self._is_listening.is_set()

    @property
    def problem(self) -> tuple[str, datetime]:
        """The problem with the broker, empty if there is none, and since when it lasts."""
        with self._lock:
            return self._problem, self._problem_since

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""
        end_client(self._client)

    def start(self) -> None:
        """Start to connect, and return at once; `problem` holds the reason of a failure."""
        self._client.connect_async(self._settings.host, self._settings.port, KEEP_ALIVE_S)
        self._client.loop_start()

    def read_retained(self) -> Fleet:
        """Connect, and return the messages that the broker has retained.

        Raises:
            ConfigurationError: The broker does not answer, or refuses the connection or the subscription.
        """
        try:
            self._client.connect(self._settings.host, self._settings.port, KEEP_ALIVE_S)
        except OSError as error:
            raise ConfigurationError(
                f"The MQTT broker {self._settings.broker} cannot be reached ({error.strerror or error}). Check that "
                "it runs, and check its address, its port and tls."
            ) from None
        self._client.loop_start()
        self._wait_until_listening()
        began_s = time.monotonic()
        while time.monotonic() < began_s + LONGEST_READ_S:
            with self._lock:
                quiet_since_s = max(began_s, self._received_at_s)
            if time.monotonic() >= quiet_since_s + QUIET_S:
                break
            time.sleep(POLL_S)
        return self.fleet

    def _wait_until_listening(self) -> None:
        ends_s = time.monotonic() + ACCEPT_TIMEOUT_S
        while not self._is_listening.wait(POLL_S):
            with self._lock:
                refused = self._refused
            if refused:
                raise ConfigurationError(refused)
            if time.monotonic() > ends_s:
                raise ConfigurationError(
                    f"{self._settings.broker} does not answer as an MQTT broker does. Check the port and tls."
                )

    # Called in paho's thread

    def _connected(self, client: Client, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._refuse(f"The MQTT broker refuses the connection ({reason}). Check the user and the password.")
            return
        with self._lock:
            # A daemon that has gone while nobody listened may have left no message.
            self._fleet = self._fleet.with_unknown_availability()
        client.subscribe([(topic, 1) for topic in self.fleet.topics])

    def _subscribed(self, _client: Client, _userdata: Any, _mid: int, reasons: Any, _properties: Any) -> None:
        if any(reason.is_failure for reason in reasons):
            topics = " and ".join(self.fleet.topics)
            self._refuse(f"The MQTT broker does not let this user subscribe to {topics}. Check its access list.")
            return
        with self._lock:
            self._problem = self._refused = ""
        self._is_listening.set()

    def _received(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return
        with self._lock:
            self._fleet = self._fleet.with_message(topic, bytes(message.payload))
            self._received_at_s = time.monotonic()

    def _not_connected(self, _client: Client, _userdata: Any) -> None:
        with self._lock:
            self._refused = ""
        self._set_problem("The MQTT broker does not answer.")

    def _disconnected(self, _client: Client, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self._is_listening.clear()
        if reason.is_failure:
            self._set_problem("The connection to the MQTT broker is lost.")

    def _refuse(self, why: str) -> None:
        with self._lock:
            self._refused = why
        self._set_problem(why)

    def _set_problem(self, problem: str) -> None:
        with self._lock:
            if not self._problem:
                self._problem_since = datetime.now(UTC)
            # A broker that refuses a client also hangs up; the refusal is the more useful message.
            self._problem = self._refused or problem
