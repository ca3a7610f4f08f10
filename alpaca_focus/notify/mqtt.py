"""Publishes the night's state to an MQTT broker, with Home Assistant's discovery, and receives commands from it."""

import asyncio
import contextlib
import json
import secrets
import threading
from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, Self

import structlog
from paho.mqtt.client import Client, MQTTMessage

from alpaca_focus import __version__
from alpaca_focus.core.errors import AlpacaFocusError
from alpaca_focus.core.status import MeasuredLight, Status, Waiting, as_json
from alpaca_focus.feed.feed import Feed
from alpaca_focus.notify.home_assistant import (
    BIRTH_TOPIC,
    OFF,
    OFFLINE,
    ON,
    ONLINE,
    PRESS,
    Payload,
    TelescopeState,
    Topics,
    discovery,
    state_of,
)
from alpaca_focus.notify.mqtt_client import CLOSE_TIMEOUT_S, KEEP_ALIVE_S, MqttSettings, end_client, new_client
from alpaca_focus.service.control_wire import Request

LONGEST_COMMAND_BYTES = 64

_log = structlog.get_logger(__name__)


class MqttLink:
    """Publishes the feed, and passes commands on; an asynchronous context manager, created in the daemon's loop.

    paho's thread does all networking and reconnects by itself, so the daemon never waits for the broker.

    Args:
        settings: The broker.
        feed: The daemon's feed.
        answer: Carries out a command, in the loop in which this is created.
    """

    def __init__(
        self, settings: MqttSettings, feed: Feed, answer: Callable[[Request], Awaitable[Mapping[str, object]]]
    ) -> None:
        self._settings, self._feed, self._answer = settings, feed, answer
        self._topics = Topics(settings.prefix, settings.telescope)
        self._loop = asyncio.get_running_loop()
        self._reading: asyncio.Task[None] | None = None
        self._state: TelescopeState | None = None
        self._lock = threading.Lock()
        self._problem = ""
        self._daemon = secrets.token_hex(4)
        self._is_alone = True
        self._is_ending = False
        self._client = client = new_client(settings)
        client.will_set(self._topics.availability, OFFLINE, qos=1, retain=True)
        client.on_connect = self._connected
        client.on_connect_fail = self._not_connected
        client.on_disconnect = self._disconnected
        client.on_message = self._received

    async def __aenter__(self) -> Self:
        """Start to connect, and return at once."""
        self._client.connect_async(self._settings.host, self._settings.port, KEEP_ALIVE_S)
        self._client.loop_start()
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Publish that the daemon is offline, and disconnect."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await asyncio.to_thread(self._end)

    def _end(self) -> None:
        self._is_ending = True
        if self._client.is_connected():
            published = self._client.publish(self._topics.availability, OFFLINE, qos=1, retain=True)
            with contextlib.suppress(RuntimeError, ValueError):
                published.wait_for_publish(CLOSE_TIMEOUT_S)
        end_client(self._client)

    async def _read(self) -> None:
        """Publish each new state from the feed."""
        hfd_px: float | None = None
        with self._feed.subscribe() as entries:
            async for entry in entries:
                match entry.data:
                    case MeasuredLight() as light:
                        hfd_px = light.hfd_px
                    case Status() | Waiting() as status:
                        telescope = self._settings.telescope
                        self._publish_state(state_of(status, hfd_px, telescope=telescope, daemon=self._daemon))
                    case _:
                        pass

    def _publish_state(self, state: TelescopeState) -> None:
        with self._lock:
            is_new, self._state = state != self._state, state
        if is_new and self._client.is_connected():
            self._publish(self._topics.state, as_json(state), retain=True)

    def _publish(self, topic: str, payload: Payload, *, retain: bool) -> None:
        self._client.publish(topic, json.dumps(payload, ensure_ascii=False, default=str), retain=retain)

    # Called in paho's thread

    def _connected(self, client: Client, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._log_problem(f"The MQTT broker refuses the connection ({reason}). Check mqtt.user and the password.")
            return
        self._problem = ""
        _log.info("MQTT broker connected", broker=self._settings.broker)
        client.subscribe(
            [(self._topics.command("+"), 1), (BIRTH_TOPIC, 1), (self._topics.state, 0), (self._topics.availability, 1)]
        )
        self._publish_all()

    def _publish_all(self) -> None:
        for topic, payload in discovery(self._topics, __version__).items():
            self._publish(topic, payload, retain=True)
        self._client.publish(self._topics.availability, ONLINE, qos=1, retain=True)
        with self._lock:
            state = self._state
        if state is not None:
            self._publish(self._topics.state, as_json(state), retain=True)

    def _not_connected(self, _client: Client, _userdata: Any) -> None:
        self._log_problem("MQTT broker does not answer. Retrying; check mqtt.broker.")

    def _disconnected(self, _client: Client, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._log_problem("Connection to the MQTT broker lost. Retrying.")

    def _log_problem(self, problem: str) -> None:
        if not self._problem:
            _log.warning(problem, broker=self._settings.broker)
        self._problem = problem

    def _received(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        if message.topic == self._topics.state:
            self._check_namesake(message)
            return
        text = message.payload[:LONGEST_COMMAND_BYTES].decode(errors="replace").strip()
        if message.topic == self._topics.availability:
            # From an earlier connection of this daemon that the broker has only now given up, or from another daemon
            # of the same name: this one is here, and the state that is kept has to be its own.
            if text == OFFLINE and not self._is_ending:
                self._publish_all()
            return
        if message.topic == BIRTH_TOPIC:
            # Home Assistant has restarted.
            if text == ONLINE:
                self._publish_all()
            return
        name = message.topic.rpartition("/")[2]
        if message.retain:
            _log.warning("MQTT command ignored: it is a retained message and may be old", command=name)
            return
        if (request := requested(name, text)) is None:
            reply: Payload = {"command": name, "error": f"There is no command {name} {text}."}
            self._publish(self._topics.reply, reply, retain=False)
            return
        work = self._carry_out(request)
        try:
            asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            # The daemon's loop has ended in the meantime.
            work.close()

    def _check_namesake(self, message: MQTTMessage) -> None:
        # A retained state is most likely from an earlier start of this daemon.
        if message.retain or not message.payload or self._daemon.encode() in message.payload or not self._is_alone:
            return
        self._is_alone = False
        _log.warning(
            "Two daemons publish under the same telescope name and overwrite each other's state. Give each telescope "
            "its own telescope.name, or another mqtt.prefix.",
            broker=self._settings.broker,
            telescope=self._settings.telescope,
        )

    # Called in the daemon's loop

    async def _carry_out(self, request: Request) -> None:
        try:
            answer = await self._answer(request)
        except AlpacaFocusError as error:
            answer = {"error": str(error)}
        except Exception:  # noqa: BLE001 - the log has the details
            _log.exception("MQTT command failed", command=request.command)
            answer = {"error": "Internal error of the program. See the log for details."}
        reply = {key: answer[key] for key in ("said", "error") if key in answer}
        _log.info("MQTT command received", command=request.command, **reply)
        self._publish(self._topics.reply, {"command": request.command, **reply}, retain=False)


def requested(name: str, payload: str) -> Request | None:
    """Return the request of a command topic and its payload; `None` if there is no such command."""
    requests = {
        ("refocus", PRESS): Request("refocus", {}),
        ("abort", PRESS): Request("abort", {}),
        ("pause", ON): Request("pause", {}),
        ("pause", OFF): Request("resume", {}),
        ("compensation", ON): Request("compensation", {"enabled": True}),
        ("compensation", OFF): Request("compensation", {"enabled": False}),
    }
    return requests.get((name, payload.upper()))
