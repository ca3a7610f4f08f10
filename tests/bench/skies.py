"""The skies, telescopes and focusers of the benchmark, drawn at random within what it says."""

import math
import random
from dataclasses import dataclass

from alpaca_focus.core.optics import OpticalTrain
from alpaca_focus.core.sweep.backlash import Backlash, Direction, Limits
from alpaca_focus.core.sweep.plan import SweepSettings
from alpaca_focus.core.values import ExposureSettings
from alpaca_focus.simulator.settings import (
    FocuserSettings,
    ObservatorySettings,
    SensorSettings,
    SkySettings,
    TelescopeSettings,
)

BEST_STEPS = 25000.0
STEP_SIZE_UM = 1.0
FARTHEST_ZONES = 10.0
"""How far from focus a run may start when nothing is known."""
NEAREST_ZONES = 1.5
"""How far focus may have wandered from where it was the last time."""
TYPICAL_SEEING_ARCSEC = 2.5


@dataclass(frozen=True, kw_only=True)
class Night:
    """One telescope under one sky.

    Attributes:
        observatory: The simulator's settings; its focuser starts anywhere within `FARTHEST_ZONES`.
        train: The optics as the program knows them.
        backlash_steps: The true slack.
        wander_zones: How far focus is from where it was the last time, in critical focus zones.
        seed: Of all that is drawn for this night.
    """

    observatory: ObservatorySettings
    train: OpticalTrain
    backlash_steps: int
    wander_zones: float
    seed: int

    @property
    def zone_steps(self) -> float:
        """The critical focus zone, classic formula, in steps."""
        return self.train.critical_focus_zone_steps

    def sweep_settings(self, *, backlash_factor: float = 1.0) -> SweepSettings:
        """What the program is told; the backlash is set right, or wrong by a factor."""
        return SweepSettings(
            exposure=ExposureSettings(exposure_s=3.0),
            points=6,
            step_steps=None,
            critical_focus_zone_steps=self.zone_steps,
            slope_per_step=self.train.hfd_slope_px_per_step,
            least=self.train.hfd_px(seeing_fwhm_arcsec=TYPICAL_SEEING_ARCSEC),
            backlash=Backlash(steps=math.ceil(self.backlash_steps * backlash_factor), arrive=Direction.IN),
            limits=Limits(lowest=0, highest=60000),
            settle_s=1.0,
            max_exposures=40,
            retries=1,
        )


def drawn_night(seed: int) -> Night:
    """Draw a night: f/4 to f/10, refractor or obstructed, seeing 1.5 to 4 arcsec, 10 to 300 stars, backlash."""
    chance = random.Random(seed)
    obstructed = chance.random() < 0.5
    focal_ratio = chance.uniform(4.0, 10.0)
    aperture_mm = chance.uniform(150.0, 300.0) if obstructed else chance.uniform(60.0, 130.0)
    telescope = TelescopeSettings(
        aperture_mm=aperture_mm,
        focal_length_mm=aperture_mm * focal_ratio,
        central_obstruction=0.35 if obstructed else 0.0,
        optical_model="diffraction",
    )
    sensor = SensorSettings(width_px=1280, height_px=1024)
    train = OpticalTrain(
        focal_length_mm=telescope.focal_length_mm,
        aperture_mm=aperture_mm,
        central_obstruction=telescope.central_obstruction,
        pixel_size_um=sensor.pixel_size_um,
        step_size_um=STEP_SIZE_UM,
    )
    backlash_steps = chance.randint(0, 300)
    start = BEST_STEPS + chance.uniform(-FARTHEST_ZONES, FARTHEST_ZONES) * train.critical_focus_zone_steps
    return Night(
        observatory=ObservatorySettings(
            seed=seed,
            telescope=telescope,
            sensor=sensor,
            sky=SkySettings(
                star_count=round(math.exp(chance.uniform(math.log(10), math.log(300)))),
                seeing_fwhm_arcsec=chance.uniform(1.5, 4.0),
                seeing_scatter=0.10,
            ),
            focuser=FocuserSettings(
                step_size_um=STEP_SIZE_UM,
                backlash_steps=backlash_steps,
                start_position=round(start),
                best_focus_steps=BEST_STEPS,
            ),
        ),
        train=train,
        backlash_steps=backlash_steps,
        wander_zones=chance.uniform(-NEAREST_ZONES, NEAREST_ZONES),
        seed=seed,
    )
