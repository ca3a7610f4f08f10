"""The simulated weather station, IObservingConditionsV2, and safety monitor, ISafetyMonitorV3."""

import math
from collections.abc import Mapping

from alpaca_focus.alpaca.errors import AlpacaError, ErrorNumber
from alpaca_focus.alpaca.standard import DeviceType
from alpaca_focus.simulator.simulated_device import SimulatedDevice
from alpaca_focus.simulator.world import World

HUMIDITY_PERCENT = 60.0
SENSORS: Mapping[str, str] = {
    "cloudcover": "Share of the sky behind clouds, simulated",
    "dewpoint": "From temperature and humidity",
    "humidity": "Constant",
    "pressure": "From the height above the sea",
    "rainrate": "It never rains",
    "skyquality": "Sky brightness of the settings",
    "starfwhm": "Seeing of the last frame",
    "temperature": "Air of the simulated night",
}
"""Descriptions of the sensors that exist."""
ABSENT = frozenset({"skybrightness", "skytemperature", "winddirection", "windgust", "windspeed"})


class SimulatedConditions(SimulatedDevice):
    """A weather station."""

    device_type = DeviceType.OBSERVINGCONDITIONS
    state_members = (
        "CloudCover", "DewPoint", "Humidity", "Pressure", "RainRate", "SkyQuality", "StarFWHM", "Temperature"
    )  # fmt: skip

    def __init__(self, world: World) -> None:
        super().__init__(world)
        settings = world.settings
        self.values = {
            "averageperiod": 0.0,
            "humidity": HUMIDITY_PERCENT,
            # The barometric formula.
            "pressure": round(1013.25 * math.pow(1 - settings.mount.elevation_m / 44330, 5.255), 1),
            "rainrate": 0.0,
            "skyquality": settings.sky.sky_mag_per_arcsec2,
            "temperature": lambda: round(world.air_c(self._now_s), 2),
            "starfwhm": lambda: world.last_seeing_arcsec or settings.sky.seeing_fwhm_arcsec,
        }

    def put_averageperiod(self, period_h: float) -> None:
        """Accept an averaging time of 0 only: readings are not averaged."""
        if period_h != 0:
            raise AlpacaError(ErrorNumber.INVALID_VALUE, f"AveragePeriod {period_h:g} is not possible: write 0.")

    def get_dewpoint(self) -> float:
        """Return the dew point, degrees Celsius, by Magnus' formula."""
        temperature_c = self.values["temperature"]()
        gamma: float = math.log(HUMIDITY_PERCENT / 100) + 17.62 * temperature_c / (243.12 + temperature_c)
        return round(243.12 * gamma / (17.62 - gamma), 2)

    def get_cloudcover(self) -> float:
        """Return how much of the sky is clouded, per cent."""
        clouds = self.world.faults.peek("clouds")
        return 100 * (1 - self.world.weather.transmission * (1.0 if clouds is None else clouds.value))

    def put_refresh(self) -> None:
        """Do nothing: every request takes a new reading."""

    def get_sensordescription(self, sensor: str) -> str:
        """Return the description of a sensor."""
        self._check_sensor(sensor)
        return SENSORS[sensor.lower()]

    def get_timesincelastupdate(self, sensor: str) -> float:
        """Return the age of a reading, seconds."""
        if sensor:
            self._check_sensor(sensor)
        return 0.0

    def _check_sensor(self, sensor: str) -> None:
        if sensor.lower() in ABSENT:
            raise AlpacaError(ErrorNumber.NOT_IMPLEMENTED, f"{self.name} has no sensor {sensor}.")
        if sensor.lower() not in SENSORS:
            raise AlpacaError(ErrorNumber.INVALID_VALUE, f"{sensor!r} is no sensor of a weather station.")


class SimulatedSafetyMonitor(SimulatedDevice):
    """A monitor whose state is set from outside; as the standard requires, it reports "not safe" until connected."""

    device_type = DeviceType.SAFETYMONITOR
    requires_connection = False
    state_members = ("IsSafe",)

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.values = {"issafe": lambda: self.connected and world.weather.safe}
