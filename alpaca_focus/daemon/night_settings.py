"""Builds the scheduler's settings from the user's."""

from types import MappingProxyType

from alpaca_focus.core.night.compensation import CompensationSettings
from alpaca_focus.core.night.focuser_watch import PositionRules
from alpaca_focus.core.night.state import Patience, Reading
from alpaca_focus.core.night.triggers import (
    AfterImages,
    AfterTime,
    AltitudeChange,
    FilterChange,
    FocusUncertainty,
    HfdRise,
    TemperatureChange,
    Trigger,
    as_soon_as_possible,
    meridian_flip,
    unverified_position,
)
from alpaca_focus.core.optics import OpticalTrain
from alpaca_focus.core.values import Position
from alpaca_focus.devices.sun import AstropySun
from alpaca_focus.night.dependencies import NightSettings
from alpaca_focus.run.device_adapters import Devices
from alpaca_focus.run.filter_choice import focus_offsets
from alpaca_focus.run.sweep_settings import backlash_of, focuser_range, optical_train
from alpaca_focus.settings.models import Settings


def night_settings(settings: Settings, devices: Devices, *, start: Position) -> NightSettings:
    """Return the scheduler's settings.

    Raises:
        ConfigurationError: The settings contradict the devices.
    """
    train = optical_train(settings, devices, binning=1)
    zone = zone_steps(settings, train)
    wanted = settings.triggers
    offsets = focus_offsets(settings, devices) if wanted.filter_change == "offset" else {}
    return NightSettings(
        triggers=triggers(settings, zone),
        night_below_deg=settings.night.sun_altitude_deg,
        reading=Reading(
            every_s=settings.thermometer.every_s,
            count=settings.thermometer.readings,
            followed_count=settings.compensation.readings,
        ),
        patience=Patience(first_s=wanted.back_off_s, longest_s=wanted.longest_back_off_s),
        compensation=_compensation(settings, zone),
        between_exposures=settings.compensation.when == "between exposures",
        offsets_steps=MappingProxyType(offsets),
        backlash=backlash_of(settings),
        # Without focus.max_travel_steps, which limits one run around its start.
        limits=focuser_range(settings, devices.focuser, start),
        positions=PositionRules(
            tolerance_steps=devices.focuser.info.tolerance_steps,
            own_steps=zone,
            quiet_s=settings.night.quiet_after_a_move_s,
            is_trigger=wanted.focuser_moved,
        ),
        compensates_program=settings.imaging.way == "gateway" and settings.gateway.compensate_backlash,
        watches_for_gaps=settings.imaging.way == "watch",
    )


def zone_steps(settings: Settings, train: OpticalTrain) -> float:
    """Return the critical focus zone in steps, by the formula of `night.zone`."""
    night = settings.night
    if night.zone == "classic":
        return train.critical_focus_zone_steps
    zone_um = train.seeing_focus_zone_um(
        seeing_fwhm_arcsec=night.seeing_fwhm_arcsec, tolerance_percent=night.tolerance_percent
    )
    return zone_um / train.step_size_um


def sun_of(settings: Settings) -> AstropySun | None:
    """Return the sun over the site; `None`: there is no site, or the sun is ignored."""
    site = settings.site
    if site is None or settings.night.sun_altitude_deg is None:
        return None
    return AstropySun(site.latitude_deg, site.longitude_deg)


def triggers(settings: Settings, zone: float) -> tuple[Trigger, ...]:
    """Return the triggers that are set, the one for requests, and the one for a position to be verified."""
    wanted = settings.triggers
    by_hand, limit_c, rise_percent = (
        wanted.filter_by_hand,
        _temperature_limit_c(settings, zone),
        wanted.hfd_rise_percent,
    )
    change = FilterChange(ask_s=by_hand.ask_s, by_hand=by_hand.then == "refocus")
    chosen: tuple[Trigger | None, ...] = (
        as_soon_as_possible,
        unverified_position,
        None if limit_c is None else TemperatureChange(limit_c=limit_c, readings=settings.thermometer.readings),
        None if wanted.images is None else AfterImages(wanted.images),
        None if wanted.minutes is None else AfterTime(wanted.minutes * 60),
        None if wanted.filter_change == "nothing" else change,
        meridian_flip if wanted.meridian_flip else None,
        None if rise_percent is None else HfdRise(share=rise_percent / 100, frames=wanted.hfd_frames),
        None if wanted.altitude_deg is None else AltitudeChange(wanted.altitude_deg),
        None if wanted.uncertainty_zones is None else FocusUncertainty(wanted.uncertainty_zones * zone),
    )
    return tuple(each for each in chosen if each is not None)


def _temperature_limit_c(settings: Settings, zone: float) -> float | None:
    wanted, coefficient = settings.triggers, settings.focuser.temperature_coefficient_steps_per_c
    if wanted.temperature_zones is None or not coefficient:
        return wanted.temperature_c
    return wanted.temperature_zones * zone / abs(coefficient)


def _compensation(settings: Settings, zone: float) -> CompensationSettings | None:
    wanted, coefficient = settings.compensation, settings.focuser.temperature_coefficient_steps_per_c
    if not wanted.enabled:
        return None
    dead_zone = wanted.dead_zone_steps if wanted.dead_zone_zones is None else wanted.dead_zone_zones * zone
    return CompensationSettings(
        steps_per_c=coefficient or 0.0,
        steps_per_c_through=MappingProxyType(wanted.steps_per_c_through),
        altitude_steps=wanted.altitude_steps,
        dead_zone_steps=dead_zone,
        most_steps_per_hour=wanted.most_steps_per_hour,
        most_steps=wanted.most_steps,
    )
