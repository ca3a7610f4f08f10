"""What is true in the simulated observatory at a moment: temperatures, focus, clouds, seeing, pointing.

Devices read it and act on it; the truth API shows it. Everything is called from the server's event loop, or while a
frame is rendered from values taken there.
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
    """What can be set from outside at any time.

    Attributes:
        transmission: Share of starlight that clouds let through.
        seeing_fwhm_arcsec: Seeing instead of the settings' own, `None` for theirs.
        air_offset_c: Added to the temperature of the air and of everything that follows it.
        safe: What the safety monitor says.
    """

    transmission: float = 1.0
    seeing_fwhm_arcsec: float | None = None
    air_offset_c: float = 0.0
    safe: bool = True


class World:
    """The state of the simulated observatory.

    Attributes:
        settings: As given.
        clock: Simulated time.
        quirks: Names of the deviations to play.
        weather: Clouds, seeing and safety as set from outside.
        faults: The faults that are on.
        mechanism: Motor and tube of the focuser.
        pointing: Where the telescope points.
        wheel: The filter wheel.
        frame_size: NumX and NumY of the camera.
        last_seeing_arcsec: Seeing of the last frame, `None` before the first.
    """

    def __init__(self, settings: ObservatorySettings, clock: SimulatedClock, faults: FaultBook) -> None:
        self.settings = settings
        self.clock = clock
        self.quirks = active_quirks(settings.personality, settings.quirks)
        self.weather = Weather()
        self.faults = faults
        focuser = settings.focuser
        slow = "focuser-slow-start" in self.quirks
        speed_steps_per_s = SLOW_STEPS_PER_S if slow else focuser.speed_steps_per_s
        self.mechanism = Mechanism(focuser.start_position, focuser.backlash_steps, speed_steps_per_s)
        self.pointing = Pointing(settings.mount, clock)
        self.wheel = Wheel(0, SECONDS_PER_SLOT)
        self.frame_size = (settings.sensor.width_px, settings.sensor.height_px)
        self.last_seeing_arcsec: float | None = None
        climate = settings.climate
        self._climate = Climate(start_c=climate.start_c, fall_c=climate.fall_c, fall_s=climate.fall_s)
        self._frames = itertools.count()
        self._compensated_at_c: float | None = None

    def next_frame_number(self) -> int:
        """Count the frames."""
        return next(self._frames)

    def air_c(self, time_s: float) -> float:
        """Return the temperature of the air."""
        return self._climate.air_c(time_s) + self.weather.air_offset_c

    def tube_c(self, time_s: float) -> float:
        """Return the temperature of the tube."""
        return self._climate.body_c(time_s, self.settings.climate.tube_lag_s) + self.weather.air_offset_c

    def sensor_c(self, time_s: float) -> float:
        """Return the temperature that the focuser's sensor would show."""
        return self._climate.body_c(time_s, self.settings.focuser.sensor_lag_s) + self.weather.air_offset_c

    def best_tube_steps(self, time_s: float, slot: int | None = None) -> float:
        """Return the place of the tube that is in focus, in steps; through the present filter when left out."""
        focuser = self.settings.focuser
        offset = self.settings.filters[self.wheel.slot(time_s) if slot is None else slot].offset_steps
        warmer_c = self.tube_c(time_s) - REFERENCE_C
        leaning = 1 - max(0.0, self.pointing.altitude_deg(time_s)) / 90
        return (
            focuser.best_focus_steps + offset + focuser.steps_per_degree * warmer_c + focuser.altitude_steps * leaning
        )

    def optical_state(self, time_s: float, frame_number: int) -> OpticalState:
        """Return what the light of a frame meets whose middle is at `time_s`."""
        settings = self.settings
        self.follow_temperature(time_s)
        defocus_steps = self.mechanism.tube(time_s) - self.best_tube_steps(time_s)
        return OpticalState(
            defocus_um=defocus_steps * settings.focuser.step_size_um,
            seeing_fwhm_arcsec=self._seeing_arcsec(time_s, frame_number),
            transmission=self.weather.transmission * self.faults.take_clouds(),
            trail=self.faults.take_trail(),
            pointing_seed=self.pointing.field_number,
            filter_transmission=settings.filters[self.wheel.slot(time_s)].transmission,
        )

    @property
    def follows_temperature(self) -> bool:
        """Whether the focuser compensates for temperature by itself."""
        return self._compensated_at_c is not None

    def compensate(self, time_s: float, *, enabled: bool) -> None:
        """Let the focuser follow its temperature sensor from now on, or no longer."""
        self.follow_temperature(time_s)
        self._compensated_at_c = self.sensor_c(time_s) if enabled else None

    def follow_temperature(self, time_s: float) -> None:
        """Move the focuser by the whole steps that its sensor asks for since the last time."""
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
        seeing = seeing_for_frame(sky, self.settings.seed, frame_number, time_s) * self.faults.take_seeing_factor()
        self.last_seeing_arcsec = seeing
        return seeing
