"""The virtual focuser and filter wheel: moves of the imaging program end a focus run, and are then made."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from typing_extensions import override

from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from alpaca_focus.alpaca.replies import ApiRequest, Reply
from alpaca_focus.alpaca.standard import Scalar
from alpaca_focus.core.values import Position
from alpaca_focus.gateway.camera_arbiter import CameraArbiter
from alpaca_focus.gateway.engine import Engine
from alpaca_focus.gateway.upstream import Upstream, UpstreamLost
from alpaca_focus.gateway.virtual_devices import PASS_ON, VirtualMovingDevice, has_succeeded
from alpaca_focus.ports import Clock

LOOK_S = 0.5
LONGEST_MOVE_S = 600.0
SERIES = 3
SERIES_WITHIN_S = 120.0
"""So many moves in so short a time are an autofocus of the imaging program's own."""
SERIES_PAUSE_S = 40.0
"""Longer than from one move of such a series to the next."""
WHEEL_MOVES = -1

_log = structlog.get_logger(__name__)


class VirtualFocuser(VirtualMovingDevice):
    """The focuser: positions are the real ones.

    A move of the imaging program ends a focus run, waits until the focuser is restored, and is then made; where it ends
    is taken up as the position where the focuser belongs.
    """

    def __init__(self, upstream: Upstream, engine: Engine, arbiter: CameraArbiter, clock: Clock) -> None:
        super().__init__(upstream, engine, clock)
        self._arbiter = arbiter
        self._moves_s: deque[float] = deque(maxlen=SERIES)
        self._following: asyncio.Task[None] | None = None
        self._answers |= {
            ("PUT", "move"): self._move,
            ("PUT", "halt"): self._halt,
            ("GET", "ismoving"): self._is_moving,
        }

    @override
    def close(self) -> None:
        """Stop all work, in the gateway's loop."""
        if self._following is not None:
            self._following.cancel()
        super().close()

    @override
    async def leave(self) -> None:
        """Let a run end and restore the focuser."""
        self._forget()
        await self._until_still("the imaging program disconnects from the focuser")

    async def _move(self, request: ApiRequest, arguments: list[Scalar]) -> object:
        # Before anything is awaited, so that nothing of ours begins meanwhile.
        self._engine.somebody_moves()
        if not (self._engine.focusing or self._engine.moves or self.is_waiting):
            return await self._to_the_end(self._move_now(request))
        is_accepted = False
        try:
            await self._move_later(int(arguments[0]))
            is_accepted = True
        finally:
            self._follow(has_moved=is_accepted)
        return None

    async def _move_now(self, request: ApiRequest) -> Reply:
        # Unless the device reports otherwise, it may have moved.
        has_moved = True
        try:
            reply = await self._sent(request)
            has_moved = has_succeeded(reply) is not False
        finally:
            self._follow(has_moved=has_moved)
        return reply

    async def _move_later(self, target: Position) -> None:
        highest = await self.upstream.get("maxstep")
        if not 0 <= target <= highest:
            raise AlpacaError(ErrorNumber.INVALID_VALUE, f"Positions go from 0 to {highest}, so {target} is not taken.")

        async def move() -> None:
            await self.upstream.put("move", Position=target)

        self._wait_and_then("the imaging program moves the focuser", move)

    async def _halt(self, _request: ApiRequest, _arguments: list[Scalar]) -> object:
        self._forget()
        if self._arbiter.leased:
            # The run stops where it is and restores the focuser.
            self._engine.give_way("the imaging program halts the focuser")
            return None
        return PASS_ON

    async def _is_moving(self, _request: ApiRequest, _arguments: list[Scalar]) -> object:
        return True if self._is_ours else PASS_ON

    @property
    def _is_ours(self) -> bool:
        return self.is_waiting or self._engine.moves or self._arbiter.leased

    @override
    def _state_that_differs(self) -> Mapping[str, Any]:
        return {"IsMoving": True} if self._is_ours else {}

    def _follow(self, *, has_moved: bool) -> None:
        """Report to the engine when, and where, the imaging program's moves have come to an end."""
        if not has_moved:
            # The moves before this one are still being followed.
            if self._following is None or self._following.done():
                self._engine.somebody_has_moved(None)
            return
        self._moves_s.append(self._clock.monotonic())
        if self._following is not None:
            self._following.cancel()
        self._following = asyncio.create_task(self._followed())

    async def _followed(self) -> None:
        position: Position | None = None
        try:
            position = await self._at_rest()
            if len(self._moves_s) == SERIES and self._moves_s[-1] - self._moves_s[0] < SERIES_WITHIN_S:
                await self._clock.sleep(SERIES_PAUSE_S)
        except (AlpacaError, UpstreamLost, TimeoutError, TypeError, ValueError) as error:
            _log.warning("Nobody knows where the imaging program has moved the focuser to", why=repr(error))
        self._engine.somebody_has_moved(position)

    async def _at_rest(self) -> Position:
        """Wait until the focuser stands still: twice at the same position, and not moving."""
        ends_s = self._clock.monotonic() + LONGEST_MOVE_S
        before: Position | None = None
        while self._clock.monotonic() < ends_s:
            await self._clock.sleep(LOOK_S)
            if self.is_waiting:
                continue
            here = int(await self.upstream.get("position"))
            if here == before and not await self.upstream.get("ismoving"):
                return here
            before = here
        raise TimeoutError(f"it has not come to rest within {LONGEST_MOVE_S:.0f} s")


class VirtualFilterWheel(VirtualMovingDevice):
    """The filter wheel: a change of the filter ends a focus run, and is looked at before the next exposure."""

    def __init__(self, upstream: Upstream, engine: Engine, look_again: Callable[[], None], clock: Clock) -> None:
        super().__init__(upstream, engine, clock)
        self._look_again = look_again
        self._answers |= {("PUT", "position"): self._turn, ("GET", "position"): self._position}

    @override
    async def leave(self) -> None:
        """Let a run end: it may have turned the wheel."""
        self._forget()
        await self._until_still("the imaging program disconnects from the filter wheel")

    async def _turn(self, _request: ApiRequest, arguments: list[Scalar]) -> object:
        self._look_again()
        if not self._engine.focusing and not self.is_waiting:
            return PASS_ON
        slot, names = int(arguments[0]), await self.upstream.get("names")
        count = len(names) if isinstance(names, list) else 0
        if not 0 <= slot < count:
            raise AlpacaError(ErrorNumber.INVALID_VALUE, f"Slots go from 0 to {count - 1}, so {slot} is not taken.")

        async def turn() -> None:
            await self.upstream.put("position", Position=slot)

        self._wait_and_then("the imaging program changes the filter", turn)
        return None

    async def _position(self, _request: ApiRequest, _arguments: list[Scalar]) -> object:
        return WHEEL_MOVES if self.is_waiting else PASS_ON

    @override
    def _state_that_differs(self) -> Mapping[str, Any]:
        return {"Position": WHEEL_MOVES} if self.is_waiting else {}
