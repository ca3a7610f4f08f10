"""The Sun's altitude against plain trigonometry and a low-precision almanac."""

import math
import random
import socket
import warnings
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from astropy.time import Time, core
from astropy.utils import iers

from alpaca_focus.devices.sun import AstropySun

OBLIQUITY_DEG = 23.44


def almanac_altitude_deg(latitude_deg: float, longitude_deg: float, at: datetime) -> float:
    """The Astronomical Almanac's "low precision formulas for the Sun", page C5; good to 0.01 degrees until 2050."""
    days = (at - datetime(2000, 1, 1, 12, tzinfo=UTC)).total_seconds() / 86400
    mean_anomaly = math.radians(357.528 + 0.9856003 * days)
    longitude = 280.460 + 0.9856474 * days + 1.915 * math.sin(mean_anomaly) + 0.020 * math.sin(2 * mean_anomaly)
    ecliptic, obliquity = math.radians(longitude), math.radians(23.439 - 4e-7 * days)
    right_ascension = math.atan2(math.cos(obliquity) * math.sin(ecliptic), math.cos(ecliptic))
    declination = math.asin(math.sin(obliquity) * math.sin(ecliptic))
    sidereal_deg = 280.46062 + 360.98564737 * days + longitude_deg
    hour_angle, latitude = math.radians(sidereal_deg) - right_ascension, math.radians(latitude_deg)
    return math.degrees(
        math.asin(
            math.sin(latitude) * math.sin(declination)
            + math.cos(latitude) * math.cos(declination) * math.cos(hour_angle)
        )
    )


@pytest.mark.parametrize("latitude_deg", [51.5, 28.3, -33.9])
@pytest.mark.parametrize(
    ("day", "declination_deg"),
    [
        (datetime(2026, 3, 20, 14, 46, tzinfo=UTC), 0.0),
        (datetime(2026, 6, 21, 8, 24, tzinfo=UTC), OBLIQUITY_DEG),
        (datetime(2026, 12, 21, 20, 50, tzinfo=UTC), -OBLIQUITY_DEG),
    ],
)
def test_noon_and_midnight_of_solstice_and_equinox(day: datetime, declination_deg: float, latitude_deg: float) -> None:
    sun = AstropySun(latitude_deg, 0.0)
    midnight = day.replace(hour=0, minute=0)
    altitudes_deg = [sun.altitude_deg(midnight + timedelta(minutes=10 * step)) for step in range(144)]
    assert max(altitudes_deg) == pytest.approx(90 - abs(latitude_deg - declination_deg), abs=0.5)
    assert min(altitudes_deg) == pytest.approx(abs(latitude_deg + declination_deg) - 90, abs=0.5)
    noon = midnight + timedelta(minutes=10 * altitudes_deg.index(max(altitudes_deg)))
    assert abs(noon - midnight.replace(hour=12)) <= timedelta(minutes=20)


def test_the_polar_night_stays_dark_and_the_polar_day_light() -> None:
    sun = AstropySun(78.2, 15.6)
    assert all(sun.altitude_deg(datetime(2026, 12, 21, hour, tzinfo=UTC)) < -6 for hour in range(24))
    assert all(sun.altitude_deg(datetime(2026, 6, 21, hour, tzinfo=UTC)) > 6 for hour in range(24))


def test_it_agrees_with_a_low_precision_almanac_everywhere_and_for_years_to_come(seed: int) -> None:
    draw = random.Random(seed)
    for _ in range(50):
        latitude_deg, longitude_deg = draw.uniform(-90, 90), draw.uniform(-180, 180)
        at = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=draw.uniform(0, 15 * 365))
        expected_deg = almanac_altitude_deg(latitude_deg, longitude_deg, at)
        assert AstropySun(latitude_deg, longitude_deg).altitude_deg(at) == pytest.approx(expected_deg, abs=0.03), at


def test_the_time_zone_counts() -> None:
    sun = AstropySun(-23.0, -67.8)
    chile = datetime(2035, 3, 1, 8, 30, tzinfo=timezone(timedelta(hours=-4)))
    assert sun.altitude_deg(chile) == sun.altitude_deg(chile.astimezone(UTC))
    with pytest.raises(ValueError, match="has no time zone"):
        sun.altitude_deg(datetime(2026, 6, 21, 12))  # noqa: DTZ001


def test_no_table_is_loaded_and_old_leap_seconds_are_neither_fetched_nor_complained_about(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reached: list[Any] = []

    def reach(*address: Any, **_: Any) -> None:
        reached.append(address)
        raise OSError("the network is down")

    sun, at = AstropySun(47.0, 8.0), datetime(2035, 6, 21, 12, tzinfo=UTC)
    expected_deg = sun.altitude_deg(at)
    opened: list[Any] = []
    auto_open = iers.LeapSeconds.auto_open
    monkeypatch.setattr(socket, "getaddrinfo", reach)
    monkeypatch.setattr(iers.IERS_Auto, "open", reach)
    monkeypatch.setattr(iers.LeapSeconds, "_today", lambda: Time("2035-06-21", scale="tai"))
    monkeypatch.setattr(iers.LeapSeconds, "auto_open", lambda files=None: opened.append(files) or auto_open(files))
    monkeypatch.setattr(core, "_LEAP_SECONDS_CHECK", core._LeapSecondsCheck.NOT_STARTED)
    with warnings.catch_warnings(record=True) as complaints:
        warnings.simplefilter("always")
        assert sun.altitude_deg(at) == expected_deg
    assert opened, "astropy did not look for leap seconds: this test has lost its point"
    assert not reached
    assert not complaints
