"""What `calibrate temperature` learns from a history, and from which runs it does not."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest

from alpaca_focus.core.errors import RunFailed
from alpaca_focus.core.values import FocusResult, Outcome
from alpaca_focus.run import calibrations
from alpaca_focus.settings.models import Settings
from alpaca_focus.store.run_store import RunStore
from tests.drawn_focus import FocusTruth, draw_nights, observations_of
from tests.system.test_calibrate_command import KEPT

COEFFICIENT = "focuser.temperature_coefficient_steps_per_c"


def settings_for(folder: Path) -> Settings:
    telescope = {"focal_length_mm": 530, "aperture_mm": 106}
    return Settings.model_validate({"telescope": telescope, "storage": {"directory": str(folder)}})


def cooling(rng: np.random.Generator, *, slope: float, runs: int = 10) -> list[FocusResult]:
    assert KEPT.fit is not None
    return [
        replace(
            KEPT,
            fit=replace(KEPT.fit, best_position=25000 - slope * number + rng.normal(0, 3)),
            temperature_c=10.0 - number,
            started_at=KEPT.started_at + timedelta(minutes=30 * number),
        )
        for number in range(runs)
    ]


def keep(folder: Path, results: list[FocusResult], trigger: str = "asked for") -> None:
    with RunStore(folder) as store:
        for result in results:
            store.save(result, trigger=trigger)


@pytest.mark.parametrize(
    ("changes", "trigger"),
    [
        ({"doubtful": True}, "asked for"),
        ({"outcome": Outcome.RESTORED}, "asked for"),
        ({"fit": None}, "asked for"),
        ({}, "calibrate backlash"),
    ],
)
def test_runs_that_are_no_good_are_not_learned_from(
    changes: dict[str, object], trigger: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    bad = [replace(each, **changes) for each in cooling(rng, slope=50.0)]  # type: ignore[arg-type]
    keep(tmp_path, bad, trigger)
    with pytest.raises(RunFailed, match=": 0 in all"):
        calibrations.temperature(settings_for(tmp_path))
    keep(tmp_path, cooling(rng, slope=-30.0))
    proposal = calibrations.temperature(settings_for(tmp_path))
    assert proposal.changes == {COEFFICIENT: pytest.approx(-30.0, abs=3.0)}
    assert "from 10 runs" in proposal.lines[0]


def test_a_focus_that_does_not_follow_the_temperature_proposes_nothing(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    assert KEPT.fit is not None
    up_and_down = [
        replace(each, fit=replace(KEPT.fit, best_position=25000.0 + 2 * (-1) ** number))
        for number, each in enumerate(cooling(rng, slope=0.0))
    ]
    keep(tmp_path, up_and_down)
    proposal = calibrations.temperature(settings_for(tmp_path))
    assert proposal.changes == {}
    assert proposal.lines[-1] == "The coefficient does not differ from zero: there is nothing to set."


def test_the_effect_of_each_sensor_and_the_altitude_is_reported(tmp_path: Path, rng: np.random.Generator) -> None:
    truth = FocusTruth(steps_per_c={"focuser": -30.0, "air": 20.0}, altitude_steps=250.0, walk_steps=3.0)
    assert KEPT.fit is not None
    keep(
        tmp_path,
        [
            replace(
                KEPT,
                fit=replace(KEPT.fit, best_position=each.position, best_position_stderr=each.stderr),
                started_at=each.at,
                filter_name=each.filter_name,
                temperature_c=each.temperatures_c["focuser"],
                temperatures_c=MappingProxyType(dict(each.temperatures_c)),
                altitude_deg=each.altitude_deg,
            )
            for each in observations_of(draw_nights(rng, truth, nights=5))
        ],
    )
    together, wandering = calibrations.temperature(settings_for(tmp_path)).lines[1:3]
    assert "steps a degree of the sensor 'focuser'" in together
    assert "steps a degree of the sensor 'air'" in together
    assert "steps from the horizon to the zenith." in together
    assert wandering.startswith("Unexplained drift of focus: ")
