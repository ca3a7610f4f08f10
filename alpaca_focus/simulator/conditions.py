"""The simulated weather station: IObservingConditionsV2."""

import math
from collections.abc import Mapping
from typing import Any

from typing_extensions import override

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
    "skyquality": "As the sky's settings say",
    "starfwhm": "Seeing of the last frame",
    "temperature": "Air of the simulated night",
}
"""Sensors that there are, and what they are; the others of the standard are not implemented."""
ABSENT = frozenset({"skybrightness", "skytemperature", "winddirection", "windgust", "windspeed"})


class SimulatedConditions(SimulatedDevice):
    """A weather station."""

    device_type = DeviceType.OBSERVINGCONDITIONS

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self._average_period_h = 0.0

    @override
    def device_state(self) -> Mapping[str, Any]:
        return {
            "CloudCover": self.get_cloudcover(),
            "DewPoint": self.get_dewpoint(),
            "Humidity": self.get_humidity(),
            "Pressure": self.get_pressure(),
            "RainRate": self.get_rainrate(),
            "SkyQuality": self.get_skyquality(),
            "StarFWHM": self.get_starfwhm(),
            "Temperature": self.get_temperature(),
        }

    def get_averageperiod(self) -> float:
        """Return the time over which readings are averaged, hours."""
        return self._average_period_h

    def put_averageperiod(self, period_h: float) -> None:
        """Set the time over which readings are averaged; only readings of the moment are there."""
        if period_h != 0:
            raise AlpacaError(ErrorNumber.INVALID_VALUE, f"AveragePeriod {period_h:g} is not possible: only 0 is.")

    def get_temperature(self) -> float:
        """Return the temperature of the air, degrees Celsius."""
        return round(self.world.air_c(self.world.clock.now_s()), 2)

    def get_humidity(self) -> float:
        """Return the relative humidity, per cent."""
        return HUMIDITY_PERCENT

    def get_dewpoint(self) -> float:
        """Return the dew point, degrees Celsius, by Magnus' formula."""
        temperature_c = self.get_temperature()
        gamma = math.log(HUMIDITY_PERCENT / 100) + 17.62 * temperature_c / (243.12 + temperature_c)
        return round(243.12 * gamma / (17.62 - gamma), 2)

    def get_pressure(self) -> float:
        """Return the air pressure at the site, hPa, by the barometric formula."""
        return round(1013.25 * math.pow(1 - self.world.settings.mount.elevation_m / 44330, 5.255), 1)

    def get_cloudcover(self) -> float:
        """Return how much of the sky is clouded, per cent."""
        clouds = self.world.faults.peek("clouds")
        return 100 * (1 - self.world.weather.transmission * (1.0 if clouds is None else clouds.value))

    def get_rainrate(self) -> float:
        """Return the rain, mm an hour."""
        return 0.0

    def get_skyquality(self) -> float:
        """Return the brightness of the sky, mag/arcsec^2."""
        return self.world.settings.sky.sky_mag_per_arcsec2

    def get_starfwhm(self) -> float:
        """Return the seeing, arcsec."""
        return self.world.last_seeing_arcsec or self.world.settings.sky.seeing_fwhm_arcsec

    def put_refresh(self) -> None:
        """Take new readings, which is what every question does."""

    def get_sensordescription(self, sensor: str) -> str:
        """Return what a sensor is."""
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
