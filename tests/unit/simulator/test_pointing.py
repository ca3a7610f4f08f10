from datetime import UTC, datetime

import pytest

from alpaca_focus.simulator.pointing import Pointing, SimulatedPierSide, SkyPosition
from alpaca_focus.simulator.settings import MountSettings
from alpaca_focus.simulator.simulated_clock import SimulatedClock


class Real:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def real() -> Real:
    return Real()


def pointing(real: Real, **changes: float | bool) -> Pointing:
    clock = SimulatedClock(1.0, datetime(2026, 1, 15, 20, 0, tzinfo=UTC), real)
    return Pointing(MountSettings.model_validate(changes), clock)


def test_the_sidereal_time_of_a_published_date(real: Real) -> None:
    # Meeus, Astronomical Algorithms, example 12.b: 1987 April 10, 19:21:00 UT, Greenwich: 8h 34m 57.0896s.
    clock = SimulatedClock(1.0, datetime(1987, 4, 10, 19, 21, tzinfo=UTC), real)
    mount = Pointing(MountSettings(longitude_deg=0.0), clock)
    assert mount.sidereal_time_h(0.0) == pytest.approx(8 + 34 / 60 + 57.0896 / 3600, abs=1e-5)


def test_a_star_culminates_at_ninety_degrees_less_its_distance_from_the_zenith(real: Real) -> None:
    mount = pointing(real)
    on_meridian = SkyPosition(mount.sidereal_time_h(0.0), 20.0)
    altitude_deg, azimuth_deg = mount.horizontal_deg(on_meridian, 0.0)
    assert altitude_deg == pytest.approx(90 - (47 - 20))
    assert azimuth_deg == pytest.approx(180.0)


def test_the_pole_stands_as_high_as_the_latitude(real: Real) -> None:
    assert pointing(real).horizontal_deg(SkyPosition(3.0, 90.0), 0.0)[0] == pytest.approx(47.0)


def test_there_and_back_between_sky_and_horizon(real: Real) -> None:
    mount = pointing(real)
    for place in (SkyPosition(5.0, 10.0), SkyPosition(20.0, -20.0), SkyPosition(11.0, 70.0)):
        back = mount.equatorial(*mount.horizontal_deg(place, 0.0), 0.0)
        assert back.right_ascension_h == pytest.approx(place.right_ascension_h)
        assert back.declination_deg == pytest.approx(place.declination_deg)


def test_tracking_keeps_the_place_and_standing_lets_the_sky_pass(real: Real) -> None:
    mount = pointing(real)
    start = mount.position(0.0)
    real.now_s = 3600.0
    assert mount.position(3600.0) == start
    mount.tracking = False
    real.now_s = 7200.0
    assert mount.position(7200.0).right_ascension_h - start.right_ascension_h == pytest.approx(1.0027, abs=1e-3)


def test_it_flips_by_itself_at_the_meridian_and_sees_the_same_stars(real: Real) -> None:
    mount = pointing(real, start_hour_angle_h=-0.5, flips_at_meridian=True)
    field = mount.field_number
    assert mount.pier_side(0.0) is SimulatedPierSide.WEST
    real.now_s = 2000.0
    assert mount.is_slewing(2000.0)
    real.now_s = 2100.0
    assert mount.pier_side(2100.0) is SimulatedPierSide.EAST
    assert mount.field_number == field


def test_another_place_has_other_stars(real: Real) -> None:
    mount = pointing(real)
    field = mount.field_number
    mount.slew(SkyPosition(1.0, 5.0), 0.0)
    real.now_s = 200.0
    assert mount.position(200.0) == SkyPosition(1.0, 5.0)
    assert mount.field_number != field
