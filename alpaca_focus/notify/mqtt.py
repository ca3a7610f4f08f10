"""The night for an MQTT broker, with Home Assistant's discovery; and commands from there."""

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
from alpaca_focus.notify.mqtt_client import CLOSED_WITHIN_S, KEEP_ALIVE_S, MqttSettings, end_client, new_client, refusal
from alpaca_focus.service.control_wire import Request

LONGEST_COMMAND_BYTES = 64

_log = structlog.get_logger(__name__)


class MqttLink:
    """Publishes what a feed tells, and hands commands on; an asynchronous context manager, made in the daemon's loop.

    The network is that of a thread of its own, which connects again and again; whatever the broker does, nobody waits.

    Args:
        settings: Where the broker is.
        feed: Tells what is happening.
        answer: Carries out a command, in the loop that this is made in.
    """

    def __init__(
        self, settings: MqttSettings, feed: Feed, answer: Callable[[Request], Awaitable[Mapping[str, object]]]
    ) -> None:
        self._settings = settings
        self._feed = feed
        self._answer = answer
        self._topics = Topics(settings.prefix, settings.telescope)
        self._loop = asyncio.get_running_loop()
        self._reading: asyncio.Task[None] | None = None
        self._state: TelescopeState | None = None
        self._lock = threading.Lock()
        self._trouble = ""
        self._daemon = secrets.token_hex(4)
        self._is_alone = True
        client = new_client(settings)
        client.will_set(self._topics.availability, OFFLINE, qos=1, retain=True)
        client.on_connect = self._connected
        client.on_connect_fail = self._not_connected
        client.on_disconnect = self._disconnected
        client.on_message = self._came
        self._client = client

    async def __aenter__(self) -> Self:
        """Begin to connect, and return at once."""
        self._client.connect_async(self._settings.host, self._settings.port, KEEP_ALIVE_S)
        self._client.loop_start()
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Say good-bye, and end."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await asyncio.to_thread(self._end)

    def _end(self) -> None:
        if self._client.is_connected():
            told = self._client.publish(self._topics.availability, OFFLINE, qos=1, retain=True)
            with contextlib.suppress(RuntimeError, ValueError):
                told.wait_for_publish(CLOSED_WITHIN_S)
        end_client(self._client)

    async def _read(self) -> None:
        """Follow the feed."""
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

    # In paho's thread

    def _connected(self, client: Client, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._tell(f"{refusal(reason)} Look at mqtt.user and the password.")
            return
        self._trouble = ""
        _log.info("The MQTT broker is connected", broker=self._settings.broker)
        client.subscribe([(self._topics.commands, 1), (BIRTH_TOPIC, 1), (self._topics.state, 0)])
        self._introduce()

    def _introduce(self) -> None:
        for topic, payload in discovery(self._topics, __version__).items():
            self._publish(topic, payload, retain=True)
        self._client.publish(self._topics.availability, ONLINE, qos=1, retain=True)
        with self._lock:
            state = self._state
        if state is not None:
            self._publish(self._topics.state, as_json(state), retain=True)

    def _not_connected(self, _client: Client, _userdata: Any) -> None:
        self._tell("The MQTT broker does not answer; it is tried again and again. Look at mqtt.broker.")

    def _disconnected(self, _client: Client, _userdata: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._tell("The MQTT broker has gone; it is tried again and again.")

    def _tell(self, trouble: str) -> None:
        if not self._trouble:
            _log.warning(trouble, broker=self._settings.broker)
        self._trouble = trouble

    def _came(self, _client: Client, _userdata: Any, message: MQTTMessage) -> None:
        if message.topic == self._topics.state:
            self._look_for_namesake(message)
            return
        text = message.payload[:LONGEST_COMMAND_BYTES].decode(errors="replace").strip()
        if message.topic == BIRTH_TOPIC:
            # Home Assistant has started anew.
            if text == ONLINE:
                self._introduce()
            return
        name = message.topic.rpartition("/")[2]
        if message.retain:
            _log.warning("A command by MQTT was kept by the broker and may be old; it is not carried out", command=name)
            return
        request = requested(name, text)
        if request is None:
            self._publish(
                self._topics.said, {"command": name, "error": f"There is no command {name} {text}."}, retain=False
            )
            return
        work = self._carry_out(request)
        try:
            asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:
            # The daemon's loop has just ended.
            work.close()

    def _look_for_namesake(self, message: MQTTMessage) -> None:
        # What the broker has kept is of an earlier start of this daemon, more likely than not.
        if message.retain or not message.payload or self._daemon.encode() in message.payload or not self._is_alone:
            return
        self._is_alone = False
        _log.warning(
            "Another daemon tells the MQTT broker of a telescope of the same name, and each overwrites what the other "
            "tells. Give each telescope its own telescope.name, or another mqtt.prefix.",
            broker=self._settings.broker,
            telescope=self._settings.telescope,
        )

    # In the daemon's loop

    async def _carry_out(self, request: Request) -> None:
        try:
            told = await self._answer(request)
        except AlpacaFocusError as error:
            told = {"error": str(error)}
        except Exception:  # noqa: BLE001 - the log has it whole
            _log.exception("A command by MQTT failed", command=request.command)
            told = {"error": "The program itself failed; its log has the details."}
        said = {key: told[key] for key in ("said", "error") if key in told}
        _log.info("A command came by MQTT", command=request.command, **said)
        self._publish(self._topics.said, {"command": request.command, **said}, retain=False)


def requested(name: str, payload: str) -> Request | None:
    """Return what a command topic and its payload ask for; `None`: nothing that there is."""
    match name:
        case "refocus" | "abort" if payload.upper() == PRESS:
            return Request(name, {})
        case "pause" if payload.upper() in {ON, OFF}:
            return Request("pause" if payload.upper() == ON else "resume", {})
        case "compensation" if payload.upper() in {ON, OFF}:
            return Request("compensation", {"enabled": payload.upper() == ON})
        case _:
            return None
