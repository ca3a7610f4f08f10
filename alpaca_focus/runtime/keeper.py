"""Keeps the telescope in focus through the night: looks, decides, acts, and notes on disk what must survive.

One thing owns the optics at a time, a focus run or a small move; whatever comes meanwhile waits or is refused.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Any

import structlog

from alpaca_focus.core.backlash import Backlash, Limits, Method, approach
from alpaca_focus.core.compensation import (
    Compensated,
    CompensationSettings,
    correction_steps,
    followed,
    moved,
    stopped,
    trouble,
)
from alpaca_focus.core.decisions import Decision, decided, with_ignored
from alpaca_focus.core.errors import AlpacaFocusError, DeviceError, StorageTrouble
from alpaca_focus.core.inhibitors import EXPOSING, HELD, Rules
from alpaca_focus.core.night import (
    Baseline,
    History,
    Patience,
    Plan,
    Reading,
    Snapshot,
    aborted,
    advanced,
    declined,
    failed,
    offset_applied,
    refocused,
    told_image,
)
from alpaca_focus.core.triggers import Trigger
from alpaca_focus.core.values import FocusResult, Outcome, Position
from alpaca_focus.ports import Clock, Focuser
from alpaca_focus.runtime.home_mark import HomeMark
from alpaca_focus.runtime.lookout import Lookout
from alpaca_focus.runtime.night_state import Intention, NightState, SmallMove, load_state, save_state
from alpaca_focus.runtime.store import RunStore

SAVE_EVERY_S = 60.0
"""Seconds between two writes when nothing has happened: time itself is read off the clock after a crash."""
REST_S = 120.0
"""Seconds until a small move that failed is tried again."""
FOCUS_RUN = "a focus run"

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class NightSettings:
    """How the night is kept.

    Attributes:
        triggers: What makes a refocus due.
        rules: What keeps it waiting.
        reading: How the thermometer is read.
        patience: How long the triggers wait after failed runs.
        compensation: How far to follow; `None`: not at all.
        between_exposures: Whether it follows only while the camera rests.
        offsets_steps: Focus offsets by filter to move by after a change; empty: none are known, or none are used.
        backlash: How targets are approached.
        limits: Where the focuser may go.
    """

    triggers: tuple[Trigger, ...]
    rules: Rules
    reading: Reading
    patience: Patience
    compensation: CompensationSettings | None
    between_exposures: bool
    offsets_steps: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    backlash: Backlash
    limits: Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What the keeper works with.

    Attributes:
        focuser: Is moved.
        lookout: Looks.
        focus: Carries out a focus run for a reason; aborts it when cancelled, and brings the focuser home first.
        store: Where the night is kept; `None`: nowhere.
        home_mark: Where the focuser belongs during a focus run.
        clock: Time.
        probable_defocus: What the focus model says of a history and of what has been followed since.
    """

    focuser: Focuser
    lookout: Lookout
    focus: Callable[[str], Coroutine[Any, Any, FocusResult]]
    store: RunStore | None
    home_mark: HomeMark
    clock: Clock
    probable_defocus: Callable[[History, Compensated], float | None] = lambda _, __: None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnd:
    """How a focus run ended.

    Attributes:
        outcome: An `Outcome`, or "failed", "aborted" or "cut off" where there is no result.
        reason: One sentence.
    """

    outcome: str
    reason: str


class Keeper:
    """Keeps one telescope in focus.

    Attributes:
        state: The night so far.
        decision: What the last look led to; `None` before the first.
        last_run: How the last run since this program was started ended, or that one before was cut off.
        runs_ended: How many runs have ended since then.
        progress: Counts every sign of work that goes on; the watchdog looks at it.
    """

    def __init__(self, tools: Tools, settings: NightSettings) -> None:
        self._tools = tools
        self._settings = settings
        self.state = self._loaded()
        self.decision: Decision | None = None
        self.snapshot: Snapshot | None = None
        self.last_run: RunEnd | None = None
        self.runs_ended = 0
        self.progress = 0
        self._job: asyncio.Task[None] | None = None
        self._job_name = ""
        self._rests_until_s = 0.0
        self._saved = self.state
        self._saved_s = -SAVE_EVERY_S
        self._is_recovered = False
        self._storage_trouble = self._recovery_trouble = ""

    @property
    def doing(self) -> str:
        """What owns the optics; empty: nothing does."""
        return self._job_name if self._job is not None else ""

    # What a person or a program may ask for

    def refocus(self) -> None:
        """Want a refocus as soon as possible."""
        self._set_history(replace(self.state.history, asap=True, by_hand=False))

    def pause(self) -> None:
        """Do nothing by itself until `resume`; a run that is under way goes on to its end."""
        self.state = replace(self.state, paused=True)
        self._save()

    def resume(self) -> None:
        """Go on."""
        self.state = replace(self.state, paused=False)
        self._save()

    def tell_plan(self, plan: Plan) -> None:
        """Take note of what the imaging program takes."""
        self.state = replace(self.state, plan=plan)
        self._save()

    def tell_flip(self) -> None:
        """Take note of a meridian flip."""
        self._set_history(replace(self.state.history, flipped=True))

    def tell_image(self, hfd_px: float | None) -> None:
        """Take note of a light frame."""
        self._tools.lookout.leave_counting()
        self._set_history(told_image(self.state.history, hfd_px))

    def abort(self) -> str:
        """End what is under way, or the wish for it; says what that was."""
        if self._job is not None and self._job_name == FOCUS_RUN:
            self._job.cancel()
            return "The focus run is being aborted; the focuser goes back."
        history = self.state.history
        if history.by_hand:
            self._set_history(declined(history))
            return "No refocus for the filter that was changed by hand."
        if history.asap:
            self._set_history(replace(history, asap=False))
            return "No refocus as soon as possible any more."
        return "There is nothing to abort."

    async def stop(self, within_s: float) -> bool:
        """End what is under way, with the focuser at a good position, and write down the night.

        Returns:
            Whether it has ended in that time; if not, what is on disk brings the focuser home at the next start.
        """
        if self._job is not None and self._job_name == FOCUS_RUN:
            self._job.cancel()
        # A small move is shorter than the way back from it.
        ended = await self.at_rest(within_s)
        self._save()
        return ended

    async def at_rest(self, within_s: float | None = None) -> bool:
        """Wait until nothing owns the optics; whether that came within the time."""
        if self._job is None:
            return True
        _, late = await asyncio.wait({self._job}, timeout=within_s)
        return not late

    # The tick

    async def tick(self) -> None:
        """Look once, decide, and begin what is to be done."""
        if self._job is not None:
            return
        if not self._is_recovered and not await self._recover():
            return
        answers = self._tools.lookout.answers
        snapshot = await self._look()
        decision = self._decide(snapshot)
        if decision.refocus:
            # Before anything is moved, everything is looked at, not remembered.
            snapshot = await self._look(anew=True)
            decision = self._decide(snapshot)
        self.snapshot, before, self.decision = snapshot, self.decision, decision
        self.state = replace(self.state, history=with_ignored(self.state.history, decision))
        _tell_change(before, decision)
        self._begin(snapshot, decision)
        self._save_what_counts()
        if self._tools.lookout.answers > answers:
            # Where nothing at all answers, it may be this program that hangs.
            self.progress += 1

    async def _look(self, *, anew: bool = False) -> Snapshot:
        snapshot = await self._tools.lookout.look(self.state.plan, anew=anew)
        probable = self._tools.probable_defocus(self.state.history, self.state.compensated)
        snapshot = replace(snapshot, probable_defocus_steps=probable)
        before = self.state.history
        history = advanced(before, snapshot, self._settings.reading)
        if history.sieve.trouble and history.sieve.trouble != before.sieve.trouble:
            _log.warning("A temperature is ignored", why=history.sieve.trouble, ignored=history.sieve.ignored)
        self.state = replace(self.state, history=history, compensated=self._followed(history, snapshot))
        return snapshot

    def _followed(self, history: History, snapshot: Snapshot) -> Compensated:
        if self._settings.compensation is None:
            return self.state.compensated
        return followed(
            self.state.compensated,
            self._settings.compensation,
            temperature_c=history.followed.mean_c,
            altitude_deg=snapshot.altitude_deg,
            filter_name=history.filter_name,
            passed_s=snapshot.passed_s,
        )

    def _decide(self, snapshot: Snapshot) -> Decision:
        settings, state = self._settings, self.state
        return decided(state.history, snapshot, settings.triggers, settings.rules, paused=state.paused)

    def _begin(self, snapshot: Snapshot, decision: Decision) -> None:
        rests = self._tools.clock.monotonic() < self._rests_until_s
        # Small moves wait for what a refocus waits for, but not after a failed one.
        is_free = not rests and not set(decision.blocked_by) - {EXPOSING, HELD}
        may_move = is_free and not snapshot.exposing
        intention, offset_steps = self.state.intention, self._offset_steps()
        if intention is not None:
            # It failed on the way: the focuser stands anywhere.
            if may_move:
                self._start("a small move", partial(self._finish, intention))
        elif offset_steps is not None:
            # The filter is in the light already: before any refocus, the focuser follows it.
            if may_move:
                self._start("a move by a filter's offset", partial(self._shift, offset_steps, "offset"))
        elif decision.refocus:
            self._start(FOCUS_RUN, partial(self._focus, decision))
        elif may_move or (is_free and not self._settings.between_exposures):
            self._compensate()

    def _compensate(self) -> None:
        settings = self._settings.compensation
        if settings is None:
            return
        steps = correction_steps(self.state.compensated, settings)
        if steps == 0:
            return
        sentence = trouble(self.state.compensated, settings, steps)
        if sentence:
            _log.error(sentence, wanted_steps=round(self.state.compensated.wanted_steps, 1))
            self.state = replace(self.state, compensated=stopped(self.state.compensated, sentence))
            return
        self._start("a move after the temperature", partial(self._shift, steps, "compensation"))

    def _offset_steps(self) -> int | None:
        """Return the offset to move by; `None` where no filter has changed, or its offset is not known."""
        history, offsets = self.state.history, self._settings.offsets_steps
        focused_through = None if history.baseline is None else history.baseline.filter_name
        if not history.filter_changed or history.by_hand or focused_through is None or history.filter_name is None:
            return None
        if focused_through not in offsets or history.filter_name not in offsets:
            return None
        return offsets[history.filter_name] - offsets[focused_through]

    # Jobs

    def _start(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._job_name = name
        self._job = asyncio.create_task(self._carry_out(work))
        # Not at the end of the task itself: one that is cancelled before its first step never gets there.
        self._job.add_done_callback(self._job_has_ended)

    async def _carry_out(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except AlpacaFocusError as error:
            self._failed(str(error))
        except Exception as error:  # noqa: BLE001 - the night goes on; the log has it whole
            _log.exception("The program itself failed", what=self._job_name)
            self._failed(f"The program itself failed ({type(error).__name__}: {error}); the log has the details.")

    def _job_has_ended(self, job: asyncio.Task[None]) -> None:
        if job.cancelled():
            self._aborted()
        self._tools.lookout.forget_camera()
        self._job = None
        self.progress += 1

    async def _focus(self, decision: Decision) -> None:
        triggers = decision.triggers
        _log.info("A refocus begins", triggers=triggers, why=decision.reason, **_states(decision))
        result = await self._tools.focus(triggers)
        if result.outcome is not Outcome.FOCUSED:
            self._failed(result.reason, outcome=result.outcome)
            return
        self._adopt(result, triggers)
        self._run_ended(result.outcome, result.reason)
        _log.info("Refocused", why=result.reason, exposures=result.exposures, duration_s=round(result.duration_s))

    def _failed(self, why: str, outcome: str = "failed") -> None:
        """Let the triggers, or the small moves, wait after one that did not work."""
        if self._job_name != FOCUS_RUN:
            self._rests_until_s = self._tools.clock.monotonic() + REST_S
            _log.error("Failed", what=self._job_name, why=why, next_try_in_s=REST_S)
            return
        self._set_history(failed(self.state.history, self._settings.patience))
        _log.error("A refocus failed", why=why, next_try_in_s=round(self.state.history.hold_s))
        self._run_ended(outcome, why)

    def _aborted(self) -> None:
        self._set_history(aborted(self.state.history, self._settings.patience))
        _log.warning("A refocus was aborted", next_try_in_s=round(self.state.history.hold_s))
        self._run_ended("aborted", "The run was aborted; the focuser is back where it started.")

    def _run_ended(self, outcome: str, reason: str) -> None:
        self.last_run, self.runs_ended = RunEnd(outcome=outcome, reason=reason), self.runs_ended + 1

    def _adopt(self, result: FocusResult, triggers: str) -> None:
        """Let all counting begin anew from a good focus."""
        history = self.state.history
        baseline = baseline_of(result, triggers, history)
        self.state = replace(
            self.state,
            history=refocused(history, baseline),
            compensated=Compensated(at_c=baseline.temperature_c, at_altitude_deg=baseline.altitude_deg),
            intention=None,
        )
        self._save()

    async def _shift(self, steps: int, what: SmallMove) -> None:
        here = await self._tools.focuser.position()
        target = self._settings.limits.clamp(here + steps)
        if target != here + steps:
            sentence = (
                f"The focuser cannot follow by {steps:+d} steps from {here}: its limits are "
                f"{self._settings.limits.lowest} and {self._settings.limits.highest}. Look at the limits, or refocus."
            )
            _log.error(sentence)
            self.state = replace(self.state, compensated=stopped(self.state.compensated, sentence))
            if what == "offset":
                self._set_history(declined(self.state.history))
            return
        intention = Intention(target=target, steps=steps, what=what)
        self.state = replace(self.state, intention=intention)
        self._save()
        await self._fulfil(intention, here)

    async def _finish(self, intention: Intention) -> None:
        # Nobody knows in which direction it went last.
        await self._fulfil(intention, await self._tools.focuser.position(), slack_taken_up=False)

    async def _fulfil(self, intention: Intention, here: Position, *, slack_taken_up: bool = True) -> None:
        """Make a small move to its end; it is noted as made in the same breath as what counts it."""
        await self._follow_alone()
        await self._go(here, intention.target, slack_taken_up=slack_taken_up)
        state = replace(self.state, intention=None)
        if intention.what == "compensation":
            state = replace(state, compensated=moved(state.compensated, intention.steps))
        else:
            state = replace(state, history=offset_applied(state.history, intention.steps))
        self.state = state
        self._save()
        _log.info(
            "The focuser follows",
            what=intention.what,
            steps=intention.steps,
            position=intention.target,
            carried_steps=round(state.compensated.carried_steps, 2),
        )

    async def _go(self, here: Position, target: Position, *, slack_taken_up: bool) -> None:
        legs = approach(
            here,
            target,
            # Always from the side that focus was found from.
            backlash=replace(self._settings.backlash, method=Method.OVERSHOOT),
            limits=self._settings.limits,
            slack_taken_up=slack_taken_up,
        )
        for leg in legs:
            await self._tools.focuser.move_to(leg)

    async def _follow_alone(self) -> None:
        focuser = self._tools.focuser
        if focuser.info.has_temperature_compensation and await focuser.temperature_compensation():
            _log.warning("The focuser's own temperature compensation is switched off: two would follow at once")
            await focuser.set_temperature_compensation(enabled=False)

    # What survives

    async def _recover(self) -> bool:
        """After a start: bring the focuser to where it belongs and take up the night; False: not yet possible."""
        try:
            await self._return_from_a_cut_run()
            if self._settings.compensation is not None:
                await self._follow_alone()
            if self.state.intention is not None:
                _log.warning("A small move was cut off and is finished now", position=self.state.intention.target)
                await self._finish(self.state.intention)
            self._adopt_a_run_that_was_not_noted()
        except DeviceError as error:
            if str(error) != self._recovery_trouble:
                _log.warning("The focuser cannot be looked after yet", why=str(error))
            self._recovery_trouble = str(error)
            return False
        except StorageTrouble as error:
            _log.error(str(error))
        self._is_recovered = True
        return True

    def _loaded(self) -> NightState:
        """Return what is on disk, before anything can be written over it."""
        if self._tools.store is None:
            return NightState()
        try:
            return load_state(self._tools.store, self._tools.clock.wall())
        except StorageTrouble as error:
            _log.error(f"{error} The night begins anew.")
            return NightState()

    async def _return_from_a_cut_run(self) -> None:
        home = self._tools.home_mark.left_by_a_cut_run()
        if home is None:
            return
        here = await self._tools.focuser.position()
        await self._go(here, home, slack_taken_up=False)
        self._tools.home_mark.clear()
        _log.warning("A focus run was cut off: the focuser is back where it belongs", found_at=here, position=home)
        self.last_run = RunEnd(
            outcome="cut off",
            reason=f"A focus run was cut off. The focuser is back at position {home}, where it belongs.",
        )

    def _adopt_a_run_that_was_not_noted(self) -> None:
        """Take up a good run that was kept just before the program was killed."""
        store, baseline = self._tools.store, self.state.history.baseline
        if store is None:
            return
        newest = store.runs(last=1)
        if not newest or newest[0].result.outcome is not Outcome.FOCUSED:
            return
        kept = newest[0]
        age_s = (self._tools.clock.wall() - kept.result.started_at).total_seconds()
        is_newer = baseline is None or kept.result.started_at > baseline.at
        if is_newer and 0 <= age_s < self.state.history.since_s + kept.result.duration_s:
            self._adopt(kept.result, kept.trigger)
            self._set_history(replace(self.state.history, since_s=max(0.0, age_s - kept.result.duration_s)))

    def _set_history(self, history: History) -> None:
        self.state = replace(self.state, history=history)
        self._save()

    def _save_what_counts(self) -> None:
        now_s = self._tools.clock.monotonic()
        if _lasting(self.state) != _lasting(self._saved) or now_s - self._saved_s >= SAVE_EVERY_S:
            self._save()

    def _save(self) -> None:
        store = self._tools.store
        if store is None:
            return
        try:
            save_state(store, self.state, self._tools.clock.wall())
        except StorageTrouble as error:
            if str(error) != self._storage_trouble:
                _log.error(str(error))
            self._storage_trouble = str(error)
            return
        self._storage_trouble = ""
        self._saved, self._saved_s = self.state, self._tools.clock.monotonic()


def baseline_of(result: FocusResult, triggers: str, history: History) -> Baseline:
    """Return the baseline that a good run is, with what the night knows of its circumstances."""
    sample = result.verification
    return Baseline(
        at=result.started_at,
        position=result.start_position if result.final_position is None else result.final_position,
        trigger=triggers,
        metric="" if sample is None else sample.measurement.metric,
        value=float("nan") if sample is None else sample.measurement.value,
        # Only of the thermometer that goes on being read: another one's would look like a change.
        temperature_c=history.followed.latest_c,
        altitude_deg=history.altitude_deg,
        filter_name=history.filter_name or result.filter_name,
        stderr_steps=0.0 if result.fit is None else result.fit.best_position_stderr,
    )


def _lasting(state: NightState) -> tuple[object, ...]:
    """Return what must be on disk at once when it changes; the rest is time and averages."""
    history = state.history
    return (
        history.images,
        history.filter_name,
        history.filter_changed,
        history.pier_side,
        history.flipped,
        history.asap,
        history.failures,
        history.ignored,
        history.window.filled,
        state.compensated.moved_steps,
        state.compensated.stopped,
    )


def _states(decision: Decision) -> dict[str, str]:
    return {each.trigger: each.state for each in decision.verdicts}


def _tell_change(before: Decision | None, now: Decision) -> None:
    """Tell of a refocus that is due and waits, once for each reason."""
    waits = now.blocked_by if now.due else ()
    waited = before.blocked_by if before is not None and before.due else ()
    if waits and waits != waited:
        _log.info("A refocus is due and waits", triggers=now.triggers, why=now.reason, for_=", ".join(waits))
