"""The virtual devices: what the imaging program sees in place of the real ones.

A virtual device answers what it must answer itself and passes everything else on.
"""

import asyncio
import json
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar

import structlog
from typing_extensions import override

from alpaca_focus.alpaca.errors import AlpacaError, BadRequest, ErrorNumber
from alpaca_focus.alpaca.replies import ApiRequest, BodyBrokenOff, Reply, done_reply, error_reply, value_reply
from alpaca_focus.alpaca.requests import typed_arguments
from alpaca_focus.alpaca.standard import INTERFACES, Scalar
from alpaca_focus.core.errors import AlpacaFocusError
from alpaca_focus.gateway.engine import ACTIONS, Engine
from alpaca_focus.gateway.upstream import Upstream, UpstreamLost
from alpaca_focus.ports import Clock

T = TypeVar("T")

RESTORE_WITHIN_S = 15.0
"""Seconds for which a program that disconnects waits for a focus run to restore the focuser."""
STILL_WITHIN_S = 75.0
"""Seconds for which a move of the imaging program waits for an engine; longer than one that works ever takes."""

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
"""Members that move a mount."""


class Passed:
    """The answer of a virtual device that leaves a request to the real one."""


PASS_ON = Passed()


class VirtualDevice:
    """One virtual device; subclasses add what they answer themselves to `_answers`.

    Attributes:
        upstream: The real device.
    """

    def __init__(self, upstream: Upstream, engine: Engine) -> None:
        self.upstream = upstream
        self._engine = engine
        self._was_disconnected = False
        self._tasks: set[asyncio.Task[Any]] = set()
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
        name = request.member.lower()
        answer = self._answers.get((request.method, name))
        if answer is None:
            return await self.upstream.forward(request)
        # Some servers take any casing: none of them is to be a way round this.
        request = replace(request, member=name)
        member = INTERFACES[self.upstream.device_type].members[request.method, request.member]
        try:
            arguments = typed_arguments(member, request.parameters)
        except BadRequest:
            # The real device refuses it in its own words.
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

    def close(self) -> None:
        """Stop all work, in the gateway's loop."""
        for task in self._tasks:
            task.cancel()

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

    async def _set_connected(self, request: ApiRequest, arguments: list[Scalar]) -> object:
        return await (self._connect if arguments[0] else self._disconnect)(request, arguments)

    async def _connect(self, request: ApiRequest, _arguments: list[Scalar]) -> object:
        return await self._to_the_end(self._carried_out(request, partial(self._note_connection, is_there=True)))

    async def _disconnect(self, request: ApiRequest, _arguments: list[Scalar]) -> object:
        await self.leave()
        return await self._to_the_end(self._carried_out(request, partial(self._note_connection, is_there=False)))

    def _note_connection(self, *, is_there: bool) -> None:
        self._was_disconnected = not is_there

    async def leave(self) -> None:
        """End what this program does with the device, because the imaging program disconnects from it."""

    async def _device_state(self, _request: ApiRequest, _arguments: list[Scalar]) -> object:
        differs = self._state_that_differs()
        if not differs:
            return PASS_ON
        try:
            state = list(await self.upstream.get("devicestate"))
        except (AlpacaError, TypeError):
            # The real device refuses it in its own words.
            return PASS_ON
        return [_with_other_value(each, differs) for each in state]

    async def _carried_out(self, request: ApiRequest, note: Callable[[], None]) -> Reply:
        """Pass a command on, and call `note` if the device has carried it out."""
        reply = await self._sent(request)
        if has_succeeded(reply):
            note()
        return reply

    async def _sent(self, request: ApiRequest) -> Reply:
        """Pass a command on and return its whole reply, also where the device sends it in pieces."""
        reply = await self.upstream.forward(request)
        if reply.hang_up or isinstance(reply.body, bytes):
            return reply
        assert isinstance(reply.body, AsyncIterable)  # noqa: S101 - nothing else comes from a real device
        try:
            body = b"".join([bytes(piece) async for piece in reply.body])
        except BodyBrokenOff:
            return Reply(hang_up=True)
        finally:
            # So a stream wants to be closed.
            close = getattr(reply.body, "aclose", None)
            if close is not None:
                await close()
        return replace(reply, body=body, declared_length=None)

    async def _to_the_end(self, work: Coroutine[Any, Any, T]) -> T:
        """Carry a command out to its end, with its bookkeeping, also when the client hangs up meanwhile."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    def _state_that_differs(self) -> Mapping[str, Any]:
        """Return the members of DeviceState, as the standard spells them, that are not the real device's."""
        return {}


class VirtualMount(VirtualDevice):
    """The mount: a slew ends a focus run.

    Args:
        upstream: The real mount.
        engine: Ends a run when the mount is moved.
        look_again: Called when the mount is moved.
    """

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


class VirtualMovingDevice(VirtualDevice):
    """A device that the imaging program moves: its moves wait until this program is done with the optics."""

    def __init__(self, upstream: Upstream, engine: Engine, clock: Clock) -> None:
        super().__init__(upstream, engine)
        self._clock = clock
        self._waits: asyncio.Task[None] | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether a move of the imaging program waits."""
        return self._waits is not None

    @override
    def close(self) -> None:
        """Stop all work, in the gateway's loop; a move that waits is not made any more."""
        self._forget()
        super().close()

    async def _until_still(self, why: str) -> None:
        """Have a run end, and wait until nothing of ours moves any more; not for ever."""
        self._engine.give_way(why)
        still = asyncio.ensure_future(self._engine.still())
        late = asyncio.ensure_future(self._clock.sleep(STILL_WITHIN_S))
        try:
            await asyncio.wait({still, late}, return_when=asyncio.FIRST_COMPLETED)
            if not still.done():
                _log.error(
                    "The engine does not come to rest; the imaging program goes on without it",
                    device=self.upstream.name,
                    waited_s=STILL_WITHIN_S,
                )
            elif not still.cancelled() and still.exception() is not None:
                _log.error("The engine failed; the imaging program goes on without it", why=repr(still.exception()))
        finally:
            still.cancel()
            late.cancel()
            await asyncio.gather(still, late, return_exceptions=True)

    def _wait_and_then(self, why: str, work: Callable[[], Awaitable[object]]) -> None:
        """Accept a move, and make it once nothing of ours is under way; it takes the place of one that waits."""

        async def waited() -> None:
            await self._until_still(why)
            await work()

        self._forget()
        self._waits = asyncio.create_task(waited())
        self._waits.add_done_callback(self._has_waited)

    def _has_waited(self, task: asyncio.Task[None]) -> None:
        if self._waits is task:
            self._waits = None
        if not task.cancelled() and task.exception() is not None:
            _log.error(
                "A move of the imaging program that had to wait was not made",
                device=self.upstream.name,
                why=str(task.exception()),
            )

    def _forget(self) -> None:
        waits, self._waits = self._waits, None
        if waits is not None:
            waits.cancel()


def _with_other_value(item: Any, differs: Mapping[str, Any]) -> Any:
    """Return an item of DeviceState as the imaging program is to see it."""
    if not isinstance(item, dict) or item.get("Name") not in differs:
        return item
    return {**item, "Value": differs[item["Name"]]}


def has_succeeded(reply: Reply) -> bool | None:
    """Return whether a device has carried out a command; `None`: its server broke off, and it is not known."""
    if reply.hang_up:
        return None
    if reply.status != HTTPStatus.OK or not isinstance(reply.body, bytes):
        return False
    try:
        fields = json.loads(reply.body)
    except ValueError:
        return None
    return isinstance(fields, dict) and not fields.get("ErrorNumber")
