"""A first run whose step size is reported wrong: the stars' sizes lead it."""

import math
import random
from dataclasses import replace

import pytest

from alpaca_focus.core.curves.known_curve import KnownCurve
from alpaca_focus.core.errors import RunFailed
from alpaca_focus.core.sweep.generator import sweep
from alpaca_focus.core.sweep.plan import Expose, Measure, MoveTo, SweepProgress, SweepResult, SweepSettings
from alpaca_focus.core.values import Measurement
from tests.fakes import SETTINGS

ZONE_UM = 67.0
BEST = 30000
LARGEST_PX = 90.0
UNUSABLE = Measurement(metric="hfd", value=math.nan, stderr=math.nan, usable=False, reason="no stars found")


def reported(factor: float) -> SweepSettings:
    """Return the settings for a focuser of 1 um a step that reports `factor` um."""
    assert SETTINGS.slope_per_step is not None
    return replace(
        SETTINGS,
        critical_focus_zone_steps=ZONE_UM / factor,
        slope_per_step=SETTINGS.slope_per_step * factor,
        step_size_um=factor,
    )


class Optics:
    """A tube that follows its motor with slack, and stars that are neither round nor the same in every frame."""

    def __init__(self, chance: random.Random, start: int) -> None:
        self.chance = chance
        self.motor, self.tube = start, float(start)
        self.positions: list[int] = []

    def move(self, position: int) -> int:
        self.motor = position
        self.tube = min(max(self.tube, position), position + 80)
        return position

    def measurement(self) -> Measurement:
        self.positions.append(self.motor)
        seeing, defocus = 2.6 * self.chance.gauss(1, 0.05), 0.041 * abs(self.tube - BEST)
        value = (seeing**2.2 + defocus**2.2) ** (1 / 2.2) * self.chance.gauss(1, 0.01)
        if value > LARGEST_PX:
            return UNUSABLE
        return Measurement(metric="hfd", value=value, stderr=0.01 * value, star_count=40)

    def run(self, settings: SweepSettings) -> tuple[SweepResult, SweepProgress]:
        progress = SweepProgress()
        plan = sweep(settings, self.motor, progress)
        answer: int | Measurement | None = None
        try:
            while True:
                action = plan.send(answer)
                match action:
                    case MoveTo(position):
                        answer = self.move(position)
                    case Expose():
                        answer, frame = 1, self.measurement()
                    case Measure():
                        answer = frame
                    case _:
                        answer = None
        except StopIteration as ended:
            return ended.value, progress


@pytest.mark.parametrize("factor", [1 / 20, 1 / 10, 1 / 4, 1 / 2, 1, 2, 4, 10, 20])
def test_focus_is_found_whatever_the_step_size_is_said_to_be(factor: float, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(3):
        optics = Optics(chance, BEST + round(chance.uniform(-10, 10) * ZONE_UM))
        result, progress = optics.run(reported(factor))
        assert abs(optics.tube - BEST) < ZONE_UM / 2, progress.notes
        assert len(progress.samples) <= 24
        proposals = [note for note in progress.notes if "Set focuser.step_size_um to" in note]
        # Twice or half the step size may or may not stand out.
        assert factor in {0.5, 2} or len(proposals) == (factor != 1), progress.notes
        if proposals:
            assert 0.6 < float(proposals[0].rpartition(" ")[2].rstrip(".")) < 1.7
            assert result.critical_focus_zone_steps == pytest.approx(ZONE_UM, rel=0.5)


def test_a_step_size_that_nobody_reports_is_proposed() -> None:
    optics = Optics(random.Random(1), BEST + 300)
    _, progress = optics.run(replace(reported(2.0), step_size_is_known=False))
    assert "The focuser does not report its step size; the frames show it." in progress.notes[-1]


def test_a_known_curve_brings_its_own_scale() -> None:
    optics = Optics(random.Random(2), BEST + 60)
    curve = KnownCurve(slope_in=0.041, slope_out=0.041, slope_error=0.02, least=2.6, expected_position=BEST - 80)
    result, progress = optics.run(replace(reported(20.0), known=curve))
    assert abs(optics.tube - BEST) < ZONE_UM / 4
    assert len(progress.samples) <= 6
    assert result.critical_focus_zone_steps == pytest.approx(ZONE_UM, rel=0.2)


def test_no_position_is_taken_twice_while_a_bracket_is_sought(seed: int) -> None:
    optics = Optics(random.Random(seed), BEST + 400)
    _, progress = optics.run(reported(1 / 20))
    located = [sample.position for sample in progress.samples if sample.purpose == "locate"]
    assert len(located) == len(set(located))


def test_frames_without_any_v_name_no_position() -> None:
    class Covered(Optics):
        def measurement(self) -> Measurement:
            value = self.chance.gauss(20, 0.5)
            return Measurement(metric="hfd", value=value, stderr=0.2, star_count=40)

    with pytest.raises(RunFailed) as failure:
        Covered(random.Random(3), BEST).run(reported(1.0))
    assert "near position" not in str(failure.value)
