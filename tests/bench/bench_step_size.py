"""First runs with a step size that is reported wrong, or not at all."""

import asyncio
import math
import os
import random
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial

from alpaca_focus.core.sweep.plan import SweepSettings
from alpaca_focus.run.sweep_settings import ASSUMED_STEP_UM
from tests.bench.session import Run, Session
from tests.bench.skies import STEP_SIZE_UM, Night, drawn_night
from tests.bench.table import Table

RUNS = 50
FACTORS = {"right": 1.0, "1/20": 1 / 20, "1/4": 1 / 4, "4": 4.0, "20": 20.0}
"""The reported step size over the true one."""
MISSING = "missing"
HOW = f"""{RUNS} nights drawn for each row, the same for all, as in the table of the engine, first runs only, started
anywhere within 10 critical focus zones of focus. The true step is {STEP_SIZE_UM:g} um; *reported* is the step size of
the driver over the true one. Without any the program begins with {ASSUMED_STEP_UM:g} um. Errors are in true critical
focus zones; *proposed* is the step size that the result proposes over the true one, median and range."""


def settings_with(night: Night, factor: float, *, is_known: bool) -> SweepSettings:
    """Return the settings of a run whose step size is reported as `factor` times the true one."""
    settings = night.sweep_settings()
    assert settings.slope_per_step is not None
    return replace(
        settings,
        critical_focus_zone_steps=settings.critical_focus_zone_steps / factor,
        slope_per_step=settings.slope_per_step * factor,
        step_size_um=STEP_SIZE_UM * factor,
        step_size_is_known=is_known,
    )


def first_run(factor: float, is_known: bool, seed: int) -> tuple[Run, float]:
    """Return a first run, and the proposed step size in micrometres; NaN if there is none."""
    session = Session(drawn_night(seed))
    run, result = asyncio.run(session.focus(settings_with(session.night, factor, is_known=is_known)))
    _, _, proposed = result.reason.partition("Set focuser.step_size_um to ")
    return run, float(proposed.split()[0].rstrip(".")) if proposed else math.nan


def run(seed: int) -> Table:
    chance = random.Random(seed)
    seeds = [chance.randrange(2**31) for _ in range(RUNS)]
    cases = [(name, factor, True) for name, factor in FACTORS.items()]
    cases.append((MISSING, ASSUMED_STEP_UM / STEP_SIZE_UM, False))
    rows = []
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for name, factor, is_known in cases:
            rows.append(_row(name, list(pool.map(partial(first_run, factor, is_known), seeds))))
            print(*rows[-1], sep=", ", flush=True)
    return Table(
        title="Wrong step sizes",
        how=HOW,
        headings=(
            "reported",
            "not focused",
            "exposures",
            "mean",
            "most",
            "median error",
            "95 %",
            "largest",
            "covered",
            "proposed",
        ),
        rows=tuple(rows),
    )


def _row(name: str, ended: Sequence[tuple[Run, float]]) -> tuple[str, ...]:
    focused = [each for each, _ in ended if each.focused]
    errors = sorted(abs(each.away_zones) for each in focused) or [math.nan]
    exposures = [each.exposures for each, _ in ended]
    covered = [abs(each.away_zones) <= 1.96 * each.stderr_zones for each in focused]
    proposed = sorted(each for _, each in ended if not math.isnan(each))
    for each, _ in ended:
        if not each.focused:
            print("not focused:", each.reason, flush=True)
    return (
        name,
        f"{len(ended) - len(focused)}",
        f"{statistics.median(exposures):.0f}",
        f"{statistics.mean(exposures):.1f}",
        f"{max(exposures)}",
        f"{statistics.median(errors):.3f}",
        f"{errors[math.ceil(0.95 * len(errors)) - 1]:.3f}",
        f"{errors[-1]:.3f}",
        f"{100 * statistics.mean(covered):.0f} %" if covered else "-",
        f"{statistics.median(proposed):.2g} ({proposed[0]:.2g} to {proposed[-1]:.2g})" if proposed else "none",
    )
