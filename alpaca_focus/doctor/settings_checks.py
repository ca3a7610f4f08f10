"""The settings themselves: contradictions, readable secrets, and gaps."""

import stat
from collections.abc import Sequence
from pathlib import Path

from alpaca_focus.doctor.checks import Check, Subject, split_remedy
from alpaca_focus.doctor.program_checks import secrets_in
from alpaca_focus.settings.contradictions import contradictions
from alpaca_focus.settings.models import Settings
from alpaca_focus.settings.night_models import TriggersSection

_SETTINGS = Subject("settings")


def others_may_read(path: Path) -> bool:
    """Return whether other users of the computer may read a file."""
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


def check_settings(file: str, settings: Settings, misplaced: Sequence[str], *, is_public: bool) -> tuple[Check, ...]:
    """Check settings in a file that others may read if `is_public`; `misplaced` as in `PathOrigin`."""
    checks = [_SETTINGS.ok("file", f"{file} is valid: {settings.telescope.name}")]
    checks += [_SETTINGS.failed("contradiction", each) for each in contradictions(settings)]
    checks += [_SETTINGS.note("path", *split_remedy(each, "")) for each in misplaced]
    if is_public and (secrets := secrets_in(settings)):
        seen = f"every user of this computer can read {', '.join(secrets)} in {file}"
        checks.append(_SETTINGS.note("permissions", seen, f"Make it private: chmod o-rwx {file}"))
    focuser = settings.focuser
    gaps = (
        (
            settings.storage.directory is None,
            "history",
            "without storage.directory nothing is learned, and `alpaca-focus run` does not start",
            "Set storage.directory.",
        ),
        (
            focuser.min_position is None or focuser.max_position is None,
            "limits",
            "the focuser may use its whole travel",
            "Set focuser.min_position and focuser.max_position if it could collide with something.",
        ),
        (
            focuser.backlash.method == "none",
            "backlash",
            "it is not compensated",
            "Measure it at night by `alpaca-focus calibrate backlash`.",
        ),
        (
            not _has_triggers(settings.triggers),
            "triggers",
            "nothing makes a refocus due but `alpaca-focus refocus`",
            "Set triggers if the daemon is to refocus by itself.",
        ),
        (
            settings.site is None and settings.night.sun_altitude_deg is not None,
            "site",
            "without it the Sun's altitude is unknown, and the daemon treats every hour as night",
            "Set site.latitude_deg and site.longitude_deg.",
        ),
    )
    checks += [_SETTINGS.note(name, seen, remedy) for is_open, name, seen, remedy in gaps if is_open]
    return tuple(checks)


def _has_triggers(triggers: TriggersSection) -> bool:
    limits = ("temperature_c", "temperature_zones", "images", "minutes", "hfd_rise_percent", "altitude_deg")
    any_limit = any(getattr(triggers, name) is not None for name in (*limits, "uncertainty_zones"))
    return any_limit or triggers.meridian_flip or triggers.filter_change != "nothing"
