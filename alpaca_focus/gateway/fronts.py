"""The virtual devices: what the imaging program sees in place of the real ones.

A front answers what it must answer itself and passes everything else on.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

import structlog

from alpaca_focus.alpaca.answers import done_reply, error_reply, value_reply
from alpaca_focus.alpaca.errors import AlpacaError, BadRequest, ErrorNumber
from alpaca_focus.alpaca.replies import ApiRequest, Reply
from alpaca_focus.alpaca.requests import typed_arguments
from alpaca_focus.alpaca.standard import MEMBERS, DeviceType, Scalar
from alpaca_focus.core.errors import AlpacaFocusError
from alpaca_focus.gateway.engine import ACTIONS, Engine
from alpaca_focus.gateway.upstream import Upstream, UpstreamLost

WAY_HOME_S = 15.0
"""Seconds for which a program that disconnects waits for a focus run to bring the focuser home."""

Answer = Callable[[ApiRequest, list[Scalar]], Awaitable[Any]]
"""Answers with a Value, with a whole `Reply`, or with `PASS_ON`."""

_log = structlog.get_logger(__name__)


_GOES = (
    "findhome",
    "moveaxis",
    "park",
    "sideofpier",
    "slewtoaltaz",
    "slewtoaltazasync",
    "slewtocoordinates",
    "slewtocoordinatesasync",
    "slewtotarget",
    "slewtotargetasync",
)
"""Members by which a mount is sent elsewhere."""


class Passed:
    """Says that a request is to be passed on to the real device after all."""


PASS_ON = Passed()


class Front:
    """One virtual device; subclasses add what they answer themselves to `_answers`.

    Attributes:
        upstream: The real device.
    """

    device_type: DeviceType

    def __init__(self, upstream: Upstream, engine: Engine) -> None:
        self.upstream = upstream
        self._engine = engine
        self._was_disconnected = False
        self._answers: dict[tuple[str, str], Answer] = {
            ("GET", "supportedactions"): self._supported_actions,
            ("PUT", "action"): self._action,
            ("GET", "connected"): self._connected,
            ("PUT", "connected"): self._set_connected,
            ("PUT", "connect"): self._connect,
            ("PUT", "disconnect"): self._disconnect,
            ("GET", "devicestate"): self._device_state,
        }

    async def __call__(self, request: ApiRequest) -> Reply:
        """Answer a request, or pass it on."""
        answer = self._answers.get((request.method, request.member))
        if answer is None:
            return await self.upstream.forward(request)
        member = MEMBERS[self.device_type][request.method, request.member]
        try:
            arguments = typed_arguments(member, request.parameters)
        except BadRequest:
            # The real device says so in its own words.
            return await self.upstream.forward(request)
        try:
            value = await answer(request, arguments)
        except AlpacaError as error:
            return error_reply(request, error)
        except UpstreamLost:
            return Reply(hang_up=True)
        if isinstance(value, Reply):
            return value
        if value is PASS_ON:
            return await self.upstream.forward(request)
        return await value_reply(request, value) if member.returns_value else done_reply(request)

    # What all devices have

    async def _supported_actions(self, _request: ApiRequest, _arguments: list[Scalar]) -> list[str]:
        try:
            actions = list(await self.upstream.get("supportedactions"))
        except (AlpacaError, TypeError):
            actions = []
        return [*(each for each in actions if str(each).lower() not in ACTIONS), *ACTIONS]

    async def _action(self, _request: ApiRequest, arguments: list[Scalar]) -> object:
        action = str(arguments[0]).lower()
        if action not in ACTIONS:
            return PASS_ON
        try:
            return await self._engine.act(action)
        except AlpacaFocusError as error:
            raise AlpacaError(ErrorNumber.INVALID_OPERATION, str(error)) from error

    async def _connected(self, _request: ApiRequest, _arguments: list[Scalar]) -> object:
        # The daemon connects the real device again when it needs it: that is none of the imaging program's business.
        return False if self._was_disconnected else PASS_ON

    async def _set_connected(self, _request: ApiRequest, arguments: list[Scalar]) -> object:
        await (self._before_connect() if arguments[0] else self._before_disconnect())
        return PASS_ON

    async def _connect(self, _request: ApiRequest, _arguments: list[Scalar]) -> object:
        await self._before_connect()
        return PASS_ON

    async def _disconnect(self, _request: ApiRequest, _arguments: list[Scalar]) -> object:
        await self._before_disconnect()
        return PASS_ON

    async def _before_connect(self) -> None:
        self._was_disconnected = False

    async def _before_disconnect(self) -> None:
        await self.leave()
        self._was_disconnected = True

    async def leave(self) -> None:
        """End what this program does with the device, because the imaging program lets go of it."""

    async def _device_state(self, _request: ApiRequest, _arguments: list[Scalar]) -> object:
        differs = self._state_that_differs()
        if not differs:
            return PASS_ON
        state: list[dict[str, Any]] = await self.upstream.get("devicestate")
        return [{**each, "Value": differs.get(each["Name"], each["Value"])} for each in state]

    async def _carried_out(self, request: ApiRequest, note: Callable[[], None]) -> Reply:
        """Pass a command on, and take note if the device has carried it out, also when the client hangs up."""

        async def carry_out() -> Reply:
            reply = await self.upstream.forward(request)
            if has_succeeded(reply):
                note()
            return reply

        return await asyncio.shield(asyncio.create_task(carry_out()))

    def _state_that_differs(self) -> Mapping[str, Any]:
        """Return the members of DeviceState, as the standard spells them, that are not the real device's."""
        return {}


class MountFront(Front):
    """The mount: only looked through.

    Args:
        upstream: The real mount.
        engine: Ends a run when the mount is sent elsewhere.
        look_again: Called when the mount is sent elsewhere.
    """

    device_type = DeviceType.TELESCOPE

    def __init__(self, upstream: Upstream, engine: Engine, look_again: Callable[[], None]) -> None:
        super().__init__(upstream, engine)
        self._look_again = look_again
        for member in _GOES:
            self._answers["PUT", member] = self._goes

    async def _goes(self, request: ApiRequest, _arguments: list[Scalar]) -> object:
        self._look_again()
        if self._engine.focusing:
            self._engine.give_way(f"the imaging program sends the mount elsewhere ({request.member})")
        return PASS_ON


class MovedFront(Front):
    """A device that the imaging program moves: its moves wait until this program is done with the optics."""

    def __init__(self, upstream: Upstream, engine: Engine) -> None:
        super().__init__(upstream, engine)
        self._waits: asyncio.Task[None] | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether a move of the imaging program waits."""
        return self._waits is not None

    async def _until_still(self, why: str) -> None:
        """Have a run end, and wait until nothing of ours moves any more."""
        self._engine.give_way(why)
        await self._engine.still()

    def _wait_and_then(self, why: str, work: Callable[[], Awaitable[None]]) -> None:
        """Accept a move, and make it once nothing of ours is under way."""

        async def waited() -> None:
            try:
                await self._until_still(why)
                await work()
            finally:
                self._waits = None

        if self._waits is not None:
            self._waits.cancel()
        self._waits = asyncio.create_task(waited())
        self._waits.add_done_callback(_tell_failure)

    def _forget(self) -> None:
        if self._waits is not None:
            self._waits.cancel()
            self._waits = None


def _tell_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        _log.error("A move of the imaging program that had to wait failed", why=str(task.exception()))


def has_succeeded(reply: Reply) -> bool:
    """Tell whether a device has carried out a command."""
    if reply.status != HTTPStatus.OK or not isinstance(reply.body, bytes):
        return False
    try:
        fields = json.loads(reply.body)
    except ValueError:
        return False
    return isinstance(fields, dict) and not fields.get("ErrorNumber")
