"""The settings of a sweep, from the user's settings and the properties that the devices report."""

from alpaca_focus.core.curves.known_curve import KnownCurve
from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.core.metrics import METRICS
from alpaca_focus.core.optics import OpticalTrain
from alpaca_focus.core.sweep.backlash import ApproachMethod, Backlash, Direction, Limits
from alpaca_focus.core.sweep.plan import SweepSettings
from alpaca_focus.core.values import ExposureSettings, Position
from alpaca_focus.ports import Camera, Focuser
from alpaca_focus.run.device_adapters import Devices
from alpaca_focus.settings.models import FocusSection, Settings

LONGEST_EXPOSURE_S = 60.0
"""The longest exposure that the sweep lengthens its frames to by itself."""
ASSUMED_STEP_UM = 2.0
"""Travel of one step where neither the settings nor the focuser report it; the frames correct it (decision 0029)."""
TYPICAL_SEEING_ARCSEC = 2.5
"""Seeing assumed before the first frame; it decides the width of the first curve only."""


def plan_settings(
    settings: Settings,
    devices: Devices,
    *,
    start: Position,
    filter_name: str | None = None,
    known: KnownCurve | None = None,
) -> SweepSettings:
    """Return the settings of a sweep.

    Raises:
        ConfigurationError: The pixel size is neither set nor reported, or the camera cannot do what is set.
    """
    focus_settings, info = settings.focus.through(filter_name), devices.camera.info
    _check_exposure(focus_settings, devices.camera)
    train = optical_train(settings, devices, binning=focus_settings.binning)
    is_predicted = METRICS[focus_settings.metric].is_predicted
    return SweepSettings(
        exposure=ExposureSettings(
            exposure_s=focus_settings.exposure_s,
            binning=focus_settings.binning,
            gain=focus_settings.gain,
            offset=focus_settings.offset,
        ),
        exposure_limits_s=(info.exposure_min_s, min(info.exposure_max_s, LONGEST_EXPOSURE_S)),
        points=focus_settings.points,
        step_steps=focus_settings.step_steps,
        critical_focus_zone_steps=train.critical_focus_zone_steps,
        slope_per_step=train.hfd_slope_px_per_step if is_predicted else None,
        least=train.hfd_px(seeing_fwhm_arcsec=TYPICAL_SEEING_ARCSEC) if is_predicted else None,
        backlash=backlash_of(settings),
        limits=_limits(settings, devices.focuser, start),
        settle_s=settings.focuser.settle_s,
        max_exposures=focus_settings.max_exposures,
        subframe=focus_settings.subframe,
        by_rings=focus_settings.by_rings,
        retries=focus_settings.retries,
        known=known,
        step_size_um=train.step_size_um,
        step_size_is_known=known_step_size_um(settings, devices) is not None,
    )


def _check_exposure(wanted: FocusSection, camera: Camera) -> None:
    info = camera.info
    if not info.exposure_min_s <= wanted.exposure_s <= info.exposure_max_s:
        raise ConfigurationError(
            f"focus.exposure_s is {wanted.exposure_s:g} s, but {camera.name} takes exposures from "
            f"{info.exposure_min_s:g} to {info.exposure_max_s:g} s."
        )
    if wanted.binning > info.max_binning:
        raise ConfigurationError(f"focus.binning is {wanted.binning}, but {camera.name} bins up to {info.max_binning}.")


def optical_train(settings: Settings, devices: Devices, *, binning: int) -> OpticalTrain:
    """Return the optical train; sizes that are not set are those that the devices report.

    A step size that is neither set nor reported is assumed.

    Raises:
        ConfigurationError: The size of the pixels is neither set nor reported.
    """
    camera = devices.camera
    pixel_size_um = settings.camera.pixel_size_um or camera.info.pixel_size_um
    if pixel_size_um is None:
        raise ConfigurationError(f"{camera.name} does not report its pixel size. Set camera.pixel_size_um.")
    step_size_um = known_step_size_um(settings, devices) or ASSUMED_STEP_UM
    return settings.telescope.train(pixel_size_um=pixel_size_um * binning, step_size_um=step_size_um)


def known_step_size_um(settings: Settings, devices: Devices) -> float | None:
    """Return the travel of one step that is set, or else reported; `None` if it is neither."""
    return settings.focuser.step_size_um or devices.focuser.info.step_size_um


def backlash_of(settings: Settings) -> Backlash:
    """Return the backlash compensation that is set."""
    wanted, arrive = settings.focuser.backlash, Direction(settings.focuser.backlash.arrive)
    if wanted.method == "none":
        return Backlash(steps=0, arrive=arrive)
    return Backlash(steps=wanted.steps, arrive=arrive, method=ApproachMethod(wanted.method))


def _limits(settings: Settings, focuser: Focuser, start: Position) -> Limits:
    """Return the limits of a run that begins at `start`.

    Raises:
        ConfigurationError: The start lies outside.
    """
    whole, travel = focuser_range(settings, focuser, start), settings.focus.max_travel_steps
    if travel is None:
        return whole
    return Limits(lowest=max(whole.lowest, start - travel), highest=min(whole.highest, start + travel))


def focuser_range(settings: Settings, focuser: Focuser, here: Position) -> Limits:
    """Return the limits of the focuser: those of the settings, within its travel.

    Raises:
        ConfigurationError: The position `here` lies outside.
    """
    lowest = settings.focuser.min_position or 0
    highest = min(settings.focuser.max_position or focuser.info.max_step, focuser.info.max_step)
    if not lowest <= here <= highest:
        raise ConfigurationError(
            f"{focuser.name} is at {here}, outside the limits {lowest} to {highest}. "
            f"{outside_remedy(here, focuser.info.max_step)}"
        )
    return Limits(lowest=lowest, highest=highest)


def outside_remedy(here: Position, max_step: Position) -> str:
    """Return what to do about a focuser outside its limits: those of the settings cannot be wider than its own."""
    if 0 <= here <= max_step:
        return "Move it inside, or widen focuser.min_position and focuser.max_position."
    return f"Move it inside, or correct its zero or its range of 0 to {max_step} in its own server."
