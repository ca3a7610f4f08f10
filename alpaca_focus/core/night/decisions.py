"""Decides from a history and a snapshot whether a refocus is due, and which inhibitors make it wait."""

from collections.abc import Sequence
from dataclasses import dataclass

from alpaca_focus.core.night.state import NO_LIGHTS, History, Snapshot
from alpaca_focus.core.night.triggers import Trigger
from alpaca_focus.core.status import Verdict

EXPOSING = "exposure running"
NO_GAP = "no gap in the imaging yet"
TEST_SHOTS = "only test shots are coming"
PROGRAM_MOVES = "the imaging program moves the focuser"
MOVED = "the focuser was moved by others"
AWAY = "the focuser is not where it belongs"
SAFETY_UNKNOWN = "safety unknown: the monitor does not answer"
HELD = "waiting after a failed run"
GAP_REASONS = frozenset({EXPOSING, NO_GAP, TEST_SHOTS})
"""Reasons that end by themselves in the next gap between two exposures, or with the next image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The verdicts of all triggers, and the reasons for which nothing may be done just now, due or not."""

    verdicts: tuple[Verdict, ...]
    blocked_by: tuple[str, ...]

    @property
    def due(self) -> tuple[Verdict, ...]:
        """The verdicts of the triggers that are due."""
        return tuple(each for each in self.verdicts if each.due)

    @property
    def refocus(self) -> bool:
        """Whether to refocus now."""
        return bool(self.due) and not self.blocked_by

    @property
    def waits_for_gap(self) -> bool:
        """Whether a refocus is due and could start in a gap."""
        # No other reason than these ends with the exposure: with one more, the gap would pass unused.
        return bool(self.due) and GAP_REASONS.issuperset(self.blocked_by)

    @property
    def allows_corrections(self) -> bool:
        """Whether correction moves may be made, now or in a gap."""
        # What blocks a refocus blocks them as well, except for the hold-off after a failed run (decision 0014): it
        # avoids another run that would fail under the same clouds, and a correction move takes no exposures.
        return (GAP_REASONS | {HELD}).issuperset(self.blocked_by)

    @property
    def reason(self) -> str:
        """What is due, as one clause."""
        return "; ".join(each.reason for each in self.due)

    @property
    def triggers(self) -> str:
        """Names of the triggers that are due."""
        return ", ".join(each.trigger for each in self.due)


def decided(
    history: History, snapshot: Snapshot, triggers: Sequence[Trigger], night_below_deg: float | None, *, paused: bool
) -> Decision:
    """Return the verdicts of all triggers, with the reasons to wait."""
    blocked_by = inhibitors(history, snapshot, night_below_deg, paused=paused)
    return Decision(verdicts=tuple(trigger(history) for trigger in triggers), blocked_by=blocked_by)


def inhibitors(history: History, snapshot: Snapshot, night_below_deg: float | None, *, paused: bool) -> tuple[str, ...]:
    """Return all reasons for which nothing may be done just now, as clauses; empty: none.

    It is night while the sun is below `night_below_deg`; with `None`, the sun is ignored.
    """
    # Only a known bad state inhibits: `None`, from a device that is not there or knows nothing, never does. A required
    # device that does not answer has a reason of its own, and so has a silent safety monitor.
    sun_deg = snapshot.sun_altitude_deg
    is_day = night_below_deg is not None and sun_deg is not None and sun_deg > night_below_deg
    is_taken = snapshot.exposing or not snapshot.camera_free
    reasons = {
        **{f"no answer from {name}": True for name in snapshot.silent},
        "paused": paused,
        "not safe": snapshot.safe is False,
        SAFETY_UNKNOWN: snapshot.safety_unknown,
        "mount parked": snapshot.parked is True,
        # A parked mount never tracks: one reason is enough.
        "mount not tracking": snapshot.parked is not True and snapshot.tracking is False,
        "mount slewing": snapshot.slewing is True,
        "not night": is_day,
        f"the plan takes {snapshot.plan} frames": snapshot.plan in NO_LIGHTS,
        # An operator who requests a refocus does not wait for the hold-off.
        HELD: history.hold_s > 0 and not history.asap,
        PROGRAM_MOVES: snapshot.program_moves,
        # An operator who requests a refocus has finished moving it.
        MOVED: history.focuser.quiet_s > 0 and not history.asap,
        AWAY: snapshot.away,
        TEST_SHOTS: is_taken and snapshot.test_shots,
        EXPOSING: snapshot.exposing and not snapshot.test_shots,
        NO_GAP: is_taken and not snapshot.exposing and not snapshot.test_shots,
    }
    return tuple(reason for reason, holds in reasons.items() if holds)
