"""The simulated mount: ITelescopeV4."""

import math
from datetime import datetime, timedelta

from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.simulator.pointing import SimulatedPierSide, SkyPlace
from alpaca_focus.simulator.simulated_device import SimulatedDevice
from alpaca_focus.simulator.world import World

GERMAN, TOPOCENTRIC, SIDEREAL = 2, 1, 0
SIDEREAL_DEG_PER_S = 15.041 / 3600
FASTEST_AXIS_DEG_PER_S = 4.0
PARK_ALTITUDE_DEG, PARK_AZIMUTH_DEG = 10.0, 0.0
LATE_PARK_S = 8.0
SIDE_UNKNOWN = -1
ABILITIES = (
    "canfindhome",
    "canpark",
    "canpulseguide",
    "cansetguiderates",
    "cansetpark",
    "cansetpierside",
    "cansettracking",
    "canslewaltazasync",
    "canslewasync",
    "cansync",
    "cansyncaltaz",
    "canunpark",
)
LACKING = ("canslew", "canslewaltaz", "cansetdeclinationrate", "cansetrightascensionrate", "doesrefraction")
"""Slews that keep the client waiting, rates besides the sidereal one, and a correction for refraction."""


class SimulatedTelescope(SimulatedDevice):
    """A German mount that slews, tracks, flips and parks."""

    device_type = DeviceType.TELESCOPE
    state_members = (
        "Altitude",
        "AtHome",
        "AtPark",
        "Azimuth",
        "Declination",
        "IsPulseGuiding",
        "RightAscension",
        "SideOfPier",
        "SiderealTime",
        "Slewing",
        "Tracking",
        "UTCDate",
    )

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._pointing = world.pointing
        self._target_h: float | None = None
        self._target_deg: float | None = None
        self._guide_rates = [SIDEREAL_DEG_PER_S / 2, SIDEREAL_DEG_PER_S / 2]
        self._settle_s = 0
        self._elevation_m = world.settings.mount.elevation_m
        self._park_place = (PARK_ALTITUDE_DEG, PARK_AZIMUTH_DEG)
        self._parking_since_s: float | None = None
        self._homing = False
        self._axis_rates = [0.0, 0.0]
        self._axes_moved_s = 0.0
        self._guiding_until_s = 0.0
        self._utc_shift = timedelta()
        telescope = world.settings.telescope
        aperture_m = telescope.aperture_mm / 1000
        self.values = {
            **dict.fromkeys(ABILITIES, True),
            **dict.fromkeys(LACKING, False),
            "alignmentmode": GERMAN,
            "equatorialsystem": TOPOCENTRIC,
            "aperturediameter": aperture_m,
            "aperturearea": math.pi / 4 * aperture_m**2 * (1 - telescope.central_obstruction**2),
            "focallength": telescope.focal_length_mm / 1000,
            "rightascension": lambda: self._place().right_ascension_h,
            "declination": lambda: self._place().declination_deg,
            "siderealtime": lambda: self._pointing.sidereal_time_h(self._now_s),
            "sitelatitude": lambda: self._pointing.latitude_deg,
            "sitelongitude": lambda: self._pointing.longitude_deg,
            "siteelevation": lambda: self._elevation_m,
            "tracking": lambda: self._pointing.tracking,
            "trackingrate": SIDEREAL,
            "trackingrates": [SIDEREAL],
            "rightascensionrate": 0.0,
            "declinationrate": 0.0,
            "guideraterightascension": lambda: self._guide_rates[0],
            "guideratedeclination": lambda: self._guide_rates[1],
            "ispulseguiding": lambda: self._now_s < self._guiding_until_s,
            "slewsettletime": lambda: self._settle_s,
        }

    @property
    def _now_s(self) -> float:
        self._move_axes()
        return self.world.clock.now_s()

    # What it is and can do.

    def put_doesrefraction(self, enabled: bool) -> None:  # noqa: FBT001 - the standard's signature
        """Refraction cannot be switched on."""
        if enabled:
            raise AlpacaError(ErrorNumber.INVALID_VALUE, f"{self.name} does not correct for refraction.")

    def get_canmoveaxis(self, axis: int) -> bool:
        """Tell which axes can be moved by hand."""
        self._in_range("Axis", axis, 0, 2)
        return axis < 2

    def get_axisrates(self, axis: int) -> list[dict[str, float]]:
        """Return the rates of an axis, degrees a second."""
        self._in_range("Axis", axis, 0, 2)
        return [{"Minimum": 0.0, "Maximum": FASTEST_AXIS_DEG_PER_S}] if axis < 2 else []

    # Where it is.

    def _place(self) -> SkyPlace:
        return self._pointing.place(self._now_s)

    def get_altitude(self) -> float:
        """Return the altitude, degrees."""
        return self._pointing.altitude_deg(self._now_s)

    def get_azimuth(self) -> float:
        """Return the azimuth, degrees from north over east."""
        return self._pointing.azimuth_deg(self._now_s)

    def get_sideofpier(self) -> int:
        """Return the side of the pier."""
        side = self._pointing.pier_side(self._now_s)
        if "pier-side-unknown" in self.world.quirks:
            return SIDE_UNKNOWN
        if "pier-side-constant" in self.world.quirks:
            return SimulatedPierSide.EAST
        return 1 - side if "pier-side-reversed" in self.world.quirks else int(side)

    def put_sideofpier(self, side: int) -> None:
        """Go over to a side of the pier."""
        self._in_range("SideOfPier", side, 0, 1)
        self._refuse_parked("SideOfPier")
        self._pointing.flip(SimulatedPierSide(side), self._now_s)

    def get_destinationsideofpier(self, right_ascension_h: float, declination_deg: float) -> int:
        """Return the side of the pier after a slew to a place."""
        self._check_place(right_ascension_h, declination_deg)
        return int(self._pointing.destination_side(SkyPlace(right_ascension_h, declination_deg), self._now_s))

    def get_utcdate(self) -> str:
        """Return the mount's time of day, UTC."""
        utc = (self.world.clock.utc() + self._utc_shift).replace(tzinfo=None)
        return f"{utc.isoformat(timespec='milliseconds')}Z"

    def put_utcdate(self, text: str) -> None:
        """Set the mount's time of day; the sky does not care."""
        try:
            utc = datetime.fromisoformat(text)
        except ValueError as error:
            raise AlpacaError(ErrorNumber.INVALID_VALUE, f"UTCDate {text!r} is not a date and time.") from error
        now = self.world.clock.utc()
        self._utc_shift = (utc if utc.tzinfo is not None else utc.replace(tzinfo=now.tzinfo)) - now

    def put_sitelatitude(self, latitude_deg: float) -> None:
        """Set the latitude."""
        self._in_range("SiteLatitude", latitude_deg, -90, 90)
        self._pointing.latitude_deg = latitude_deg

    def put_sitelongitude(self, longitude_deg: float) -> None:
        """Set the longitude."""
        self._in_range("SiteLongitude", longitude_deg, -180, 180)
        self._pointing.longitude_deg = longitude_deg

    def put_siteelevation(self, elevation_m: float) -> None:
        """Set the height above the sea."""
        self._in_range("SiteElevation", elevation_m, -300, 10000)
        self._elevation_m = elevation_m

    # Tracking and guiding.

    def put_tracking(self, enabled: bool) -> None:  # noqa: FBT001 - the standard's signature
        """Follow the sky, or stand still."""
        if enabled:
            self._refuse_parked("Tracking")
        self._pointing.place(self._now_s)
        self._pointing.tracking = enabled

    def put_trackingrate(self, rate: int) -> None:
        """Set the tracking rate; only the sidereal one is there."""
        self._in_range("TrackingRate", rate, SIDEREAL, SIDEREAL)

    def put_guideraterightascension(self, rate: float) -> None:
        """Set the guide rate."""
        self._in_range("GuideRateRightAscension", rate, 0, 2 * SIDEREAL_DEG_PER_S)
        self._guide_rates[0] = rate

    def put_guideratedeclination(self, rate: float) -> None:
        """Set the guide rate."""
        self._in_range("GuideRateDeclination", rate, 0, 2 * SIDEREAL_DEG_PER_S)
        self._guide_rates[1] = rate

    def put_pulseguide(self, direction: int, duration_ms: int) -> None:
        """Move north, south, east or west for some milliseconds."""
        self._in_range("Direction", direction, 0, 3)
        self._in_range("Duration", duration_ms, 0, 60000)
        self._refuse_parked("PulseGuide")
        way_deg = self._guide_rates[0 if direction >= 2 else 1] * duration_ms / 1000
        now_s = self._now_s
        if direction >= 2:
            self._pointing.nudge((way_deg if direction == 2 else -way_deg) / 15, 0.0, now_s)
        else:
            self._pointing.nudge(0.0, way_deg if direction == 0 else -way_deg, now_s)
        self._guiding_until_s = now_s + duration_ms / 1000

    # Slewing.

    def get_slewing(self) -> bool:
        """Tell whether it is on its way, by itself or by hand."""
        if "slewing-false-during-slew" in self.world.quirks:
            return False
        return self._pointing.is_slewing(self._now_s) or any(self._axis_rates)

    def put_slewsettletime(self, settle_s: int) -> None:
        """Set the time to settle after a slew."""
        self._in_range("SlewSettleTime", settle_s, 0, 600)
        self._settle_s = settle_s

    def get_targetrightascension(self) -> float:
        """Return the right ascension to go to, hours."""
        return self._set_before("TargetRightAscension", self._target_h)

    def put_targetrightascension(self, right_ascension_h: float) -> None:
        """Set the right ascension to go to."""
        self._in_range("TargetRightAscension", right_ascension_h, 0, 24)
        self._target_h = right_ascension_h

    def get_targetdeclination(self) -> float:
        """Return the declination to go to, degrees."""
        return self._set_before("TargetDeclination", self._target_deg)

    def put_targetdeclination(self, declination_deg: float) -> None:
        """Set the declination to go to."""
        self._in_range("TargetDeclination", declination_deg, -90, 90)
        self._target_deg = declination_deg

    def put_slewtocoordinatesasync(self, right_ascension_h: float, declination_deg: float) -> None:
        """Start to go to a place."""
        self._check_place(right_ascension_h, declination_deg)
        self._refuse_parked("SlewToCoordinatesAsync")
        self._refuse_standing("SlewToCoordinatesAsync")
        self._target_h, self._target_deg = right_ascension_h, declination_deg
        self._homing = False
        self._pointing.slew(SkyPlace(right_ascension_h, declination_deg), self._now_s)

    def put_slewtotargetasync(self) -> None:
        """Start to go to the target."""
        self.put_slewtocoordinatesasync(self.get_targetrightascension(), self.get_targetdeclination())

    def put_slewtoaltazasync(self, azimuth_deg: float, altitude_deg: float) -> None:
        """Start to go to an altitude and azimuth."""
        self._check_direction(azimuth_deg, altitude_deg)
        self._refuse_parked("SlewToAltAzAsync")
        self._homing = False
        now_s = self._now_s
        self._pointing.slew(self._pointing.equatorial(altitude_deg, azimuth_deg, now_s), now_s)

    def put_abortslew(self) -> None:
        """Stop."""
        self._refuse_parked("AbortSlew")
        self._pointing.stop(self._now_s)
        self._axis_rates = [0.0, 0.0]

    def put_synctocoordinates(self, right_ascension_h: float, declination_deg: float) -> None:
        """Take the present direction to be that of a place."""
        self._check_place(right_ascension_h, declination_deg)
        self._refuse_parked("SyncToCoordinates")
        self._target_h, self._target_deg = right_ascension_h, declination_deg
        self._pointing.sync(SkyPlace(right_ascension_h, declination_deg), self._now_s)

    def put_synctotarget(self) -> None:
        """Take the present direction to be that of the target."""
        self.put_synctocoordinates(self.get_targetrightascension(), self.get_targetdeclination())

    def put_synctoaltaz(self, azimuth_deg: float, altitude_deg: float) -> None:
        """Take the present direction to be an altitude and azimuth."""
        self._check_direction(azimuth_deg, altitude_deg)
        self._refuse_parked("SyncToAltAz")
        self._pointing.sync(self._pointing.equatorial(altitude_deg, azimuth_deg, self._now_s), self._now_s)

    def put_moveaxis(self, axis: int, rate_deg_per_s: float) -> None:
        """Move an axis by hand until told to stop with rate 0."""
        self._in_range("Axis", axis, 0, 1)
        self._in_range("Rate", abs(rate_deg_per_s), 0, FASTEST_AXIS_DEG_PER_S)
        self._refuse_parked("MoveAxis")
        self._move_axes()
        self._axis_rates[axis] = rate_deg_per_s

    def _move_axes(self) -> None:
        now_s = self.world.clock.now_s()
        if any(self._axis_rates):
            passed_s = now_s - self._axes_moved_s
            self._pointing.nudge(self._axis_rates[0] * passed_s / 15, self._axis_rates[1] * passed_s, now_s)
        self._axes_moved_s = now_s

    # Home and park.

    def put_findhome(self) -> None:
        """Go home, to the pole."""
        self._refuse_parked("FindHome")
        self._homing = True
        now_s = self._now_s
        self._pointing.slew(SkyPlace(self._pointing.place(now_s).right_ascension_h, 90.0), now_s)

    def get_athome(self) -> bool:
        """Tell whether it is at home."""
        return self._homing and not self._pointing.is_slewing(self._now_s)

    def put_park(self) -> None:
        """Go to the park position and stay there."""
        if self._parking_since_s is not None:
            return
        now_s = self._now_s
        self._homing = False
        self._pointing.slew(self._pointing.equatorial(*self._park_place, now_s), now_s)
        self._pointing.tracking = False
        self._parking_since_s = now_s

    def get_atpark(self) -> bool:
        """Tell whether it is parked."""
        if self._parking_since_s is None or self._pointing.is_slewing(self._now_s):
            return False
        late_s = LATE_PARK_S if "at-park-late" in self.world.quirks else 0.0
        return self._now_s >= self._parking_since_s + late_s

    def put_unpark(self) -> None:
        """Be ready to move again; tracking stays off."""
        self._parking_since_s = None

    def put_setpark(self) -> None:
        """Take the present direction as the park position."""
        self._park_place = (self.get_altitude(), self.get_azimuth())

    # Checks.

    def _refuse_parked(self, member: str) -> None:
        if self._parking_since_s is not None:
            raise AlpacaError(ErrorNumber.PARKED, f"{member}: {self.name} is parked. Unpark it first.")

    def _refuse_standing(self, member: str) -> None:
        if not self._pointing.tracking:
            raise AlpacaError(ErrorNumber.INVALID_OPERATION, f"{member}: {self.name} is not tracking.")

    def _check_place(self, right_ascension_h: float, declination_deg: float) -> None:
        self._in_range("RightAscension", right_ascension_h, 0, 24)
        self._in_range("Declination", declination_deg, -90, 90)

    def _check_direction(self, azimuth_deg: float, altitude_deg: float) -> None:
        self._in_range("Azimuth", azimuth_deg, 0, 360)
        self._in_range("Altitude", altitude_deg, -90, 90)

    def _set_before(self, member: str, value: float | None) -> float:
        if value is None:
            raise AlpacaError(ErrorNumber.VALUE_NOT_SET, f"{member} of {self.name} has not been set.")
        return value
