"""`alpaca-focus calibrate temperature` from a history, with the result written into the settings."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest

from alpaca_focus.core.values import Fit, FocusResult, Outcome
from alpaca_focus.store.run_store import RunStore

Run = Callable[..., CompletedProcess[str]]

KEPT = FocusResult(
    outcome=Outcome.FOCUSED,
    reason="Focused.",
    start_position=25000,
    final_position=25000,
    fit=Fit(
        model="hyperbola",
        best_position=25000.0,
        best_position_stderr=3.0,
        best_value=2.0,
        parameters={"slope": 0.04},
        r_squared=0.99,
        residuals=(),
    ),
    samples=(),
    verification=None,
    started_at=datetime(2026, 1, 15, 20, tzinfo=UTC),
    duration_s=20.0,
    exposures=3,
    filter_name="L",
)


def kept_night(folder: Path, rng: np.random.Generator, *, slope: float, runs: int = 8) -> None:
    assert KEPT.fit is not None
    with RunStore(folder) as store:
        for k in range(runs):
            temperature_c = 10.0 - k
            fit = replace(KEPT.fit, best_position=25000 + slope * temperature_c + rng.normal(0, 3))
            started_at = KEPT.started_at + timedelta(minutes=30 * k)
            store.save(replace(KEPT, fit=fit, temperature_c=temperature_c, started_at=started_at), trigger="asked for")


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "night.yaml"
    path.write_text(
        "# The refractor.\ntelescope: {focal_length_mm: 530, aperture_mm: 106}\n"
        f"storage:\n  directory: {tmp_path / 'history'}  # on the stick\n"
    )
    return path


def test_the_coefficient_is_proposed_and_written(
    run: Run, settings: Path, tmp_path: Path, rng: np.random.Generator
) -> None:
    kept_night(tmp_path / "history", rng, slope=-31.0)
    before = settings.read_text()
    proposed = run("calibrate", "temperature", "-c", settings)
    assert proposed.returncode == 0, proposed.stderr
    assert "steps a degree, from 8 runs." in proposed.stdout
    assert (
        "Proposed settings (--apply writes them):\n  focuser.temperature_coefficient_steps_per_c: -3" in proposed.stdout
    )
    assert settings.read_text() == before
    written = run("calibrate", "temperature", "-c", settings, "--apply")
    assert written.returncode == 0, written.stderr
    assert "Written:" in written.stdout
    after = settings.read_text()
    assert after.startswith(before)
    assert "focuser:\n  temperature_coefficient_steps_per_c: -3" in after
    assert run("check", settings).returncode == 0


def test_an_empty_history_says_so(run: Run, settings: Path) -> None:
    result = run("calibrate", "temperature", "-c", settings)
    assert result.returncode == 2
    assert "There is no history in" in result.stderr
    assert "Traceback" not in result.stderr


def test_too_few_runs_are_refused(run: Run, settings: Path, tmp_path: Path, rng: np.random.Generator) -> None:
    kept_night(tmp_path / "history", rng, slope=-31.0, runs=2)
    result = run("calibrate", "temperature", "-c", settings)
    assert result.returncode == 1
    assert "It takes at least 4 in one night" in result.stderr
