"""Keeps the telescope in focus through the night: looks, decides, acts, and notes on disk what must survive.

One thing owns the optics at a time, a focus run or a small move; whatever comes meanwhile waits or is refused.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import structlog

from alpaca_focus.core.compensation import Compensated
from alpaca_focus.core.decisions import Decision, decided, with_ignored, with_squeeze
from alpaca_focus.core.inhibitors import EXPOSING, HELD, NO_GAP
from alpaca_focus.core.night import Snapshot, advanced, declined, taken_over
from alpaca_focus.core.values import Position
from alpaca_focus.runtime.dependencies import Dependencies
from alpaca_focus.runtime.desk import Desk
from alpaca_focus.runtime.follower import Follower
from alpaca_focus.runtime.night_book import NightBook
from alpaca_focus.runtime.night_settings import NightSettings
from alpaca_focus.runtime.night_state import NightState
from alpaca_focus.runtime.one_job import FOCUS_RUN, OneJob, Work
from alpaca_focus.runtime.recovery import Recovery
from alpaca_focus.runtime.run_accounts import RunAccounts, RunEnd
from alpaca_focus.runtime.small_moves import SmallMoves

LAST_LOOK_S = 1.0
LONGEST_WAY_HOME_S = 60.0
"""After being told to stop, for a focuser that answers."""
MOST_JOBS_IN_A_GAP = 4
"""A filter's offset, a refocus, and what that leaves to follow; no more keeps an imaging program waiting."""

_log = structlog.get_logger(__name__)


class Keeper:
    """Keeps one telescope in focus.

    Attributes:
        desk: Takes note of what people and scripts say.
        decision: What the last look led to; `None` before the first.
        progress: Counts every sign of work that goes on; the watchdog looks at it.
    """

    def __init__(self, dependencies: Dependencies, settings: NightSettings) -> None:
        self._dependencies = dependencies
        self._settings = settings
        self._book = NightBook(dependencies.store, dependencies.clock)
        moves = SmallMoves(
            dependencies.focuser,
            self._book,
            backlash=settings.backlash,
            limits=settings.limits,
            guider=dependencies.guider,
        )
        self.desk = Desk(dependencies, settings, self._book)
        self._follower = Follower(moves, self._book, settings, dependencies.clock)
        self._accounts = RunAccounts(self._book, settings, dependencies.clock)
        self._job = OneJob(failed=self._failed, aborted=self._aborted, ended=self._ended)
        self._recovery = Recovery(
            dependencies.focuser, moves, self._book, dependencies.restore_marker, dependencies.clock
        )
        self.decision: Decision | None = None
        self.snapshot: Snapshot | None = None
        self.progress = 0
        self._ticking = asyncio.Lock()
        self._gives_way = ""
        self._somebody_moves = False
        self._is_recovered = False
        self._is_stopping = False

    @property
    def state(self) -> NightState:
        """The night so far."""
        return self._book.state

    @property
    def doing(self) -> str:
        """What owns the optics; empty: nothing does."""
        return self._job.doing

    @property
    def last_run(self) -> RunEnd | None:
        """How the last run since this program was started ended, or that one before was cut off."""
        return self._accounts.last_run

    @property
    def runs_ended(self) -> int:
        """How many runs have ended since this program was started."""
        return self._accounts.runs_ended

    # What a person or a program may ask for

    def abort(self) -> str:
        """End what is under way, or the wish for it; says what that was."""
        if self._job.cancel_run():
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
            if not self._job.doing and for_light:
                await self._tick(anew=False)
            if not self._job.doing:
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
        return self._follower.wants_to_move and not waits_for - {EXPOSING, NO_GAP, HELD}

    async def use_gap(self) -> None:
        """Do what waits for a gap; returns when nothing owns the optics any more."""
        for _ in range(MOST_JOBS_IN_A_GAP):
            await self.at_rest()
            await self.tick(anew=True)
            if not self._job.doing:
                return
        await self.at_rest()

    def give_way(self, why: str) -> None:
        """End a focus run, because the imaging program comes first; what was due stays due."""
        if self._job.cancel_run():
            self._gives_way = why

    def somebody_moves(self) -> None:
        """Keep away from the focuser: the imaging program moves it."""
        self._somebody_moves = True

    def somebody_has_moved(self, position: Position | None) -> None:
        """Take up where the imaging program has moved the focuser to; `None`: nobody knows, and nothing is taken up."""
        self._somebody_moves = False
        if position is None:
            return
        state = self.state
        history = taken_over(state.history, position, self._dependencies.clock.wall())
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
        self._job.cancel_run()
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
        return await self._job.at_rest(within_s)

    async def _at_rest_while_it_answers(self, within_s: float) -> bool:
        focuser, before = self._dependencies.focuser, -1
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
            if not self._job.doing and not self._is_stopping:
                await self._tick(anew=anew)

    async def _tick(self, *, anew: bool) -> None:
        if not self._is_recovered and not await self._recover():
            return
        answers = self._dependencies.lookout.answers
        snapshot = await self._look(anew=anew)
        decision = self._decide(snapshot)
        if decision.refocus and not anew:
            # Before anything is moved, everything is looked at, not remembered.
            snapshot = await self._look(anew=True)
            decision = self._decide(snapshot)
        self.snapshot, before, self.decision = snapshot, self.decision, decision
        history = with_squeeze(with_ignored(self.state.history, decision), snapshot, decision)
        self._book.state = replace(self.state, history=history)
        self._accounts.advise()
        _tell_change(before, decision)
        self._begin(snapshot, decision)
        self._book.save_what_counts()
        if self._dependencies.lookout.answers > answers:
            # Where nothing at all answers, it may be this program that hangs.
            self.progress += 1

    async def _look(self, *, anew: bool = False) -> Snapshot:
        snapshot = await self._dependencies.lookout.look(self.state.plan, told_filter=self.state.told_filter, anew=anew)
        probable = self._dependencies.probable_defocus(self.state.history, self.state.compensated)
        snapshot = replace(snapshot, probable_defocus_steps=probable, somebody_moves=self._somebody_moves)
        before = self.state.history
        history = advanced(before, snapshot, self._settings.reading)
        if history.sieve.trouble and history.sieve.trouble != before.sieve.trouble:
            _log.warning("A temperature is ignored", why=history.sieve.trouble, ignored=history.sieve.ignored)
        self._book.state = replace(self.state, history=history, compensated=self._follower.followed(history, snapshot))
        return snapshot

    def _decide(self, snapshot: Snapshot) -> Decision:
        settings, state = self._settings, self.state
        return decided(state.history, snapshot, settings.triggers, settings.rules, paused=state.paused)

    def _begin(self, snapshot: Snapshot, decision: Decision) -> None:
        if self._is_stopping:
            return
        # Small moves wait for what a refocus waits for, but not after a failed one.
        is_free = not self._follower.rests and not set(decision.blocked_by) - {EXPOSING, NO_GAP, HELD}
        may_move = is_free and not snapshot.exposing
        move = self._follower.due_before_a_refocus()
        if move is not None:
            if may_move:
                self._start(*move)
        elif decision.refocus:
            self._start(FOCUS_RUN, partial(self._focus, decision))
        elif may_move or (is_free and not self._settings.between_exposures):
            move = self._follower.due_after_the_temperature()
            if move is not None:
                self._start(*move)

    def _start(self, name: str, work: Work) -> None:
        self._job.start(name, work)
        self._dependencies.changed()

    # Jobs

    def _failed(self, name: str, why: str) -> None:
        """Let the triggers, or the small moves, wait after one that did not work."""
        if name == FOCUS_RUN:
            self._accounts.note_failure(why)
        else:
            self._follower.rest(name, why)

    def _ended(self, name: str) -> None:
        if name == FOCUS_RUN:
            self._dependencies.lookout.forget_camera()
        self.progress += 1
        self._dependencies.changed()

    async def _focus(self, decision: Decision) -> None:
        triggers = decision.triggers
        _log.info("A refocus begins", triggers=triggers, why=decision.reason, **_states(decision))
        result = await self._dependencies.focus(triggers)
        self._accounts.note(result, triggers)

    def _aborted(self) -> None:
        why, self._gives_way = self._gives_way, ""
        if why:
            _log.warning("A refocus has given way to the imaging program, and follows in the next gap", why=why)
        else:
            self._accounts.note_abort()

    async def _recover(self) -> bool:
        """After a start: take up the night; False: not yet possible."""
        recovered = await self._recovery.recover(compensates=self._settings.compensation is not None)
        if recovered is None:
            return False
        self._accounts.take_up(recovered)
        self._is_recovered = True
        return True


def _states(decision: Decision) -> dict[str, str]:
    return {each.trigger: each.state for each in decision.verdicts}


def _tell_change(before: Decision | None, now: Decision) -> None:
    """Tell of a refocus that is due and waits, once for each reason."""
    waits = now.blocked_by if now.due else ()
    waited = before.blocked_by if before is not None and before.due else ()
    if waits and waits != waited:
        _log.info("A refocus is due and waits", triggers=now.triggers, why=now.reason, for_=", ".join(waits))
