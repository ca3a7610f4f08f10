"""The protocol of PHD2's event server: JSON-RPC 2.0 requests and responses, and events between them.

Source: PHD2's wiki, page "EventMonitoring": JSON objects, one a line, over TCP.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TypeAlias

from alpaca_focus.core.errors import DeviceRefused, DeviceTimeout, DeviceUnreachable

Message: TypeAlias = Mapping[str, object]

ANSWER_WITHIN_S = 5.0
"""PHD2 answers at once, unless it shows a dialog or the network is down."""
_LONGEST_LINE_BYTES = 65_536
_LONGEST_TEXT = 200
_MOST_EVENTS = 1000


class Phd2Connection:
    """An open connection; `name` is PHD2's name in messages."""

    def __init__(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._name = name
        self._reader = reader
        self._writer = writer
        self._requests = 0
        self._events: deque[Message] = deque(maxlen=_MOST_EVENTS)

    async def call(self, method: str, parameters: Sequence[object] | Mapping[str, object] = ()) -> object:
        """Call a method and return its result; the events that arrive before it are stored for `event`.

        Raises:
            DeviceTimeout: No response within `ANSWER_WITHIN_S`.
            DeviceUnreachable: The connection was dropped.
            DeviceRefused: PHD2 returned an error.
        """
        self._requests += 1
        self._events.clear()
        request = {"jsonrpc": "2.0", "method": method, "params": parameters, "id": self._requests}
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                try:
                    self._writer.write(json.dumps(request).encode() + b"\r\n")
                    await self._writer.drain()
                except OSError as error:
                    raise self._dropped() from error
                while True:
                    message = await self._message()
                    if "Event" in message:
                        self._events.append(message)
                    elif message.get("id") == self._requests:
                        return self._result(method, message)
        except TimeoutError:
            raise DeviceTimeout(
                self._name,
                f"{self._name} did not answer within {ANSWER_WITHIN_S:g} s. Check whether it shows a dialog.",
            ) from None

    async def event(self, *names: str) -> Message:
        """Return the next event with one of the names since the last `call`; waits without a limit.

        Raises:
            DeviceUnreachable: The connection was dropped.
        """
        while True:
            message = self._events.popleft() if self._events else await self._message()
            if (name := message.get("Event")) in names and isinstance(name, str):
                return message

    async def _message(self) -> Message:
        """Return the next message; skip lines that are not JSON objects."""
        while True:
            try:
                line = await self._reader.readline()
            except OSError as error:
                raise self._dropped() from error
            except ValueError:
                # Longer than any message used here. The rest of the line comes next, and is not JSON.
                continue
            if not line:
                raise self._dropped()
            try:
                message = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(message, dict):
                return message

    def _result(self, method: str, answer: Message) -> object:
        error = answer.get("error")
        if error is None:
            return answer.get("result")
        details = error if isinstance(error, dict) else {"message": error}
        number, text = details.get("code"), f"{self._name} refuses {method}: {one_line(details.get('message'))}."
        raise DeviceRefused(self._name, text, number=number if isinstance(number, int) else 0)

    def _dropped(self) -> DeviceUnreachable:
        return DeviceUnreachable(self._name, f"{self._name} has dropped the connection. Check that it still runs.")


@asynccontextmanager
async def connected(address: str, name: str) -> AsyncIterator[Phd2Connection]:
    """Connect to "host:port" (an IPv6 address in brackets), and disconnect at the end.

    Raises:
        DeviceUnreachable: Nothing answers at that address within `ANSWER_WITHIN_S`.
    """
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            reader, writer = await asyncio.open_connection(host.strip("[]"), int(port), limit=_LONGEST_LINE_BYTES)
    except (OSError, UnicodeError) as error:  # UnicodeError: a host name that no name server can resolve
        raise DeviceUnreachable(
            name,
            f"{name} cannot be reached. Start PHD2 and switch its server on (Tools, Enable Server), or correct "
            "guider.address.",
        ) from error
    try:
        yield Phd2Connection(name, reader, writer)
    finally:
        # Nothing is pending that matters, and an orderly shutdown could hang.
        writer.transport.abort()


def one_line(text: object) -> str:
    """Return PHD2's error text in one line, without a full stop."""
    printable = "".join(sign if sign.isprintable() else " " for sign in str(text or "no reason given"))
    return " ".join(printable.split())[:_LONGEST_TEXT].rstrip(". ")
