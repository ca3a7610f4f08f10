from datetime import UTC, datetime

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from alpaca_focus.simulator.mechanics import Mechanism
from alpaca_focus.simulator.simulated_clock import SimulatedClock
from alpaca_focus.simulator.temperatures import Climate, SimulatedCooler

START = datetime(2026, 1, 15, 20, 0, tzinfo=UTC)


class RealTime:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_the_night_runs_at_its_pace_and_goes_on_when_the_pace_changes() -> None:
    real = RealTime()
    clock = SimulatedClock(10.0, START, real)
    real.now_s += 2.0
    assert clock.now_s() == pytest.approx(20.0)
    clock.set_factor(100.0)
    real.now_s += 1.0
    assert clock.now_s() == pytest.approx(120.0)
    assert (clock.utc() - START).total_seconds() == pytest.approx(120.0)
    assert clock.real_s(50.0) == pytest.approx(0.5)


@pytest.mark.parametrize("lag_s", [300.0, 1800.0, 14400.0, 20000.0])
def test_the_tube_follows_the_air_by_its_differential_equation(lag_s: float) -> None:
    climate = Climate(start_c=10.0, fall_c=8.0, fall_s=14400.0)
    times = np.linspace(0, 30000, 7)
    solution = solve_ivp(
        lambda t, y: (climate.air_c(t) - y) / lag_s, (0, 30000), [10.0], t_eval=times, rtol=1e-9, atol=1e-9
    )
    for time_s, expected_c in zip(times, solution.y[0], strict=True):
        assert climate.body_c(float(time_s), lag_s) == pytest.approx(expected_c, abs=1e-5)


def test_the_motor_moves_at_its_speed_and_can_be_stopped_while_moving() -> None:
    mechanism = Mechanism(1000, backlash_steps=0, speed_steps_per_s=100)
    mechanism.start(2000, 0.0)
    assert mechanism.position(3.0) == 1300
    assert mechanism.is_moving(3.0)
    mechanism.stop(4.0)
    assert mechanism.position(100.0) == 1400
    assert not mechanism.is_moving(100.0)


def test_the_tube_stays_while_the_slack_is_crossed() -> None:
    mechanism = Mechanism(1000, backlash_steps=80, speed_steps_per_s=100)
    mechanism.start(2000, 0.0)
    assert mechanism.tube(10.0) == 2000  # dragged outward, the tube is where the motor is
    mechanism.start(1950, 10.0)
    assert mechanism.tube(20.0) == 2000  # inside the slack nothing moves
    mechanism.start(1500, 20.0)
    assert mechanism.tube(30.0) == 1580  # dragged inward, it is the slack behind
    mechanism.start(1560, 30.0)
    assert mechanism.tube(40.0) == 1580


def test_the_cooler_reaches_its_target_as_far_as_it_can() -> None:
    now = RealTime()
    cooler = SimulatedCooler(lambda: 10.0, now)
    cooler.aim(-20.0)
    cooler.switch(on=True)
    now.now_s += 1000
    assert cooler.sensor_c() == pytest.approx(-20.0, abs=0.01)
    assert cooler.power_percent() == pytest.approx(75.0)
    cooler.aim(-60.0)
    now.now_s += 1000
    assert cooler.sensor_c() == pytest.approx(-30.0, abs=0.01)
    cooler.switch(on=False)
    now.now_s += 1000
    assert cooler.sensor_c() == pytest.approx(10.0, abs=0.01)
