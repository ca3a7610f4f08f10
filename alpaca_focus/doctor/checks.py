"""One check of the doctor: its subject, outcome, observation and remedy. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

DIFFERENT_SHARE = 0.02
"""A pixel or step size of the settings that differs by more from the reported one may belong to another device."""
_SENTENCE_END = re.compile(r'(?<=[.?!"])\s+(?=[A-Z])')


class CheckOutcome(StrEnum):
    """The outcome of a check."""

    OK = "ok"
    NOTE = "note"
    """Works, with a remark."""
    FAILS = "fails"
    """Must be fixed."""
    NOT_TRIED = "not tried"
    """Depends on something that fails, or is not allowed."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor's result.

    Attributes:
        subject: What was checked: "camera", "server 127.0.0.1:11111".
        name: The property of the subject.
        seen: The observation, for a person.
        remedy: What to do about it, a sentence; empty where nothing needs doing.
    """

    subject: str
    name: str
    outcome: CheckOutcome
    seen: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """The named subject of checks; makes them."""

    name: str

    def ok(self, name: str, seen: str) -> Check:
        """Return a passed check."""
        return Check(self.name, name, CheckOutcome.OK, seen)

    def note(self, name: str, seen: str, remedy: str) -> Check:
        """Return a check that passed with a remark."""
        return Check(self.name, name, CheckOutcome.NOTE, seen, remedy)

    def fails(self, name: str, seen: str, remedy: str) -> Check:
        """Return a failed check."""
        return Check(self.name, name, CheckOutcome.FAILS, seen, remedy)

    def not_tried(self, name: str, why: str) -> Check:
        """Return a skipped check."""
        return Check(self.name, name, CheckOutcome.NOT_TRIED, why)

    def failed(self, name: str, message: str, otherwise: str = "Read the log of the device's server.") -> Check:
        """Return the check for an error message, whose last sentence is the remedy; `otherwise` if there is but one."""
        return self.fails(name, *split_remedy(message, otherwise))


def split_remedy(message: str, otherwise: str) -> tuple[str, str]:
    """Split an error message into the observation and the remedy, its last sentence."""
    parts = _SENTENCE_END.split(" ".join(message.split()))
    if len(parts) < 2:
        return message, otherwise
    return " ".join(parts[:-1]), parts[-1]


def worst(checks: Iterable[Check]) -> CheckOutcome:
    """Return the worst outcome; a skipped check counts as passed."""
    outcomes = {check.outcome for check in checks}
    return next((each for each in (CheckOutcome.FAILS, CheckOutcome.NOTE) if each in outcomes), CheckOutcome.OK)


def size_check(
    subject: Subject, name: str, setting: str, reported_um: float | None, set_um: float | None
) -> Check | None:
    """Return the check of a size that is missing, or differs between device and settings; `None` if it is fine."""
    if reported_um is None and set_um is None:
        remedy = f"Find it in the manual of the {subject.name}, and set {setting}."
        return subject.fails(name, f"neither the {subject.name} nor the settings give it", remedy)
    if reported_um is not None and set_um is not None and abs(reported_um - set_um) > DIFFERENT_SHARE * set_um:
        seen = f"the {subject.name} reports {reported_um:g} um, and {setting} is {set_um:g} um, which is used"
        return subject.note(name, seen, f"Check which is right; take {setting} out if the {subject.name} is.")
    return None


def site_text(latitude_deg: float, longitude_deg: float) -> str:
    """Return latitude and longitude as text."""
    return (
        f"{abs(latitude_deg):.2f} {'north' if latitude_deg >= 0 else 'south'}, "
        f"{abs(longitude_deg):.2f} {'east' if longitude_deg >= 0 else 'west'}"
    )


def duration(duration_s: float) -> str:
    """Return a duration as text, in the largest unit of which there are at least two."""
    for unit, length_s in (("days", 86_400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if duration_s >= 2 * length_s:
            return f"{duration_s / length_s:.0f} {unit}"
    return f"{duration_s:.0f} s"
