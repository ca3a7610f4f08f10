"""Focus runs over real HTTP against the simulator, judged by its truth API."""

import asyncio
import random
import statistics
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import requests

from alpaca_focus.core.optics import OpticalTrain
from alpaca_focus.core.values import FocusResult, Outcome
from alpaca_focus.devices.clock import ScaledClock
from alpaca_focus.run.focus_run import focus_once
from alpaca_focus.settings.models import Settings
from alpaca_focus.simulator.observatory import observatory_process
from alpaca_focus.simulator.settings import FocuserSettings, ObservatorySettings, SensorSettings, TelescopeSettings
from alpaca_focus.store.run_store import RunStore
from tests.bench.table import Table

RUNS = 20
SPEED = 20.0
CRITICAL_FOCUS_ZONE_STEPS = 4.88 * 0.55 * 5.0**2
REFRACTOR = TelescopeSettings(aperture_mm=106.0, focal_length_mm=530.0, central_obstruction=0.0)


LARGEST_DRIFT_ZONES = 1.5
"""How far focus may have wandered from where the learned curve expects it."""


@dataclass(frozen=True)
class Run:
    """One run and where it ended."""

    result: FocusResult
    away_zones: float


def run(seed: int) -> Table:
    chance = random.Random(seed)
    rows = []
    for model in ("geometric", "diffraction"):
        telescope = REFRACTOR.model_copy(update={"optical_model": model})
        pairs = [first_and_learned(telescope, chance.randrange(2**31)) for _ in range(RUNS)]
        rows.append(_row(model, "nothing", [first for first, _ in pairs]))
        rows.append(_row(model, "one earlier run", [learned for _, learned in pairs]))
    return Table(
        title="Focus runs over HTTP",
        how="106 mm f/5 refractor, 1 um steps, backlash 80 steps (overshoot 120), seeing 2.5 arcsec with 5 % scatter, "
        f"{RUNS} fresh seeds each. Nothing known: start 300 to 1500 steps off focus. One earlier run: its curve is "
        f"known, and focus is up to {LARGEST_DRIFT_ZONES} critical focus zones from where it is expected. Errors in "
        f"critical focus zones ({CRITICAL_FOCUS_ZONE_STEPS:.0f} steps); `covered` is the share of runs whose truth "
        "lies within 1.96 standard errors.",
        headings=(
            "optics",
            "known",
            "runs",
            "failed",
            "median error",
            "largest error",
            "covered",
            "exposures",
            "simulated seconds",
        ),
        rows=tuple(rows),
    )


def _row(model: str, known: str, runs: list[Run]) -> tuple[str, ...]:
    focused = [each for each in runs if each.result.outcome is Outcome.FOCUSED]
    errors = [abs(each.away_zones) for each in runs]
    allowed = [1.96 * each.result.fit.best_position_stderr for each in focused if each.result.fit is not None]
    covered = [
        abs(each.away_zones) * CRITICAL_FOCUS_ZONE_STEPS <= limit for each, limit in zip(focused, allowed, strict=True)
    ]
    return (
        model,
        known,
        str(len(runs)),
        str(len(runs) - len(focused)),
        f"{statistics.median(errors):.3f}",
        f"{max(errors):.3f}",
        f"{100 * statistics.mean(covered):.0f} %",
        f"{statistics.median(each.result.exposures for each in runs):.0f}",
        f"{statistics.median(each.result.duration_s for each in runs):.0f}",
    )


def first_and_learned(telescope: TelescopeSettings, seed: int) -> tuple[Run, Run]:
    """Focus from afar with nothing known, and again with what that run taught."""
    chance = random.Random(seed)
    start = 24920 + chance.choice((-1, 1)) * chance.randint(300, 1500)
    observatory = ObservatorySettings(
        seed=seed, time_factor=SPEED, telescope=telescope, focuser=FocuserSettings(start_position=start)
    )
    with tempfile.TemporaryDirectory() as folder, observatory_process(observatory) as address:
        settings = Settings.model_validate(
            {
                "telescope": {"focal_length_mm": telescope.focal_length_mm, "aperture_mm": telescope.aperture_mm},
                "alpaca": {"address": address},
                "focuser": {"backlash": {"steps": 120}},
                "focus": {"exposure_s": 2.0},
                "storage": {"directory": folder},
            }
        )
        first = _focus(settings, address)
        _let_focus_wander(Path(folder), chance.uniform(-LARGEST_DRIFT_ZONES, LARGEST_DRIFT_ZONES))
        return first, _focus(settings, address)


def _focus(settings: Settings, address: str) -> Run:
    result = asyncio.run(focus_once(settings, emit=lambda _: None, clock=ScaledClock(SPEED)))
    truth = requests.get(f"http://{address}/simulator/v1/truth", timeout=5).json()
    return Run(result, (truth["tube_steps"] - truth["best_tube_steps"]) / CRITICAL_FOCUS_ZONE_STEPS)


def _let_focus_wander(folder: Path, zones: float) -> None:
    """Make the learned place of focus wrong, as a night's cooling does."""
    train = OpticalTrain(
        focal_length_mm=REFRACTOR.focal_length_mm,
        aperture_mm=REFRACTOR.aperture_mm,
        central_obstruction=0.0,
        pixel_size_um=SensorSettings().pixel_size_um,
        step_size_um=1.0,
    )
    with RunStore(folder) as store:
        profile = store.profile(train.name, None)
        assert profile is not None, "the first run taught nothing"
        place = profile.best_position + zones * CRITICAL_FOCUS_ZONE_STEPS
        store.save_profile(train.name, None, replace(profile, best_position=place))
