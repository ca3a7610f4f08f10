"""What the settings say and do not say, for `checkup.plans`."""

import stat
from pathlib import Path

from alpaca_focus.checkup.plans import SettingsFacts
from alpaca_focus.examining.others import external_counts
from alpaca_focus.examining.programs import secrets_in
from alpaca_focus.settings.models import Settings


def settings_facts(path: Path, settings: Settings) -> SettingsFacts:
    """Gather what settings say."""
    focuser, wanted = settings.focuser, settings.triggers
    triggers = (
        wanted.temperature_c,
        wanted.temperature_zones,
        wanted.images,
        wanted.minutes,
        wanted.hfd_rise_percent,
        wanted.altitude_deg,
        wanted.uncertainty_zones,
    )
    return SettingsFacts(
        file=str(path),
        telescope=settings.telescope.name,
        others_may_read=_others_may_read(path),
        secrets=secrets_in(settings),
        keeps_history=settings.storage.directory is not None,
        has_limits=focuser.min_position is not None and focuser.max_position is not None,
        compensates_backlash=focuser.backlash.method != "none",
        contradictions=contradictions(settings),
        has_triggers=any(each is not None for each in triggers)
        or wanted.meridian_flip
        or wanted.filter_change != "nothing",
        sun_counts=settings.night.sun_altitude_deg is not None,
        has_site=settings.site is not None,
    )


def _others_may_read(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        # Gone since it was read.
        return False


def contradictions(settings: Settings) -> tuple[str, ...]:
    """Return what asks for something that is not there, each with what to do."""
    wanted, follows = settings.triggers, settings.compensation
    unknown = not settings.focuser.temperature_coefficient_steps_per_c
    measures = "Set focuser.temperature_coefficient_steps_per_c: `alpaca-focus calibrate temperature` measures it."
    thermometer = settings.thermometer
    sources = (settings.observing_conditions, thermometer.file, thermometer.url)
    sees_stars = settings.imaging.way in {"gateway", "told"} or settings.imaging.folder is not None
    found = {
        f"triggers.temperature_zones needs the temperature coefficient. {measures}": (
            wanted.temperature_zones is not None and unknown
        ),
        f"compensation.enabled needs the temperature coefficient. {measures}": (
            follows.enabled and unknown and not follows.steps_per_c_through and not follows.altitude_steps
        ),
        f"thermometer.source is {thermometer.source}, and there is no external thermometer. Set observing_conditions, "
        "thermometer.file or thermometer.url.": external_counts(settings) and not any(sources),
        "The altitude of the telescope is needed, and there is no mount that tells it. Set mount, or take "
        "triggers.altitude_deg and compensation.altitude_steps out.": (
            settings.mount is None and (wanted.altitude_deg is not None or bool(follows.altitude_steps))
        ),
        "triggers.hfd_rise_percent needs the light frames. Set imaging.folder, or imaging.way to gateway or told.": (
            wanted.hfd_rise_percent is not None and not sees_stars
        ),
    }
    return tuple(sentence for sentence, holds in found.items() if holds)
