"""Decides which changes of the night are worth a message to a person, and sends none of them too often."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

from alpaca_focus.core.status import LastRun
from alpaca_focus.core.values import FocusResult, Outcome

LOST_AFTER_S = 60.0
"""A device that misses one or two requests is not lost."""
THERMOMETER = "the thermometer"


class Kind(StrEnum):
    """What a notice is about."""

    FOCUS_FAILED = "focus_failed"
    DEGRADED = "degraded"
    """A run whose result is doubtful, or that was undone because the stars had become worse."""
    SENSOR_LOST = "sensor_lost"
    DEVICE_LOST = "device_lost"
    DEVICE_BACK = "device_back"
    FOCUSER_STRANDED = "focuser_stranded"
    NIGHT_REPORT = "night_report"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A message to people.

    Attributes:
        text: What happened, what was done and what to do.
        about: The device; empty: it is about none.
        run: Number in the history of the run whose curve is attached; `None`: none is.
        file: Path of the attached file; empty: none is.
    """

    kind: Kind
    title: str
    text: str
    about: str = ""
    run: int | None = None
    file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedRun:
    """How the last run ended.

    Attributes:
        outcome: An `Outcome`, or the scheduler's word where there is no result.
        number: In the history; `None`: it is not there.
        was_worse: Whether it was undone because the verifying frame was worse than predicted by the curve.
    """

    outcome: str
    reason: str
    number: int | None = None
    doubtful: bool = False
    was_worse: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """The present state of the devices and runs.

    Attributes:
        silent: Why each device that does not answer does not, by name.
        temperature_problem: Why the latest temperature was rejected; empty: it was accepted.
        position_problem: Why the focuser's position needs a refocus; empty: it needs none.
        daylight: Whether the sun is up: then devices may be switched off.
        runs_ended: How many runs have ended since the daemon connected the devices.
        run: The last of them; `None`: none has ended.
    """

    silent: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    temperature_problem: str = ""
    position_problem: str = ""
    daylight: bool = False
    runs_ended: int = 0
    run: EndedRun | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeLog:
    """The notices sent so far, and what they depend on.

    Attributes:
        missing_since_s: Since when each device that is silent now has been.
        lost: Those of them whose loss was sent.
        sent_s: When a notice was last sent, by kind and device.
        runs_ended: The count in the previous situation; `None`: there was none.
        position_problem: That of the previous situation.
    """

    missing_since_s: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    lost: frozenset[str] = frozenset()
    sent_s: Mapping[tuple[Kind, str], float] = field(default_factory=lambda: MappingProxyType({}))
    runs_ended: int | None = None
    position_problem: str = ""


def new_notices(
    sent: NoticeLog, now: Situation, *, now_s: float, repeat_s: float
) -> tuple[NoticeLog, tuple[Notice, ...]]:
    """Return the notices to send now, and the log with them.

    A device is lost when it has been silent for `LOST_AFTER_S` at night; its return is sent only if its loss was. Any
    other notice of the same kind about the same device is sent once in `repeat_s`.
    `now_s` is the time on a clock that never jumps.
    """
    missing = {**now.silent, **({THERMOMETER: now.temperature_problem} if now.temperature_problem else {})}
    since = {name: sent.missing_since_s.get(name, now_s) for name in missing}
    found = [
        _lost(name, missing[name])
        for name, since_s in since.items()
        if name not in sent.lost and now_s - since_s >= LOST_AFTER_S and not now.daylight
    ]
    found += _of_run(sent, now)
    if now.position_problem not in {"", sent.position_problem} and not now.daylight:
        found.append(_of_position(now.position_problem))
    due = [each for each in found if now_s - sent.sent_s.get((each.kind, each.about), -repeat_s) >= repeat_s]
    sent_s = {**sent.sent_s, **{(each.kind, each.about): now_s for each in due}}
    lost = sent.lost | {each.about for each in due if each.kind in {Kind.DEVICE_LOST, Kind.SENSOR_LOST}}
    back = [_back(name) for name in sorted(lost - missing.keys())]
    sent = NoticeLog(
        missing_since_s=MappingProxyType(since),
        lost=frozenset(lost & missing.keys()),
        sent_s=MappingProxyType(sent_s),
        runs_ended=now.runs_ended,
        position_problem=now.position_problem,
    )
    return sent, (*due, *back)


def ended_run(last_run: LastRun, *, number: int | None, result: FocusResult | None) -> EndedRun:
    """Return how a run ended, from the status and from its result, where there is one."""
    ended = EndedRun(outcome=last_run.outcome, reason=last_run.reason)
    if result is None:
        return ended
    verified = bool(result.samples) and result.samples[-1].purpose == "verify"
    return replace(
        ended,
        number=number,
        doubtful=result.doubtful,
        was_worse=result.outcome is Outcome.RESTORED and verified and not result.camera_taken,
    )


def _lost(name: str, why: str) -> Notice:
    if name == THERMOMETER:
        text = f"No temperature is accepted: {why}. The temperature trigger and compensation wait until it is back."
        return Notice(kind=Kind.SENSOR_LOST, about=name, title="The temperature is lost", text=text)
    text = f"{why} Retrying; nothing is done until it answers. Check power and cables."
    return Notice(kind=Kind.DEVICE_LOST, about=name, title=f"{_capitalised(name)} does not answer", text=text)


def _back(name: str) -> Notice:
    what = "The temperature" if name == THERMOMETER else _capitalised(name)
    text = f"{what} is back; the night continues."
    return Notice(kind=Kind.DEVICE_BACK, about=name, title=f"{what} is back", text=text)


def _of_run(sent: NoticeLog, now: Situation) -> list[Notice]:
    run = now.run
    if run is None or sent.runs_ended is None or now.runs_ended <= sent.runs_ended:
        return []
    if run.outcome == Outcome.STRANDED:
        kind, title = Kind.FOCUSER_STRANDED, "The focuser is stranded"
    elif run.outcome == Outcome.FOCUSED and run.doubtful:
        kind, title = Kind.DEGRADED, "The focus is doubtful"
    elif run.was_worse:
        kind, title = Kind.DEGRADED, "A refocus was undone"
    elif run.outcome in {Outcome.RESTORED, "failed"}:
        kind, title = Kind.FOCUS_FAILED, "A refocus failed"
    else:
        return []
    return [Notice(kind=kind, title=title, text=run.reason, run=run.number)]


def _of_position(problem: str) -> Notice:
    text = f"{_capitalised(problem)}. A refocus follows as soon as one is possible."
    # Each position is news of its own.
    return Notice(kind=Kind.DEGRADED, about=problem, title="The focuser's position is unverified", text=text)


def _capitalised(name: str) -> str:
    return name[:1].upper() + name[1:]
