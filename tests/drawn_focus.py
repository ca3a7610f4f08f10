"""Nights of focus runs drawn from a known truth, for testing what is learned from them."""

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import numpy as np

from alpaca_focus.core.night.focus_model import Conditions, Observation

EVENING = datetime(2026, 1, 15, 20, tzinfo=UTC)
ERROR_STEPS = 4.0
GAP_MINUTES = 30.0


@dataclass(frozen=True, kw_only=True)
class FocusTruth:
    """What moves best focus in a test.

    Attributes:
        steps_per_c: By the name of the sensor, "focuser" or "air".
        offsets_steps: By filter.
        altitude_steps: Along the sine of the altitude.
        walk_steps: Random walk within `GAP_MINUTES`.
        outliers: Share of runs that are far off.
    """

    steps_per_c: dict[str, float] = field(default_factory=lambda: {"focuser": -30.0})
    offsets_steps: dict[str, float] = field(default_factory=lambda: {"L": 0.0, "R": -40.0, "Ha": 25.0})
    altitude_steps: float = 0.0
    walk_steps: float = 6.0
    outliers: float = 0.0


@dataclass(frozen=True, kw_only=True)
class DrawnNight:
    """Runs, and where best focus truly was in each."""

    observations: list[Observation]
    truth: list[float]


def draw_nights(rng: np.random.Generator, truth: FocusTruth, *, nights: int = 4, runs: int = 10) -> list[DrawnNight]:
    """Draw nights that become colder, each with a level of its own; the air swings around the focuser's temperature."""
    return [_drawn_night(rng, truth, EVENING + timedelta(days=night), runs) for night in range(nights)]


def observations_of(nights: list[DrawnNight]) -> list[Observation]:
    return [each for night in nights for each in night.observations]


def conditions(observation: Observation) -> Conditions:
    return Conditions(
        at=observation.at,
        temperatures_c=observation.temperatures_c,
        altitude_deg=observation.altitude_deg,
        filter_name=observation.filter_name,
    )


def _drawn_night(rng: np.random.Generator, truth: FocusTruth, at: datetime, runs: int) -> DrawnNight:
    level, evening_c, phase, walked = rng.uniform(20000, 30000), rng.uniform(0, 20), rng.uniform(0, 6), 0.0
    night = DrawnNight(observations=[], truth=[])
    for number in range(runs):
        gap = rng.uniform(0.5, 1.5)
        at += timedelta(minutes=GAP_MINUTES * gap)
        walked += rng.normal(0, truth.walk_steps * math.sqrt(gap))
        focuser_c = evening_c - 0.7 * number + rng.normal(0, 0.2)
        temperatures_c = {"focuser": focuser_c, "air": focuser_c - 4 * math.sin(number / 2 + phase)}
        filter_name, altitude_deg = str(rng.choice(list(truth.offsets_steps))), rng.uniform(30, 85)
        best = level + walked + truth.offsets_steps[filter_name]
        best += truth.altitude_steps * math.sin(math.radians(altitude_deg))
        best += sum(slope * temperatures_c[name] for name, slope in truth.steps_per_c.items())
        position = best + rng.normal(0, ERROR_STEPS)
        if rng.random() < truth.outliers:
            position += rng.choice([-1, 1]) * rng.uniform(150, 900)
        night.truth.append(best)
        night.observations.append(
            Observation(
                position=position,
                stderr=ERROR_STEPS,
                at=at,
                filter_name=filter_name,
                temperatures_c=temperatures_c,
                altitude_deg=altitude_deg,
            )
        )
    return night
