"""One thing that was looked at, what was seen, and what to do about it. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

_SENTENCE_END = re.compile(r'(?<=[.?!"])\s+(?=[A-Z])')


class CheckOutcome(StrEnum):
    """How a check ended."""

    OK = "ok"
    NOTE = "note"
    """Works, and somebody should know."""
    FAILS = "fails"
    """Must be mended."""
    NOT_TRIED = "not tried"
    """Something it depends on fails, or nobody has allowed it."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the examination.

    Attributes:
        subject: What was looked at: "camera", "server 127.0.0.1:11111".
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
    """Something that is looked at; makes its checks.

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
    """Part what an error says into what was seen and, its last sentence, what to do."""
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
