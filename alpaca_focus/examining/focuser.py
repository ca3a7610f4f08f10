"""A look at the focuser, and a small move of it if that is allowed."""

import math

from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.checkup.checks import CheckOutcome, Subject
from alpaca_focus.checkup.focusers import (
    RELATIVE,
    FocuserFacts,
    NudgeFacts,
    judge_focuser,
    judge_nudge,
    nudge_steps,
    nudge_target,
)
from alpaca_focus.core.errors import AlpacaFocusError
from alpaca_focus.devices.arrival import ArrivalRules
from alpaca_focus.devices.connection import Connection
from alpaca_focus.devices.focuser import AlpacaFocuser
from alpaca_focus.devices.readings import believable_temperature
from alpaca_focus.devices.translate import as_bool, as_float, as_int
from alpaca_focus.examining.bench import Bench, using
from alpaca_focus.examining.camera import exposes
from alpaca_focus.focusing.sweep_plan import backlash_of
from alpaca_focus.runtime.nudge import Nudge, Nudged
from alpaca_focus.runtime.restore_marker import RestoreMarker
from alpaca_focus.settings.models import Settings

_FOCUSER = Subject("focuser")


async def look_at_focuser(bench: Bench) -> None:
    """Look at the focuser, and move it a little if that is allowed."""
    seen: list[FocuserFacts] = []

    async def look(connection: Connection) -> None:
        facts = await _facts(bench, connection)
        bench.found.extend(judge_focuser(facts))
        seen.append(facts)

    async def act(connection: Connection) -> None:
        (facts,) = seen
        why_not = await _why_no_move(bench, facts)
        if why_not:
            bench.found.append(_FOCUSER.not_tried("move", why_not))
            return
        await _move(bench, connection, facts)

    await bench.look_at(_FOCUSER, DeviceType.FOCUSER, bench.settings.focuser, look, act)


async def _facts(bench: Bench, connection: Connection) -> FocuserFacts:
    """Read the focuser; nothing is told to it, because somebody else may just be moving it."""
    settings, get_or = bench.settings, connection.get_or
    section = settings.focuser
    if not await connection.get("Absolute", as_bool):
        return RELATIVE
    step_um = await get_or("StepSize", as_float, default=math.nan)
    reading_c = await get_or("Temperature", as_float, default=math.nan)
    directory = settings.storage.folder
    return FocuserFacts(
        absolute=True,
        position=await connection.get("Position", as_int),
        max_step=await connection.get("MaxStep", as_int),
        min_position=section.min_position,
        max_position=section.max_position,
        told_step_um=step_um if 0 < step_um < math.inf else None,
        set_step_um=section.step_size_um,
        temperature_c=believable_temperature(reading_c),
        temperature_counts=settings.thermometer.source != "external" and temperature_counts(settings),
        device_compensates=await get_or("TempComp", as_bool, default=False),
        we_compensate=settings.compensation.enabled,
        belongs_at=RestoreMarker(directory, connection.name).left_by_interrupted_run(),
        moving=await get_or("IsMoving", as_bool, default=False),
    )


def temperature_counts(settings: Settings) -> bool:
    """Tell whether anything in the night follows the temperature."""
    wanted = settings.triggers
    return settings.compensation.enabled or wanted.temperature_c is not None or wanted.temperature_zones is not None


async def _why_no_move(bench: Bench, facts: FocuserFacts) -> str:
    """Say why the focuser is not moved, as a clause; empty: it may be."""
    if bench.gently or not bench.moves:
        return bench.gently or "nobody has allowed it: --move does"
    if any(check.outcome is CheckOutcome.FAILS for check in bench.found):
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
        if await exposes(bench):
            return "the camera exposes"
    except AlpacaFocusError:
        return "the camera cannot be asked whether it exposes"
    return ""


async def _move(bench: Bench, connection: Connection, facts: FocuserFacts) -> None:
    settings, backlash = bench.settings, backlash_of(bench.settings)
    steps = nudge_steps(_zone_steps(settings, facts))
    target = nudge_target(facts.position, steps, facts.limits, backlash.arrive)
    if target is None:
        bench.found.append(_FOCUSER.not_tried("move", f"its limits leave no room for {steps} steps"))
        return

    def told(nudge: Nudged) -> None:
        became = NudgeFacts(
            start=facts.position,
            target=target,
            reached=nudge.reached,
            ended_at=nudge.ended_at,
            lasted_s=nudge.lasted_s,
            trouble=nudge.trouble,
            home_trouble=nudge.return_trouble,
        )
        bench.is_stranded = became.is_stranded
        bench.found.append(judge_nudge(became))

    focuser = AlpacaFocuser(
        bench.address(settings.focuser),
        bench.clock,
        lowest=settings.focuser.min_position,
        highest=settings.focuser.max_position,
        rules=ArrivalRules(stall_timeout_s=settings.focuser.stall_timeout_s),
        timeout_s=bench.timeout_s,
    )
    async with using(focuser):
        nudge = Nudge(
            focuser=focuser,
            clock=bench.clock,
            backlash=backlash,
            limits=facts.limits,
            restore_marker=RestoreMarker(settings.storage.folder, connection.name),
        )
        await nudge.there_and_back(facts.position, target, told)


def _zone_steps(settings: Settings, facts: FocuserFacts) -> float | None:
    """Return the critical focus zone in steps; it does not depend on the camera."""
    step_um = settings.focuser.step_size_um or facts.told_step_um
    if step_um is None:
        return None
    return settings.telescope.train(pixel_size_um=1.0, step_size_um=step_um).critical_focus_zone_steps
