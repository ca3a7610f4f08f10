"""Chooses and makes the correction moves: temperature compensation, filter offset, or an unfinished move."""

from dataclasses import replace
from functools import partial

import structlog

from alpaca_focus.core.errors import DeviceError
from alpaca_focus.core.night import transitions
from alpaca_focus.core.night.compensation import correction_steps, exceeded_limit
from alpaca_focus.core.night.state import CorrectionKind, CorrectionMove
from alpaca_focus.core.sweep.backlash import ApproachMethod, approach
from alpaca_focus.core.sweep.sampler import USUAL_FACTOR
from alpaca_focus.core.values import Position
from alpaca_focus.night.dependencies import Dependencies, NightSettings
from alpaca_focus.night.exclusive_job import Work
from alpaca_focus.night.state_store import StateStore

RETRY_AFTER_S = 120.0
"""Delay before a failed correction move is tried again."""

_log = structlog.get_logger(__name__)


class Compensator:
    """Moves the focuser between two refocuses, each time exactly once."""

    def __init__(self, dependencies: Dependencies, settings: NightSettings, store: StateStore) -> None:
        self._focuser = dependencies.focuser
        self._guider = dependencies.guider
        self._clock = dependencies.clock
        self._settings = settings
        self._store = store
        self._held_until_s = 0.0
        self._taken_up_at: Position | None = None

    @property
    def is_held(self) -> bool:
        """Whether correction moves wait after a failed one."""
        return self._clock.monotonic() < self._held_until_s

    @property
    def wants_to_move(self) -> bool:
        """Whether a correction move waits for the end of an exposure; safe to read in any thread."""
        if self.is_held:
            return False
        compensates = self._settings.between_exposures and self._correction_steps() != 0
        return compensates or self._store.state.unfinished_move is not None or self._offset_steps() is not None

    def hold(self, what: str, why: str) -> None:
        """Make correction moves wait after a failed one."""
        self._held_until_s = self._clock.monotonic() + RETRY_AFTER_S
        _log.error("Failed", what=what, why=why, next_try_in_s=RETRY_AFTER_S)

    # The choice

    def due_before_refocus(self) -> tuple[str, Work] | None:
        """Return the name of a move that precedes any refocus, and the move; `None`: none is due."""
        move, offset_steps = self._store.state.unfinished_move, self._offset_steps()
        if move is not None:
            # It failed before its end, so the focuser may stand anywhere.
            return "a small move", partial(self.finish, move)
        if offset_steps is not None:
            # The filter has changed already: a refocus would start from the wrong position.
            return "a move by a filter's offset", partial(self._shift, offset_steps, "offset")
        return None

    def due_by_temperature(self) -> tuple[str, Work] | None:
        """Return the name of a compensation move, and the move; `None`: none is due.

        A move that would exceed a limit stops compensation instead, with the reason in the log.
        """
        settings, steps = self._settings.compensation, self._correction_steps()
        if settings is None or steps == 0:
            return None
        compensated = self._store.state.compensated
        if reason := exceeded_limit(compensated, settings, steps):
            _log.error(reason, wanted_steps=round(compensated.wanted_steps, 1))
            self._store.apply(transitions.correction_refused, "compensation", reason)
            return None
        return "a move after the temperature", partial(self._shift, steps, "compensation")

    def _correction_steps(self) -> int:
        settings, state = self._settings.compensation, self._store.state
        return 0 if settings is None or not state.follows else correction_steps(state.compensated, settings)

    def _offset_steps(self) -> int | None:
        """Return the offset to move by; `None` if no filter has changed, or an offset is not known."""
        history, offsets = self._store.state.history, self._settings.offsets_steps
        if not history.filter_changed or history.by_hand or history.baseline is None:
            return None
        before, now = (offsets.get(name or "") for name in (history.baseline.filter_name, history.filter_name))
        return None if before is None or now is None else now - before

    # The moves

    async def finish(self, move: CorrectionMove) -> None:
        """Complete an unfinished move.

        Raises:
            DeviceError: It failed again.
        """
        # The direction of its last leg is not known, so the slack has to be taken up (decision 0015).
        await self._make(move, await self._focuser.position(), backlash_taken_up=False)

    async def go(self, here: Position, target: Position, *, backlash_taken_up: bool, factor: int = 1) -> None:
        """Move to the target, arriving from the same side as a focus run does, with `factor` times the overshoot set.

        Raises:
            DeviceError: A move failed.
        """
        backlash, limits = self._settings.backlash, self._settings.limits
        backlash = replace(backlash, method=ApproachMethod.OVERSHOOT, steps=factor * backlash.steps)
        for leg in approach(here, target, backlash=backlash, limits=limits, backlash_taken_up=backlash_taken_up):
            self._taken_up_at = None
            await self._focuser.move_to(leg)
        self._taken_up_at = target

    async def move_for_program(self, target: Position) -> None:
        """Make a move of the imaging program with the backlash taken up as in a focus run (decision 0032).

        Raises:
            DeviceError: It failed; it stays unfinished.
        """
        here = await self._focuser.position()
        move = CorrectionMove(target=target, steps=target - here, what="program")
        # On disk before the first leg, which goes past the target: a program killed there would leave it there.
        self._store.apply(transitions.correction_begun, move)
        await self.go(here, target, backlash_taken_up=here == self._taken_up_at, factor=USUAL_FACTOR)
        self._store.apply(transitions.moved_by_program, target, self._clock.wall())

    async def disable_device_compensation(self) -> None:
        """Switch the focuser's own temperature compensation off.

        Raises:
            DeviceError: It does not answer.
        """
        focuser = self._focuser
        if focuser.info.has_temperature_compensation and await focuser.temperature_compensation():
            _log.warning("The focuser's own temperature compensation is switched off: both would correct at once")
            await focuser.set_temperature_compensation(enabled=False)

    async def _shift(self, steps: int, what: CorrectionKind) -> None:
        here, limits = await self._focuser.position(), self._settings.limits
        move = CorrectionMove(target=here + steps, steps=steps, what=what)
        if limits.clamp(move.target) != move.target:
            reason = (
                f"The focuser cannot move by {steps:+d} steps from {here}: its limits are {limits.lowest} and "
                f"{limits.highest}. Check the limits, or refocus."
            )
            _log.error(reason)
            self._store.apply(transitions.correction_refused, what, reason)
            return
        # On disk before the first leg: a program killed during the move knows then that it was begun (decision 0015).
        self._store.apply(transitions.correction_begun, move)
        await self._make(move, here)

    async def _make(self, move: CorrectionMove, here: Position, *, backlash_taken_up: bool = True) -> None:
        await self.disable_device_compensation()
        await self.go(here, move.target, backlash_taken_up=backlash_taken_up)
        if move.what == "program":
            state = self._store.apply(transitions.moved_by_program, move.target, self._clock.wall())
        else:
            state = self._store.apply(transitions.correction_done, move)
        carried_steps = round(state.compensated.carried_steps, 2)
        facts = {"what": move.what, "steps": move.steps, "position": move.target, "carried_steps": carried_steps}
        _log.info("The focuser was corrected", **facts)
        try:
            if self._guider is not None:
                await self._guider.after_move()
        except DeviceError as error:
            _log.warning("The guider is not steady after a correction move", why=str(error))
