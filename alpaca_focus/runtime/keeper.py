"""Keeps the telescope in focus through the night: looks, decides, acts, and notes on disk what must survive.

One thing owns the optics at a time, a focus run or a small move; whatever comes meanwhile waits or is refused.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

import structlog

from alpaca_focus.core.compensation import (
    Compensated,
    correction_steps,
    followed,
    stopped,
    trouble,
)
from alpaca_focus.core.decisions import Decision, decided, with_ignored, with_squeeze
from alpaca_focus.core.errors import AlpacaFocusError, ConfigurationError
from alpaca_focus.core.gaps import ADVICE
from alpaca_focus.core.inhibitors import EXPOSING, HELD, NO_GAP
from alpaca_focus.core.night import (
    Baseline,
    History,
    Plan,
    Snapshot,
    aborted,
    advanced,
    belongs_to_focus,
    declined,
    failed,
    refocused,
    taken_over,
    told_hfd,
    told_image,
)
from alpaca_focus.core.values import FocusResult, Light, Outcome, Position
from alpaca_focus.ports import Clock, Focuser, Guider
from alpaca_focus.runtime.home_mark import HomeMark
from alpaca_focus.runtime.lookout import Lookout
from alpaca_focus.runtime.night_book import NightBook
from alpaca_focus.runtime.night_settings import NightSettings
from alpaca_focus.runtime.night_state import NightState
from alpaca_focus.runtime.recovery import Recovery, since_its_end_s
from alpaca_focus.runtime.small_moves import SmallMoves
from alpaca_focus.runtime.store import RunStore

LAST_LOOK_S = 1.0
LONGEST_WAY_HOME_S = 60.0
"""After being told to stop, for a focuser that answers."""
REST_S = 120.0
"""Seconds until a small move that failed is tried again."""
FOCUS_RUN = "a focus run"
MOST_JOBS_IN_A_GAP = 4
"""A filter's offset, a refocus, and what that leaves to follow; no more keeps an imaging program waiting."""

_log = structlog.get_logger(__name__)


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
        guider: Is waited for after small moves; `None`: there is none.
        probable_defocus: What the focus model says of a history and of what has been followed since.
        light: Told what a light frame has said.
        changed: Told that something begins or ends.
    """

    focuser: Focuser
    lookout: Lookout
    focus: Callable[[str], Coroutine[Any, Any, FocusResult]]
    store: RunStore | None
    home_mark: HomeMark
    clock: Clock
    guider: Guider | None = None
    probable_defocus: Callable[[History, Compensated], float | None] = lambda _, __: None
    light: Callable[[Light], None] = lambda _: None
    changed: Callable[[], None] = lambda: None


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
        decision: What the last look led to; `None` before the first.
        last_run: How the last run since this program was started ended, or that one before was cut off.
        runs_ended: How many runs have ended since then.
        progress: Counts every sign of work that goes on; the watchdog looks at it.
    """

    def __init__(self, tools: Tools, settings: NightSettings) -> None:
        self._tools = tools
        self._settings = settings
        self._book = NightBook(tools.store, tools.clock)
        self._moves = SmallMoves(
            tools.focuser, self._book, backlash=settings.backlash, limits=settings.limits, guider=tools.guider
        )
        self._recovery = Recovery(tools.focuser, self._moves, self._book, tools.home_mark, tools.clock)
        self.decision: Decision | None = None
        self.snapshot: Snapshot | None = None
        self.last_run: RunEnd | None = None
        self.runs_ended = 0
        self.progress = 0
        self._ticking = asyncio.Lock()
        self._gives_way = ""
        self._somebody_moves = False
        self._job: asyncio.Task[None] | None = None
        self._job_name = ""
        self._rests_until_s = 0.0
        self._is_recovered = False
        self._is_stopping = False

    @property
    def state(self) -> NightState:
        """The night so far."""
        return self._book.state

    @property
    def doing(self) -> str:
        """What owns the optics; empty: nothing does."""
        return self._job_name if self._job is not None else ""

    # What a person or a program may ask for

    def refocus(self) -> None:
        """Want a refocus as soon as possible."""
        self._book.set_history(replace(self.state.history, asap=True, by_hand=False))

    def pause(self) -> None:
        """Do nothing by itself until `resume`; a run that is under way goes on to its end."""
        self._book.state = replace(self.state, paused=True)
        self._book.save()

    def resume(self) -> None:
        """Go on."""
        self._book.state = replace(self.state, paused=False)
        self._book.save()

    def follow(self, *, enabled: bool) -> str:
        """Follow the temperature between two refocuses, or do not; says which.

        Raises:
            ConfigurationError: The settings do not say how to follow it.
        """
        if self._settings.compensation is None:
            if enabled:
                raise ConfigurationError(
                    "The compensation stays off: the settings do not ask for it. Set compensation.enabled: true and "
                    "focuser.temperature_coefficient_steps_per_c, which `alpaca-focus calibrate temperature` measures."
                )
            return "The compensation is off, by the settings."
        state, compensated = self.state, self.state.compensated
        if enabled and not state.follows:
            # What has changed while it was off is not caught up with: the focuser stands where somebody wanted it.
            history = state.history
            compensated = replace(compensated, at_c=history.followed.mean_c, at_altitude_deg=history.altitude_deg)
        self._book.state = replace(state, follows=enabled, compensated=compensated)
        self._book.save()
        if enabled:
            return "The compensation is on: the focuser follows from here."
        return "The compensation is off: the focuser follows no more until `alpaca-focus compensation on`."

    @property
    def can_follow(self) -> bool:
        """Whether the settings say how to follow the temperature."""
        return self._settings.compensation is not None

    def tell_plan(self, plan: Plan) -> None:
        """Take note of what the imaging program takes."""
        self._book.state = replace(self.state, plan=plan)
        self._book.save()

    def tell_filter(self, name: str) -> None:
        """Take note of the filter in the light; it counts where there is no wheel to be asked."""
        self._book.state = replace(self.state, told_filter=name)
        self._book.save()

    def tell_flip(self) -> None:
        """Take note of a meridian flip."""
        self._book.set_history(replace(self.state.history, flipped=True))

    def tell_image(self, hfd_px: float | None) -> None:
        """Take note of a light frame."""
        self._tools.lookout.leave_counting()
        self._book.set_history(told_image(self.state.history, hfd_px))

    def tell_hfd(self, hfd_px: float, ended_at: datetime | None) -> None:
        """Take note of the size of the stars on a light frame that is counted otherwise.

        Args:
            hfd_px: In unbinned pixels.
            ended_at: End of its exposure, UTC; `None`: not known, and believed to be of late.
        """
        history, moved_steps = self.state.history, self.state.compensated.moved_steps
        baseline = history.baseline
        light = Light(
            ended_at=ended_at or self._tools.clock.wall(),
            hfd_px=hfd_px,
            position=None if baseline is None else baseline.position + moved_steps,
            filter_name=history.filter_name,
            temperature_c=history.followed.latest_c,
        )
        self._book.keep_light(light)
        self._tools.light(light)
        if belongs_to_focus(history, ended_at):
            self._book.set_history(told_hfd(history, hfd_px))

    def abort(self) -> str:
        """End what is under way, or the wish for it; says what that was."""
        if self._job is not None and self._job_name == FOCUS_RUN:
            self._job.cancel()
            return "The focus run is being aborted; the focuser goes back."
        history = self.state.history
        if history.by_hand:
            self._book.set_history(declined(history))
            return "No refocus for the filter that was changed by hand."
        if history.asap:
            self._book.set_history(replace(history, asap=False))
            return "No refocus as soon as possible any more."
        return "There is nothing to abort."

    async def lend_camera(self, take: Callable[[], None], *, for_light: bool = True) -> str:
        """Leave the camera to the imaging program, after what is due in this gap.

        Args:
            take: Called when nothing owns the optics, so that the next look finds the camera taken.
            for_light: Whether focus matters to it: for a dark frame nothing is begun, only waited for.

        Returns:
            What owns the optics and has to be waited for; empty: the camera is taken.
        """
        async with self._ticking:
            if self._job is None and for_light:
                await self._tick(anew=False)
            if self._job is None:
                take()
        return self.doing

    # The imaging program, where it comes through the gateway

    @property
    def wants_gap(self) -> bool:
        """Whether something waits for nothing but a gap between two exposures; may be read in any thread."""
        decision = self.decision
        if decision is None or self._somebody_moves:
            return False
        waits_for = set(decision.blocked_by)
        if decision.due and not waits_for - {EXPOSING, NO_GAP}:
            return True
        return self._wants_to_move and not waits_for - {EXPOSING, NO_GAP, HELD}

    async def use_gap(self) -> None:
        """Do what waits for a gap; returns when nothing owns the optics any more."""
        for _ in range(MOST_JOBS_IN_A_GAP):
            await self.at_rest()
            await self.tick(anew=True)
            if self._job is None:
                return
        await self.at_rest()

    def give_way(self, why: str) -> None:
        """End a focus run, because the imaging program comes first; what was due stays due."""
        if self._job is not None and self._job_name == FOCUS_RUN:
            self._gives_way = why
            self._job.cancel()

    def somebody_moves(self) -> None:
        """Keep away from the focuser: the imaging program moves it."""
        self._somebody_moves = True

    def somebody_has_moved(self, position: Position | None) -> None:
        """Take up where the imaging program has moved the focuser to; `None`: nobody knows, and nothing is taken up."""
        self._somebody_moves = False
        if position is None:
            return
        state = self.state
        history = taken_over(state.history, position, self._tools.clock.wall())
        compensated = Compensated(at_c=history.followed.mean_c, at_altitude_deg=history.altitude_deg)
        self._book.state = replace(state, history=history, compensated=compensated, intention=None)
        self._book.save()
        _log.info("The imaging program has moved the focuser", position=position)

    async def stop(self, within_s: float) -> bool:
        """End what is under way, with the focuser at a good position, and write down the night.

        Args:
            within_s: How long to wait for a focuser that says nothing; one that answers is on its way home, and gets
                `LONGEST_WAY_HOME_S`.

        Returns:
            Whether it has ended in that time; if not, what is on disk brings the focuser home at the next start.
        """
        self._is_stopping = True
        if self._job is not None and self._job_name == FOCUS_RUN:
            self._job.cancel()
        # A small move is shorter than the way back from it.
        ended = await self._at_rest_while_it_answers(within_s)
        with contextlib.suppress(TimeoutError):
            # A look that is under way asks devices that are let go of next.
            async with asyncio.timeout(LAST_LOOK_S), self._ticking:
                pass
        self._book.save()
        return ended

    async def at_rest(self, within_s: float | None = None) -> bool:
        """Wait until nothing owns the optics; whether that came within the time."""
        if self._job is None:
            return True
        _, late = await asyncio.wait({self._job}, timeout=within_s)
        return not late

    async def _at_rest_while_it_answers(self, within_s: float) -> bool:
        focuser, before = self._tools.focuser, -1
        windows = max(1, round(LONGEST_WAY_HOME_S / within_s))
        for _ in range(windows):
            if focuser.replies == before:
                break
            before = focuser.replies
            if await self.at_rest(within_s):
                return True
        return False

    # The tick

    async def tick(self, *, anew: bool = False) -> None:
        """Look once, decide, and begin what is to be done.

        Args:
            anew: Whether to look at everything, however short ago that was.
        """
        async with self._ticking:
            if self._job is None and not self._is_stopping:
                await self._tick(anew=anew)

    async def _tick(self, *, anew: bool) -> None:
        if not self._is_recovered and not await self._recover():
            return
        answers = self._tools.lookout.answers
        snapshot = await self._look(anew=anew)
        decision = self._decide(snapshot)
        if decision.refocus and not anew:
            # Before anything is moved, everything is looked at, not remembered.
            snapshot = await self._look(anew=True)
            decision = self._decide(snapshot)
        self.snapshot, before, self.decision = snapshot, self.decision, decision
        history = with_squeeze(with_ignored(self.state.history, decision), snapshot, decision)
        self._book.state = replace(self.state, history=history)
        self._advise()
        _tell_change(before, decision)
        self._begin(snapshot, decision)
        self._book.save_what_counts()
        if self._tools.lookout.answers > answers:
            # Where nothing at all answers, it may be this program that hangs.
            self.progress += 1

    async def _look(self, *, anew: bool = False) -> Snapshot:
        snapshot = await self._tools.lookout.look(self.state.plan, told_filter=self.state.told_filter, anew=anew)
        probable = self._tools.probable_defocus(self.state.history, self.state.compensated)
        snapshot = replace(snapshot, probable_defocus_steps=probable, somebody_moves=self._somebody_moves)
        before = self.state.history
        history = advanced(before, snapshot, self._settings.reading)
        if history.sieve.trouble and history.sieve.trouble != before.sieve.trouble:
            _log.warning("A temperature is ignored", why=history.sieve.trouble, ignored=history.sieve.ignored)
        self._book.state = replace(self.state, history=history, compensated=self._followed(history, snapshot))
        return snapshot

    def _followed(self, history: History, snapshot: Snapshot) -> Compensated:
        if self._settings.compensation is None:
            return self.state.compensated
        follows = self.state.follows
        return followed(
            self.state.compensated,
            self._settings.compensation,
            temperature_c=history.followed.mean_c if follows else None,
            altitude_deg=snapshot.altitude_deg if follows else None,
            filter_name=history.filter_name,
            passed_s=snapshot.passed_s,
        )

    def _decide(self, snapshot: Snapshot) -> Decision:
        settings, state = self._settings, self.state
        return decided(state.history, snapshot, settings.triggers, settings.rules, paused=state.paused)

    def _begin(self, snapshot: Snapshot, decision: Decision) -> None:
        if self._is_stopping:
            return
        rests = self._tools.clock.monotonic() < self._rests_until_s
        # Small moves wait for what a refocus waits for, but not after a failed one.
        is_free = not rests and not set(decision.blocked_by) - {EXPOSING, NO_GAP, HELD}
        may_move = is_free and not snapshot.exposing
        intention, offset_steps = self.state.intention, self._offset_steps()
        if intention is not None:
            # It failed on the way: the focuser stands anywhere.
            if may_move:
                self._start("a small move", partial(self._moves.finish, intention))
        elif offset_steps is not None:
            # The filter is in the light already: before any refocus, the focuser follows it.
            if may_move:
                self._start("a move by a filter's offset", partial(self._moves.shift, offset_steps, "offset"))
        elif decision.refocus:
            self._start(FOCUS_RUN, partial(self._focus, decision))
        elif may_move or (is_free and not self._settings.between_exposures):
            self._compensate()

    @property
    def _wants_to_move(self) -> bool:
        """Whether a small move waits for the camera to rest."""
        if self._tools.clock.monotonic() < self._rests_until_s:
            return False
        follows = self._settings.between_exposures and self._correction_steps() != 0
        return follows or self.state.intention is not None or self._offset_steps() is not None

    def _correction_steps(self) -> int:
        settings = self._settings.compensation
        if settings is None or not self.state.follows:
            return 0
        return correction_steps(self.state.compensated, settings)

    def _compensate(self) -> None:
        settings, steps = self._settings.compensation, self._correction_steps()
        if settings is None or steps == 0:
            return
        sentence = trouble(self.state.compensated, settings, steps)
        if sentence:
            _log.error(sentence, wanted_steps=round(self.state.compensated.wanted_steps, 1))
            self._book.state = replace(self.state, compensated=stopped(self.state.compensated, sentence))
            return
        self._start("a move after the temperature", partial(self._moves.shift, steps, "compensation"))

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
        self._tools.changed()

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
        if self._job_name == FOCUS_RUN:
            self._tools.lookout.forget_camera()
        self._job = None
        self.progress += 1
        self._tools.changed()

    async def _focus(self, decision: Decision) -> None:
        triggers = decision.triggers
        _log.info("A refocus begins", triggers=triggers, why=decision.reason, **_states(decision))
        result = await self._tools.focus(triggers)
        if result.camera_taken and self._may_try_again(result):
            _log.warning("A refocus found the camera taken, and follows in the next gap", why=result.reason)
            return
        if result.outcome is not Outcome.FOCUSED:
            self._failed(result.reason, outcome=result.outcome)
            return
        self._adopt(result, triggers)
        self._run_ended(result.outcome, result.reason)
        _log.info("Refocused", why=result.reason, exposures=result.exposures, duration_s=round(result.duration_s))

    def _may_try_again(self, result: FocusResult) -> bool:
        """Whether a run that lost the camera to the imaging program has not failed, and may follow in the next gap."""
        history = self.state.history
        self._book.set_history(replace(history, squeeze=history.squeeze.gap_lost()))
        self._advise()
        # One that has moved the focuser under an exposure has spoiled it: that is not done to every image.
        is_first = history.squeeze.lost_gaps == 0
        return not result.samples and result.outcome is Outcome.RESTORED and is_first

    def _advise(self) -> None:
        """Tell once a night of an imaging program that leaves no gap."""
        squeeze = self.state.history.squeeze
        if self._settings.watches_for_gaps and squeeze.is_to_be_told:
            _log.warning(ADVICE)
            self._book.set_history(replace(self.state.history, squeeze=squeeze.told()))

    def _failed(self, why: str, outcome: str = "failed") -> None:
        """Let the triggers, or the small moves, wait after one that did not work."""
        if self._job_name != FOCUS_RUN:
            self._rests_until_s = self._tools.clock.monotonic() + REST_S
            _log.error("Failed", what=self._job_name, why=why, next_try_in_s=REST_S)
            return
        self._book.set_history(failed(self.state.history, self._settings.patience))
        _log.error("A refocus failed", why=why, next_try_in_s=round(self.state.history.hold_s))
        self._run_ended(outcome, why)

    def _aborted(self) -> None:
        why, self._gives_way = self._gives_way, ""
        if why:
            _log.warning("A refocus has given way to the imaging program, and follows in the next gap", why=why)
            return
        self._book.set_history(aborted(self.state.history, self._settings.patience))
        _log.warning("A refocus was aborted", next_try_in_s=round(self.state.history.hold_s))
        self._run_ended("aborted", "The run was aborted; the focuser is back where it started.")

    def _run_ended(self, outcome: str, reason: str) -> None:
        self.last_run, self.runs_ended = RunEnd(outcome=outcome, reason=reason), self.runs_ended + 1

    def _adopt(self, result: FocusResult, triggers: str) -> None:
        """Let all counting begin anew from a good focus."""
        history = self.state.history
        baseline = baseline_of(result, triggers, history)
        self._book.state = replace(
            self.state,
            history=refocused(history, baseline),
            compensated=Compensated(at_c=baseline.temperature_c, at_altitude_deg=baseline.altitude_deg),
            intention=None,
        )
        self._book.save()

    async def _recover(self) -> bool:
        """After a start: take up the night; False: not yet possible."""
        recovered = await self._recovery.recover(compensates=self._settings.compensation is not None)
        if recovered is None:
            return False
        if recovered.returned_to is not None:
            self.last_run = RunEnd(
                outcome="cut off",
                reason=f"A focus run was cut off. The focuser is back at position {recovered.returned_to}, where it "
                "belongs.",
            )
        kept = recovered.unnoted
        if kept is not None:
            self._adopt(kept.result, kept.trigger)
            since_s = since_its_end_s(kept, self._tools.clock)
            self._book.set_history(replace(self.state.history, since_s=since_s))
        self._is_recovered = True
        return True


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


def _states(decision: Decision) -> dict[str, str]:
    return {each.trigger: each.state for each in decision.verdicts}


def _tell_change(before: Decision | None, now: Decision) -> None:
    """Tell of a refocus that is due and waits, once for each reason."""
    waits = now.blocked_by if now.due else ()
    waited = before.blocked_by if before is not None and before.due else ()
    if waits and waits != waited:
        _log.info("A refocus is due and waits", triggers=now.triggers, why=now.reason, for_=", ".join(waits))
