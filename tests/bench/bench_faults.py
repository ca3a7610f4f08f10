"""Runs with one fault each, at a random moment: where they leave the focuser, and that they end."""

import asyncio
import os
import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

from alpaca_focus.core.errors import DeviceMisbehaved, DeviceTimeout, DeviceUnreachable
from alpaca_focus.core.values import ExposureSettings, FocusResult, Frame, Measurement, Outcome, Position
from alpaca_focus.imaging.star_tracking import StarTracker
from alpaca_focus.run.runner import RunConditions, RunDevices, run_focus
from alpaca_focus.simulator.faults import FaultRequest
from tests.bench.bench_engine import taught
from tests.bench.observatory import BenchCamera, BenchFocuser, Observatory
from tests.bench.session import Session
from tests.bench.skies import Night, drawn_night
from tests.bench.table import Table

RUNS = 500
FAULTS = (
    "camera silent for a while",
    "camera silent from then on",
    "camera times out",
    "focuser silent for a while",
    "focuser silent from then on",
    "focuser stops on its way",
    "focuser stops short",
    "clouds to the end",
    "clouds for a minute",
    "satellite",
    "seeing jumps",
    "focus jumps",
    "aborted",
    "aborted twice",
    "error in the program",
    "out of time",
)
LONGEST_RUN_S = 1200.0
HANGS_S = 90.0
"""Real time after which a run counts as hung."""
GONE_S = 20.0
LAST_STRIKE_S = 30.0
"""A fault begins within this time; a run on a known curve takes 20 s, one without about a minute."""
TIMEOUT_S = 30.0
AWAY_ZONES = 1.0
"""A run that reports focus may be no further from focus than this."""


@dataclass(frozen=True, kw_only=True)
class Struck:
    """How a run with a fault ended."""

    fault: str
    outcome: str
    problem: str


class Trouble:
    """What is wrong from a moment on."""

    def __init__(self, observatory: Observatory, fault: str, at_s: float, chance: random.Random) -> None:
        self.fault = fault
        self.at_s = at_s
        self.observatory = observatory
        self.used = False
        self.share = chance.random()

    @property
    def now_s(self) -> float:
        return self.observatory.clock.monotonic()

    def is_on(self, *faults: str) -> bool:
        if self.fault not in faults or self.now_s < self.at_s:
            return False
        return not self.fault.endswith("for a while") or self.now_s < self.at_s + GONE_S

    def strikes(self, fault: str) -> bool:
        """Whether it happens now, once."""
        if self.used or not self.is_on(fault):
            return False
        self.used = True
        return True


class TroubledFocuser(BenchFocuser):
    def __init__(self, observatory: Observatory, trouble: Trouble) -> None:
        super().__init__(observatory)
        self._trouble = trouble

    async def position(self) -> Position:
        self._answer()
        return await super().position()

    async def move_to(self, target: Position) -> Position:
        self._answer()
        here = await super().position()
        if self._trouble.strikes("focuser stops on its way"):
            await super().move_to(round(here + self._trouble.share * (target - here)))
            raise DeviceMisbehaved(self.name, f"{self.name} stopped on its way to {target}.")
        if self._trouble.strikes("focuser stops short"):
            await super().move_to(target + (30 if target < here else -30))
            raise DeviceMisbehaved(self.name, f"{self.name} stopped 30 steps short of {target}.")
        return await super().move_to(target)

    def _answer(self) -> None:
        if self._trouble.is_on("focuser silent for a while", "focuser silent from then on"):
            raise DeviceUnreachable(self.name, f"{self.name} does not answer.")


class TroubledCamera(BenchCamera):
    def __init__(self, observatory: Observatory, trouble: Trouble) -> None:
        super().__init__(observatory)
        self._trouble = trouble

    async def expose(self, settings: ExposureSettings) -> None:
        self._answer()
        await super().expose(settings)
        self._answer()

    async def download(self) -> Frame:
        self._answer()
        if self._trouble.strikes("camera times out"):
            await self._trouble.observatory.clock.sleep(TIMEOUT_S)
            raise DeviceTimeout(self.name, f"{self.name} sent no frame within {TIMEOUT_S:.0f} s.")
        return await super().download()

    async def abort(self) -> None:
        self._answer()
        await super().abort()

    async def restore_settings(self) -> None:
        self._answer()

    def _answer(self) -> None:
        if self._trouble.is_on("camera silent for a while", "camera silent from then on"):
            raise DeviceUnreachable(self.name, f"{self.name} does not answer.")


async def struck_run(night: Night) -> Struck:
    """One run that meets one fault."""
    chance = random.Random(night.seed + 2)
    session, settings = Session(night), night.sweep_settings()
    if chance.random() < 0.5:
        known = await taught(session, settings)
        settings = replace(settings, known=known)
    observatory = session.observatory
    start = await observatory.focuser.position()
    away_before = abs(observatory.away_steps) / night.zone_steps
    fault = chance.choice(FAULTS)
    longest_s = 10.0 if fault == "out of time" else LONGEST_RUN_S
    trouble = Trouble(observatory, fault, observatory.clock.monotonic() + chance.uniform(0.0, LAST_STRIKE_S), chance)
    sky = asyncio.create_task(_spoil_the_sky(trouble))
    run = asyncio.create_task(
        run_focus(
            RunDevices(
                camera=TroubledCamera(observatory, trouble),
                focuser=TroubledFocuser(observatory, trouble),
                clock=observatory.clock,
                measure=_measuring(trouble),
            ),
            settings,
            conditions=RunConditions(),
            max_duration_s=longest_s,
            emit=lambda _: None,
        )
    )
    aborter = asyncio.create_task(_abort(run, trouble))
    ended, _ = await asyncio.wait({run}, timeout=HANGS_S)
    for task in (sky, aborter):
        task.cancel()
    if not ended:
        return Struck(fault=fault, outcome="hung", problem="it did not end")
    return _judged(run, fault, start, away_before, session)


async def _spoil_the_sky(trouble: Trouble) -> None:
    await trouble.observatory.clock.sleep(trouble.at_s - trouble.now_s)
    faults, world = trouble.observatory.faults, trouble.observatory.world
    match trouble.fault:
        case "clouds to the end":
            faults.add(FaultRequest(kind="clouds", value=0.02 * trouble.share))
        case "clouds for a minute":
            faults.add(FaultRequest(kind="clouds", value=0.3 * trouble.share, duration_s=60.0))
        case "satellite":
            faults.add(FaultRequest(kind="trail", times=1))
        case "seeing jumps":
            faults.add(FaultRequest(kind="seeing-jump", value=1.2 + trouble.share))
        case "focus jumps":
            # The mirror flops: the tube is elsewhere by up to three zones.
            jump_steps = (trouble.share - 0.5) * 6 * 4.88 * 0.55 * world.settings.telescope.focal_ratio**2
            focuser = world.settings.focuser
            world.settings = world.settings.model_copy(
                update={
                    "focuser": focuser.model_copy(update={"best_focus_steps": focuser.best_focus_steps + jump_steps})
                }
            )


async def _abort(run: "asyncio.Task[FocusResult]", trouble: Trouble) -> None:
    if not trouble.fault.startswith("aborted"):
        return
    await trouble.observatory.clock.sleep(trouble.at_s - trouble.now_s)
    run.cancel()
    if trouble.fault == "aborted twice":
        await trouble.observatory.clock.sleep(1.0)
        run.cancel()


def _measuring(trouble: Trouble) -> Callable[[Frame], Measurement]:
    follow = StarTracker()

    def measure(frame: Frame) -> Measurement:
        if trouble.strikes("error in the program"):
            raise ZeroDivisionError("a fault of the benchmark's own")
        return follow(frame)

    return measure


def _judged(
    run: "asyncio.Task[FocusResult]", fault: str, start: Position, away_before: float, session: Session
) -> Struck:
    observatory = session.observatory
    here = observatory.world.mechanism.position(observatory.clock.monotonic())
    away_zones = abs(observatory.away_steps) / session.night.zone_steps
    at_start = here == start
    if run.cancelled() or run.exception() is not None:
        outcome = "aborted" if run.cancelled() else type(run.exception()).__name__
        return Struck(fault=fault, outcome=outcome, problem="" if at_start else f"left at {here}, start {start}")
    result = run.result()
    problem = ""
    if result.outcome is Outcome.FOCUSED and away_zones > AWAY_ZONES and away_zones > away_before:
        problem = f"says focused and is {away_zones:.2f} zones away"
    if result.outcome is Outcome.RESTORED and not at_start:
        problem = f"says restored and is at {here} instead of {start}"
    if result.outcome is Outcome.STRANDED and fault != "focuser silent from then on":
        problem = f"stranded: {result.reason}"
    return Struck(fault=fault, outcome=result.outcome.value, problem=problem)


def _one(seed: int) -> Struck:
    return asyncio.run(struck_run(drawn_night(seed)))


def run(seed: int) -> Table:
    chance = random.Random(seed)
    seeds = [chance.randrange(2**31) for _ in range(RUNS)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        ended = list(pool.map(_one, seeds))
    for each, its_seed in zip(ended, seeds, strict=True):
        if each.problem:
            print(f"seed {its_seed}: {each.fault}: {each.outcome}: {each.problem}")
    rows = []
    for fault in FAULTS:
        some = [each for each in ended if each.fault == fault]
        outcomes = Counter(each.outcome for each in some)
        told = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
        rows.append((fault, str(len(some)), told, str(sum(bool(each.problem) for each in some))))
    return Table(
        title="One fault in every run",
        how=f"{RUNS} runs, nights drawn as above, one fault each within the first {LAST_STRIKE_S:.0f} s. *Broken* "
        f"counts runs that did not end, or that reported focus more than {AWAY_ZONES:g} critical focus zone "
        "from the truth and further than before, or that left the focuser anywhere but at the start otherwise. "
        "Stranded (reported, with the restore marker still on disk) is right where the focuser never answers again.",
        headings=("fault", "runs", "ended", "broken"),
        rows=tuple(rows),
    )
