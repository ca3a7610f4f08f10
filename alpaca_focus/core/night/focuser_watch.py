"""Compares the position that the focuser reports with the one it was moved to. Pure (decision 0028)."""

from dataclasses import dataclass, replace

from alpaca_focus.core.night.save_marks import AtOnce
from alpaca_focus.core.values import Position

SAME_PLACE = 0.25
"""Best focus is where the focuser was found if it is nearer than this share of the jump."""
SAME_SHAPE = 1.5
"""Largest ratio of the metric in focus, before and now, for which it is taken for the same V-curve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FocuserReading:
    """One reading of the focuser between two moves of this program.

    Attributes:
        reconnected: Whether it may have lost its zero since the previous reading: it was connected anew, or the first
            reading is 0.
        compensates: Whether its own temperature compensation is on, which moves it.
    """

    position: Position
    reconnected: bool = False
    compensates: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionRules:
    """How a position that differs is judged.

    Attributes:
        tolerance_steps: Distance from the expected position that is no difference.
        own_steps: Longest move of the focuser's own temperature compensation between two polls.
        quiet_s: Time without a run or a correction move after somebody else's move.
        is_trigger: Whether a move by others makes a refocus due; else its end is taken for the new focus.
    """

    tolerance_steps: float = 1.0
    own_steps: float = 20.0
    quiet_s: float = 60.0
    is_trigger: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionJump:
    """The focuser was found where neither this program nor the imaging program through the gateway has moved it.

    Attributes:
        zero_lost: Whether it was found there when it had been connected anew, so that it has probably not moved.
    """

    expected: Position
    found: Position
    zero_lost: bool = False

    @property
    def steps(self) -> int:
        """From the expected position to the one found."""
        return self.found - self.expected

    @property
    def reason(self) -> str:
        """What was found, as a clause."""
        if self.zero_lost:
            return f"the focuser reports {self.found} instead of {self.expected} and may have lost its zero"
        return f"the focuser is at {self.found} instead of {self.expected}, moved by others"


@dataclass(frozen=True, slots=True, kw_only=True)
class FocuserWatch:
    """The position since the last refocus.

    Attributes:
        read: The last reading; `None`: none yet.
        differs: Whether it differed from the expected position.
        suspects_zero: Whether the focuser was connected anew since its position was last as expected.
        quiet_s: Seconds for which runs and corrections still wait after a move by others.
        jump: A difference that two polls have confirmed; `None`: the focuser is where it is expected.
        unverified: Why the position needs a refocus, as a clause; empty: it needs none.
    """

    read: Position | None = None
    differs: bool = False
    suspects_zero: bool = False
    quiet_s: float = 0.0
    jump: AtOnce[PositionJump | None] = None
    unverified: AtOnce[str] = ""


def watched(
    watch: FocuserWatch,
    expected: Position | None,
    reading: FocuserReading | None,
    rules: PositionRules,
    *,
    is_judged: bool,
) -> tuple[FocuserWatch, Position | None]:
    """Return the watch after a poll, and the expected position.

    Args:
        watch: Before the poll.
        expected: Where the focuser was moved to; `None`: not known, and the first reading is taken for it.
        reading: `None`: it did not answer.
        rules: How a difference is judged.
        is_judged: False while the focuser is known to be on its way.
    """
    if reading is None:
        return watch, expected
    here, before = reading.position, watch.read
    watch = replace(watch, read=here, suspects_zero=watch.suspects_zero or reading.reconnected)
    if not is_judged:
        return replace(watch, differs=False), expected
    moved_steps = 0 if before is None else abs(here - before)
    moves_itself = reading.compensates and not watch.differs and moved_steps <= rules.own_steps
    if expected is None or moves_itself:
        expected = here
    if abs(here - expected) <= rules.tolerance_steps:
        # A jump that was undone leaves a refocus due: the slack may be on the other side now.
        return replace(watch, differs=False, suspects_zero=False, jump=None), expected
    has_moved = moved_steps > rules.tolerance_steps
    if has_moved and not watch.suspects_zero:
        return replace(watch, differs=True, quiet_s=rules.quiet_s), expected
    # Two polls agree: a single one may have been overtaken by a move that was reported meanwhile.
    if has_moved or not watch.differs:
        return replace(watch, differs=True), expected
    if watch.jump is not None and abs(watch.jump.found - here) <= rules.tolerance_steps:
        return watch, expected
    zero_lost = watch.suspects_zero or (watch.jump is not None and watch.jump.zero_lost)
    jump = PositionJump(expected=expected, found=here, zero_lost=zero_lost)
    return replace(watch, jump=jump, unverified=jump.reason), expected


def shifted_by_steps(
    jump: PositionJump | None, best_position: float, value_before: float | None, value: float
) -> int | None:
    """Return by how many steps all positions have shifted, by the best focus found after a jump.

    `None`: they have not, or it is not known: best focus is not where the focuser was found, or the metric in focus
    (`value_before`, of the focus before; `None`: not known) is not what it was.
    """
    if jump is None or abs(best_position - jump.found) > SAME_PLACE * abs(jump.steps):
        return None
    if value_before is not None and not 1 / SAME_SHAPE <= value / value_before <= SAME_SHAPE:
        return None
    return round(best_position - jump.expected)
