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
        return compensates or self._offset_steps() is not None

    def hold(self, what: str, why: str) -> None:
        """Make correction moves wait after a failed one."""
        self._held_until_s = self._clock.monotonic() + RETRY_AFTER_S
        _log.error("Failed", what=what, why=why, next_try_in_s=RETRY_AFTER_S)

    def release(self) -> None:
        """End the wait after a failed move: the focuser was not there, and answers again."""
        self._held_until_s = 0.0

    # The choice

    def due_before_refocus(self) -> tuple[str, Work] | None:
        """Return the name of a move that precedes any refocus, and the move; `None`: none is due."""
        offset_steps = self._offset_steps()
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
        if settings is None or not state.follows or not self._is_known:
            return 0
        return correction_steps(state.compensated, settings)

    @property
    def _is_known(self) -> bool:
        """Whether the focuser is where it was moved to: a correction adds to no other position."""
        watch = self._store.state.history.focuser
        return watch.jump is None and not watch.differs

    def _offset_steps(self) -> int | None:
        """Return the offset to move by; `None` if no filter has changed, or an offset is not known."""
        history, offsets = self._store.state.history, self._settings.offsets_steps
        if not history.filter_changed or history.by_hand or history.baseline is None or not self._is_known:
            return None
        before, now = (offsets.get(name or "") for name in (history.baseline.filter_name, history.filter_name))
        return None if before is None or now is None else now - before

    # The moves

    async def finish(self, move: CorrectionMove, *, is_late: bool) -> None:
        """Complete an unfinished move; `is_late`: it failed in this program, and a refocus verifies the position.

        Raises:
            DeviceError: It failed again.
        """
        here = await self._focuser.position()
        longest = 2 * (abs(move.steps) + self._settings.backlash.steps) + self._settings.positions.tolerance_steps
        if abs(here - move.target) > longest:
            facts = {"position": here, "target": move.target}
            _log.warning("A correction move is not finished: it cannot have left the focuser there", **facts)
            self._store.apply(transitions.correction_abandoned)
            return
        # The direction of its last leg is not known, so the slack has to be taken up (decision 0015).
        await self._make(move, here, backlash_taken_up=False, is_late=is_late)

    async def go(self, here: Position, target: Position, *, backlash_taken_up: bool, factor: int = 1) -> Position:
        """Move to the target, arriving from the same side as a focus run does, and return the position reached.

        The overshoot is `factor` times the backlash set.

        Raises:
            DeviceError: A move failed.
        """
        backlash, limits = self._settings.backlash, self._settings.limits
        backlash = replace(backlash, method=ApproachMethod.OVERSHOOT, steps=factor * backlash.steps)
        for leg in approach(here, target, backlash=backlash, limits=limits, backlash_taken_up=backlash_taken_up):
            self._taken_up_at = None
            here = await self._focuser.move_to(leg)
        self._taken_up_at = here
        return here

    async def move_for_program(self, target: Position) -> None:
        """Make a move of the imaging program with the backlash taken up as in a focus run (decision 0032).

        Raises:
            DeviceError: It failed; it stays unfinished.
        """
        here = await self._focuser.position()
        move = CorrectionMove(target=target, steps=target - here, what="program")
        # On disk before the first leg, which goes past the target: a program killed there would leave it there.
        self._store.apply(transitions.correction_begun, move)
        reached = await self.go(here, target, backlash_taken_up=here == self._taken_up_at, factor=USUAL_FACTOR)
        self._store.apply(transitions.moved_by_program, reached, self._clock.wall())

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
        expected = self._store.state.expected_position
        # From where it was moved to: small deviations on arrival must not add up.
        start = here if expected is None else expected
        if abs(here - start) > self._settings.positions.tolerance_steps:
            # Moved since the last poll: the next one reports it.
            return
        move = CorrectionMove(target=start + steps, steps=steps, what=what)
        if limits.clamp(move.target) != move.target:
            reason = (
                f"The focuser cannot move by {steps:+d} steps from {here}: its limits are {limits.lowest} and "
                f"{limits.highest}. Check the limits, or refocus."
            )
            _log.error(reason)
            self._store.apply(transitions.correction_refused, what, reason)
            return
        if await self._is_dithering():
            return
        # On disk before the first leg: a program killed during the move knows then that it was begun (decision 0015).
        self._store.apply(transitions.correction_begun, move)
        await self._make(move, here)

    async def _is_dithering(self) -> bool:
        """Return whether the move has to wait for the next poll, since the guider settles after a dither."""
        try:
            return self._guider is not None and await self._guider.is_dithering()
        except DeviceError:
            # Unreachable: there is no dither to spoil that could be known.
            return False

    async def _make(
        self, move: CorrectionMove, here: Position, *, backlash_taken_up: bool = True, is_late: bool = False
    ) -> None:
        await self.disable_device_compensation()
        reached = await self.go(here, move.target, backlash_taken_up=backlash_taken_up)
        if move.what == "program":
            state = self._store.apply(transitions.moved_by_program, reached, self._clock.wall())
        else:
            state = self._store.apply(transitions.correction_done, move, reached, is_late=is_late)
        carried_steps = round(state.compensated.carried_steps, 2)
        facts = {"what": move.what, "steps": move.steps, "position": move.target, "carried_steps": carried_steps}
        _log.info("The focuser was corrected", **facts)
        try:
            if self._guider is not None:
                await self._guider.after_move()
        except DeviceError as error:
            _log.warning("The guider is not steady after a correction move", why=str(error))
