"""Alpaca requests of one device: numbers them, sends them, translates the replies."""

import asyncio
import itertools
import random
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass

from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from alpaca_focus.alpaca.http import BadReply, BadStatus, HttpError, HttpTimeout
from alpaca_focus.alpaca.images import fetch_image
from alpaca_focus.core.errors import DeviceRefused, DeviceTimeout, DeviceUnreachable
from alpaca_focus.core.values import Pixels
from alpaca_focus.devices.address import DeviceAddress
from alpaca_focus.devices.translate import DeviceCall, nonsense, refusal, timed_out, unreachable, value_of_reply
from alpaca_focus.devices.transport import BrokenReply, Deadline, HttpReply, send_request

STALL_TIMEOUT_S = 15.0
"""Real seconds without a byte of an image after which the download is given up."""

_LOST_PARAMETERS = frozenset({400, 422, ErrorNumber.INVALID_VALUE, ErrorNumber.VALUE_NOT_SET})
"""Refusals of a server that did not find the parameters of a PUT where the standard has them, in the body."""


@dataclass(frozen=True, slots=True)
class Call:
    """The call that a worker thread is busy with."""

    question: DeviceCall
    deadline: Deadline


current_call: ContextVar[Call] = ContextVar("current_call")
"""Set by the worker in its thread: alpyca's members have no place for a deadline in their signatures."""


class Requester:
    """Sends the requests of one device; may be used by several threads at once."""

    def __init__(self, address: DeviceAddress, device_type: str, device_number: int) -> None:
        self._address = address
        self._device_number = device_number
        self._path = f"/api/v1/{device_type}/{device_number}"
        self._client_id = random.randrange(1, 65536)  # noqa: S311 - tells clients apart, keeps no secret
        self._transactions = itertools.count(1)
        self._puts_in_query = False

    def get(self, member: str, parameters: Mapping[str, object]) -> object:
        """Read a member.

        Raises:
            DeviceError: No answer, a refusal, or nonsense.
        """
        call = current_call.get()
        reply = self._send(call, "GET", f"{self._path}/{member}", query=self._numbered(parameters))
        return value_of_reply(call.question, reply.status, reply.body, needs_value=True)

    def put(self, member: str, parameters: Mapping[str, object]) -> object:
        """Call or set a member; return its Value or `None`.

        A server that looks for the parameters in the query is served there, too, once it has refused the first one.

        Raises:
            DeviceError: No answer, a refusal, or nonsense.
        """
        try:
            return self._put(member, parameters, in_query=self._puts_in_query)
        except DeviceRefused as refused:
            if self._puts_in_query or not parameters or refused.number not in _LOST_PARAMETERS:
                raise
            try:
                value = self._put(member, parameters, in_query=True)
            except DeviceRefused:
                raise refused from None
            self._puts_in_query = True
            return value

    def _put(self, member: str, parameters: Mapping[str, object], *, in_query: bool) -> object:
        call = current_call.get()
        form = self._numbered(parameters)
        reply = self._send(call, "PUT", f"{self._path}/{member}", query=form if in_query else None, form=form)
        return value_of_reply(call.question, reply.status, reply.body, needs_value=False)

    def image(self) -> Pixels:
        """Return the image of the camera's last exposure: ADU, shape (rows, columns) or (rows, columns, planes).

        Blocks, because the worker thread goes on to measure the frame, which would hold up the daemon's event loop.

        Raises:
            DeviceError: It did not come, was refused, or makes no sense.
        """
        call = current_call.get()
        try:
            return asyncio.run(self._fetch_image(call.deadline))
        except AlpacaError as error:
            raise refusal(call.question, error.number, error.message) from error
        except BadStatus as error:
            raise refusal(call.question, error.status, str(error)) from error
        except BadReply as error:
            raise nonsense(call.question, str(error)) from error
        except HttpError as error:
            kind = DeviceTimeout if isinstance(error, HttpTimeout) else DeviceUnreachable
            device = call.question.device
            raise kind(
                device,
                f"The frame of {device} could not be downloaded: {error}. Check that its server is running and that the"
                " network is fast enough for its frames.",
            ) from error
        except (TimeoutError, asyncio.CancelledError) as error:
            raise timed_out(call.question, call.deadline.duration_s) from error

    async def _fetch_image(self, deadline: Deadline) -> Pixels:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        assert task is not None  # noqa: S101 - in a coroutine there is one
        deadline.guard(lambda: loop.call_soon_threadsafe(task.cancel))
        return await fetch_image(
            self._address.authority,
            self._device_number,
            timeout_s=deadline.remaining_s(),
            stall_timeout_s=STALL_TIMEOUT_S,
            client_id=self._client_id,
            client_transaction_id=next(self._transactions),
        )

    def configured_devices(self) -> object:
        """Return the Value of the management API's list of devices.

        Raises:
            DeviceError: No answer, a refusal, or nonsense.
        """
        call = current_call.get()
        reply = self._send(call, "GET", "/management/v1/configureddevices", query=self._numbered({}))
        return value_of_reply(call.question, reply.status, reply.body, needs_value=True)

    def _numbered(self, parameters: Mapping[str, object]) -> dict[str, object]:
        return {**parameters, "ClientID": self._client_id, "ClientTransactionID": next(self._transactions)}

    def _send(
        self,
        call: Call,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        form: Mapping[str, object] | None = None,
    ) -> HttpReply:
        try:
            return send_request(self._address, method, path, call.deadline, query=query, form=form)
        except TimeoutError as error:
            raise timed_out(call.question, call.deadline.duration_s) from error
        except OSError as error:
            raise unreachable(call.question, error) from error
        except BrokenReply as error:
            raise nonsense(call.question, str(error)) from error
