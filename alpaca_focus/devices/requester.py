"""Alpaca requests of one device, and alpyca's device classes on top of them.

alpyca provides the members, their types and enumerations, but its own transport is not used (decision 0024): version
3.1.3 holds one lock of the class during every request of every device in the process, so that a hanging camera keeps a
focuser from halting; its timeout covers only the time between two bytes; it raises KeyError for a reply without
`ErrorNumber`, which several servers send. All its members go through `_get` and `_put`, so these two are replaced.
"""

import asyncio
import itertools
import random
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from alpaca.device import Device

from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from alpaca_focus.alpaca.http import BadReply, BadStatus, HttpError, HttpTimeout
from alpaca_focus.alpaca.images import fetch_image
from alpaca_focus.alpaca.standard import INTERFACES, DeviceType
from alpaca_focus.core.errors import DeviceRefused, DeviceTimeout, DeviceUnreachable
from alpaca_focus.core.values import Pixels
from alpaca_focus.devices.address import DeviceAddress
from alpaca_focus.devices.translate import DeviceRequest, invalid_reply, refusal, timed_out, unreachable, value_of_reply
from alpaca_focus.devices.transport import BrokenReply, Deadline, HttpReply, send_request

STALL_TIMEOUT_S = 15.0
"""Real seconds without a byte of an image after which the download is given up."""

_LOST_PARAMETERS = frozenset({400, 422, ErrorNumber.INVALID_VALUE, ErrorNumber.VALUE_NOT_SET})
"""Refusals of a PUT whose parameters the server did not find: some read them from the query, not from the body."""


@dataclass(frozen=True, slots=True)
class Call:
    """The call that a worker thread executes."""

    request: DeviceRequest
    deadline: Deadline


current_call: ContextVar[Call] = ContextVar("current_call")
"""Set by the worker in its thread: the signatures of alpyca's members have no room for a deadline."""


class Requester:
    """Sends the requests of one device; may be used by several threads at once.

    Its methods run within a `current_call` and raise a `DeviceError` for a missing answer, a refusal or an invalid
    reply.
    """

    def __init__(self, address: DeviceAddress, device_type: str, device_number: int) -> None:
        self._address = address
        self._device_number = device_number
        self._path = f"/api/v1/{device_type}/{device_number}"
        self._client_id = random.randrange(1, 65536)  # noqa: S311 - distinguishes clients, protects nothing
        self._transactions = itertools.count(1)
        self._puts_in_query = False

    def get(self, member: str, parameters: Mapping[str, object]) -> object:
        """Read a member."""
        query = self._numbered(parameters)
        return self._send("GET", f"{self._path}/{member}", query=query, needs_value=True)

    def put(self, member: str, parameters: Mapping[str, object]) -> object:
        """Call or set a member; return its Value or `None`.

        A server that reads the parameters from the query gets them there, too, once it has refused the first request.
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
        form = self._numbered(parameters)
        return self._send("PUT", f"{self._path}/{member}", query=form if in_query else None, form=form)

    def configured_devices(self) -> object:
        """Return the Value of the management API's list of devices."""
        return self._send("GET", "/management/v1/configureddevices", query=self._numbered({}), needs_value=True)

    def image(self) -> Pixels:
        """Return the image of the camera's last exposure: ADU, shape (rows, columns) or (rows, columns, planes).

        Blocks, because the worker thread also measures the frame, which would hold up the daemon's event loop.
        """
        call = current_call.get()
        try:
            return asyncio.run(self._fetch_image(call.deadline))
        except AlpacaError as error:
            raise refusal(call.request, error.number, error.message) from error
        except BadStatus as error:
            raise refusal(call.request, error.status, str(error)) from error
        except BadReply as error:
            raise invalid_reply(call.request, str(error)) from error
        except HttpError as error:
            kind = DeviceTimeout if isinstance(error, HttpTimeout) else DeviceUnreachable
            device = call.request.device
            raise kind(
                device,
                f"The frame of {device} could not be downloaded: {error}. Check that its server is running and that the"
                " network is fast enough for its frames.",
            ) from error
        except (TimeoutError, asyncio.CancelledError) as error:
            raise timed_out(call.request, call.deadline.duration_s) from error

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

    def _numbered(self, parameters: Mapping[str, object]) -> dict[str, object]:
        return {**parameters, "ClientID": self._client_id, "ClientTransactionID": next(self._transactions)}

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        form: Mapping[str, object] | None = None,
        needs_value: bool = False,
    ) -> object:
        call = current_call.get()
        try:
            reply: HttpReply = send_request(self._address, method, path, call.deadline, query=query, form=form)
        except TimeoutError as error:
            raise timed_out(call.request, call.deadline.duration_s) from error
        except OSError as error:
            raise unreachable(call.request, error) from error
        except BrokenReply as error:
            raise invalid_reply(call.request, str(error)) from error
        return value_of_reply(call.request, reply.status, reply.body, needs_value=needs_value)


class _RequesterMembers:
    """Replaces alpyca's transport in a subclass of an alpyca device."""

    requester: Requester

    def _get(self, attribute: str, **data: object) -> object:
        return self.requester.get(attribute, data)

    def _put(self, attribute: str, **data: object) -> Mapping[str, object]:
        return {"Value": self.requester.put(attribute, data)}

    # alpyca emulates these three for older devices in a thread of its own, and treats any failure as interface version
    # 1. Here they return the device's own answers.

    @property
    def InterfaceVersion(self) -> object:  # noqa: N802 - the standard's spelling
        """The version of the device interface."""
        return self._get("interfaceversion")

    @property
    def Connecting(self) -> object:  # noqa: N802 - the standard's spelling
        """Whether `Connect` is still at work."""
        return self._get("connecting")

    def Connect(self) -> None:  # noqa: N802 - the standard's spelling
        """Start connecting."""
        self._put("connect")


@cache
def _class_of(kind: DeviceType) -> type[Any]:
    name = INTERFACES[kind].display_name
    return type(f"Requesting{name}", (_RequesterMembers, getattr(import_module(f"alpaca.{kind}"), name)), {})


def make_alpyca_device(kind: DeviceType, address: DeviceAddress, device_number: int) -> Device:
    """Return an alpyca device whose members go through a `Requester` and raise `DeviceError`s."""
    device: Any = _class_of(kind)(address.authority, device_number)
    device.requester = Requester(address, kind, device_number)
    return device
