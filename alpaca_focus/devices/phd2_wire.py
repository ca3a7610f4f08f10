"""The wire of PHD2's event server: questions with their answers, and events that come in between.

Source: PHD2's wiki, page "EventMonitoring": JSON objects, one a line, over TCP; questions and answers are those of
JSON-RPC 2.0.
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
"""PHD2 answers at once, unless it is stuck in a dialog or the network is gone."""
_LONGEST_LINE_BYTES = 65_536
_LONGEST_TEXT = 200
_MOST_EVENTS = 1000


class Phd2Connection:
    """An open connection.

    Args:
        name: What to call PHD2 in a message.
        reader: From PHD2.
        writer: To PHD2.
    """

    def __init__(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._name = name
        self._reader = reader
        self._writer = writer
        self._questions = 0
        self._events: deque[Message] = deque(maxlen=_MOST_EVENTS)

    async def ask(self, method: str, parameters: Sequence[object] | Mapping[str, object] = ()) -> object:
        """Ask one question and return its answer; the events that come before it are kept for `event`.

        Raises:
            DeviceTimeout: No answer within `ANSWER_WITHIN_S`.
            DeviceUnreachable: The connection was dropped.
            DeviceRefused: PHD2 answered with an error.
        """
        self._questions += 1
        self._events.clear()
        question = {"jsonrpc": "2.0", "method": method, "params": parameters, "id": self._questions}
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await self._send(json.dumps(question).encode() + b"\r\n")
                while True:
                    message = await self._message()
                    if "Event" in message:
                        self._events.append(message)
                    elif message.get("id") == self._questions:
                        return self._result(method, message)
        except TimeoutError:
            raise DeviceTimeout(
                self._name, f"{self._name} did not answer within {ANSWER_WITHIN_S:g} s. Look whether it shows a dialog."
            ) from None

    async def event(self, name: str) -> Message:
        """Return the next event of a name that came after the last question was asked; waits for ever.

        Raises:
            DeviceUnreachable: The connection was dropped.
        """
        while True:
            message = self._events.popleft() if self._events else await self._message()
            if message.get("Event") == name:
                return message

    async def _send(self, line: bytes) -> None:
        try:
            self._writer.write(line)
            await self._writer.drain()
        except OSError as error:
            raise self._dropped() from error

    async def _message(self) -> Message:
        """Return the next message; a line that is none is passed over."""
        while True:
            try:
                line = await self._reader.readline()
            except OSError as error:
                raise self._dropped() from error
            except ValueError:
                # Too long for a message that is of use here; what is left of the line comes next and is no JSON.
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
        number, said = details.get("code"), as_text(details.get("message"))
        raise DeviceRefused(
            self._name,
            f"{self._name} refuses {method}: {said}.",
            number=number if isinstance(number, int) else 0,
            device_message=said,
        )

    def _dropped(self) -> DeviceUnreachable:
        return DeviceUnreachable(self._name, f"{self._name} has dropped the connection. Look whether it still runs.")


@asynccontextmanager
async def connected(address: str, name: str) -> AsyncIterator[Phd2Connection]:
    """Connect, and let go in the end.

    Args:
        address: "host:port"; an IPv6 address in brackets.
        name: What to call PHD2 in a message.

    Raises:
        DeviceUnreachable: There is nothing at that address, or no answer within `ANSWER_WITHIN_S`.
    """
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            reader, writer = await asyncio.open_connection(host.strip("[]"), int(port), limit=_LONGEST_LINE_BYTES)
    except (OSError, UnicodeError) as error:  # UnicodeError: a host name that cannot be written for a name server
        raise DeviceUnreachable(
            name,
            f"{name} cannot be reached. Start PHD2 and switch its server on (Tools, Enable Server), or correct "
            "guider.address.",
        ) from error
    try:
        yield Phd2Connection(name, reader, writer)
    finally:
        # Every question has had its answer, or is not waited for: nothing is lost, and nothing can hang.
        writer.transport.abort()


def as_text(said: object) -> str:
    """Return in one line, without a full stop, what PHD2 says of an error."""
    printable = "".join(sign if sign.isprintable() else " " for sign in str(said or "it does not say why"))
    return " ".join(printable.split())[:_LONGEST_TEXT].rstrip(". ")
