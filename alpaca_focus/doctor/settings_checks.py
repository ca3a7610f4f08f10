"""The settings themselves: what they mean for the night, and what they leave out."""

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alpaca_focus.doctor.checks import Check, Subject
from alpaca_focus.doctor.conditions_checks import external_counts
from alpaca_focus.doctor.program_checks import secrets_in
from alpaca_focus.settings.models import Settings

_SETTINGS = Subject("settings")


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsFacts:
    """What settings contain, and what they lack.

    Attributes:
        file: The file.
        telescope: What it is called.
        others_may_read: Whether other users of the computer may read the file.
        secrets: Names of the secrets that stand in it.
        keeps_history: Whether there is a storage.directory.
        has_limits: Whether the focuser has limits of the user's own at both ends.
        compensates_backlash: Whether there is a method for it.
        contradictions: What asks for something that is not there: a sentence each, which ends with what to do.
        has_triggers: Whether anything makes a refocus due.
        sun_counts: Whether the night ends with the sun.
        has_site: Whether the place is known.
    """

    file: str
    telescope: str
    others_may_read: bool
    secrets: Sequence[str]
    keeps_history: bool
    has_limits: bool
    compensates_backlash: bool
    contradictions: Sequence[str]
    has_triggers: bool
    sun_counts: bool
    has_site: bool


def settings_facts(path: Path, settings: Settings) -> SettingsFacts:
    """Return what settings contain, and what they lack."""
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
        "The altitude of the telescope is needed, and there is no mount that reports it. Set mount, or take "
        "triggers.altitude_deg and compensation.altitude_steps out.": (
            settings.mount is None and (wanted.altitude_deg is not None or bool(follows.altitude_steps))
        ),
        "triggers.hfd_rise_percent needs the light frames. Set imaging.folder, or imaging.way to gateway or told.": (
            wanted.hfd_rise_percent is not None and not sees_stars
        ),
    }
    return tuple(sentence for sentence, holds in found.items() if holds)


# The rules.


def settings_refused(file: str, message: str) -> Check:
    """Return the check of settings that cannot be used."""
    # Its lines begin with the file and the line number, which an editor finds.
    return _SETTINGS.fails("file", message, f"Correct {file}: `alpaca-focus check` reads it as well.")


def judge_settings(facts: SettingsFacts) -> tuple[Check, ...]:
    """Judge settings."""
    found = [_SETTINGS.ok("file", f"{facts.file} is good: {facts.telescope}")]
    found += [_SETTINGS.failed("contradiction", each) for each in facts.contradictions]
    if facts.secrets and facts.others_may_read:
        found.append(
            _SETTINGS.note(
                "permissions",
                f"every user of this computer can read {', '.join(facts.secrets)} in {facts.file}",
                f"Keep it to yourself: chmod o-rwx {facts.file}",
            )
        )
    wanting = (
        (
            facts.keeps_history,
            "history",
            "without storage.directory nothing is learned, and `alpaca-focus run` does not start",
            "Set storage.directory.",
        ),
        (
            facts.has_limits,
            "limits",
            "the focuser may use its whole travel, by its own limits",
            "Set focuser.min_position and focuser.max_position, if it could run into something.",
        ),
        (
            facts.compensates_backlash,
            "backlash",
            "it is not compensated",
            "`alpaca-focus calibrate backlash` measures it, by night.",
        ),
        (
            facts.has_triggers,
            "triggers",
            "nothing makes a refocus due but `alpaca-focus refocus`",
            "Set some triggers, if the daemon is to refocus by itself.",
        ),
        (
            facts.has_site or not facts.sun_counts,
            "site",
            "without it the Sun's altitude is unknown, and the daemon takes every hour for night",
            "Set site.latitude_deg and site.longitude_deg.",
        ),
    )
    found += [_SETTINGS.note(name, seen, remedy) for is_there, name, seen, remedy in wanting if not is_there]
    return tuple(found)
