"""One check: what was examined, what was seen, and what to do about it. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

DIFFERENT_SHARE = 0.02
"""Pixel and step sizes of the settings that differ by more from the reported ones are perhaps of another device."""
_SENTENCE_END = re.compile(r'(?<=[.?!"])\s+(?=[A-Z])')


class CheckOutcome(StrEnum):
    """How a check ended."""

    OK = "ok"
    NOTE = "note"
    """Works, with something to know."""
    FAILS = "fails"
    """Must be mended."""
    NOT_TRIED = "not tried"
    """Something it depends on fails, or it is not allowed."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the examination.

    Attributes:
        subject: What was examined: "camera", "server 127.0.0.1:11111".
        name: What of it.
        outcome: How it ended.
        seen: What was seen, for a person.
        remedy: What to do about it, a sentence; empty where nothing is to be done.
    """

    subject: str
    name: str
    outcome: CheckOutcome
    seen: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Subject:
    """Something that is examined; makes its checks.

    Attributes:
        name: What it is called.
    """

    name: str

    def ok(self, name: str, seen: str) -> Check:
        """Return a check that found all well."""
        return Check(self.name, name, CheckOutcome.OK, seen)

    def note(self, name: str, seen: str, remedy: str) -> Check:
        """Return a check that found something to know."""
        return Check(self.name, name, CheckOutcome.NOTE, seen, remedy)

    def fails(self, name: str, seen: str, remedy: str) -> Check:
        """Return a check that found something to mend."""
        return Check(self.name, name, CheckOutcome.FAILS, seen, remedy)

    def not_tried(self, name: str, why: str) -> Check:
        """Return a check that could not be made."""
        return Check(self.name, name, CheckOutcome.NOT_TRIED, why)

    def failed(self, name: str, message: str, otherwise: str = "Look into the log of the device's server.") -> Check:
        """Return the check for an error, whose message ends with what to do about it.

        Args:
            name: What of the subject.
            message: Of the error.
            otherwise: What to do where the message is a single sentence.
        """
        seen, remedy = parted(message, otherwise)
        return self.fails(name, seen, remedy)


def parted(message: str, otherwise: str) -> tuple[str, str]:
    """Split an error message into what was seen and, its last sentence, the remedy."""
    parts = _SENTENCE_END.split(" ".join(message.split()))
    if len(parts) < 2:
        return message, otherwise
    return " ".join(parts[:-1]), parts[-1]


def worst(checks: Iterable[Check]) -> CheckOutcome:
    """Return the worst outcome of all; what was not tried is not one."""
    outcomes = {check.outcome for check in checks}
    for outcome in (CheckOutcome.FAILS, CheckOutcome.NOTE):
        if outcome in outcomes:
            return outcome
    return CheckOutcome.OK


def size_check(
    subject: Subject, name: str, setting: str, reported_um: float | None, set_um: float | None
) -> Check | None:
    """Judge a size that the device reports, or the settings hold, or both; `None`: all is well."""
    if reported_um is None and set_um is None:
        return subject.fails(
            name,
            f"neither the {subject.name} nor the settings have it",
            f"Look it up in its manual, and set {setting}.",
        )
    if reported_um is not None and set_um is not None and abs(reported_um - set_um) > DIFFERENT_SHARE * set_um:
        return subject.note(
            name,
            f"the {subject.name} reports {reported_um:g} um, and {setting} is {set_um:g} um, which counts",
            f"Check which is right; take {setting} out if the {subject.name} is.",
        )
    return None


def place_words(latitude_deg: float, longitude_deg: float) -> str:
    """Return a place on Earth in words."""
    return (
        f"{abs(latitude_deg):.2f} {'north' if latitude_deg >= 0 else 'south'}, "
        f"{abs(longitude_deg):.2f} {'east' if longitude_deg >= 0 else 'west'}"
    )


def duration(duration_s: float) -> str:
    """Return a duration in the unit that suits it."""
    for unit, length_s in (("days", 86_400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if duration_s >= 2 * length_s:
            return f"{duration_s / length_s:.0f} {unit}"
    return f"{duration_s:.0f} s"
