"""Focus runs over real HTTP against the simulator, judged by its truth API."""

import asyncio
import random
import statistics

import requests

from alpaca_focus import app
from alpaca_focus.core.values import FocusResult
from alpaca_focus.devices.clock import ScaledClock
from alpaca_focus.settings.models import Settings
from alpaca_focus.simulator.observatory import observatory_process
from alpaca_focus.simulator.observatory_settings import FocuserSettings, ObservatorySettings
from alpaca_focus.simulator.settings import TelescopeSettings
from tests.bench.table import Table

RUNS = 20
SPEED = 20.0
CRITICAL_FOCUS_ZONE_STEPS = 4.88 * 0.55 * 5.0**2
REFRACTOR = TelescopeSettings(aperture_mm=106.0, focal_length_mm=530.0, central_obstruction=0.0)


def run(seed: int) -> Table:
    chance = random.Random(seed)
    rows = []
    for model in ("geometric", "diffraction"):
        telescope = REFRACTOR.model_copy(update={"optical_model": model})
        runs = [one_run(telescope, chance.randrange(2**31)) for _ in range(RUNS)]
        errors = [abs(away) for _, away in runs]
        exposures = [result.exposures for result, _ in runs]
        failed = sum(result.outcome.value != "focused" for result, _ in runs)
        rows.append(
            (
                model,
                str(RUNS),
                str(failed),
                f"{statistics.median(errors):.3f}",
                f"{max(errors):.3f}",
                f"{statistics.median(exposures):.0f}",
                f"{statistics.median(result.duration_s for result, _ in runs):.0f}",
            )
        )
    return Table(
        title="First focus run, nothing learned",
        how=f"106 mm f/5 refractor, 1 um steps, backlash 80 steps (overshoot 120), seeing 2.5 arcsec with 5 % scatter, "
        f"start 300 to 1500 steps off focus, {RUNS} fresh seeds each. Errors in critical focus zones "
        f"({CRITICAL_FOCUS_ZONE_STEPS:.0f} steps).",
        headings=("optics", "runs", "failed", "median error", "largest error", "exposures", "simulated seconds"),
        rows=tuple(rows),
    )


def one_run(telescope: TelescopeSettings, seed: int) -> tuple[FocusResult, float]:
    """Focus once; return the result and how far from the truth it ended, in critical focus zones."""
    chance = random.Random(seed)
    start = 24920 + chance.choice((-1, 1)) * chance.randint(300, 1500)
    observatory = ObservatorySettings(
        seed=seed, time_factor=SPEED, telescope=telescope, focuser=FocuserSettings(start_position=start)
    )
    with observatory_process(observatory) as address:
        settings = Settings.model_validate(
            {
                "telescope": {"focal_length_mm": telescope.focal_length_mm, "aperture_mm": telescope.aperture_mm},
                "alpaca": {"address": address},
                "focuser": {"backlash": {"steps": 120}},
                "focus": {"exposure_s": 2.0},
            }
        )
        result = asyncio.run(app.focus(settings, emit=lambda _: None, clock=ScaledClock(SPEED)))
        truth = requests.get(f"http://{address}/simulator/v1/truth", timeout=5).json()
    away = truth["tube_steps"] - truth["best_tube_steps"]
    return result, away / CRITICAL_FOCUS_ZONE_STEPS
