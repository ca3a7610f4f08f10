"""The Sun's altitude, computed by astropy without a network."""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime


class AstropySun:
    """The Sun seen from one site; implements `ports.Sun`, accurate to 0.02 degrees.

    It needs no table of the Earth's rotation: leaving out UT1 - UTC (below 0.9 s: 0.004 degrees), polar motion,
    nutation and parallax keeps the error small, allows any date, and saves 65 MB of memory. The first call imports
    astropy, which takes about half a second and 25 MB.

    Args:
        latitude_deg: Geodetic latitude, north positive.
        longitude_deg: Longitude, east positive.
    """

    def __init__(self, latitude_deg: float, longitude_deg: float) -> None:
        self._latitude_deg = latitude_deg
        self._longitude_deg = longitude_deg

    def altitude_deg(self, at: datetime) -> float:
        """Return the altitude of the Sun's centre at a time, without refraction.

        From declination and hour angle, Meeus, Astronomical Algorithms, 2nd edition, formula 13.6.

        Raises:
            ValueError: The time has no time zone.
        """
        if at.tzinfo is None:
            raise ValueError(f"The time {at.isoformat()} has no time zone: the Sun's altitude depends on it.")
        with _offline():
            from astropy.coordinates import PrecessedGeocentric, get_sun  # noqa: PLC0415 - see the class docstring
            from astropy.time import Time  # noqa: PLC0415

            time = Time(at.astimezone(UTC).replace(tzinfo=None), scale="utc")
            time.delta_ut1_utc = 0.0
            sun = get_sun(time).transform_to(PrecessedGeocentric(equinox=time, obstime=time))
            greenwich_rad = float(time.sidereal_time("mean", longitude="greenwich").rad)
        hour_angle_rad = greenwich_rad + math.radians(self._longitude_deg) - float(sun.ra.rad)
        declination_rad = float(sun.dec.rad)
        latitude_rad = math.radians(self._latitude_deg)
        sine = math.sin(latitude_rad) * math.sin(declination_rad)
        sine += math.cos(latitude_rad) * math.cos(declination_rad) * math.cos(hour_angle_rad)
        return math.degrees(math.asin(min(1.0, max(-1.0, sine))))


@contextmanager
def _offline() -> Iterator[None]:
    """Keep astropy from fetching a newer list of leap seconds, and from warning that its own is old."""
    from astropy.utils import data, iers  # noqa: PLC0415

    with (
        iers.conf.set_temp("auto_download", False),  # noqa: FBT003 - astropy's signature
        data.conf.set_temp("allow_internet", False),  # noqa: FBT003
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield
