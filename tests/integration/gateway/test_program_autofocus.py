"""An imaging program focuses by itself, through the gateway: how far from the true focus it ends."""

import random
import time
from pathlib import Path

import numpy as np
import pytest
import requests
from alpaca.focuser import Focuser

from tests.gateway_night import GatewayNight, gateway_night

ZONE_UM = 4.88 * 0.55 * 5.0**2
"""The classic critical focus zone of the simulated telescope, 530 mm f/5."""
POINTS, STEP = 9, 60


def truth(night: GatewayNight) -> dict[str, float]:
    answer: dict[str, float] = requests.get(f"http://{night.direct}/simulator/v1/truth", timeout=10).json()
    return answer


def moved(night: GatewayNight, focuser: Focuser, target: int) -> float:
    """Move as an imaging program does; the defocus in um where the focuser is said to have arrived."""
    focuser.Move(target)
    while focuser.IsMoving:
        time.sleep(0.005)
    assert focuser.Position == target
    return truth(night)["defocus_um"]


def focused_by_program(night: GatewayNight, focuser: Focuser, start: int) -> float:
    """Sweep inward from outside, as N.I.N.A. does without a compensation of its own, and go to the best position found.

    Returns:
        The distance from the true focus, in critical focus zones.
    """
    positions = [start + (POINTS // 2 - number) * STEP for number in range(POINTS)]
    # The square of a star's size is a parabola of the defocus.
    squares = [moved(night, focuser, position) ** 2 for position in positions]
    a, b, _ = np.polyfit(np.array(positions) - start, squares, 2)
    return abs(moved(night, focuser, round(start - b / (2 * a)))) / ZONE_UM


@pytest.mark.parametrize(("compensates", "least", "most"), [(True, 0.0, 0.1), (False, 0.5, 2.0)])
def test_the_programs_own_autofocus_ends_in_focus(
    tmp_path: Path, seed: int, compensates: bool, least: float, most: float
) -> None:
    chance = random.Random(seed)
    how = {"triggers": {}, "compensation": {"enabled": False}}
    with gateway_night(tmp_path, seed=seed, **how, gateway={"compensate_backlash": compensates}) as night:
        focuser = Focuser(night.gateway, 0)
        focuser.Connected = True
        away = [focused_by_program(night, focuser, 25000 + chance.randint(-120, 40)) for _ in range(3)]
    print([f"{each:.2f}" for each in away])
    assert all(least <= each <= most for each in away), away


def test_a_halt_stops_all_legs_where_the_focuser_stands(tmp_path: Path, seed: int) -> None:
    with gateway_night(tmp_path, seed=seed, triggers={}) as night:
        focuser = Focuser(night.gateway, 0)
        focuser.Connected = True
        start, target = focuser.Position, focuser.Position + 30000
        focuser.Move(target)
        while focuser.Position == start:
            assert focuser.IsMoving
        focuser.Halt()
        assert not focuser.IsMoving
        here = focuser.Position
        assert start < here < target
        status = night.until(lambda status: status["last_focus"] and status["state"] == "watching")
        assert (focuser.Position, status["last_focus"]["position"]) == (here, here)
        # The leg past the target, and none after the halt.
        assert [each.form["Position"] for each in night.spy.seen if each.member == "move"] == [str(target + 240)]
