"""The settings themselves: contradictions, readable secrets, and gaps."""

import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alpaca_focus.doctor.checks import Check, Subject, split_remedy
from alpaca_focus.doctor.program_checks import secrets_in
from alpaca_focus.settings.contradictions import contradictions
from alpaca_focus.settings.models import Settings

_SETTINGS = Subject("settings")


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsFacts:
    """The contents and gaps of settings.

    Attributes:
        file: The settings file.
        telescope: The telescope's name.
        others_may_read: Whether other users of the computer may read the file.
        secrets: Names of the settings that hold a secret.
        keeps_history: Whether there is a storage.directory.
        has_limits: Whether the user limits the focuser's travel at both ends.
        compensates_backlash: Whether backlash is compensated.
        misplaced: Paths that were found only where relative ones started from before, each with the remedy.
        contradictions: Settings that need something absent: a sentence each, which ends with the remedy.
        has_triggers: Whether anything makes a refocus due.
        needs_sun: Whether the night ends by the Sun's altitude.
        has_site: Whether the site is known.
    """

    file: str
    telescope: str
    others_may_read: bool
    secrets: Sequence[str]
    keeps_history: bool
    has_limits: bool
    compensates_backlash: bool
    misplaced: Sequence[str]
    contradictions: Sequence[str]
    has_triggers: bool
    needs_sun: bool
    has_site: bool


def settings_facts(path: Path, settings: Settings, misplaced: Sequence[str] = ()) -> SettingsFacts:
    """Return the contents and gaps of settings."""
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
        misplaced=misplaced,
        contradictions=contradictions(settings),
        has_triggers=any(each is not None for each in triggers)
        or wanted.meridian_flip
        or wanted.filter_change != "nothing",
        needs_sun=settings.night.sun_altitude_deg is not None,
        has_site=settings.site is not None,
    )


def _others_may_read(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        # Gone since it was read.
        return False


# The rules.


def settings_refused(file: str, message: str) -> Check:
    """Return the check of an invalid settings file."""
    # The lines of the message begin with the file and the line number, which an editor finds.
    return _SETTINGS.fails("file", message, f"Correct {file}, and test it by `alpaca-focus check`.")


def check_settings(facts: SettingsFacts) -> tuple[Check, ...]:
    """Check settings."""
    checks = [_SETTINGS.ok("file", f"{facts.file} is valid: {facts.telescope}")]
    checks += [_SETTINGS.failed("contradiction", each) for each in facts.contradictions]
    checks += [_SETTINGS.note("path", *split_remedy(each, "")) for each in facts.misplaced]
    if facts.secrets and facts.others_may_read:
        checks.append(
            _SETTINGS.note(
                "permissions",
                f"every user of this computer can read {', '.join(facts.secrets)} in {facts.file}",
                f"Make it private: chmod o-rwx {facts.file}",
            )
        )
    gaps = (
        (
            facts.keeps_history,
            "history",
            "without storage.directory nothing is learned, and `alpaca-focus run` does not start",
            "Set storage.directory.",
        ),
        (
            facts.has_limits,
            "limits",
            "the focuser may use its whole travel",
            "Set focuser.min_position and focuser.max_position if it could collide with something.",
        ),
        (
            facts.compensates_backlash,
            "backlash",
            "it is not compensated",
            "Measure it at night by `alpaca-focus calibrate backlash`.",
        ),
        (
            facts.has_triggers,
            "triggers",
            "nothing makes a refocus due but `alpaca-focus refocus`",
            "Set triggers if the daemon is to refocus by itself.",
        ),
        (
            facts.has_site or not facts.needs_sun,
            "site",
            "without it the Sun's altitude is unknown, and the daemon treats every hour as night",
            "Set site.latitude_deg and site.longitude_deg.",
        ),
    )
    checks += [_SETTINGS.note(name, seen, remedy) for is_set, name, seen, remedy in gaps if not is_set]
    return tuple(checks)
