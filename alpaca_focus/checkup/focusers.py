"""A focuser: where it stands, how far it may go, and how it moves. Pure."""

from dataclasses import dataclass

from alpaca_focus.checkup.cameras import size_check
from alpaca_focus.checkup.checks import Check, Subject
from alpaca_focus.core.backlash import Direction, Limits
from alpaca_focus.core.values import Position

LEAST_NUDGE_STEPS, MOST_NUDGE_STEPS, USUAL_NUDGE_STEPS = 4, 100, 10
"""A move is over within a step of its target, so that a smaller one would say nothing."""
TOLERANCE_STEPS = 1

_FOCUSER = Subject("focuser")


@dataclass(frozen=True, slots=True, kw_only=True)
class FocuserFacts:
    """What a focuser is; `None` where it or the settings do not say.

    Attributes:
        absolute: Whether it knows its position.
        position: Where it stands.
        max_step: Its highest position.
        min_position: Lowest one of the settings.
        max_position: Highest one of the settings.
        told_step_um: Step size that it tells.
        set_step_um: Step size of the settings.
        temperature_c: Of its sensor; `None`: it has none, or it does not work.
        temperature_counts: Whether the settings need that sensor.
        device_compensates: Whether its own compensation is on.
        we_compensate: Whether the settings ask this program to compensate.
        belongs_at: Where a run that was cut off had started.
        moving: Whether it moves just now.
    """

    absolute: bool
    position: Position
    max_step: Position
    min_position: Position | None
    max_position: Position | None
    told_step_um: float | None
    set_step_um: float | None
    temperature_c: float | None
    temperature_counts: bool
    device_compensates: bool
    we_compensate: bool
    belongs_at: Position | None = None
    moving: bool = False

    @property
    def limits(self) -> Limits:
        """Where it may go: within its own limits and those of the settings."""
        highest = self.max_step if self.max_position is None else min(self.max_position, self.max_step)
        return Limits(lowest=self.min_position or 0, highest=highest)


RELATIVE = FocuserFacts(
    absolute=False,
    position=0,
    max_step=0,
    min_position=None,
    max_position=None,
    told_step_um=None,
    set_step_um=None,
    temperature_c=None,
    temperature_counts=False,
    device_compensates=False,
    we_compensate=False,
)
"""A focuser that does not know its position; the rest does not matter."""


def judge_focuser(facts: FocuserFacts) -> tuple[Check, ...]:
    """Judge a focuser at rest."""
    if not facts.absolute:
        return (
            _FOCUSER.fails(
                "positions",
                "it is a relative focuser: it does not know its position, and this program cannot focus with it",
                "Set it to absolute positions in its driver if it can do that, or use another focuser.",
            ),
        )
    return (_positions(facts), _limits(facts), _step_size(facts), _temperature(facts), _compensation(facts))


def _positions(facts: FocuserFacts) -> Check:
    here, limits = facts.position, facts.limits
    if not limits.lowest <= here <= limits.highest:
        return _FOCUSER.fails(
            "position",
            f"it stands at {here}, outside of the limits {limits.lowest} to {limits.highest}",
            "Move it inside, or widen focuser.min_position and focuser.max_position.",
        )
    if facts.belongs_at is not None and facts.belongs_at != here:
        return _FOCUSER.note(
            "position",
            f"it stands at {here}; a focus run was cut off, and had started at {facts.belongs_at}",
            "Start `alpaca-focus run`, or focus: either brings it there first.",
        )
    return _FOCUSER.ok("position", f"{'moving, ' if facts.moving else ''}at {here}")


def _limits(facts: FocuserFacts) -> Check:
    limits, own = facts.limits, f"it goes from 0 to {facts.max_step}"
    if limits.lowest >= limits.highest:
        return _FOCUSER.fails(
            "limits",
            f"{own}, and the limits of the settings leave {limits.lowest} to {limits.highest}",
            "Correct focuser.min_position and focuser.max_position.",
        )
    if facts.max_position is not None and facts.max_position > facts.max_step:
        return _FOCUSER.note(
            "limits",
            f"{own}, and focuser.max_position is {facts.max_position}",
            "Correct focuser.max_position, or look whether this is the right focuser.",
        )
    return _FOCUSER.ok("limits", f"{own}; it may go from {limits.lowest} to {limits.highest}")


def _step_size(facts: FocuserFacts) -> Check:
    trouble = size_check(_FOCUSER, "step size", "focuser.step_size_um", facts.told_step_um, facts.set_step_um)
    if trouble is not None:
        return trouble
    source = "of the settings" if facts.told_step_um is None else "as it says"
    return _FOCUSER.ok("step size", f"{facts.set_step_um or facts.told_step_um:g} um ({source})")


def _temperature(facts: FocuserFacts) -> Check:
    if facts.temperature_c is not None:
        return _FOCUSER.ok("temperature", f"{facts.temperature_c:.1f} deg C")
    if facts.temperature_counts:
        return _FOCUSER.fails(
            "temperature",
            "its sensor gives no temperature that makes sense, and the night is kept by it",
            "Plug the sensor in, or set thermometer.source to external and name a weather station, a file or a url.",
        )
    return _FOCUSER.ok("temperature", "it has no sensor that works, and none is needed")


def _compensation(facts: FocuserFacts) -> Check:
    if not facts.device_compensates:
        return _FOCUSER.ok("compensation", "its own is off")
    if facts.we_compensate:
        return _FOCUSER.note(
            "compensation",
            "its own is on, and compensation.enabled as well; `alpaca-focus run` switches its own off",
            "Switch it off in the driver: two would follow at once.",
        )
    return _FOCUSER.note(
        "compensation",
        "its own is on; it is switched off during a focus run, and on again afterwards",
        "Nothing has to be done if that is what you want.",
    )


def nudge_steps(critical_focus_zone_steps: float | None) -> int:
    """Return by how much a focuser is moved to see whether it moves: half of the zone in which nobody sees it."""
    if critical_focus_zone_steps is None:
        return USUAL_NUDGE_STEPS
    return min(max(round(critical_focus_zone_steps / 2), LEAST_NUDGE_STEPS), MOST_NUDGE_STEPS)


def nudge_target(here: Position, steps: int, limits: Limits, arrive: Direction) -> Position | None:
    """Return where a focuser is moved to see whether it moves; `None`: there is no room for it.

    Against the direction of arrival if it can be, so that the way back takes up the slack.
    """
    for sign in (-arrive.sign, arrive.sign):
        target = here + sign * steps
        if limits.lowest <= target <= limits.highest:
            return target
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class NudgeFacts:
    """A small move and the way back.

    Attributes:
        start: Where it stood.
        target: Where it was sent.
        reached: Where it came to rest; `None`: it did not get there.
        ended_at: Where it stands; `None`: nobody knows.
        lasted_s: How long all of it took.
        trouble: What went wrong on the way there; empty: nothing, or it was aborted.
        home_trouble: What went wrong on the way back; empty: nothing.
    """

    start: Position
    target: Position
    reached: Position | None
    ended_at: Position | None
    lasted_s: float
    trouble: str = ""
    home_trouble: str = ""

    @property
    def is_stranded(self) -> bool:
        """Whether the focuser is not back."""
        return self.ended_at is None or abs(self.ended_at - self.start) > TOLERANCE_STEPS


def judge_nudge(facts: NudgeFacts) -> Check:
    """Judge how a focuser moves."""
    if facts.is_stranded:
        where = "nobody knows where it stands" if facts.ended_at is None else f"it stands at {facts.ended_at}"
        why = facts.home_trouble or facts.trouble
        return _FOCUSER.fails(
            "move",
            f"it was moved from {facts.start}, and could not be brought back: {where}{f'. {why}' if why else ''}",
            f"Move it to {facts.start} by hand.",
        )
    if facts.reached is None and not facts.trouble:
        return _FOCUSER.not_tried("move", f"aborted; it is back at {facts.ended_at}")
    if facts.trouble:
        check = _FOCUSER.failed("move", facts.trouble, "Look at its power and cable.")
        return _FOCUSER.fails("move", f"{check.seen} It is back at {facts.ended_at}.", check.remedy)
    return _FOCUSER.ok(
        "move", f"from {facts.start} to {facts.reached} and back to {facts.ended_at}, in {facts.lasted_s:.1f} s"
    )
