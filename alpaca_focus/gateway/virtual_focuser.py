"""The virtual focuser and filter wheel: a move of the imaging program first ends a focus run."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog
from typing_extensions import override

from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from alpaca_focus.alpaca.replies import ApiRequest, Reply
from alpaca_focus.alpaca.standard import Scalar
from alpaca_focus.core.errors import AlpacaFocusError
from alpaca_focus.core.night.program_autofocus import SERIES_PAUSE_S
from alpaca_focus.core.values import Position
from alpaca_focus.gateway.background import run_within
from alpaca_focus.gateway.camera_arbiter import CameraArbiter
from alpaca_focus.gateway.engine import Engine
from alpaca_focus.gateway.upstream import Upstream, UpstreamLost
from alpaca_focus.gateway.virtual_devices import PASS_ON, VirtualMovingDevice, has_succeeded
from alpaca_focus.ports import Clock

POLL_S = 0.5
LONGEST_MOVE_S = 600.0
HALT_WITHIN_S = 5.0
"""Longest wait of the program's Halt for the end of a move that the engine makes."""
WHEEL_MOVING = -1
WHEEL_WITHIN_S = 30.0
"""Longest wait of an exposure for a wheel that turns."""

_log = structlog.get_logger(__name__)


class VirtualFocuser(VirtualMovingDevice):
    """The focuser, with the real positions.

    A move of the imaging program ends a focus run and is made once the focuser is restored, by the engine with the
    backlash taken up where it compensates moves; the engine adopts the position where it ends.
    """

    _what = "focuser"

    def __init__(self, upstream: Upstream, engine: Engine, arbiter: CameraArbiter, clock: Clock) -> None:
        super().__init__(upstream, engine, clock)
        self._arbiter = arbiter
        self._move_watch: asyncio.Task[None] | None = None
        self._is_under_way = self._has_failed = False
        self._answers |= {
            ("PUT", "move"): self._move,
            ("PUT", "halt"): self._halt,
            ("GET", "ismoving"): self._is_moving,
        }

    @override
    def close(self) -> None:
        """Cancel all tasks, in the gateway's loop."""
        if self._move_watch is not None:
            self._move_watch.cancel()
        super().close()

    async def _move(self, request: ApiRequest, arguments: list[Scalar]) -> object:
        # Before the first await, so that no run or correction move begins meanwhile.
        self._engine.program_moves()
        self._has_failed = False
        engine = self._engine
        if not (engine.focusing or engine.correcting or engine.compensates_moves or self.is_waiting):
            return await self._finish(self._move_now(request))
        is_accepted = False
        try:
            await self._move_later(int(arguments[0]))
            is_accepted = True
        finally:
            self._watch_move(has_moved=is_accepted)
        return None

    async def _move_now(self, request: ApiRequest) -> Reply:
        # A lost reply, or a cancelled request, may have moved the focuser: only a refusal has not.
        has_moved = True
        try:
            reply = await self._sent(request)
            has_moved = has_succeeded(reply) is not False
        finally:
            self._watch_move(has_moved=has_moved)
        return reply

    async def _move_later(self, target: Position) -> None:
        highest = await self.upstream.get("maxstep")
        if not 0 <= target <= highest:
            raise AlpacaError(ErrorNumber.INVALID_VALUE, f"The position {target} is out of range (0 to {highest}).")
        self._move_after_run("the imaging program moves the focuser", "move", target)

    @override
    async def _carry_out(self, member: str, position: Position) -> None:
        """Let the engine make the move; what it cannot make is passed on."""
        self._is_under_way = True
        try:
            if not self._engine.compensates_moves or not await self._engine.move_focuser(position):
                await super()._carry_out(member, position)
        except AlpacaFocusError:
            # Where it stands now, perhaps past the target, is not where the program wants it.
            self._has_failed = True
            raise
        finally:
            self._is_under_way = False

    @override
    async def before_disconnect(self) -> None:
        """Let a move end that is under way, as a focuser does, or end a run, so that it restores the focuser."""
        if self._is_under_way:
            await self._end_run("the imaging program disconnects from the focuser")
        await super().before_disconnect()

    async def _halt(self, _request: ApiRequest, _arguments: list[Scalar]) -> object:
        is_made_by_engine = self._is_under_way
        self._drop_move()
        if self._arbiter.leased:
            # The run stops where it is and restores the focuser.
            self._engine.give_way("the imaging program halts the focuser")
            return None
        if is_made_by_engine:
            # The engine halts the focuser itself. The program's own request follows, so that no leg can come after it.
            await run_within(HALT_WITHIN_S, self._clock, self._engine.wait_until_idle())
        return PASS_ON

    async def _is_moving(self, _request: ApiRequest, _arguments: list[Scalar]) -> object:
        return True if self._is_busy else PASS_ON

    @property
    def _is_busy(self) -> bool:
        return self.is_waiting or self._engine.correcting or self._arbiter.leased

    @override
    def _state_overrides(self) -> Mapping[str, Any]:
        return {"IsMoving": True} if self._is_busy else {}

    def _watch_move(self, *, has_moved: bool) -> None:
        """Report to the engine when and where the imaging program's moves have ended."""
        if not has_moved:
            # An earlier move that is still watched reports the position when it ends.
            if self._move_watch is None or self._move_watch.done():
                self._engine.program_has_moved(None)
            return
        self._arbiter.exposures.focuser_moved()
        if self._move_watch is not None:
            self._move_watch.cancel()
        self._move_watch = asyncio.create_task(self._report_move())

    async def _report_move(self) -> None:
        position: Position | None = None
        try:
            position = await self._final_position()
            if self._arbiter.exposures.autofocus.is_series:
                await self._clock.sleep(SERIES_PAUSE_S)
        except (AlpacaError, UpstreamLost, TimeoutError, TypeError, ValueError) as error:
            _log.warning("The position to which the imaging program moved the focuser is unknown", why=repr(error))
        self._engine.program_has_moved(None if self._has_failed else position)

    async def _final_position(self) -> Position:
        """Return the position once two polls agree and IsMoving is false: some servers start moving 0.5 s late."""
        ends_s = self._clock.monotonic() + LONGEST_MOVE_S
        before: Position | None = None
        while self._clock.monotonic() < ends_s:
            await self._clock.sleep(POLL_S)
            if self.is_waiting:
                continue
            here = int(await self.upstream.get("position"))
            if here == before and not await self.upstream.get("ismoving"):
                return here
            before = here
        raise TimeoutError(f"it has not stopped within {LONGEST_MOVE_S:.0f} s")


class VirtualFilterWheel(VirtualMovingDevice):
    """The filter wheel: a change of the filter ends a focus run and calls `request_check`."""

    _what = "filter wheel"

    def __init__(
        self,
        upstream: Upstream,
        engine: Engine,
        request_check: Callable[[Callable[[], Awaitable[None]]], None],
        clock: Clock,
    ) -> None:
        super().__init__(upstream, engine, clock)
        self._request_check = request_check
        self._answers |= {("PUT", "position"): self._turn, ("GET", "position"): self._position}

    async def _turn(self, _request: ApiRequest, arguments: list[Scalar]) -> object:
        self._request_check(self._wait_for_filter)
        if not self._engine.focusing and not self.is_waiting:
            return PASS_ON
        slot, names = int(arguments[0]), await self.upstream.get("names")
        count = len(names) if isinstance(names, list) else 0
        if not 0 <= slot < count:
            raise AlpacaError(ErrorNumber.INVALID_VALUE, f"The slot {slot} is out of range (0 to {count - 1}).")
        self._move_after_run("the imaging program changes the filter", "position", slot)
        return None

    async def _wait_for_filter(self) -> None:
        """Wait until the wheel reports a filter: not every program does, and the next decision has to know it."""
        ends_s = self._clock.monotonic() + WHEEL_WITHIN_S
        try:
            while self._clock.monotonic() < ends_s and (
                self.is_waiting or await self.upstream.get("position") == WHEEL_MOVING
            ):
                await self._clock.sleep(POLL_S)
        except (AlpacaError, UpstreamLost) as error:
            _log.debug("The filter wheel does not report its position", why=str(error))

    async def _position(self, _request: ApiRequest, _arguments: list[Scalar]) -> object:
        return WHEEL_MOVING if self.is_waiting else PASS_ON

    @override
    def _state_overrides(self) -> Mapping[str, Any]:
        return {"Position": WHEEL_MOVING} if self.is_waiting else {}
