"""Pointing of the simulated telescope, in simple spherical astronomy."""

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
    """Side of the pier as Alpaca counts it; on the east side the telescope points west."""

    EAST = 0
    WEST = 1


@dataclass(frozen=True, slots=True)
class SkyPosition:
    """A position in the sky: right ascension in hours, declination in degrees."""

    right_ascension_h: float
    declination_deg: float


@dataclass(frozen=True, slots=True)
class Slew:
    """A motion from one position to another, in simulated seconds."""

    began_s: float
    ends_s: float
    origin: SkyPosition
    target: SkyPosition
    pier_side: SimulatedPierSide


class Pointing:
    """Direction, tracking and pier side of a German mount."""

    def __init__(self, settings: MountSettings, clock: SimulatedClock) -> None:
        self.settings = settings
        self._clock = clock
        self.latitude_deg = settings.latitude_deg
        self.longitude_deg = settings.longitude_deg
        self.tracking = True
        start_h = (self.sidereal_time_h(clock.now_s()) - settings.start_hour_angle_h) % 24
        self._position = SkyPosition(start_h, settings.start_declination_deg)
        self._position_at_s = clock.now_s()
        self._slew: Slew | None = None
        self.field_number = self._field(self._position)
        self._pier_side = self._natural_side(self._position)

    # Time and direction.

    def sidereal_time_h(self, time_s: float) -> float:
        """Return the local apparent sidereal time, hours; mean sidereal time is near enough."""
        utc = self._clock.utc()
        days = (utc - J2000).total_seconds() / 86400 + (time_s - self._clock.now_s()) / 86400
        return (18.697374558 + 24.06570982441908 * days + self.longitude_deg / 15) % 24

    def position(self, time_s: float) -> SkyPosition:
        """Return the position that the telescope points to."""
        self._advance(time_s)
        if self._slew is None:
            return self._position
        share = (time_s - self._slew.began_s) / (self._slew.ends_s - self._slew.began_s)
        shift_h = _shortest(self._slew.target.right_ascension_h - self._slew.origin.right_ascension_h, 24)
        shift_deg = self._slew.target.declination_deg - self._slew.origin.declination_deg
        return SkyPosition(
            (self._slew.origin.right_ascension_h + share * shift_h) % 24,
            self._slew.origin.declination_deg + share * shift_deg,
        )

    def hour_angle_h(self, position: SkyPosition, time_s: float) -> float:
        """Return the hour angle, -12 to 12; negative before the meridian."""
        return _shortest(self.sidereal_time_h(time_s) - position.right_ascension_h, 24)

    def horizontal_deg(self, position: SkyPosition, time_s: float) -> tuple[float, float]:
        """Return altitude and azimuth (from north over east) of a position."""
        hour_angle, declination, latitude = (
            math.radians(value)
            for value in (15 * self.hour_angle_h(position, time_s), position.declination_deg, self.latitude_deg)
        )
        up = math.sin(latitude) * math.sin(declination) + math.cos(latitude) * math.cos(declination) * math.cos(
            hour_angle
        )
        north = math.cos(latitude) * math.sin(declination) - math.sin(latitude) * math.cos(declination) * math.cos(
            hour_angle
        )
        east = -math.cos(declination) * math.sin(hour_angle)
        return math.degrees(math.asin(min(1.0, max(-1.0, up)))), math.degrees(math.atan2(east, north)) % 360

    def equatorial(self, altitude_deg: float, azimuth_deg: float, time_s: float) -> SkyPosition:
        """Return the position at an altitude and azimuth."""
        altitude, azimuth, latitude = (math.radians(value) for value in (altitude_deg, azimuth_deg, self.latitude_deg))
        sine = math.sin(latitude) * math.sin(altitude) + math.cos(latitude) * math.cos(altitude) * math.cos(azimuth)
        south = math.sin(altitude) * math.cos(latitude) - math.cos(altitude) * math.cos(azimuth) * math.sin(latitude)
        hour_angle = math.degrees(math.atan2(-math.cos(altitude) * math.sin(azimuth), south)) / 15
        declination_deg = math.degrees(math.asin(min(1.0, max(-1.0, sine))))
        return SkyPosition((self.sidereal_time_h(time_s) - hour_angle) % 24, declination_deg)

    def horizontal_now_deg(self, time_s: float) -> tuple[float, float]:
        """Return altitude and azimuth of the telescope."""
        return self.horizontal_deg(self.position(time_s), time_s)

    # Motion.

    def is_slewing(self, time_s: float) -> bool:
        """Return whether a slew is under way."""
        self._advance(time_s)
        return self._slew is not None

    def slew(self, target: SkyPosition, time_s: float) -> None:
        """Start a slew to a position, on the side of the pier that suits it."""
        self._start_slew(target, self._natural_side(target), time_s)

    def flip(self, side: SimulatedPierSide, time_s: float) -> None:
        """Start a flip to a side of the pier; the position stays."""
        if side is not self.pier_side(time_s):
            self._start_slew(self.position(time_s), side, time_s)

    def stop(self, time_s: float) -> None:
        """Stop a slew where the telescope is."""
        self._position, self._slew, self._position_at_s = self.position(time_s), None, time_s

    def sync(self, position: SkyPosition, time_s: float) -> None:
        """Define the present direction as a position."""
        self.stop(time_s)
        self._position = position

    def nudge(self, right_ascension_h: float, declination_deg: float, time_s: float) -> None:
        """Shift the position at once, as guiding and hand control do."""
        here = self.position(time_s)
        declination = min(90.0, max(-90.0, here.declination_deg + declination_deg))
        self._position = SkyPosition((here.right_ascension_h + right_ascension_h) % 24, declination)

    def pier_side(self, time_s: float) -> SimulatedPierSide:
        """Return the side of the pier that the telescope is on."""
        self._advance(time_s)
        return self._pier_side

    def destination_side(self, position: SkyPosition, time_s: float) -> SimulatedPierSide:
        """Return the side of the pier after a slew to a position."""
        return SimulatedPierSide.EAST if self.hour_angle_h(position, time_s) >= 0 else SimulatedPierSide.WEST

    def _natural_side(self, position: SkyPosition) -> SimulatedPierSide:
        return self.destination_side(position, self._clock.now_s())

    def _start_slew(self, target: SkyPosition, side: SimulatedPierSide, time_s: float) -> None:
        origin = self.position(time_s)
        shift_deg = max(
            15 * abs(_shortest(target.right_ascension_h - origin.right_ascension_h, 24)),
            abs(target.declination_deg - origin.declination_deg),
        )
        flip_s = FLIP_S if side is not self._pier_side else 0.0
        duration_s = max(0.5, shift_deg / self.settings.slew_deg_per_s, flip_s)
        self._slew = Slew(time_s, time_s + duration_s, origin, target, side)

    def _advance(self, time_s: float) -> None:
        """Advance the mount to a time: end a slew that is over; without tracking, let the sky drift."""
        if self._slew is not None and time_s >= self._slew.ends_s:
            self._position, self._pier_side = self._slew.target, self._slew.pier_side
            self._position_at_s, self._slew = self._slew.ends_s, None
            self.field_number = self._field(self._position)
        if self._slew is None:
            if not self.tracking and time_s > self._position_at_s:
                drift_h = SIDEREAL_RATE * (time_s - self._position_at_s) / 3600
                self._position = SkyPosition(
                    (self._position.right_ascension_h + drift_h) % 24, self._position.declination_deg
                )
            self._position_at_s = time_s
            self._flip_at_meridian(time_s)

    def _flip_at_meridian(self, time_s: float) -> None:
        crossed = self.tracking and 0 < self.hour_angle_h(self._position, time_s) < 6
        if self.settings.flips_at_meridian and crossed and self._pier_side is SimulatedPierSide.WEST:
            self._slew = Slew(time_s, time_s + FLIP_S, self._position, self._position, SimulatedPierSide.EAST)

    def _field(self, position: SkyPosition) -> int:
        """Return the number of the star field at a position, the same on both sides of the pier."""
        return zlib.crc32(f"{position.right_ascension_h:.2f} {position.declination_deg:.1f}".encode())


def _shortest(difference: float, circle: float) -> float:
    """Return a difference of two angles, wrapped to half a circle on each side of 0."""
    return (difference + circle / 2) % circle - circle / 2
