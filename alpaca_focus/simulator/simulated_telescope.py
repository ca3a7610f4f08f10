"""The simulated mount: ITelescopeV4."""

import math
from datetime import datetime, timedelta

from typing_extensions import override

from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.simulator.pointing import SimulatedPierSide, SkyPosition
from alpaca_focus.simulator.simulated_device import SimulatedDevice
from alpaca_focus.simulator.world import World

GERMAN, TOPOCENTRIC, SIDEREAL = 2, 1, 0
SIDEREAL_DEG_PER_S = 15.041 / 3600
FASTEST_AXIS_DEG_PER_S = 4.0
PARK_ALTITUDE_DEG, PARK_AZIMUTH_DEG = 10.0, 0.0
LATE_PARK_S = 8.0
SIDE_UNKNOWN = -1
SUPPORTED = (
    "canfindhome", "canpark", "canpulseguide", "cansetguiderates", "cansetpark", "cansetpierside", "cansettracking",
    "canslewaltazasync", "canslewasync", "cansync", "cansyncaltaz", "canunpark",
)  # fmt: skip
UNSUPPORTED = ("canslew", "canslewaltaz", "cansetdeclinationrate", "cansetrightascensionrate")
"""Blocking slews, and rates besides the sidereal one."""
RANGES = {
    "Altitude": (-90, 90),
    "Axis": (0, 2),
    "Azimuth": (0, 360),
    "Declination": (-90, 90),
    "Direction": (0, 3),
    "Duration": (0, 60000),
    "GuideRateDeclination": (0, 2 * SIDEREAL_DEG_PER_S),
    "GuideRateRightAscension": (0, 2 * SIDEREAL_DEG_PER_S),
    "Rate": (-FASTEST_AXIS_DEG_PER_S, FASTEST_AXIS_DEG_PER_S),
    "RightAscension": (0, 24),
    "SideOfPier": (0, 1),
    "SiteElevation": (-300, 10000),
    "SiteLatitude": (-90, 90),
    "SiteLongitude": (-180, 180),
    "SlewSettleTime": (0, 600),
    "TargetDeclination": (-90, 90),
    "TargetRightAscension": (0, 24),
    "TrackingRate": (SIDEREAL, SIDEREAL),
}
"""Lowest and highest value of each parameter, in the units of the standard."""


class SimulatedTelescope(SimulatedDevice):
    """A German mount that slews, tracks, flips and parks."""

    device_type = DeviceType.TELESCOPE
    state_members = (
        "Altitude", "AtHome", "AtPark", "Azimuth", "Declination", "IsPulseGuiding", "RightAscension", "SideOfPier",
        "SiderealTime", "Slewing", "Tracking", "UTCDate",
    )  # fmt: skip
    ranges = RANGES
    stored = frozenset(
        {"guideraterightascension", "guideratedeclination", "siteelevation", "slewsettletime", "trackingrate"}
    )

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._pointing = world.pointing
        self._target_h: float | None = None
        self._target_deg: float | None = None
        self._park_direction = (PARK_ALTITUDE_DEG, PARK_AZIMUTH_DEG)
        self._parking_since_s: float | None = None
        self._homing = False
        self._axis_rates = [0.0, 0.0]
        self._axes_moved_s = 0.0
        self._guiding_until_s = 0.0
        self._utc_shift = timedelta()
        telescope, pointing = world.settings.telescope, world.pointing
        aperture_m = telescope.aperture_mm / 1000
        self.values = {
            **dict.fromkeys(SUPPORTED, True),
            **dict.fromkeys(UNSUPPORTED, False),
            "canmoveaxis": lambda axis: axis < 2,
            "axisrates": lambda axis: [{"Minimum": 0.0, "Maximum": FASTEST_AXIS_DEG_PER_S}] if axis < 2 else [],
            "alignmentmode": GERMAN,
            "equatorialsystem": TOPOCENTRIC,
            "aperturediameter": aperture_m,
            "aperturearea": math.pi / 4 * aperture_m**2 * (1 - telescope.central_obstruction**2),
            "focallength": telescope.focal_length_mm / 1000,
            "rightascension": lambda: pointing.position(self._now_s).right_ascension_h,
            "declination": lambda: pointing.position(self._now_s).declination_deg,
            "altitude": lambda: pointing.horizontal_now_deg(self._now_s)[0],
            "azimuth": lambda: pointing.horizontal_now_deg(self._now_s)[1],
            "siderealtime": lambda: pointing.sidereal_time_h(self._now_s),
            "sitelatitude": lambda: pointing.latitude_deg,
            "sitelongitude": lambda: pointing.longitude_deg,
            "siteelevation": world.settings.mount.elevation_m,
            "tracking": lambda: pointing.tracking,
            "trackingrate": SIDEREAL,
            "trackingrates": [SIDEREAL],
            "rightascensionrate": 0.0,
            "declinationrate": 0.0,
            "guideraterightascension": SIDEREAL_DEG_PER_S / 2,
            "guideratedeclination": SIDEREAL_DEG_PER_S / 2,
            "ispulseguiding": lambda: self._now_s < self._guiding_until_s,
            "slewsettletime": 0,
            "athome": lambda: self._homing and not pointing.is_slewing(self._now_s),
        }

    @property
    @override
    def _now_s(self) -> float:
        return self._move_axes()

    def _move_axes(self) -> float:
        """Move the axes by their rates up to now, and return that time."""
        now_s = self.world.clock.now_s()
        if any(self._axis_rates):
            elapsed_s = now_s - self._axes_moved_s
            self._pointing.nudge(self._axis_rates[0] * elapsed_s / 15, self._axis_rates[1] * elapsed_s, now_s)
        self._axes_moved_s = now_s
        return now_s

    # Direction, time and site.

    def get_sideofpier(self) -> int:
        """Return the side of the pier."""
        side = self._pointing.pier_side(self._now_s)
        if "pier-side-unknown" in self.world.quirks:
            return SIDE_UNKNOWN
        if "pier-side-constant" in self.world.quirks:
            return SimulatedPierSide.EAST
        return 1 - side if "pier-side-reversed" in self.world.quirks else int(side)

    def put_sideofpier(self, side: int) -> None:
        """Start a flip to a side of the pier."""
        self._refuse_parked("SideOfPier")
        self._pointing.flip(SimulatedPierSide(side), self._now_s)

    def get_destinationsideofpier(self, right_ascension_h: float, declination_deg: float) -> int:
        """Return the side of the pier after a slew to a position."""
        return int(self._pointing.destination_side(SkyPosition(right_ascension_h, declination_deg), self._now_s))

    def get_utcdate(self) -> str:
        """Return the mount's time of day, UTC."""
        utc = (self.world.clock.utc() + self._utc_shift).replace(tzinfo=None)
        return f"{utc.isoformat(timespec='milliseconds')}Z"

    def put_utcdate(self, text: str) -> None:
        """Set the mount's time of day, which does not change the simulated sky."""
        try:
            utc = datetime.fromisoformat(text)
        except ValueError as error:
            raise AlpacaError(ErrorNumber.INVALID_VALUE, f"UTCDate {text!r} is not a date and time.") from error
        now = self.world.clock.utc()
        self._utc_shift = (utc if utc.tzinfo is not None else utc.replace(tzinfo=now.tzinfo)) - now

    def put_sitelatitude(self, latitude_deg: float) -> None:
        """Set the latitude."""
        self._pointing.latitude_deg = latitude_deg

    def put_sitelongitude(self, longitude_deg: float) -> None:
        """Set the longitude."""
        self._pointing.longitude_deg = longitude_deg

    # Tracking and guiding.

    def put_tracking(self, enabled: bool) -> None:  # noqa: FBT001 - the standard's signature
        """Switch tracking on or off."""
        if enabled:
            self._refuse_parked("Tracking")
        self._pointing.position(self._now_s)
        self._pointing.tracking = enabled

    def put_pulseguide(self, direction: int, duration_ms: int) -> None:
        """Move north (0), south, east or west (3) for some milliseconds."""
        self._refuse_parked("PulseGuide")
        now_s = self._now_s
        in_right_ascension = direction >= 2
        rate = self.values["guideraterightascension" if in_right_ascension else "guideratedeclination"]
        shift_deg = rate * duration_ms / 1000 * (1 if direction in {0, 2} else -1)
        if in_right_ascension:
            self._pointing.nudge(shift_deg / 15, 0.0, now_s)
        else:
            self._pointing.nudge(0.0, shift_deg, now_s)
        self._guiding_until_s = now_s + duration_ms / 1000

    # Slewing.

    def get_slewing(self) -> bool:
        """Return whether the mount moves, by a slew or by hand."""
        if "slewing-false-during-slew" in self.world.quirks:
            return False
        return self._pointing.is_slewing(self._now_s) or any(self._axis_rates)

    def get_targetrightascension(self) -> float:
        """Return the target's right ascension, hours."""
        return self._checked_target("TargetRightAscension", self._target_h)

    def put_targetrightascension(self, right_ascension_h: float) -> None:
        """Set the target's right ascension."""
        self._target_h = right_ascension_h

    def get_targetdeclination(self) -> float:
        """Return the target's declination, degrees."""
        return self._checked_target("TargetDeclination", self._target_deg)

    def put_targetdeclination(self, declination_deg: float) -> None:
        """Set the target's declination."""
        self._target_deg = declination_deg

    def put_slewtocoordinatesasync(self, right_ascension_h: float, declination_deg: float) -> None:
        """Start a slew to a position."""
        self._refuse_parked("SlewToCoordinatesAsync")
        if not self._pointing.tracking:
            raise AlpacaError(ErrorNumber.INVALID_OPERATION, f"SlewToCoordinatesAsync: {self.name} is not tracking.")
        self._target_h, self._target_deg = right_ascension_h, declination_deg
        self._homing = False
        self._pointing.slew(SkyPosition(right_ascension_h, declination_deg), self._now_s)

    def put_slewtotargetasync(self) -> None:
        """Start a slew to the target."""
        self.put_slewtocoordinatesasync(self.get_targetrightascension(), self.get_targetdeclination())

    def put_slewtoaltazasync(self, azimuth_deg: float, altitude_deg: float) -> None:
        """Start a slew to an azimuth and altitude."""
        self._refuse_parked("SlewToAltAzAsync")
        self._homing = False
        now_s = self._now_s
        self._pointing.slew(self._pointing.equatorial(altitude_deg, azimuth_deg, now_s), now_s)

    def put_abortslew(self) -> None:
        """Stop all motion."""
        self._refuse_parked("AbortSlew")
        self._pointing.stop(self._now_s)
        self._axis_rates = [0.0, 0.0]

    def put_synctocoordinates(self, right_ascension_h: float, declination_deg: float) -> None:
        """Define the present direction as a position."""
        self._refuse_parked("SyncToCoordinates")
        self._target_h, self._target_deg = right_ascension_h, declination_deg
        self._pointing.sync(SkyPosition(right_ascension_h, declination_deg), self._now_s)

    def put_synctotarget(self) -> None:
        """Define the present direction as the target's position."""
        self.put_synctocoordinates(self.get_targetrightascension(), self.get_targetdeclination())

    def put_synctoaltaz(self, azimuth_deg: float, altitude_deg: float) -> None:
        """Define the present direction as an azimuth and altitude."""
        self._refuse_parked("SyncToAltAz")
        self._pointing.sync(self._pointing.equatorial(altitude_deg, azimuth_deg, self._now_s), self._now_s)

    def put_moveaxis(self, axis: int, rate_deg_per_s: float) -> None:
        """Move an axis by hand until its rate is set to 0."""
        self._check_range("Axis", axis, 0, 1)
        self._refuse_parked("MoveAxis")
        self._move_axes()
        self._axis_rates[axis] = rate_deg_per_s

    # Home and park.

    def put_findhome(self) -> None:
        """Start a slew to the home position, the pole."""
        self._refuse_parked("FindHome")
        self._homing = True
        now_s = self._now_s
        self._pointing.slew(SkyPosition(self._pointing.position(now_s).right_ascension_h, 90.0), now_s)

    def put_park(self) -> None:
        """Start a slew to the park position and stop tracking."""
        if self._parking_since_s is not None:
            return
        now_s = self._now_s
        self._homing = False
        self._pointing.slew(self._pointing.equatorial(*self._park_direction, now_s), now_s)
        self._pointing.tracking = False
        self._parking_since_s = now_s

    def get_atpark(self) -> bool:
        """Return whether the mount is parked."""
        if self._parking_since_s is None or self._pointing.is_slewing(self._now_s):
            return False
        late_s = LATE_PARK_S if "at-park-late" in self.world.quirks else 0.0
        return self._now_s >= self._parking_since_s + late_s

    def put_unpark(self) -> None:
        """Allow motion again; tracking stays off."""
        self._parking_since_s = None

    def put_setpark(self) -> None:
        """Define the present direction as the park position."""
        self._park_direction = self._pointing.horizontal_now_deg(self._now_s)

    def _refuse_parked(self, member: str) -> None:
        if self._parking_since_s is not None:
            raise AlpacaError(ErrorNumber.PARKED, f"{member}: {self.name} is parked. Unpark it first.")

    def _checked_target(self, member: str, value: float | None) -> float:
        if value is None:
            raise AlpacaError(ErrorNumber.VALUE_NOT_SET, f"{member} of {self.name} has not been set.")
        return value
