"""Hears what the telescopes of a fleet tell their broker."""

import threading
import time
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from paho.mqtt.client import Client, MQTTMessage

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.notify.fleet import Fleet
from alpaca_focus.notify.mqtt_client import KEEP_ALIVE_S, MqttSettings, end_client, new_client, refusal

ACCEPTED_WITHIN_S = 5.0
"""A broker that has taken the connection answers in that time."""
QUIET_S, LONGEST_TALK_S = 0.4, 3.0
"""What a broker has kept follows its answer at once: it is all there after so much quiet, or after so much talk."""
LONGEST_PAUSE_S = 10
LOOK_S = 0.02


class FleetListener:
    """Listens until it is closed, and connects again and again meanwhile. A context manager.

    Args:
        settings: Where the broker is.
    """

    def __init__(self, settings: MqttSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._fleet = Fleet(settings.prefix)
        self._trouble, self._trouble_since = "", datetime.now(UTC)
        self._refused = ""
        self._heard_at_s = 0.0
        self._is_listening = threading.Event()
        self._client = client = new_client(settings, longest_pause_s=LONGEST_PAUSE_S)
        client.on_connect = self._connected
        client.on_connect_fail = self._not_connected
        client.on_disconnect = self._disconnected
        client.on_subscribe = self._subscribed
        client.on_message = self._came

    @property
    def fleet(self) -> Fleet:
        """What was heard until now."""
        with self._lock:
            return self._fleet

    @property
    def is_listening(self) -> bool:
        """Whether the broker tells what it hears."""
        return self._is_listening.is_set()

    @property
    def trouble(self) -> tuple[str, datetime]:
        """What is wrong with the broker, and since when; empty: nothing is."""
        with self._lock:
            return self._trouble, self._trouble_since

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the broker."""
        end_client(self._client)

    def start(self) -> None:
        """Begin to connect, and return at once; `trouble` tells what comes of it."""
        self._client.connect_async(self._settings.host, self._settings.port, KEEP_ALIVE_S)
        self._client.loop_start()

    def hear_all(self) -> Fleet:
        """Connect, and return what the broker has kept.

        Raises:
            ConfigurationError: The broker does not answer, or does not let this user in or listen.
        """
        broker = self._settings.broker
        try:
            self._client.connect(self._settings.host, self._settings.port, KEEP_ALIVE_S)
        except OSError as error:
            why = error.strerror or error
            raise ConfigurationError(
                f"The MQTT broker {broker} cannot be reached ({why}): look whether it runs and whether its address, "
                "its port and tls are right."
            ) from None
        self._client.loop_start()
        self._wait_until_listening()
        began_s = time.monotonic()
        while time.monotonic() < began_s + LONGEST_TALK_S:
            with self._lock:
                quiet_since_s = max(began_s, self._heard_at_s)
            if time.monotonic() >= quiet_since_s + QUIET_S:
                break
            time.sleep(LOOK_S)
        return self.fleet

    def _wait_until_listening(self) -> None:
        ends_s = time.monotonic() + ACCEPTED_WITHIN_S
        while not self._is_listening.wait(LOOK_S):
            with self._lock:
                refused = self._refused
            if refused:
                raise ConfigurationError(refused)
            if time.monotonic() > ends_s:
                raise ConfigurationError(
                    f"{self._settings.broker} does not answer as an MQTT broker does: look whether the port and tls "
                    "are right."
                )

    # In paho's thread

    def _connected(self, client: Client, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._refuse(f"{refusal(reason)} Look at the user and the password.")
            return
        with self._lock:
            # Who died while nobody listened tells nothing any more.
            self._fleet = self._fleet.with_nobody_online()
        client.subscribe([(topic, 1) for topic in self.fleet.topics])

    def _subscribed(self, _client: Client, _userdata: Any, _mid: int, reasons: Any, _properties: Any) -> None:
        if any(reason.is_failure for reason in reasons):
            self._refuse(
                f"The MQTT broker does not let this user listen to {' and '.join(self.fleet.topics)}: look at its "
                "access list."
            )
            return
        with self._lock:
            self._trouble = self._refused = ""
        self._is_listening.set()

    def _came(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return
        with self._lock:
            self._fleet = self._fleet.with_message(topic, bytes(message.payload))
            self._heard_at_s = time.monotonic()

    def _not_connected(self, _client: Client, _userdata: Any) -> None:
        with self._lock:
            self._refused = ""
        self._tell("The MQTT broker does not answer.")

    def _disconnected(self, _client: Client, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self._is_listening.clear()
        if reason.is_failure:
            self._tell("The MQTT broker has gone.")

    def _refuse(self, why: str) -> None:
        with self._lock:
            self._refused = why
        self._tell(why)

    def _tell(self, trouble: str) -> None:
        with self._lock:
            if not self._trouble:
                self._trouble_since = datetime.now(UTC)
            # A broker that refuses somebody hangs up, too.
            self._trouble = self._refused or trouble
