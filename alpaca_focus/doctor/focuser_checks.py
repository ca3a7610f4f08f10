"""The focuser: its position and limits, and how it moves."""

import math
from dataclasses import dataclass

from alpaca_focus.core.errors import AlpacaFocusError
from alpaca_focus.core.sweep.backlash import Direction, Limits
from alpaca_focus.core.temperature import plausible_temperature_c
from alpaca_focus.core.values import Position
from alpaca_focus.devices.connection import Connection
from alpaca_focus.devices.translate import as_bool, as_float, as_int
from alpaca_focus.doctor.camera_checks import camera_is_busy
from alpaca_focus.doctor.checks import Check, CheckOutcome, Subject, size_check
from alpaca_focus.doctor.probe_context import ProbeContext, using
from alpaca_focus.run.device_adapters import focuser_adapter
from alpaca_focus.run.nudge import Nudge, NudgeResult
from alpaca_focus.run.restore_marker import RestoreMarker
from alpaca_focus.run.sweep_settings import backlash_of, outside_remedy
from alpaca_focus.settings.contradictions import temperature_needed
from alpaca_focus.settings.models import Settings

LEAST_TRIAL_MOVE_STEPS, MOST_TRIAL_MOVE_STEPS, USUAL_TRIAL_MOVE_STEPS = 4, 100, 10
"""A move ends within one step of its target, so that a smaller one would prove nothing."""

_FOCUSER = Subject("focuser")


@dataclass(frozen=True, slots=True, kw_only=True)
class FocuserFacts:
    """A focuser; `None` where neither it nor the settings report a value; a relative one has no further facts.

    Attributes:
        min_position: Lowest position of the settings; `max_position` is their highest, `max_step` its own.
        temperature_c: `None` if it has no sensor or a broken one.
        device_compensates: Whether its own temperature compensation is on.
        we_compensate: Whether the settings enable this program's compensation.
        restore_position: Start of a run that was cut off, to which the focuser returns.
    """

    absolute: bool
    position: Position = 0
    max_step: Position = 0
    min_position: Position | None = None
    max_position: Position | None = None
    reported_step_um: float | None = None
    set_step_um: float | None = None
    temperature_c: float | None = None
    temperature_needed: bool = False
    device_compensates: bool = False
    we_compensate: bool = False
    restore_position: Position | None = None
    moving: bool = False

    @property
    def limits(self) -> Limits:
        """The intersection of its own limits and those of the settings."""
        highest = self.max_step if self.max_position is None else min(self.max_position, self.max_step)
        return Limits(lowest=self.min_position or 0, highest=highest)


async def probe_focuser(context: ProbeContext) -> None:
    """Probe the focuser, and move it a few steps if that is allowed."""
    read_facts: list[FocuserFacts] = []

    async def read(connection: Connection) -> None:
        facts = await _facts(context, connection)
        context.add(*check_focuser(facts))
        read_facts.append(facts)

    async def act(connection: Connection) -> None:
        (facts,) = read_facts
        if why_not := await _why_no_move(context, facts):
            context.add(_FOCUSER.not_tried("move", why_not))
        else:
            await _move(context, connection, facts)

    await context.probe_device("focuser", read, act)


async def _facts(context: ProbeContext, connection: Connection) -> FocuserFacts:
    """Read the focuser without commanding it, because another program may be moving it."""
    settings, get_or = context.settings, connection.get_or
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
        temperature_needed=settings.thermometer.source != "external" and temperature_needed(settings),
        device_compensates=await get_or("TempComp", as_bool, default=False),
        we_compensate=settings.compensation.enabled,
        restore_position=RestoreMarker(directory, connection.name).left_by_interrupted_run(),
        moving=await get_or("IsMoving", as_bool, default=False),
    )


async def _why_no_move(context: ProbeContext, facts: FocuserFacts) -> str:
    """Return why the focuser must not be moved, as a clause; empty if it may be."""
    if context.read_only_reason or not context.move_allowed:
        return context.read_only_reason or "skipped; --move allows it"
    if any(check.outcome is CheckOutcome.FAILS for check in context.checks):
        return "something above fails"
    if facts.moving:
        return "it is moving"
    if facts.restore_position is not None:
        return "a focus run was cut off, and the focuser has not been restored yet"
    if facts.device_compensates:
        return "its own temperature compensation is on, and moves it too"
    try:
        if await camera_is_busy(context):
            return "the camera is exposing"
    except AlpacaFocusError:
        return "the camera does not report whether it is exposing"
    return ""


async def _move(context: ProbeContext, connection: Connection, facts: FocuserFacts) -> None:
    settings, backlash = context.settings, backlash_of(context.settings)
    steps = trial_move_steps(_zone_steps(settings, facts))
    target = trial_move_target(facts.position, steps, facts.limits, backlash.arrive)
    if target is None:
        context.add(_FOCUSER.not_tried("move", f"its limits leave no room for {steps} steps"))
        return

    def report(outcome: NudgeResult) -> None:
        context.is_stranded = outcome.is_stranded
        context.add(check_trial_move(outcome))

    async with using(focuser_adapter(settings, context.clock)) as focuser:
        nudge = Nudge(
            focuser=focuser,
            clock=context.clock,
            backlash=backlash,
            limits=facts.limits,
            restore_marker=RestoreMarker(settings.storage.folder, connection.name),
        )
        await nudge.there_and_back(facts.position, target, report)


def _zone_steps(settings: Settings, facts: FocuserFacts) -> float | None:
    """Return the critical focus zone in steps, or `None` without a step size."""
    step_um = settings.focuser.step_size_um or facts.reported_step_um
    if step_um is None:
        return None
    # The zone does not depend on the pixel size, which the optical train needs nevertheless.
    return settings.telescope.train(pixel_size_um=1.0, step_size_um=step_um).critical_focus_zone_steps


# The rules.


def check_focuser(facts: FocuserFacts) -> tuple[Check, ...]:
    """Check a focuser without moving it."""
    if not facts.absolute:
        seen = "it is a relative focuser: it does not know its position, so this program cannot focus with it"
        remedy = "Switch it to absolute positions in its driver if possible, or use another focuser."
        return (_FOCUSER.fails("positions", seen, remedy),)
    return (_positions(facts), _limits(facts), _step_size(facts), _temperature(facts), _compensation(facts))


def _positions(facts: FocuserFacts) -> Check:
    here, limits = facts.position, facts.limits
    if not limits.lowest <= here <= limits.highest:
        seen = f"it is at {here}, outside the limits {limits.lowest} to {limits.highest}"
        return _FOCUSER.fails("position", seen, outside_remedy(here, facts.max_step))
    if facts.restore_position is not None and facts.restore_position != here:
        seen = f"it is at {here}; a focus run was cut off, and had started at {facts.restore_position}"
        remedy = "Start `alpaca-focus run` or `alpaca-focus focus`: either moves it back there first."
        return _FOCUSER.note("position", seen, remedy)
    return _FOCUSER.ok("position", f"{'moving, ' if facts.moving else ''}at {here}")


def _limits(facts: FocuserFacts) -> Check:
    limits, own = facts.limits, f"its range is 0 to {facts.max_step}"
    if limits.lowest >= limits.highest:
        seen = f"{own}, and the settings limit it to {limits.lowest} to {limits.highest}"
        return _FOCUSER.fails("limits", seen, "Correct focuser.min_position and focuser.max_position.")
    if facts.max_position is not None and facts.max_position > facts.max_step:
        remedy = "Correct focuser.max_position, or check whether this is the right focuser."
        return _FOCUSER.note("limits", f"{own}, and focuser.max_position is {facts.max_position}", remedy)
    return _FOCUSER.ok("limits", f"{own}; allowed are {limits.lowest} to {limits.highest}")


def _step_size(facts: FocuserFacts) -> Check:
    if facts.reported_step_um is None and facts.set_step_um is None:
        return _FOCUSER.note(
            "step size",
            "neither the focuser nor the settings give it, so that the first run finds it by the stars' sizes",
            "Set focuser.step_size_um to what that run proposes.",
        )
    problem = size_check(_FOCUSER, "step size", "focuser.step_size_um", facts.reported_step_um, facts.set_step_um)
    if problem is not None:
        return problem
    source = "of the settings" if facts.reported_step_um is None else "reported"
    return _FOCUSER.ok("step size", f"{facts.set_step_um or facts.reported_step_um:g} um ({source})")


def _temperature(facts: FocuserFacts) -> Check:
    if facts.temperature_c is not None:
        return _FOCUSER.ok("temperature", f"{facts.temperature_c:.1f} deg C")
    if facts.temperature_needed:
        return _FOCUSER.fails(
            "temperature",
            "its sensor gives no plausible temperature, and the settings need it",
            "Plug the sensor in, or set thermometer.source to external and name a weather station, a file or a url.",
        )
    return _FOCUSER.ok("temperature", "it has no working sensor, and none is needed")


def _compensation(facts: FocuserFacts) -> Check:
    if not facts.device_compensates:
        return _FOCUSER.ok("compensation", "its own is off")
    if facts.we_compensate:
        seen = "its own is on, and compensation.enabled as well; `alpaca-focus run` switches its own off"
        return _FOCUSER.note("compensation", seen, "Switch it off in the driver: otherwise both compensate at once.")
    remedy = "Nothing needs doing if that is intended."
    return _FOCUSER.note("compensation", "its own is on; a focus run switches it off, and on again afterwards", remedy)


def trial_move_steps(critical_focus_zone_steps: float | None) -> int:
    """Return the length of the trial move: half the critical focus zone, within which the stars stay sharp."""
    if critical_focus_zone_steps is None:
        return USUAL_TRIAL_MOVE_STEPS
    return min(max(round(critical_focus_zone_steps / 2), LEAST_TRIAL_MOVE_STEPS), MOST_TRIAL_MOVE_STEPS)


def trial_move_target(here: Position, steps: int, limits: Limits, arrive: Direction) -> Position | None:
    """Return the target of the trial move, or `None` if the limits leave no room.

    The move goes against the direction of arrival if possible, so that the return takes up the backlash.
    """
    for sign in (-arrive.sign, arrive.sign):
        target = here + sign * steps
        if limits.lowest <= target <= limits.highest:
            return target
    return None


def check_trial_move(facts: NudgeResult) -> Check:
    """Check the outcome of the trial move."""
    if facts.is_stranded:
        where = "its position is unknown" if facts.ended_at is None else f"it is at {facts.ended_at}"
        why = facts.return_problem or facts.problem
        seen = f"it was moved from {facts.start}, and could not be brought back: {where}{f'. {why}' if why else ''}"
        return _FOCUSER.fails("move", seen, f"Move it to {facts.start} by hand.")
    if facts.reached is None and not facts.problem:
        return _FOCUSER.not_tried("move", f"aborted; it is back at {facts.ended_at}")
    if facts.problem:
        check = _FOCUSER.failed("move", facts.problem, "Check its power and cable.")
        return _FOCUSER.fails("move", f"{check.seen} It is back at {facts.ended_at}.", check.remedy)
    return _FOCUSER.ok(
        "move", f"from {facts.start} to {facts.reached} and back to {facts.ended_at}, in {facts.lasted_s:.1f} s"
    )
