"""A recorded night that a formula generates: focus follows the temperature, and runs now and then find it."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from alpaca_focus.core.curves.curve_models import CurveModel, fit_curve
from alpaca_focus.core.night.focus_model import AVERAGE
from alpaca_focus.core.values import FocusResult, Light, Measurement, Outcome, Sample

BEGINS = datetime(2026, 1, 14, 19, 0, tzinfo=UTC)
STEPS_PER_C = -14.0
BEST_AT_TEN_C = 25_400.0


@dataclass
class KeptNight:
    """Draws the runs and the light frames of one night.

    Attributes:
        rng: Where the noise comes from.
        begins: When.
        hours: How long it is.
    """

    rng: np.random.Generator
    begins: datetime = BEGINS
    hours: float = 9.0

    def temperature_c(self, at: datetime) -> float:
        hours = (at - self.begins).total_seconds() / 3600
        return 10.0 - 6.0 * (1 - math.exp(-hours / 4))

    def best(self, at: datetime) -> float:
        return BEST_AT_TEN_C + STEPS_PER_C * (self.temperature_c(at) - 10.0)

    def run(self, at: datetime, start: int, *, filter_name: str = "L", doubtful: bool = False) -> FocusResult:
        best, samples = self.best(at), []
        for index in range(7):
            position = round(best + 60 * (index - 3) + self.rng.normal(0, 4))
            value = math.hypot(2.4, 0.045 * (position - best)) * (1 + self.rng.normal(0, 0.015))
            samples.append(sample(position, value, "point"))
        fit = fit_curve(tuple(samples), CurveModel.HYPERBOLA)
        verified = sample(round(fit.best_position), 2.42, "verify")
        return result(
            at,
            Outcome.FOCUSED,
            start=start,
            final=verified.position,
            fit=fit,
            samples=(*samples, verified),
            verification=verified,
            temperature_c=self.temperature_c(at),
            filter_name=filter_name,
            doubtful=doubtful,
            reason=f"Focused at position {verified.position}.",
        )

    def runs(self, every_min: float = 60.0) -> list[FocusResult]:
        stands, found = round(BEST_AT_TEN_C), []
        for index in range(int(self.hours * 60 / every_min)):
            made = self.run(self.begins + timedelta(minutes=every_min * index), stands)
            assert made.final_position is not None
            stands = made.final_position
            found.append(made)
        return found

    def lights(self, runs: list[FocusResult], every_min: float = 5.0) -> list[Light]:
        found = []
        for index in range(int(self.hours * 60 / every_min)):
            at = self.begins + timedelta(minutes=every_min * index + 4)
            before = [run for run in runs if run.started_at < at and run.outcome is Outcome.FOCUSED]
            position = before[-1].final_position if before else round(BEST_AT_TEN_C)
            assert position is not None
            away = position - self.best(at)
            hfd = math.hypot(2.4, 0.045 * away) * (1 + self.rng.normal(0, 0.02))
            light = Light(
                ended_at=at, hfd_px=hfd, position=position, filter_name="L", temperature_c=self.temperature_c(at)
            )
            found.append(light)
        return found


def sample(position: int, value: float, purpose: str, *, reason: str = "") -> Sample:
    measured = Measurement(
        metric="hfd", value=value, stderr=0.02 * value, star_count=120, usable=not reason, reason=reason
    )
    return Sample(position=position, measurement=measured, purpose=purpose)


def result(at: datetime, outcome: Outcome, *, start: int, final: int | None, **other: object) -> FocusResult:
    usual: dict[str, object] = {
        "reason": "No stars were found.",
        "fit": None,
        "samples": (),
        "verification": None,
        "duration_s": 95.0,
        "exposures": 9,
        "temperature_c": None,
    }
    usual |= other
    degrees = usual["temperature_c"]
    return FocusResult(
        outcome=outcome,
        start_position=start,
        final_position=final,
        started_at=at,
        temperatures_c={} if degrees is None else {AVERAGE: degrees, "focuser": degrees},  # type: ignore[dict-item]
        **usual,  # type: ignore[arg-type]
    )
