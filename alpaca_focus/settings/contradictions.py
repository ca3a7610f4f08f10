"""Settings that need something which the settings do not name. Pure."""

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.settings.models import Settings


def temperature_needed(settings: Settings) -> bool:
    """Return whether compensation or a trigger needs the temperature."""
    wanted = settings.triggers
    return settings.compensation.enabled or wanted.temperature_c is not None or wanted.temperature_zones is not None


def external_temperature_needed(settings: Settings) -> bool:
    """Return whether the settings need a thermometer outside the focuser."""
    return settings.thermometer.source != "focuser" and temperature_needed(settings)


def altitude_needed(settings: Settings) -> bool:
    """Return whether compensation or a trigger needs the altitude of the telescope."""
    wanted = settings.compensation
    return settings.triggers.altitude_deg is not None or (wanted.enabled and bool(wanted.altitude_steps))


def obstacles(settings: Settings) -> tuple[str, ...]:
    """Return the contradictions with which no night can begin, each with its remedy."""
    coefficient = settings.focuser.temperature_coefficient_steps_per_c
    measures = "Set focuser.temperature_coefficient_steps_per_c: `alpaca-focus calibrate temperature` measures it."
    compensation, thermometer = settings.compensation, settings.thermometer
    others = compensation.steps_per_c_through or compensation.altitude_steps
    holds = {
        f"triggers.temperature_zones needs the temperature coefficient. {measures}": (
            settings.triggers.temperature_zones is not None and not coefficient
        ),
        f"compensation.enabled needs the temperature coefficient. {measures}": (
            compensation.enabled and coefficient is None and not others
        ),
        f"thermometer.source is {thermometer.source}, and there is no external thermometer. Set observing_conditions, "
        "thermometer.file or thermometer.url.": (
            external_temperature_needed(settings)
            and not any((settings.observing_conditions, thermometer.file, thermometer.url))
        ),
    }
    return tuple(sentence for sentence, is_true in holds.items() if is_true)


def contradictions(settings: Settings) -> tuple[str, ...]:
    """Return all contradictions, each with its remedy: the obstacles, and what could never make a refocus due."""
    sees_stars = settings.imaging.way in {"gateway", "told"} or settings.imaging.folder is not None
    holds = {
        "The altitude of the telescope is needed, and no mount reports it. Set mount, or remove "
        "triggers.altitude_deg and compensation.altitude_steps.": settings.mount is None and altitude_needed(settings),
        "triggers.hfd_rise_percent needs the light frames. Set imaging.folder, or imaging.way to gateway or told.": (
            settings.triggers.hfd_rise_percent is not None and not sees_stars
        ),
    }
    return (*obstacles(settings), *(sentence for sentence, is_true in holds.items() if is_true))


def refuse_obstacles(settings: Settings) -> Settings:
    """Return the settings.

    Raises:
        ConfigurationError: No night can begin with them.
    """
    if found := obstacles(settings):
        raise ConfigurationError("\n".join(found))
    return settings
