"""Virtual devices, which the imaging program uses in place of the real ones.

A virtual device answers only what differs from the real one, and passes everything else on.
"""

import asyncio
import json
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any, ClassVar, TypeVar

import structlog
from typing_extensions import override

from alpaca_focus.alpaca.errors import AlpacaError, BadRequest, ErrorNumber
from alpaca_focus.alpaca.replies import (
    ApiRequest,
    BodyBrokenOff,
    Reply,
    done_reply,
    error_reply,
    text_reply,
    value_reply,
)
from alpaca_focus.alpaca.requests import typed_arguments
from alpaca_focus.alpaca.standard import INTERFACES, Scalar
from alpaca_focus.core.errors import AlpacaFocusError
from alpaca_focus.gateway.background import run_within
from alpaca_focus.gateway.engine import ACTIONS, Engine
from alpaca_focus.gateway.upstream import Upstream, UpstreamLost
from alpaca_focus.ports import Clock

T = TypeVar("T")

RESTORE_WITHIN_S = 15.0
"""Longest wait of a program that disconnects for a focus run that restores the focuser."""
STILL_WITHIN_S = 75.0
"""Longest wait of the program's move for the engine; longer than any run takes to restore the focuser."""

Answer = Callable[[ApiRequest, list[Scalar]], Awaitable[Any]]
"""Answers with a Value, with a whole `Reply`, or with `PASS_ON`."""

_log = structlog.get_logger(__name__)

# fmt: off
_MOUNT_MOVES = (
    "findhome", "moveaxis", "park", "sideofpier", "slewtoaltaz", "slewtoaltazasync", "slewtocoordinates",
    "slewtocoordinatesasync", "slewtotarget", "slewtotargetasync",
)
# fmt: on
"""Members that move a mount."""


class PassOn:
    """The type of `PASS_ON`, which leaves a request to the real device."""


PASS_ON = PassOn()


class VirtualDevice:
    """One virtual device; subclasses add the members that they answer to `_answers`."""

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
            ("PUT", "connect"): self._set_connected,
            ("PUT", "disconnect"): self._set_connected,
            ("GET", "devicestate"): self._device_state,
        }

    async def __call__(self, request: ApiRequest) -> Reply:
        """Answer a request, or pass it on."""
        if request.member != request.member.lower():
            # Not passed on: some servers accept it, which would bypass the virtual device.
            return text_reply(HTTPStatus.BAD_REQUEST, f"Members are in lower case, unlike {request.member!r}.")
        answer = self._answers.get((request.method, request.member))
        if answer is None:
            return await self.upstream.forward(request)
        member = INTERFACES[self.upstream.device_type].members[request.method, request.member]
        try:
            arguments = typed_arguments(member, request.parameters)
        except BadRequest as error:
            # Not passed on: a server that is less strict would carry it out, past the virtual device.
            return text_reply(HTTPStatus.BAD_REQUEST, str(error))
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
        """Cancel all tasks, in the gateway's loop."""
        for task in self._tasks:
            task.cancel()

    # Members common to all devices

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
            return await self._engine.run_action(action)
        except AlpacaFocusError as error:
            raise AlpacaError(ErrorNumber.INVALID_OPERATION, str(error)) from error

    async def _connected(self, _request: ApiRequest, _arguments: list[Scalar]) -> object:
        # The daemon stays connected to the real device: a program that has disconnected would see that.
        return False if self._was_disconnected else PASS_ON

    async def _set_connected(self, request: ApiRequest, arguments: list[Scalar]) -> object:
        disconnects = not arguments[0] if arguments else request.member == "disconnect"
        if disconnects:
            await self.before_disconnect()

        def note() -> None:
            self._was_disconnected = disconnects

        return await self._finish(self._execute(request, note))

    async def before_disconnect(self) -> None:
        """Finish what the daemon does with the device before the imaging program disconnects it."""

    async def _device_state(self, _request: ApiRequest, _arguments: list[Scalar]) -> object:
        if not (overrides := self._state_overrides()):
            return PASS_ON
        try:
            state = list(await self.upstream.get("devicestate"))
        except (AlpacaError, TypeError):
            # The real device refuses it with its own message.
            return PASS_ON
        for item in state:
            if isinstance(item, dict) and item.get("Name") in overrides:
                item["Value"] = overrides[item["Name"]]
        return state

    async def _execute(self, request: ApiRequest, note: Callable[[], None]) -> Reply:
        """Pass a command on, and call `note` if the device has carried it out."""
        reply = await self._sent(request)
        if has_succeeded(reply):
            note()
        return reply

    async def _sent(self, request: ApiRequest) -> Reply:
        """Pass a command on and return its whole reply, not streamed."""
        reply = await self.upstream.forward(request)
        if reply.hang_up or isinstance(reply.body, bytes):
            return reply
        assert isinstance(reply.body, AsyncIterable)  # noqa: S101 - nothing else comes from a real device
        try:
            body = b"".join([bytes(piece) async for piece in reply.body])
        except BodyBrokenOff:
            return Reply(hang_up=True)
        finally:
            if (close := getattr(reply.body, "aclose", None)) is not None:
                await close()
        return replace(reply, body=body, declared_length=None)

    async def _finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Finish a command and its bookkeeping even if the client hangs up: the device carries it out all the same."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    def _state_overrides(self) -> Mapping[str, Any]:
        """Return the values of DeviceState, by ASCOM name, that differ from the real device's."""
        return {}


class VirtualMount(VirtualDevice):
    """The mount: a slew ends a focus run and calls `request_check`."""

    def __init__(self, upstream: Upstream, engine: Engine, request_check: Callable[[], None]) -> None:
        super().__init__(upstream, engine)
        self._request_check = request_check
        for member in _MOUNT_MOVES:
            self._answers["PUT", member] = self._move

    async def _move(self, request: ApiRequest, _arguments: list[Scalar]) -> object:
        self._request_check()
        if self._engine.focusing:
            self._engine.give_way(f"the imaging program moves the mount ({request.member})")
        return PASS_ON


class VirtualMovingDevice(VirtualDevice):
    """A device that the imaging program moves: its moves wait until focus runs and correction moves have ended."""

    _what: ClassVar[str]

    def __init__(self, upstream: Upstream, engine: Engine, clock: Clock) -> None:
        super().__init__(upstream, engine)
        self._clock = clock
        self._waiting_move: asyncio.Task[None] | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether a move of the imaging program waits."""
        return self._waiting_move is not None

    @override
    def close(self) -> None:
        """Cancel all tasks, in the gateway's loop; a move that waits is never made."""
        self._drop_move()
        super().close()

    async def _end_run(self, why: str) -> None:
        """End a focus run, and wait up to `STILL_WITHIN_S` until no run or correction move is under way."""
        self._engine.give_way(why)
        task = await run_within(STILL_WITHIN_S, self._clock, self._engine.wait_until_idle())
        if task is None:
            _log.error(
                "The engine does not become idle. The imaging program's command is carried out now.",
                device=self.upstream.name,
                waited_s=STILL_WITHIN_S,
            )
        elif not task.cancelled() and task.exception() is not None:
            _log.error("The engine failed; the imaging program goes on without it", why=repr(task.exception()))

    def _move_after_run(self, why: str, member: str, position: int) -> None:
        """Accept a move, and make it once no run or correction move is under way; it replaces one that waits."""

        async def waited() -> None:
            await self._end_run(why)
            await self._carry_out(member, position)

        self._drop_move()
        self._waiting_move = asyncio.create_task(waited())
        self._waiting_move.add_done_callback(self._move_ended)

    async def _carry_out(self, member: str, position: int) -> None:
        """Make a move that has waited."""
        await self.upstream.put(member, Position=position)

    def _move_ended(self, task: asyncio.Task[None]) -> None:
        if self._waiting_move is task:
            self._waiting_move = None
        if not task.cancelled() and task.exception() is not None:
            why = str(task.exception())
            _log.error("A waiting move of the imaging program failed", device=self.upstream.name, why=why)

    def _drop_move(self) -> None:
        waits, self._waiting_move = self._waiting_move, None
        if waits is not None:
            waits.cancel()

    @override
    async def before_disconnect(self) -> None:
        """End a run, so that it restores the focuser and the wheel."""
        self._drop_move()
        await self._end_run(f"the imaging program disconnects from the {self._what}")


def has_succeeded(reply: Reply) -> bool | None:
    """Return whether a device has carried out a command; `None` if its server broke off the reply."""
    if reply.hang_up:
        return None
    if reply.status != HTTPStatus.OK or not isinstance(reply.body, bytes):
        return False
    try:
        fields = json.loads(reply.body)
    except ValueError:
        return None
    return isinstance(fields, dict) and not fields.get("ErrorNumber")
