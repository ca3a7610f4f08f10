"""The focus engine against two usual programs, on one simulator with real optics, a night drawn for each run."""

import asyncio
import math
import os
import random
import statistics
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

from alpaca_focus.core.curves.known_curve import KnownCurve
from alpaca_focus.core.curves.learned_curve import learn_curve
from alpaca_focus.core.curves.ring_mode import FEWEST_SWEEPS
from alpaca_focus.core.optics import OpticalTrain
from alpaca_focus.core.sweep.plan import SweepSettings
from alpaca_focus.core.values import Frame, Measurement, Outcome
from alpaca_focus.imaging.star_tracking import StarTracker
from alpaca_focus.simulator.faults import FaultRequest
from tests.bench import baselines
from tests.bench.session import Run, Session
from tests.bench.skies import BEST_STEPS, FARTHEST_ZONES, NEAREST_ZONES, Night, drawn_night
from tests.bench.table import Table

RUNS = 200
HOW = f"""{RUNS} nights drawn for each row, the same for all: f/4 to f/10, refractors of 60 to 130 mm and telescopes of
150 to 300 mm with an obstruction of 0.35, wave optics, seeing 1.5 to 4 arcsec with 10 % scatter from frame to frame,
10 to 300 stars, backlash 0 to 300 steps of 1 um, 3 s a frame, simulated seconds. Errors are those of the runs that
report focus, in critical focus zones (4.88 x 0.55 um x N^2); *covered* is the share of them whose truth lies within
1.96 of their own standard errors.

*A* is the default run of N.I.N.A. 3, *B* Ekos' Linear 1 Pass with fixed steps, both written anew from descriptions,
with the right backlash and a step that fits that night's seeing (outermost point at 3.5 times the HFR in focus).
*Learned*: one earlier run taught the curve (by rings: three), and focus has wandered by up to {NEAREST_ZONES:g}
critical focus zones since; *near* has the same starts. *First time* and *anywhere*: up to {FARTHEST_ZONES:g} zones from
focus. A ruined frame is a cloud that takes 90 % of the light, a satellite, or stars 35 % larger."""
Kind: TypeAlias = Callable[[Night], Coroutine[Any, Any, "Run | None"]]
Program: TypeAlias = Callable[..., Coroutine[Any, Any, baselines.Usual]]


async def taught(
    session: Session, settings: SweepSettings, *, runs: int = 1, rings: OpticalTrain | None = None
) -> KnownCurve | None:
    """Learn the curve as the program does, and let focus wander."""
    profile = None
    for _ in range(runs):
        _, result = await session.focus(settings, StarTracker(rings))
        if result.outcome is not Outcome.FOCUSED or result.fit is None:
            return None
        profile = learn_curve(
            result.samples, result.fit, before=profile, temperature_c=None, learned_at=result.started_at
        )
    assert profile is not None
    place = round(profile.best_position + session.night.wander_zones * session.night.zone_steps)
    await session.observatory.focuser.move_to(place)
    return profile.known_curve(expected_position=place)


async def first_run(night: Night, *, ruined: bool = False, backlash_factor: float = 1.0) -> Run:
    session = Session(night)
    measure = Ruined(session, most=9) if ruined else None
    run, _ = await session.focus(night.sweep_settings(backlash_factor=backlash_factor), measure)
    return run


async def ring_run(night: Night, *, ruined: bool = False) -> Run | None:
    """One frame of rings, their constant learned from three sweeps."""
    session, settings = Session(night), night.sweep_settings()
    known = await taught(session, settings, runs=FEWEST_SWEEPS, rings=night.train)
    if known is None:
        return None
    measure = Ruined(session, most=2, rings=night.train) if ruined else StarTracker(night.train)
    run, _ = await session.focus(replace(settings, known=known, by_rings=True), measure)
    return run


class Ruined:
    """In every second run one frame is spoiled: by a cloud, a satellite, or stars 35 % larger."""

    def __init__(self, session: Session, *, most: int, rings: OpticalTrain | None = None) -> None:
        chance = random.Random(session.night.seed + 1)
        self._session = session
        self._hit = chance.randrange(most) if chance.random() < 0.5 else -1
        self._kind = chance.choice(("cloud", "trail", "+35 %"))
        self._frames = 0
        self._follow = StarTracker(rings)
        self._arm()

    def __call__(self, frame: Frame) -> Measurement:
        measured = self._follow(frame)
        self._frames += 1
        self._arm()
        if self._frames - 1 == self._hit and self._kind == "+35 %":
            return replace(measured, value=1.35 * measured.value, stderr=1.35 * measured.stderr)
        return measured

    def _arm(self) -> None:
        """Let the simulator spoil the next frame, if that is the one."""
        if self._frames != self._hit:
            return
        if self._kind == "cloud":
            self._session.observatory.faults.add(FaultRequest(kind="clouds", value=0.1, times=1))
        elif self._kind == "trail":
            self._session.observatory.faults.add(FaultRequest(kind="trail", times=1))


async def learned_run(night: Night, *, ruined: bool = False, backlash_factor: float = 1.0) -> Run | None:
    session, settings = Session(night), night.sweep_settings(backlash_factor=backlash_factor)
    known = await taught(session, settings)
    if known is None:
        return None
    measure = Ruined(session, most=3) if ruined else None
    run, _ = await session.focus(replace(settings, known=known), measure)
    return run


async def usual_run(night: Night, *, program: Program, near: bool) -> Run:
    """One of the usual programs, from where our own runs begin; its step fits the seeing of that very night."""
    session = Session(night)
    observatory, zone = session.observatory, night.zone_steps
    if near:
        await observatory.focuser.move_to(round(BEST_STEPS - night.backlash_steps + night.wander_zones * zone))
    seeing_px = night.train.hfd_px(seeing_fwhm_arcsec=night.observatory.sky.seeing_fwhm_arcsec)
    ended = await program(
        observatory,
        outermost=baselines.outermost_steps(seeing_px, night.train.hfd_slope_px_per_step),
        overshoot_steps=night.backlash_steps,
    )
    return Run(
        focused=ended.accepted,
        away_zones=observatory.away_steps / zone,
        exposures=ended.exposures,
        duration_s=ended.duration_s,
    )


KINDS: dict[str, Kind] = {
    "learned": learned_run,
    "learned, by rings": ring_run,
    "A, focus near": partial(usual_run, program=baselines.nina, near=True),
    "B, focus near": partial(usual_run, program=baselines.ekos, near=True),
    "first time": first_run,
    "A, focus anywhere": partial(usual_run, program=baselines.nina, near=False),
    "B, focus anywhere": partial(usual_run, program=baselines.ekos, near=False),
    "learned, a frame ruined in every second run": partial(learned_run, ruined=True),
    "by rings, a frame ruined in every second run": partial(ring_run, ruined=True),
    "first time, a frame ruined in every second run": partial(first_run, ruined=True),
    "learned, half of the backlash set": partial(learned_run, backlash_factor=0.5),
    "first time, half of the backlash set": partial(first_run, backlash_factor=0.5),
    "learned, backlash set half too large": partial(learned_run, backlash_factor=1.5),
    "first time, backlash set half too large": partial(first_run, backlash_factor=1.5),
}


def _one(kind: Kind, seed: int) -> Run | None:
    return asyncio.run(kind(drawn_night(seed)))


def runs(kind: Kind, seeds: Sequence[int]) -> list[Run | None]:
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(partial(_one, kind), seeds))


def run(seed: int) -> Table:
    chance = random.Random(seed)
    seeds = [chance.randrange(2**31) for _ in range(RUNS)]
    rows = []
    for name, kind in KINDS.items():
        rows.append(_row(name, [each for each in runs(kind, seeds) if each is not None]))
        print(*rows[-1], sep=", ", flush=True)
    return Table(
        title="The focus engine",
        how=HOW,
        headings=("run", "runs", "not focused", "exposures", "seconds", "median error", "95 %", "largest", "covered"),
        rows=tuple(rows),
    )


def _row(name: str, some: Sequence[Run]) -> tuple[str, ...]:
    focused = [each for each in some if each.focused]
    errors = sorted(abs(each.away_zones) for each in focused)
    told = [each for each in focused if not math.isnan(each.stderr_zones)]
    covered = [abs(each.away_zones) <= 1.96 * each.stderr_zones for each in told]
    return (
        name,
        str(len(some)),
        str(len(some) - len(focused)),
        f"{statistics.median(each.exposures for each in some):.0f}",
        f"{statistics.median(each.duration_s for each in some):.0f}",
        f"{statistics.median(errors):.3f}",
        f"{errors[math.ceil(0.95 * len(errors)) - 1]:.3f}",
        f"{errors[-1]:.3f}",
        f"{100 * statistics.mean(covered):.1f} %" if covered else "-",
    )
