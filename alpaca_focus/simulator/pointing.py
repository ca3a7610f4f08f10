"""Where the simulated telescope points, in simple spherical astronomy."""

import math
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum

from alpaca_focus.simulator.settings import MountSettings
from alpaca_focus.simulator.simulated_clock import SimulatedClock

SIDEREAL_RATE = 1.00273790935
"""Sidereal seconds to a second of UTC."""
J2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)
FLIP_S = 40.0


class SimulatedPierSide(IntEnum):
    """Side of the pier as Alpaca counts it; east is the side on which the mount looks west."""

    EAST = 0
    WEST = 1


@dataclass(frozen=True, slots=True)
class SkyPlace:
    """A place in the sky: right ascension in hours, declination in degrees."""

    right_ascension_h: float
    declination_deg: float


@dataclass(frozen=True, slots=True)
class Slew:
    """A motion to a place."""

    began_s: float
    ends_s: float
    origin: SkyPlace
    target: SkyPlace
    pier_side: SimulatedPierSide


class Pointing:
    """Direction, tracking and pier side of a German mount; parked and slewing as well.

    Args:
        settings: The mount and its place on Earth.
        clock: Simulated time.
    """

    def __init__(self, settings: MountSettings, clock: SimulatedClock) -> None:
        self.settings = settings
        self._clock = clock
        self.latitude_deg = settings.latitude_deg
        self.longitude_deg = settings.longitude_deg
        self.tracking = True
        start_h = (self.sidereal_time_h(clock.now_s()) - settings.start_hour_angle_h) % 24
        self._place = SkyPlace(start_h, settings.start_declination_deg)
        self._place_at_s = clock.now_s()
        self._slew: Slew | None = None
        self.field_number = self._field(self._place)
        self._pier_side = self._natural_side(self._place)

    # Time and direction.

    def sidereal_time_h(self, time_s: float) -> float:
        """Return the local apparent sidereal time, hours; mean sidereal time is near enough."""
        utc = self._clock.utc()
        days = (utc - J2000).total_seconds() / 86400 + (time_s - self._clock.now_s()) / 86400
        return (18.697374558 + 24.06570982441908 * days + self.longitude_deg / 15) % 24

    def place(self, time_s: float) -> SkyPlace:
        """Return where it points."""
        self._advance(time_s)
        if self._slew is None:
            return self._place
        share = (time_s - self._slew.began_s) / (self._slew.ends_s - self._slew.began_s)
        way_h = _short_way(self._slew.target.right_ascension_h - self._slew.origin.right_ascension_h, 24)
        way_deg = self._slew.target.declination_deg - self._slew.origin.declination_deg
        return SkyPlace(
            (self._slew.origin.right_ascension_h + share * way_h) % 24,
            self._slew.origin.declination_deg + share * way_deg,
        )

    def hour_angle_h(self, place: SkyPlace, time_s: float) -> float:
        """Return the hour angle, -12 to 12; negative before the meridian."""
        return _short_way(self.sidereal_time_h(time_s) - place.right_ascension_h, 24)

    def horizontal_deg(self, place: SkyPlace, time_s: float) -> tuple[float, float]:
        """Return altitude and azimuth (from north over east) of a place."""
        hour_angle, declination, latitude = (
            math.radians(value)
            for value in (15 * self.hour_angle_h(place, time_s), place.declination_deg, self.latitude_deg)
        )
        up = math.sin(latitude) * math.sin(declination) + math.cos(latitude) * math.cos(declination) * math.cos(
            hour_angle
        )
        north = math.cos(latitude) * math.sin(declination) - math.sin(latitude) * math.cos(declination) * math.cos(
            hour_angle
        )
        east = -math.cos(declination) * math.sin(hour_angle)
        return math.degrees(math.asin(min(1.0, max(-1.0, up)))), math.degrees(math.atan2(east, north)) % 360

    def equatorial(self, altitude_deg: float, azimuth_deg: float, time_s: float) -> SkyPlace:
        """Return the place at an altitude and azimuth."""
        altitude, azimuth, latitude = (math.radians(value) for value in (altitude_deg, azimuth_deg, self.latitude_deg))
        sine = math.sin(latitude) * math.sin(altitude) + math.cos(latitude) * math.cos(altitude) * math.cos(azimuth)
        south = math.sin(altitude) * math.cos(latitude) - math.cos(altitude) * math.cos(azimuth) * math.sin(latitude)
        hour_angle = math.degrees(math.atan2(-math.cos(altitude) * math.sin(azimuth), south)) / 15
        declination_deg = math.degrees(math.asin(min(1.0, max(-1.0, sine))))
        return SkyPlace((self.sidereal_time_h(time_s) - hour_angle) % 24, declination_deg)

    def altitude_deg(self, time_s: float) -> float:
        """Return how high it points."""
        return self.horizontal_deg(self.place(time_s), time_s)[0]

    def azimuth_deg(self, time_s: float) -> float:
        """Return in which direction it points, from north over east."""
        return self.horizontal_deg(self.place(time_s), time_s)[1]

    # Motion.

    def is_slewing(self, time_s: float) -> bool:
        """Tell whether it is on its way."""
        self._advance(time_s)
        return self._slew is not None

    def slew(self, target: SkyPlace, time_s: float) -> None:
        """Start to go to a place, on the side of the pier that suits it."""
        self._start_slew(target, self._natural_side(target), time_s)

    def flip(self, side: SimulatedPierSide, time_s: float) -> None:
        """Go over to a side of the pier, looking at the same place."""
        if side is not self.pier_side(time_s):
            self._start_slew(self.place(time_s), side, time_s)

    def stop(self, time_s: float) -> None:
        """End a slew where it is."""
        self._place, self._slew, self._place_at_s = self.place(time_s), None, time_s

    def sync(self, place: SkyPlace, time_s: float) -> None:
        """Take the present direction to be that of a place."""
        self.stop(time_s)
        self._place = place

    def nudge(self, right_ascension_h: float, declination_deg: float, time_s: float) -> None:
        """Move by a little at once, as guiding and hand control do."""
        here = self.place(time_s)
        declination = min(90.0, max(-90.0, here.declination_deg + declination_deg))
        self._place = SkyPlace((here.right_ascension_h + right_ascension_h) % 24, declination)

    def pier_side(self, time_s: float) -> SimulatedPierSide:
        """Return the side of the pier on which the telescope is."""
        self._advance(time_s)
        return self._pier_side

    def destination_side(self, place: SkyPlace, time_s: float) -> SimulatedPierSide:
        """Return the side on which it would be after a slew to a place."""
        return SimulatedPierSide.EAST if self.hour_angle_h(place, time_s) >= 0 else SimulatedPierSide.WEST

    def _natural_side(self, place: SkyPlace) -> SimulatedPierSide:
        return self.destination_side(place, self._clock.now_s())

    def _start_slew(self, target: SkyPlace, side: SimulatedPierSide, time_s: float) -> None:
        origin = self.place(time_s)
        way_deg = max(
            15 * abs(_short_way(target.right_ascension_h - origin.right_ascension_h, 24)),
            abs(target.declination_deg - origin.declination_deg),
        )
        flip_s = FLIP_S if side is not self._pier_side else 0.0
        duration_s = max(0.5, way_deg / self.settings.slew_deg_per_s, flip_s)
        self._slew = Slew(time_s, time_s + duration_s, origin, target, side)

    def _advance(self, time_s: float) -> None:
        """Bring the mount to a time: slews end, and without tracking the sky moves on."""
        if self._slew is not None and time_s >= self._slew.ends_s:
            self._place, self._pier_side = self._slew.target, self._slew.pier_side
            self._place_at_s, self._slew = self._slew.ends_s, None
            self.field_number = self._field(self._place)
        if self._slew is None:
            if not self.tracking and time_s > self._place_at_s:
                drift_h = SIDEREAL_RATE * (time_s - self._place_at_s) / 3600
                self._place = SkyPlace((self._place.right_ascension_h + drift_h) % 24, self._place.declination_deg)
            self._place_at_s = time_s
            self._flip_at_meridian(time_s)

    def _flip_at_meridian(self, time_s: float) -> None:
        crossed = self.tracking and 0 < self.hour_angle_h(self._place, time_s) < 6
        if self.settings.flips_at_meridian and crossed and self._pier_side is SimulatedPierSide.WEST:
            self._slew = Slew(time_s, time_s + FLIP_S, self._place, self._place, SimulatedPierSide.EAST)

    def _field(self, place: SkyPlace) -> int:
        """Return a number for the stars that are seen there: the same for the same place, whatever the side."""
        return zlib.crc32(f"{place.right_ascension_h:.2f} {place.declination_deg:.1f}".encode())


def _short_way(difference: float, circle: float) -> float:
    return (difference + circle / 2) % circle - circle / 2
