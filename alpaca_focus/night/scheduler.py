"""Schedules refocuses and correction moves: polls, decides, starts what is due, and stores what must survive.

An exclusive job owns the optics, a focus run or a correction move; anything else waits or is refused.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import structlog

from alpaca_focus.core.errors import DeviceMisbehaved
from alpaca_focus.core.night import transitions
from alpaca_focus.core.night.decisions import AWAY, HELD, Decision, decided
from alpaca_focus.core.night.state import NightState, Snapshot
from alpaca_focus.core.status import PolledDevice
from alpaca_focus.core.values import Position
from alpaca_focus.night.compensator import Compensator
from alpaca_focus.night.dependencies import Dependencies, NightSettings
from alpaca_focus.night.exclusive_job import FOCUS_RUN, PROGRAM_MOVE, ExclusiveJob, Work
from alpaca_focus.night.operator_requests import OperatorRequests
from alpaca_focus.night.recovery import RETURN, Recovery
from alpaca_focus.night.run_outcomes import RunOutcomes
from alpaca_focus.night.state_store import StateStore

LAST_POLL_S = 1.0
LONGEST_RESTORE_S = 60.0
"""For a focuser that answers, after a request to stop."""
MOST_JOBS_IN_A_GAP = 4
"""A filter's offset, a refocus, and the compensation after it; more would keep an imaging program waiting."""

_log = structlog.get_logger(__name__)


class RefocusScheduler:
    """Keeps one telescope in focus.

    Attributes:
        outcomes: Has the last run, and the number of runs since the start.
        decision: The decision after the last poll; `None` before the first.
        snapshot: The last poll.
        progress: Counts every sign of progress, for the watchdog.
    """

    def __init__(self, dependencies: Dependencies, settings: NightSettings) -> None:
        self._dependencies = dependencies
        self._poller = dependencies.poller
        self._settings = settings
        self._store = StateStore(dependencies.store, dependencies.clock)
        self.requests = OperatorRequests(dependencies, settings, self._store)
        self._compensator = Compensator(dependencies, settings, self._store)
        self.outcomes = RunOutcomes(self._store, settings)
        self._recovery = Recovery(dependencies, self._compensator, self.outcomes, self._store)
        self._job = ExclusiveJob(failed=self._failed, aborted=self._aborted, ended=self._ended)
        self.decision: Decision | None = None
        self.snapshot: Snapshot | None = None
        self.progress = 0
        # Held from a poll until the job that follows from it has started, so that the camera is not lent in between. A
        # job runs without the lock and no holder waits for a job, so a job may poll without a deadlock.
        self._ticking = asyncio.Lock()
        self._gives_way = ""
        self._program_moves = False
        self._has_begun = False
        self._is_stopping = False

    @property
    def state(self) -> NightState:
        """The state of the night."""
        return self._store.state

    @property
    def devices(self) -> tuple[PolledDevice, ...]:
        """All devices as they were last polled; nothing is polled."""
        return self._poller.devices()

    @property
    def doing(self) -> str:
        """The name of the job that owns the optics; empty: none does."""
        return self._job.doing

    # Requests that act at once

    def abort(self) -> str:
        """Abort the focus run, or withdraw the request for one; return what was done, as a sentence."""
        if self._job.cancel(FOCUS_RUN):
            return "The focus run is being aborted; the focuser returns."
        if self.state.history.by_hand:
            self._store.apply(transitions.filter_change_declined)
            return "The refocus for the filter changed by hand was declined."
        if self.state.history.asap:
            self._store.apply(transitions.request_withdrawn)
            return "The refocus request was withdrawn."
        return "There is nothing to abort."

    async def lend_camera(self, take: Callable[[], None], *, for_light: bool = True) -> str:
        """Lend the camera to the imaging program unless a job owns the optics, after starting what is due.

        `take` is called when nothing owns the optics; the next poll must find the camera taken. Before a dark frame,
        not `for_light`, nothing is started. Return the name of the job to wait for; empty: the camera is taken.
        """
        async with self._ticking:
            if not self._job.doing and for_light:
                await self._tick(fresh=False)
            if not self._job.doing:
                take()
        return self.doing

    # The imaging program, where it comes through the gateway

    @property
    def wants_gap(self) -> bool:
        """Whether a job waits only for a gap between two exposures; safe to read in any thread."""
        if (decision := self.decision) is None or self._program_moves:
            return False
        return decision.waits_for_gap or (decision.allows_corrections and self._compensator.wants_to_move)

    def decide_before_exposure(self) -> None:
        """Count the imaging program's images and decide anew, so that `wants_gap` is right as its next exposure begins.

        No device is polled: an imaging program starts its next exposure 10 ms after a download.
        """
        snapshot = self.snapshot
        if snapshot is None or self._job.doing:
            return
        settings = self._settings
        state = self._store.apply(transitions.images_ended, self._poller.new_program_images(self.state.plan))
        self.decision = decided(
            state.history, snapshot, settings.triggers, settings.night_below_deg, paused=state.paused
        )

    async def use_gap(self) -> None:
        """Do what waits for a gap; return when nothing owns the optics."""
        for _ in range(MOST_JOBS_IN_A_GAP):
            await self.at_rest()
            await self.tick(fresh=True)
            if not self._job.doing:
                return
        await self.at_rest()

    def give_way(self, why: str) -> None:
        """Abort a focus run, because the imaging program comes first; what was due stays due."""
        if self._job.cancel(FOCUS_RUN):
            self._gives_way = why

    def program_moves(self) -> None:
        """Start nothing until `program_has_moved`: the imaging program moves the focuser."""
        self._program_moves = True

    @property
    def compensates_program(self) -> bool:
        """Whether `move_for_program` makes the imaging program's moves; safe to read in any thread."""
        settings = self._settings
        is_set = settings.compensates_program and settings.backlash.steps > 0
        # A run that was cut off decides where the focuser belongs, until the imaging program has moved it.
        is_free = self._has_begun and not self._dependencies.restore_marker.is_left
        return is_set and is_free and not self._is_stopping

    async def move_for_program(self, target: Position) -> bool:
        """Move the focuser for the imaging program, with its backlash taken up, between two calls as `program_moves`.

        A call that is cancelled halts the focuser.

        Returns:
            False if nothing was moved, because the target is beyond the limits or the optics are in use.

        Raises:
            DeviceError: The move failed; it is finished later, unless the imaging program moves the focuser again.
        """
        if self._job.doing or not self.compensates_program or self._settings.limits.clamp(target) != target:
            return False
        self._start(PROGRAM_MOVE, partial(self._compensator.move_for_program, target))
        try:
            await self.at_rest()
        except asyncio.CancelledError:
            if not self._is_stopping and self._job.cancel(PROGRAM_MOVE):
                self._store.apply(transitions.correction_abandoned)
            raise
        if self.state.unfinished_move is not None:
            name = self._dependencies.focuser.name
            raise DeviceMisbehaved(name, f"{name} has not completed the imaging program's move to {target}.")
        return True

    def program_has_moved(self, position: Position | None) -> None:
        """Resume at the position that the imaging program has moved the focuser to; `None`: not known."""
        self._program_moves = False
        if position is not None:
            self._store.apply(transitions.moved_by_program, position, self._dependencies.clock.wall())
            if not self._job.doing:
                # A run that was cut off no longer decides where the focuser belongs.
                self._dependencies.restore_marker.clear()
            _log.info("The imaging program has moved the focuser", position=position)

    async def stop(self, within_s: float) -> bool:
        """End the job, with the focuser at a good position, and save the night.

        A focuser that does not answer gets `within_s`, one that does `LONGEST_RESTORE_S`. Return whether the job has
        ended in time; if not, the next start returns the focuser with what is on disk.
        """
        self._is_stopping = self.outcomes.is_stopping = True
        self._job.cancel(FOCUS_RUN)
        # A correction move is not cancelled: it is short, and the next start would have to complete it.
        ended = await self._at_rest_while_it_answers(within_s)
        with contextlib.suppress(TimeoutError):
            # A poll that is under way uses devices that are disconnected next.
            async with asyncio.timeout(LAST_POLL_S), self._ticking:
                pass
        self._store.save()
        return ended

    async def at_rest(self, within_s: float | None = None) -> bool:
        """Wait until nothing owns the optics; return False if that took longer than `within_s`."""
        return await self._job.at_rest(within_s)

    async def _at_rest_while_it_answers(self, within_s: float) -> bool:
        focuser, before = self._dependencies.focuser, -1
        for _ in range(max(1, round(LONGEST_RESTORE_S / within_s))):
            if focuser.replies == before:
                break
            before = focuser.replies
            if await self.at_rest(within_s):
                return True
        return False

    # The tick

    async def tick(self, *, fresh: bool = False) -> None:
        """Poll once, decide, and start what is due; `fresh` polls all devices, however recent their answers are."""
        async with self._ticking:
            if not self._job.doing and not self._is_stopping:
                await self._tick(fresh=fresh)

    async def _tick(self, *, fresh: bool) -> None:
        if not self._has_begun:
            self._has_begun = await self._recovery.begin(compensates=self._settings.compensation is not None)
            if not self._has_begun:
                return
        await self._recovery.recover_camera()
        answers = self._poller.answers
        snapshot, decision = await self._poll(fresh=fresh)
        if decision.refocus and not fresh:
            # Before anything moves, all devices are polled: an earlier answer may be out of date.
            snapshot, decision = await self._poll(fresh=True)
        self.snapshot, before, self.decision = snapshot, self.decision, decision
        # Applied, and with that saved, before anything is started (decision 0015).
        self._store.apply(transitions.decision_made, snapshot, decision)
        self.outcomes.advise()
        _log_wait(before, decision)
        if not self._is_stopping:
            self._start_due(snapshot, decision)
        if self._poller.answers > answers:
            # If no device answers at all, this program itself may hang: then the watchdog restarts it (decision 0023).
            self.progress += 1

    async def _poll(self, *, fresh: bool) -> tuple[Snapshot, Decision]:
        settings, state = self._settings, self.state
        snapshot = await self._poller.poll(state.plan, reported_filter=state.reported_filter, fresh=fresh)
        # Requests may have changed the state while the devices answered.
        before = self.state
        probable = self._dependencies.probable_defocus(before.history, before.compensated)
        snapshot = replace(
            snapshot,
            probable_defocus_steps=probable,
            program_moves=self._program_moves,
            away=self._recovery.is_needed,
        )
        state = self._store.apply(
            transitions.polled, snapshot, settings.reading, settings.compensation, settings.positions
        )
        if state.history.focuser.unverified not in {"", before.history.focuser.unverified}:
            _log.warning("A refocus is needed", why=state.history.focuser.unverified)
        outliers = state.history.outliers
        if outliers.rejection and outliers.rejection != before.history.outliers.rejection:
            _log.warning("A temperature is ignored", why=outliers.rejection, ignored=outliers.ignored)
        return snapshot, decided(
            state.history, snapshot, settings.triggers, settings.night_below_deg, paused=state.paused
        )

    def _start_due(self, snapshot: Snapshot, decision: Decision) -> None:
        if snapshot.away:
            # Nothing else is started: the focuser may stand in the middle of an interrupted run.
            rests = {HELD, AWAY}.issuperset(decision.blocked_by)
            if not snapshot.program_moves and self._recovery.may_start(snapshot, rests=rests):
                self._start(RETURN, self._recovery.recover)
            return
        allows_corrections = decision.allows_corrections and not self._compensator.is_held
        rests = allows_corrections and not snapshot.exposing
        if (first := self._compensator.due_before_refocus()) is not None:
            # Also if this move has to wait: a refocus would start from the wrong position (decision 0015).
            if rests:
                self._start(*first)
        elif decision.refocus:
            self._start(FOCUS_RUN, partial(self._focus, decision))
        elif rests or (allows_corrections and not self._settings.between_exposures):
            # Called last, because it stops compensation when the move would exceed a limit.
            move = self._compensator.due_by_temperature()
            if move is not None:
                self._start(*move)

    def _start(self, name: str, work: Work) -> None:
        self._job.start(name, work)
        self._dependencies.changed()

    # Jobs

    def _failed(self, name: str, why: str) -> None:
        if name == FOCUS_RUN:
            self.outcomes.record_failure(why)
        else:
            self._compensator.hold(name, why)

    def _ended(self, name: str) -> None:
        if name == FOCUS_RUN:
            self._poller.ignore_own_exposures()
        self.progress += 1
        self._dependencies.changed()

    async def _focus(self, decision: Decision) -> None:
        states = {each.trigger: each.state for each in decision.verdicts}
        _log.info("A refocus begins", triggers=decision.triggers, why=decision.reason, **states)
        result = await self._dependencies.focus(decision.triggers)
        self.outcomes.record(result, decision.triggers)

    def _aborted(self, name: str) -> None:
        if name != FOCUS_RUN:
            return
        why, self._gives_way = self._gives_way, ""
        if why:
            _log.warning("A refocus has given way to the imaging program; it follows in the next gap", why=why)
        else:
            self.outcomes.record_abort()


def _log_wait(before: Decision | None, now: Decision) -> None:
    """Log that a due refocus waits, once for each set of reasons."""
    waits = now.blocked_by if now.due else ()
    waited = before.blocked_by if before is not None and before.due else ()
    if waits and waits != waited:
        _log.info("A refocus is due and waits", triggers=now.triggers, why=now.reason, for_=", ".join(waits))
