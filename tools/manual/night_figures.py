"""Figures of the night: what they show is computed by the program's own functions."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any

import numpy as np

from alpaca_focus.core.night.compensation import Compensated, CompensationSettings, correction_steps, followed, moved
from alpaca_focus.core.night.focus_learning import learned_model
from alpaca_focus.core.night.focus_model import Conditions, Observation
from alpaca_focus.core.night.outlier_filter import OutlierFilter, Window
from alpaca_focus.core.sweep.backlash import Backlash, Direction, Limits, approach
from tools.manual.drawing import BLUE, GREEN, INK, ORANGE, RED, SEED, TRAIN, Drawing

BACKLASH_STEPS = 80


def _backlash(figure: Any) -> None:
    backlash = Backlash(steps=120, arrive=Direction.IN)
    limits = Limits(lowest=0, highest=60000)
    motor, tube, taken_up = [25000.0], [25000.0 + BACKLASH_STEPS / 2], True
    arrivals, position = [], 25000
    for target in (25150, 25090, 25030, 24970, 25010):
        legs = approach(position, target, backlash=backlash, limits=limits, backlash_taken_up=taken_up)
        for leg in legs:
            motor.append(float(leg))
            # The tube stays where it is until the motor has taken up the backlash.
            tube.append(min(max(tube[-1], leg - BACKLASH_STEPS / 2), leg + BACKLASH_STEPS / 2))
        taken_up, position = True, target
        arrivals.append(len(motor) - 1)
        motor.append(motor[-1])
        tube.append(tube[-1])
    axes = figure.subplots()
    steps = np.arange(len(motor))
    axes.plot(steps, motor, color=BLUE, label="reported by the focuser")
    axes.plot(steps, np.array(tube) - BACKLASH_STEPS / 2, color=ORANGE, ls="--", label="where the tube is")
    axes.plot(arrivals, [motor[each] for each in arrivals], "o", color=GREEN, label="a frame: always arrived inward")
    axes.set(xlabel="leg after leg", ylabel="position, steps", xticks=[])
    axes.legend(fontsize=9, loc="upper right")


def _compensation(figure: Any) -> None:
    settings = CompensationSettings(steps_per_c=-12.5, dead_zone_steps=3)
    chance = np.random.default_rng(SEED)
    state, window, outliers = Compensated(), Window(), OutlierFilter()
    minutes, wanted, done = [], [], []
    for reading in range(360):
        at_min = reading / 6
        cooling_c = 9.0 - 1.1 * at_min / 60 - 0.25 * math.sin(at_min / 12)
        outliers = outliers.take(round(cooling_c + 0.05 * float(chance.standard_normal()), 2))
        window = window.take(outliers.last_c or cooling_c, size=12)
        state = followed(
            state, settings, temperature_c=window.mean_c, altitude_deg=None, filter_name=None, passed_s=10.0
        )
        steps = correction_steps(state, settings)
        if steps:
            state = moved(state, steps)
        minutes.append(at_min)
        wanted.append(state.wanted_steps)
        done.append(state.moved_steps)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    upper.plot(minutes, wanted, color=ORANGE, label="wanted for the temperature")
    upper.step(minutes, done, where="post", color=BLUE, label="moved, in whole steps")
    upper.set(ylabel="steps")
    upper.legend(fontsize=9)
    lower.step(minutes, np.array(wanted) - np.array(done), where="post", color=GREEN)
    for edge in (-3, 3):
        lower.axhline(edge, color=INK, lw=0.8, ls=":")
    lower.set(xlabel="minutes since the refocus", ylabel="carried", ylim=(-4.5, 4.5))


def _model(figure: Any) -> None:
    chance = np.random.default_rng(SEED)
    start = datetime(2026, 3, 1, 20, tzinfo=UTC)
    observations, wander = [], 0.0
    for night in range(3):
        for run in range(7):
            at = start + timedelta(days=night, hours=1.2 * run)
            temperature_c = 9.0 - 0.9 * 1.2 * run - 1.5 * night
            wander += 3.0 * float(chance.standard_normal())
            observations.append(
                Observation(
                    position=25000 - 12.5 * temperature_c + wander + float(chance.normal(0, 2)),
                    stderr=2.0,
                    at=at,
                    filter_name="L",
                    temperatures_c={"focuser": temperature_c},
                )
            )
    model = learned_model(observations)
    assert model is not None  # noqa: S101 - they are enough
    hours = np.linspace(0, 6, 60)
    before = Conditions(at=start, temperatures_c={"focuser": 9.0}, filter_name="L")
    predictions = [
        model.shift(
            before,
            Conditions(
                at=start + timedelta(hours=float(hour)),
                temperatures_c={"focuser": 9.0 - 0.9 * float(hour)},
                filter_name="L",
            ),
            verified_stderr_steps=2.0,
        )
        for hour in hours
    ]
    steps = np.array([each.steps for each in predictions if each is not None])
    errors = np.array([each.stderr_steps for each in predictions if each is not None])
    axes = figure.subplots()
    axes.fill_between(hours, steps - errors, steps + errors, color=BLUE, alpha=0.3, lw=0, label="its standard error")
    axes.plot(hours, np.hypot(steps, errors), color=ORANGE, label="probable defocus when nothing is moved")
    axes.plot(hours, steps, color=BLUE, ls="--", label="where the model expects focus")
    axes.plot(hours, errors, color=GREEN, label="probable defocus when the focuser follows")
    axes.axhline(TRAIN.critical_focus_zone_steps / 2, color=INK, ls=":", lw=1, label="half of the critical focus zone")
    axes.set(xlabel="hours since the last refocus, 0.9 degrees colder each", ylabel="steps")
    axes.legend(fontsize=8.5, loc="upper left")


def _outliers(figure: Any) -> None:
    chance = np.random.default_rng(SEED)
    readings = 8.0 - 0.004 * np.arange(180) + 0.06 * chance.standard_normal(180)
    readings[40:44] -= 1.2
    readings[75] = 85.0
    readings[110:113] += 7.0
    outliers, window = OutlierFilter(), Window()
    accepted, rejected, means = [], [], []
    for index, reading in enumerate(readings):
        outliers = outliers.take(round(float(reading), 2))
        if outliers.rejection:
            rejected.append(index)
            continue
        accepted.append(index)
        assert outliers.last_c is not None  # noqa: S101 - accepted just now
        filled = window.filled
        window = window.take(outliers.last_c, size=60)
        if window.filled > filled and window.mean_c is not None:
            means.append((index, window.mean_c))
    minutes = np.arange(180) / 6
    axes = figure.subplots()
    axes.plot(minutes[accepted], readings[accepted], ".", ms=4, color=BLUE, label="accepted")
    shown = np.minimum(readings[rejected], 9.4)
    axes.plot(minutes[rejected], shown, "x", ms=7, mew=1.8, color=RED, label="rejected: 85 and 15 degrees")
    first = 0.0
    for index, mean_c in means:
        axes.plot([first, minutes[index]], [mean_c, mean_c], color=ORANGE, lw=2.4)
        first = minutes[index]
    axes.plot([], [], color=ORANGE, lw=2.4, label="average of a window of 60")
    axes.annotate("a gust, left out of its window", (minutes[42], 6.7), (8, 6.5), color=INK, fontsize=8.5)
    axes.set(xlabel="minutes", ylabel="degrees Celsius", ylim=(6.3, 9.6))
    figure.legend(loc="outside upper center", fontsize=8.5, ncols=3)


DRAWINGS: Mapping[str, Drawing] = MappingProxyType(
    {
        "backlash": Drawing(
            "Positions of the focuser and of the tube over several moves. Each outward move goes past its target and "
            "comes back, so that the tube is the same distance behind the focuser whenever a frame is taken.",
            _backlash,
        ),
        "compensation": Drawing(
            "Over an hour the correction for the temperature grows to ten steps, in fractions. The moves follow in "
            "stairs of three steps; below, the difference that is carried stays within the dead zone.",
            _compensation,
            4.2,
        ),
        "model": Drawing(
            "Over six hours of cooling the model expects focus to move by about 67 steps, with an error that grows "
            "with the time. When nothing is moved the probable defocus passes half of the critical focus zone after "
            "three hours; when the focuser follows it stays far below.",
            _model,
            4.0,
        ),
        "outliers": Drawing(
            "Readings of a thermometer over half an hour. One of 85 degrees and three that jump by 7 degrees are "
            "rejected; a short gust of wind is accepted, but left out of the average of its window.",
            _outliers,
            3.7,
        ),
    }
)
