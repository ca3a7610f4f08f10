"""The focuser: its position and limits, and how it moves."""

import math
from dataclasses import dataclass

from alpaca_focus.core.errors import AlpacaFocusError
from alpaca_focus.core.sweep.backlash import Direction, Limits
from alpaca_focus.core.temperature import plausible_temperature_c
from alpaca_focus.core.values import Position
from alpaca_focus.devices.connection import Connection
from alpaca_focus.devices.translate import as_bool, as_float, as_int
from alpaca_focus.doctor.camera_checks import exposes
from alpaca_focus.doctor.checks import Check, CheckOutcome, Subject, size_check
from alpaca_focus.doctor.examination import Examination, using
from alpaca_focus.run.device_adapters import focuser_adapter
from alpaca_focus.run.nudge import Nudge, NudgeResult
from alpaca_focus.run.restore_marker import RestoreMarker
from alpaca_focus.run.sweep_settings import backlash_of
from alpaca_focus.settings.models import Settings

LEAST_NUDGE_STEPS, MOST_NUDGE_STEPS, USUAL_NUDGE_STEPS = 4, 100, 10
"""A move is over within a step of its target, so that a smaller one would prove nothing."""

_FOCUSER = Subject("focuser")


@dataclass(frozen=True, slots=True, kw_only=True)
class FocuserFacts:
    """A focuser; `None` where neither it nor the settings report a value. The rest of a relative one does not count.

    Attributes:
        absolute: Whether it knows its position.
        position: Where it stands.
        max_step: Its highest position.
        min_position: Lowest one of the settings.
        max_position: Highest one of the settings.
        reported_step_um: Step size that it reports.
        set_step_um: Step size of the settings.
        temperature_c: Of its sensor; `None`: it has none, or it does not work.
        temperature_counts: Whether the settings need that sensor.
        device_compensates: Whether its own compensation is on.
        we_compensate: Whether the settings ask this program to compensate.
        belongs_at: Where a run that was cut off had started.
        moving: Whether it moves just now.
    """

    absolute: bool
    position: Position = 0
    max_step: Position = 0
    min_position: Position | None = None
    max_position: Position | None = None
    reported_step_um: float | None = None
    set_step_um: float | None = None
    temperature_c: float | None = None
    temperature_counts: bool = False
    device_compensates: bool = False
    we_compensate: bool = False
    belongs_at: Position | None = None
    moving: bool = False

    @property
    def limits(self) -> Limits:
        """Where it may go: within its own limits and those of the settings."""
        highest = self.max_step if self.max_position is None else min(self.max_position, self.max_step)
        return Limits(lowest=self.min_position or 0, highest=highest)


async def probe_focuser(examination: Examination) -> None:
    """Examine the focuser, and move it a little if that is allowed."""
    seen: list[FocuserFacts] = []

    async def read(connection: Connection) -> None:
        facts = await _facts(examination, connection)
        examination.add(*judge_focuser(facts))
        seen.append(facts)

    async def act(connection: Connection) -> None:
        (facts,) = seen
        why_not = await _why_no_move(examination, facts)
        if why_not:
            examination.add(_FOCUSER.not_tried("move", why_not))
            return
        await _move(examination, connection, facts)

    await examination.visit("focuser", read, act)


async def _facts(examination: Examination, connection: Connection) -> FocuserFacts:
    """Read the focuser; it is not commanded, because another program may be moving it."""
    settings, get_or = examination.settings, connection.get_or
    section = settings.focuser
    if not await connection.get("Absolute", as_bool):
        return FocuserFacts(absolute=False)
    step_um = await get_or("StepSize", as_float, default=math.nan)
    reading_c = await get_or("Temperature", as_float, default=math.nan)
    directory = settings.storage.folder
    return FocuserFacts(
        absolute=True,
        position=await connection.get("Position", as_int),
        max_step=await connection.get("MaxStep", as_int),
        min_position=section.min_position,
        max_position=section.max_position,
        reported_step_um=step_um if 0 < step_um < math.inf else None,
        set_step_um=section.step_size_um,
        temperature_c=plausible_temperature_c(reading_c),
        temperature_counts=settings.thermometer.source != "external" and temperature_counts(settings),
        device_compensates=await get_or("TempComp", as_bool, default=False),
        we_compensate=settings.compensation.enabled,
        belongs_at=RestoreMarker(directory, connection.name).left_by_interrupted_run(),
        moving=await get_or("IsMoving", as_bool, default=False),
    )


def temperature_counts(settings: Settings) -> bool:
    """Return whether anything in the night follows the temperature."""
    wanted = settings.triggers
    return settings.compensation.enabled or wanted.temperature_c is not None or wanted.temperature_zones is not None


async def _why_no_move(examination: Examination, facts: FocuserFacts) -> str:
    """Return why the focuser is not moved, as a clause; empty: it may be."""
    if examination.gently or not examination.moves:
        return examination.gently or "skipped; --move allows it"
    if any(check.outcome is CheckOutcome.FAILS for check in examination.found):
        return "something above fails"
    reasons = {
        "it moves just now": facts.moving,
        "a focus run was cut off, and has to be finished first": facts.belongs_at is not None,
        "its own temperature compensation is on, and would move it as well": facts.device_compensates,
    }
    for reason, holds in reasons.items():
        if holds:
            return reason
    try:
        if await exposes(examination):
            return "the camera exposes"
    except AlpacaFocusError:
        return "the camera cannot be asked whether it exposes"
    return ""


async def _move(examination: Examination, connection: Connection, facts: FocuserFacts) -> None:
    settings, backlash = examination.settings, backlash_of(examination.settings)
    steps = nudge_steps(_zone_steps(settings, facts))
    target = nudge_target(facts.position, steps, facts.limits, backlash.arrive)
    if target is None:
        examination.add(_FOCUSER.not_tried("move", f"its limits leave no room for {steps} steps"))
        return

    def report(outcome: NudgeResult) -> None:
        examination.is_stranded = outcome.is_stranded
        examination.add(judge_nudge(outcome))

    async with using(focuser_adapter(settings, examination.clock)) as focuser:
        nudge = Nudge(
            focuser=focuser,
            clock=examination.clock,
            backlash=backlash,
            limits=facts.limits,
            restore_marker=RestoreMarker(settings.storage.folder, connection.name),
        )
        await nudge.there_and_back(facts.position, target, report)


def _zone_steps(settings: Settings, facts: FocuserFacts) -> float | None:
    """Return the critical focus zone in steps; it does not depend on the camera."""
    step_um = settings.focuser.step_size_um or facts.reported_step_um
    if step_um is None:
        return None
    return settings.telescope.train(pixel_size_um=1.0, step_size_um=step_um).critical_focus_zone_steps


# The rules.


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
            "Correct focuser.max_position, or check whether this is the right focuser.",
        )
    return _FOCUSER.ok("limits", f"{own}; it may go from {limits.lowest} to {limits.highest}")


def _step_size(facts: FocuserFacts) -> Check:
    trouble = size_check(_FOCUSER, "step size", "focuser.step_size_um", facts.reported_step_um, facts.set_step_um)
    if trouble is not None:
        return trouble
    source = "of the settings" if facts.reported_step_um is None else "reported"
    return _FOCUSER.ok("step size", f"{facts.set_step_um or facts.reported_step_um:g} um ({source})")


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
    """Return the length of the test move: half of the critical focus zone, in which it is not visible."""
    if critical_focus_zone_steps is None:
        return USUAL_NUDGE_STEPS
    return min(max(round(critical_focus_zone_steps / 2), LEAST_NUDGE_STEPS), MOST_NUDGE_STEPS)


def nudge_target(here: Position, steps: int, limits: Limits, arrive: Direction) -> Position | None:
    """Return the target of the test move; `None`: there is no room for it.

    Against the direction of arrival if it can be, so that the way back takes up the slack.
    """
    for sign in (-arrive.sign, arrive.sign):
        target = here + sign * steps
        if limits.lowest <= target <= limits.highest:
            return target
    return None


def judge_nudge(facts: NudgeResult) -> Check:
    """Judge how a focuser moves."""
    if facts.is_stranded:
        where = "its position is unknown" if facts.ended_at is None else f"it stands at {facts.ended_at}"
        why = facts.return_problem or facts.problem
        return _FOCUSER.fails(
            "move",
            f"it was moved from {facts.start}, and could not be brought back: {where}{f'. {why}' if why else ''}",
            f"Move it to {facts.start} by hand.",
        )
    if facts.reached is None and not facts.problem:
        return _FOCUSER.not_tried("move", f"aborted; it is back at {facts.ended_at}")
    if facts.problem:
        check = _FOCUSER.failed("move", facts.problem, "Check its power and cable.")
        return _FOCUSER.fails("move", f"{check.seen} It is back at {facts.ended_at}.", check.remedy)
    return _FOCUSER.ok(
        "move", f"from {facts.start} to {facts.reached} and back to {facts.ended_at}, in {facts.lasted_s:.1f} s"
    )
