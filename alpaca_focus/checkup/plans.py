"""The settings themselves: what they mean for the night, and what they leave out. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from alpaca_focus.checkup.checks import Check, Subject

_SETTINGS = Subject("settings")


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsFacts:
    """What settings say, and what they do not.

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


def settings_refused(file: str, message: str) -> Check:
    """Return the check of settings that cannot be used."""
    # Its lines begin with the file and the line, which a person looks for.
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
            "without it nobody knows the sun, and the daemon takes every hour for night",
            "Set site.latitude_deg and site.longitude_deg.",
        ),
    )
    found += [_SETTINGS.note(name, seen, remedy) for is_there, name, seen, remedy in wanting if not is_there]
    return tuple(found)
