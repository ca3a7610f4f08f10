"""The focus engine against two usual programs, on one simulator with real optics, a night drawn for each run."""

import asyncio
import math
import os
import random
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from alpaca_focus.core.known_curve import KnownCurve
from alpaca_focus.core.profile import learned
from alpaca_focus.core.plan import SweepSettings
from alpaca_focus.core.values import Frame, Measurement, Outcome
from alpaca_focus.imaging.metrics import METRICS
from alpaca_focus.runtime.runner import Bench, Circumstances, run_focus
from tests.bench import baselines
from tests.bench.observatory import Observatory
from tests.bench.skies import Night, drawn_night
from tests.bench.table import Table

RUNS = 200
LONGEST_S = 1800.0
TEACH = int(os.environ.get("TEACH", "1"))


@dataclass(frozen=True, kw_only=True)
class Run:
    """How one run ended.

    Attributes:
        focused: Whether it says so.
        away_zones: Truth: how far from focus it left the tube, in critical focus zones.
        stderr_zones: What it says of its own error; NaN where it says nothing.
        exposures: All frames.
        duration_s: Simulated time.
        reason: Its sentence.
    """

    focused: bool
    away_zones: float
    stderr_zones: float = math.nan
    exposures: int
    duration_s: float
    reason: str = ""


def hfd(frame: Frame) -> Measurement:
    return METRICS["hfd"].function(frame)


class Session:
    """Runs one after another at one observatory."""

    def __init__(self, night: Night) -> None:
        self.night = night
        self.observatory = Observatory(night.observatory)

    async def focus(self, settings: SweepSettings, measure: Callable[[Frame], Measurement] = hfd) -> tuple[Run, object]:
        bench = Bench(
            camera=self.observatory.camera,
            focuser=self.observatory.focuser,
            clock=self.observatory.clock,
            measure=measure,
        )
        result = await run_focus(
            bench, settings, circumstances=Circumstances(), max_duration_s=LONGEST_S, emit=lambda _: None
        )
        zone = self.night.zone_steps
        run = Run(
            focused=result.outcome is Outcome.FOCUSED,
            away_zones=self.observatory.away_steps / zone,
            stderr_zones=math.nan if result.fit is None else result.fit.best_position_stderr / zone,
            exposures=result.exposures,
            duration_s=result.duration_s,
            reason=result.reason,
        )
        return run, result


async def taught(session: Session, settings: SweepSettings) -> KnownCurve | None:
    """Learn the curve in one run, as the program does, and let focus wander."""
    profile = None
    for _ in range(TEACH):
        run, result = await session.focus(settings)
        if not run.focused:
            continue
        profile = learned(result.samples, result.fit, before=profile, temperature_c=None, learned_at=result.started_at)
    if profile is None:
        return None
    place = round(profile.best_position + session.night.wander_zones * session.night.zone_steps)
    await session.observatory.focuser.move_to(place)
    return profile.known_curve(expected_position=place)


async def first_run(night: Night) -> Run:
    run, _ = await Session(night).focus(night.sweep_settings())
    return run


async def learned_run(night: Night) -> Run | None:
    session, settings = Session(night), night.sweep_settings()
    known = await taught(session, settings)
    if known is None:
        return None
    run, _ = await session.focus(replace(settings, known=known))
    return run


async def usual_run(night: Night, *, program, near: bool, backlash_factor: float = 1.0) -> Run:
    session = Session(night)
    observatory, zone = session.observatory, night.zone_steps
    if near:
        wander = night.wander_zones * zone
        await observatory.focuser.move_to(round(25000.0 - night.backlash_steps + wander))
    seeing_px = night.train.hfd_px(seeing_fwhm_arcsec=night.observatory.sky.seeing_fwhm_arcsec)
    outermost = baselines.outermost_steps(seeing_px, night.train.hfd_slope_px_per_step)
    overshoot = math.ceil(night.backlash_steps * backlash_factor)
    ended = await program(observatory, outermost=outermost, overshoot_steps=overshoot)
    return Run(
        focused=ended.accepted,
        away_zones=observatory.away_steps / zone,
        exposures=ended.exposures,
        duration_s=ended.duration_s,
    )


def one(kind: Callable[[Night], object], seed: int) -> object:
    return asyncio.run(kind(drawn_night(seed)))


KINDS = {
    "first": first_run,
    "learned": learned_run,
    "nina-near": partial(usual_run, program=baselines.nina, near=True),
    "nina-far": partial(usual_run, program=baselines.nina, near=False),
    "ekos-near": partial(usual_run, program=baselines.ekos, near=True),
    "ekos-far": partial(usual_run, program=baselines.ekos, near=False),
}


def runs(kind, seeds):
    with ProcessPoolExecutor(int(os.environ.get("ALPACA_FOCUS_BENCH_CORES", "2"))) as pool:
        return list(pool.map(partial(one, kind), seeds))


if __name__ == "__main__":
    import sys
    import time

    kind, count = sys.argv[1], int(sys.argv[2])
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.SystemRandom().randrange(2**31)
    print("seed", seed)
    chance = random.Random(seed)
    seeds = [chance.randrange(2**31) for _ in range(count)]
    t = time.time()
    found = runs(KINDS[kind], seeds)
    print("took", time.time() - t)
    ok = [(s, r) for s, r in zip(seeds, found) if r is not None and r.focused]
    bad = [(s, r) for s, r in zip(seeds, found) if r is None or not r.focused]
    e = sorted(abs(r.away_zones) for _, r in ok)
    print(
        "focused", len(ok), "not", len(bad), "median", statistics.median(e), "95", e[int(0.95 * len(e))], "max", e[-1]
    )
    print(
        "exposures",
        statistics.median(r.exposures for _, r in ok),
        "mean",
        statistics.mean(r.exposures for _, r in ok),
        "s",
        statistics.median(r.duration_s for _, r in ok),
    )
    print("covered", statistics.mean(abs(r.away_zones) < 1.96 * r.stderr_zones for _, r in ok))
    for s, r in sorted(ok, key=lambda x: -abs(x[1].away_zones))[:8]:
        n = drawn_night(s)
        print(
            s,
            r.away_zones,
            r.stderr_zones,
            r.exposures,
            f"f/{n.train.focal_ratio:.1f} {n.train.aperture_mm:.0f}mm obs {n.train.central_obstruction} see {n.observatory.sky.seeing_fwhm_arcsec:.1f} stars {n.observatory.sky.star_count} B {n.backlash_steps}",
        )
    for s, r in bad[:12]:
        print(s, r)
