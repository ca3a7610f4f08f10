"""Transitions of the night's state: each takes the state and returns the next one; nothing else changes it.

Time enters with each poll as seconds passed, so setting the computer's clock changes no counter (decision 0014).
"""

from collections import Counter
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from alpaca_focus.core.night.compensation import Compensated, CompensationSettings, followed, moved
from alpaca_focus.core.night.decisions import EXPOSING, Decision
from alpaca_focus.core.night.focuser_watch import FocuserWatch, PositionRules, watched
from alpaca_focus.core.night.outlier_filter import Window
from alpaca_focus.core.night.save_marks import kept_across_nights
from alpaca_focus.core.night.state import (
    Baseline,
    CorrectionKind,
    CorrectionMove,
    History,
    NightState,
    Patience,
    PierSide,
    Plan,
    Reading,
    Snapshot,
)
from alpaca_focus.core.values import Position

MOST_HFDS = 60
BY_HAND_AFTER_S = 900.0
"""If no plan was reported, a filter change counts as one by hand when nothing was exposed for this long."""
LONGEST_ABSENCE_S = 12 * 3600.0
"""After a longer absence it is another night: no count of the old one is valid."""


def after_absence(state: NightState, absent_s: float) -> NightState:
    """Return the saved state with the counters advanced by the time since it was saved."""
    if absent_s > LONGEST_ABSENCE_S:
        return NightState(**kept_across_nights(state))
    return replace(state, history=_later(state.history, absent_s))


def _with(state: NightState, **changes: Any) -> NightState:
    return replace(state, history=replace(state.history, **changes))


# Polls


def polled(
    state: NightState,
    snapshot: Snapshot,
    reading: Reading,
    compensation: CompensationSettings | None = None,
    positions: PositionRules | None = None,
) -> NightState:
    """Return the state after a poll.

    `compensation` of `None`: the focuser does not follow the temperature; `positions` of `None`: the usual rules.
    """
    passed_s = max(0.0, snapshot.passed_s)
    history = _later(state.history, passed_s)
    history = replace(
        history,
        images=history.images + snapshot.images,
        idle_s=0.0 if snapshot.exposing else history.idle_s,
        asked_s=history.asked_s + passed_s if history.filter_changed else 0.0,
        altitude_deg=history.altitude_deg if snapshot.altitude_deg is None else snapshot.altitude_deg,
        probable_defocus_steps=snapshot.probable_defocus_steps,
    )
    history = _with_temperature(history, snapshot.temperature_c, passed_s, reading)
    if history.reference_altitude_deg is None:
        history = replace(history, reference_altitude_deg=snapshot.altitude_deg)
    history = _with_pier_side(_with_filter(history, snapshot), snapshot)
    compensated = state.compensated
    if compensation is not None:
        compensated = followed(
            compensated,
            compensation,
            temperature_c=history.followed.mean_c if state.follows else None,
            altitude_deg=snapshot.altitude_deg if state.follows else None,
            filter_name=history.filter_name,
            passed_s=passed_s,
        )
    state = replace(state, history=history, compensated=compensated)
    return _with_position(state, snapshot, positions or PositionRules())


def decision_made(state: NightState, snapshot: Snapshot, decision: Decision) -> NightState:
    """Return the state with the reasons counted for which a due refocus waits."""
    history, blocked_by = state.history, decision.blocked_by if decision.due else ()
    # A reason counts when it begins to block, not at each poll that finds it again: the counts would only show how
    # often the devices are polled.
    ignored = Counter(history.ignored) + Counter(each for each in blocked_by if each not in history.blocked_by)
    # Only an exposure as the one reason shows that a gap is missing: under clouds a gap would not help either.
    gaps = history.gaps.polled(waits=blocked_by == (EXPOSING,), exposures=snapshot.exposures)
    return _with(state, blocked_by=blocked_by, ignored=MappingProxyType(ignored), gaps=gaps)


def _later(history: History, passed_s: float) -> History:
    """Return the history some time later; only counters of time change."""
    return replace(
        history,
        since_s=history.since_s + passed_s,
        idle_s=history.idle_s + passed_s,
        hold_s=max(0.0, history.hold_s - passed_s),
        gaps=replace(history.gaps, advised_s=history.gaps.advised_s + passed_s),
        focuser=replace(history.focuser, quiet_s=max(0.0, history.focuser.quiet_s - passed_s)),
    )


def _with_temperature(history: History, reading_c: float | None, passed_s: float, reading: Reading) -> History:
    reading_s = history.reading_s + passed_s
    if reading_s < reading.every_s:
        return replace(history, reading_s=reading_s)
    outliers = history.outliers.take(reading_c)
    if outliers.rejection or outliers.last_c is None:
        return replace(history, reading_s=0.0, outliers=outliers)
    window = history.window.take(outliers.last_c, size=reading.count)
    # Without a temperature of the last focus, drifts are counted from the first average.
    reference_c = window.mean_c if history.reference_c is None else history.reference_c
    followed_window = history.followed.take(outliers.last_c, size=reading.followed_count)
    return replace(
        history, reading_s=0.0, outliers=outliers, window=window, followed=followed_window, reference_c=reference_c
    )


def _with_filter(history: History, snapshot: Snapshot) -> History:
    name = snapshot.filter_name
    if name is None or name == history.filter_name:
        return history
    # The first filter that is known is no change.
    was_known = history.filter_name is not None
    focused_through = None if history.baseline is None else history.baseline.filter_name
    # Back to the filter of the last focus: the focuser stands right again, whatever was due in between.
    if name == focused_through:
        return replace(history, filter_name=name, filter_changed=False, by_hand=False, asked_s=0.0)
    unplanned = snapshot.plan is Plan.UNKNOWN and history.idle_s > BY_HAND_AFTER_S and not snapshot.filter_is_reported
    return replace(
        history,
        filter_name=name,
        filter_changed=history.filter_changed or was_known,
        by_hand=was_known and (snapshot.plan is Plan.IDLE or unplanned),
        asked_s=0.0,
    )


def _with_pier_side(history: History, snapshot: Snapshot) -> History:
    side = snapshot.pier_side
    # A slewing mount reports either side on its way, a parked one whatever its park position has.
    if side is PierSide.UNKNOWN or snapshot.tracking is False or snapshot.parked or snapshot.slewing:
        return history
    flipped = history.pier_side not in {PierSide.UNKNOWN, side}
    return replace(history, pier_side=side, flipped=history.flipped or flipped)


def _with_position(state: NightState, snapshot: Snapshot, rules: PositionRules) -> NightState:
    before = state.history.focuser
    is_judged = not (snapshot.away or snapshot.program_moves)
    watch, expected = watched(before, state.expected_position, snapshot.focuser, rules, is_judged=is_judged)
    if watch.jump is not None and not rules.is_trigger:
        # By the settings, others may move the focuser: where they leave it is the focus from now on.
        return moved_by_program(_with(state, focuser=replace(watch, unverified="")), watch.jump.found, snapshot.at)
    return replace(_with(state, focuser=watch), expected_position=expected)


# Requests of operators and scripts


def refocus_requested(state: NightState) -> NightState:
    """Return the state with a refocus due as soon as possible."""
    return _with(state, asap=True, by_hand=False)


def request_withdrawn(state: NightState) -> NightState:
    """Return the state without the request for a refocus."""
    return _with(state, asap=False)


def filter_change_declined(state: NightState) -> NightState:
    """Return the state in which a filter change needs no refocus, as an operator or an offset has settled it."""
    return _with(state, filter_changed=False, by_hand=False, asked_s=0.0)


def pause_switched(state: NightState, *, on: bool) -> NightState:
    """Return the state with automatic refocusing paused or resumed."""
    return replace(state, paused=on)


def compensation_switched(state: NightState, *, on: bool) -> NightState:
    """Return the state with compensation switched on or off."""
    # A change of temperature while it was off is not made up for: the focuser was meant to stay where it is.
    compensated = state.compensated
    if on and not state.follows:
        history = state.history
        compensated = replace(compensated, at_c=history.followed.mean_c, at_altitude_deg=history.altitude_deg)
    return replace(state, follows=on, compensated=compensated)


def plan_reported(state: NightState, plan: Plan) -> NightState:
    """Return the state with the kind of frames that the imaging program takes."""
    return replace(state, plan=plan)


def filter_reported(state: NightState, name: str) -> NightState:
    """Return the state with the current filter of an observatory without a filter wheel."""
    return replace(state, reported_filter=name)


def flip_reported(state: NightState) -> NightState:
    """Return the state after a meridian flip."""
    return _with(state, flipped=True)


def images_ended(state: NightState, count: int) -> NightState:
    """Return the state with so many more light frames."""
    return _with(state, images=state.history.images + count)


def image_reported(state: NightState, hfd_px: float | None = None) -> NightState:
    """Return the state with one more light frame, and the size of its stars if it was reported."""
    state = images_ended(state, 1)
    return state if hfd_px is None else hfd_reported(state, hfd_px)


def hfd_reported(state: NightState, hfd_px: float, ended_at: datetime | None = None) -> NightState:
    """Return the state with the size of the stars on one more frame, which is counted elsewhere."""
    history = state.history
    # A frame from before the last refocus does not count; one of unknown age is assumed to be recent.
    if history.baseline is not None and ended_at is not None and ended_at < history.baseline.at:
        return state
    return _with(state, hfds_px=(*history.hfds_px, hfd_px)[-MOST_HFDS:])


# Outcomes of runs


def refocused(state: NightState, baseline: Baseline, since_s: float = 0.0) -> NightState:
    """Return the state `since_s` after a good focus: whatever the trigger was, all counting starts again."""
    history = state.history
    return replace(
        state,
        history=History(
            baseline=baseline,
            reference_c=baseline.temperature_c,
            altitude_deg=history.altitude_deg,
            reference_altitude_deg=baseline.altitude_deg,
            since_s=since_s,
            window=Window(filled=history.window.filled),
            followed=history.followed,
            outliers=history.outliers,
            reading_s=history.reading_s,
            filter_name=baseline.filter_name or history.filter_name,
            pier_side=history.pier_side,
            idle_s=history.idle_s,
            ignored=history.ignored,
            gaps=history.gaps.refocused(),
            focuser=FocuserWatch(read=baseline.position),
        ),
        compensated=Compensated(at_c=baseline.temperature_c, at_altitude_deg=baseline.altitude_deg),
        unfinished_move=None,
        expected_position=baseline.position,
    )


def run_failed(state: NightState, patience: Patience) -> NightState:
    """Return the state after a failed run: due triggers stay due, and all wait twice as long at each failure."""
    history = state.history
    hold_s = min(patience.first_s * 2.0**history.failures, patience.longest_s)
    return _with(state, asap=False, failures=history.failures + 1, hold_s=hold_s)


def run_aborted(state: NightState, patience: Patience) -> NightState:
    """Return the state after a run that an operator aborted: the triggers wait once."""
    return _with(state, asap=False, hold_s=max(state.history.hold_s, patience.first_s))


def gap_lost(state: NightState) -> NightState:
    """Return the state after a run that the imaging program's next exposure has ended."""
    gaps = state.history.gaps
    return _with(state, gaps=replace(gaps, lost_gaps=gaps.lost_gaps + 1))


def gap_advice_logged(state: NightState) -> NightState:
    """Return the state with the advice about missing gaps marked as logged."""
    return _with(state, gaps=replace(state.history.gaps, advised_s=0.0))


# Moves of the focuser between runs


def moved_by_program(state: NightState, position: Position, at: datetime) -> NightState:
    """Return the state after the imaging program has moved the focuser to where it belongs from now on."""
    # Drifts are counted from here, and earlier star sizes no longer count. Whether this is a good focus is not known,
    # so images and time are still counted.
    history = state.history
    baseline = replace(
        history.baseline or Baseline(at=at, position=position, trigger="imaging program"),
        position=position,
        temperature_c=history.followed.latest_c,
        altitude_deg=history.altitude_deg,
        filter_name=history.filter_name,
    )
    temperature_c, altitude_deg = baseline.temperature_c, baseline.altitude_deg
    state = _with(state, baseline=baseline, reference_c=temperature_c, reference_altitude_deg=altitude_deg, hfds_px=())
    compensated = Compensated(at_c=history.followed.mean_c, at_altitude_deg=history.altitude_deg)
    state = replace(state, compensated=compensated, unfinished_move=None, expected_position=position)
    return _stands_at(state, position)


def returned(state: NightState, position: Position, *, is_verified: bool) -> NightState:
    """Return the state with the focuser back where it belongs, to be verified by a refocus unless that was done."""
    state = _stands_at(state, position)
    if is_verified:
        return state
    # What made the run fail was the focuser, which answers again: the hold-off would only delay the refocus.
    reason = f"the focuser is back at {position} after a focus run that was cut off"
    return _with(state, focuser=replace(state.history.focuser, unverified=reason), hold_s=0.0)


def _stands_at(state: NightState, position: Position) -> NightState:
    """Return the state with a position that a move of this program, or of the imaging program, has ended at."""
    return _with(state, focuser=replace(state.history.focuser, read=position, differs=False, jump=None))


def correction_begun(state: NightState, move: CorrectionMove) -> NightState:
    """Return the state with an unfinished correction move, saved before its first leg (decision 0015)."""
    return replace(state, unfinished_move=move)


def correction_done(state: NightState, move: CorrectionMove, reached: Position, *, is_late: bool = False) -> NightState:
    """Return the state after a correction move; `is_late`: it was cut off, and finished later."""
    # The write that counts the move also removes it from `unfinished_move`, so it counts exactly once (decision 0015).
    state = _stands_at(replace(state, unfinished_move=None, expected_position=move.target), reached)
    if is_late:
        reason = f"the focuser is at {move.target} after a correction move that was cut off"
        state = _with(state, focuser=replace(state.history.focuser, unverified=reason))
    if move.what == "compensation":
        return replace(state, compensated=moved(state.compensated, move.steps))
    history = state.history
    baseline = history.baseline
    if baseline is not None:
        baseline = replace(baseline, position=baseline.position + move.steps, filter_name=history.filter_name)
    # Stars have another size through another filter; all other counts continue.
    return filter_change_declined(_with(state, baseline=baseline, hfds_px=()))


def correction_abandoned(state: NightState) -> NightState:
    """Return the state without an unfinished move, which was halted for good or cannot have left the focuser there."""
    return replace(state, unfinished_move=None)


def correction_refused(state: NightState, what: CorrectionKind, reason: str) -> NightState:
    """Return the state with compensation stopped until the next refocus, because a correction would exceed a limit."""
    state = replace(state, compensated=replace(state.compensated, stopped=reason))
    return filter_change_declined(state) if what == "offset" else state
