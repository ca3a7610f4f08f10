"""The true state of the simulated observatory: temperatures, focus, clouds, seeing, pointing.

Devices read and change it; the truth API publishes it. Everything runs in the server's event loop.
"""

import itertools
from dataclasses import dataclass

from alpaca_focus.simulator.faults import FaultBook
from alpaca_focus.simulator.mechanics import Mechanism, Wheel
from alpaca_focus.simulator.pointing import Pointing
from alpaca_focus.simulator.quirks import active_quirks
from alpaca_focus.simulator.render import OpticalState
from alpaca_focus.simulator.settings import ObservatorySettings
from alpaca_focus.simulator.simulated_clock import SimulatedClock
from alpaca_focus.simulator.sky import seeing_for_frame
from alpaca_focus.simulator.temperatures import Climate

REFERENCE_C = 10.0
"""Temperature of the tube at which `best_focus_steps` holds."""
SLOW_STEPS_PER_S = 10.0
"""Speed of a focuser that is slow to start."""
SECONDS_PER_SLOT = 1.5
"""Time in which the filter wheel turns by one slot."""


@dataclass(slots=True)
class Weather:
    """Conditions that can be set from outside at any time.

    Attributes:
        transmission: Share of starlight that clouds let through.
        seeing_fwhm_arcsec: Mean seeing in place of the settings' value; `None` for theirs.
        air_offset_c: Added to the temperature of the air and of everything that follows it.
        safe: State that the safety monitor reports.
    """

    transmission: float = 1.0
    seeing_fwhm_arcsec: float | None = None
    air_offset_c: float = 0.0
    safe: bool = True


class World:
    """The state of the simulated observatory.

    Attributes:
        frame_size: NumX and NumY of the camera.
        last_seeing_arcsec: FWHM of the seeing of the last frame, `None` before the first.
    """

    def __init__(self, settings: ObservatorySettings, clock: SimulatedClock, faults: FaultBook) -> None:
        self.settings = settings
        self.clock = clock
        self.quirks = active_quirks(settings.personality, settings.quirks)
        self.weather = Weather()
        self.faults = faults
        focuser = settings.focuser
        speed_steps_per_s = SLOW_STEPS_PER_S if "focuser-slow-start" in self.quirks else focuser.speed_steps_per_s
        self.mechanism = Mechanism(focuser.start_position, focuser.backlash_steps, speed_steps_per_s)
        self.pointing = Pointing(settings.mount, clock)
        self.wheel = Wheel(0, SECONDS_PER_SLOT)
        self.frame_size = [settings.sensor.width_px, settings.sensor.height_px]
        self.last_seeing_arcsec: float | None = None
        climate = settings.climate
        self._climate = Climate(start_c=climate.start_c, fall_c=climate.fall_c, fall_s=climate.fall_s)
        self._frames = itertools.count()
        self._compensated_at_c: float | None = None

    def next_frame_number(self) -> int:
        """Return the number of the next frame."""
        return next(self._frames)

    def air_c(self, time_s: float) -> float:
        """Return the temperature of the air."""
        return self._climate.air_c(time_s) + self.weather.air_offset_c

    def tube_c(self, time_s: float) -> float:
        """Return the temperature of the tube."""
        return self._climate.body_c(time_s, self.settings.climate.tube_lag_s) + self.weather.air_offset_c

    def sensor_c(self, time_s: float) -> float:
        """Return the temperature at the focuser's sensor."""
        return self._climate.body_c(time_s, self.settings.focuser.sensor_lag_s) + self.weather.air_offset_c

    def best_tube_steps(self, time_s: float, slot: int | None = None) -> float:
        """Return the tube's position of best focus, steps, through a slot's filter or the current one."""
        focuser = self.settings.focuser
        offset = self.settings.filters[self.wheel.slot(time_s) if slot is None else slot].offset_steps
        warmer_c = self.tube_c(time_s) - REFERENCE_C
        from_zenith = 1 - max(0.0, self.pointing.horizontal_now_deg(time_s)[0]) / 90
        return (
            focuser.best_focus_steps
            + offset
            + focuser.steps_per_degree * warmer_c
            + focuser.altitude_steps * from_zenith
        )

    def optical_state(self, time_s: float, frame_number: int) -> OpticalState:
        """Return the optical state of a frame whose middle is at `time_s`."""
        settings = self.settings
        self.follow_temperature(time_s)
        clouds = self.faults.take("clouds")
        cloud_transmission = 1.0 if clouds is None else min(max(clouds.value, 0.0), 1.0)
        defocus_steps = self.mechanism.tube(time_s) - self.best_tube_steps(time_s)
        return OpticalState(
            defocus_um=defocus_steps * settings.focuser.step_size_um,
            seeing_fwhm_arcsec=self._seeing_arcsec(time_s, frame_number),
            transmission=self.weather.transmission * cloud_transmission,
            trail=self.faults.take("trail") is not None,
            pointing_seed=self.pointing.field_number,
            filter_transmission=settings.filters[self.wheel.slot(time_s)].transmission,
        )

    @property
    def follows_temperature(self) -> bool:
        """Whether the focuser compensates for temperature by itself."""
        return self._compensated_at_c is not None

    def compensate(self, time_s: float, *, enabled: bool) -> None:
        """Switch the focuser's own temperature compensation on or off."""
        self.follow_temperature(time_s)
        self._compensated_at_c = self.sensor_c(time_s) if enabled else None

    def follow_temperature(self, time_s: float) -> None:
        """Move the focuser by the whole steps of temperature compensation since the last call."""
        steps_per_degree = self.settings.focuser.steps_per_degree
        if self._compensated_at_c is None or self.mechanism.is_moving(time_s):
            return
        steps = int(steps_per_degree * (self.sensor_c(time_s) - self._compensated_at_c))
        if steps:
            self._compensated_at_c += steps / steps_per_degree
            self.mechanism.start(self.mechanism.position(time_s) + steps, time_s)

    def _seeing_arcsec(self, time_s: float, frame_number: int) -> float:
        sky = self.settings.sky
        if self.weather.seeing_fwhm_arcsec is not None:
            sky = sky.model_copy(update={"seeing_fwhm_arcsec": self.weather.seeing_fwhm_arcsec})
        jump = self.faults.take("seeing-jump")
        seeing = seeing_for_frame(sky, self.settings.seed, frame_number, time_s) * (1.0 if jump is None else jump.value)
        self.last_seeing_arcsec = seeing
        return seeing
