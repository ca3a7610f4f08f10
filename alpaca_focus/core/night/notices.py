"""What is worth a message to a person: from what the night looks like to notices, and none of them too often."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

from alpaca_focus.core.status import LastRun
from alpaca_focus.core.values import FocusResult, Outcome

LOST_AFTER_S = 60.0
"""A device that misses a question or two is not lost."""
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
        kind: What it is about.
        about: The device, where it is about one.
        title: A few words.
        text: What happened, what was done and what to do.
        run: Number of the run in the history whose curve belongs to it; `None`: none does.
        file: Path of a file that belongs to it; empty: none does.
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
        outcome: An `Outcome`, or what the keeper says where there is no result.
        reason: One sentence.
        number: In the history; `None`: it is not there.
        doubtful: Whether it contradicted itself.
        was_worse: Whether it was undone because its verifying frame did not show what the curve promised.
    """

    outcome: str
    reason: str
    number: int | None = None
    doubtful: bool = False
    was_worse: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the night looks like just now.

    Attributes:
        silent: Devices that do not answer, by name, and why.
        temperature_trouble: Why the temperature is not believed; empty: it is.
        daylight: Whether the sun is up: then devices may well be switched off.
        runs_ended: How many runs have ended since the keeper was made.
        run: The last of them; `None`: none has.
    """

    silent: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    temperature_trouble: str = ""
    daylight: bool = False
    runs_ended: int = 0
    run: EndedRun | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """What has been seen and told so far.

    Attributes:
        missing_since_s: Since when each device that is silent now has been.
        lost: Those of them that people were told of.
        told_s: When each kind was last told, by kind and device.
        runs_ended: The count at the last look; `None` before the first.
    """

    missing_since_s: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    lost: frozenset[str] = frozenset()
    told_s: Mapping[tuple[Kind, str], float] = field(default_factory=lambda: MappingProxyType({}))
    runs_ended: int | None = None


def noticed(watched: Watched, seen: Seen, *, now_s: float, repeat_s: float) -> tuple[Watched, tuple[Notice, ...]]:
    """Return what is to be told after one more look, and what to remember.

    A device is lost when it has been silent for `LOST_AFTER_S` and it is night; that it is back is told only where
    its loss was. Anything else of the same kind about the same device is told once in `repeat_s`.

    Args:
        watched: So far.
        seen: Just now.
        now_s: Time on a clock that never jumps.
        repeat_s: Least time between two notices of one kind about one device.
    """
    missing = dict(seen.silent)
    if seen.temperature_trouble:
        missing[THERMOMETER] = seen.temperature_trouble
    since = {name: watched.missing_since_s.get(name, now_s) for name in missing}
    found = [
        _lost(name, missing[name])
        for name, since_s in since.items()
        if name not in watched.lost and now_s - since_s >= LOST_AFTER_S and not seen.daylight
    ]
    found += _of_run(watched, seen)
    told = [each for each in found if now_s - watched.told_s.get((each.kind, each.about), -repeat_s) >= repeat_s]
    told_s = {**watched.told_s, **{(each.kind, each.about): now_s for each in told}}
    lost = watched.lost | {each.about for each in told if each.kind in {Kind.DEVICE_LOST, Kind.SENSOR_LOST}}
    back = [_back(name) for name in sorted(lost - missing.keys())]
    watched = replace(
        watched,
        missing_since_s=MappingProxyType(since),
        lost=frozenset(lost & missing.keys()),
        told_s=MappingProxyType(told_s),
        runs_ended=seen.runs_ended,
    )
    return watched, (*told, *back)


def ended_run(last_run: LastRun, *, number: int | None, result: FocusResult | None) -> EndedRun:
    """Return how a run ended, from the status and from its result, where there is one."""
    if result is None:
        return EndedRun(outcome=last_run.outcome, reason=last_run.reason)
    verified = bool(result.samples) and result.samples[-1].purpose == "verify"
    return EndedRun(
        outcome=last_run.outcome,
        reason=last_run.reason,
        number=number,
        doubtful=result.doubtful,
        was_worse=result.outcome is Outcome.RESTORED and verified and not result.camera_taken,
    )


def _lost(name: str, why: str) -> Notice:
    if name == THERMOMETER:
        return Notice(
            kind=Kind.SENSOR_LOST,
            about=name,
            title="The temperature is lost",
            text=f"No temperature is believed: {why}. Triggers and compensation by temperature wait until it is back.",
        )
    return Notice(
        kind=Kind.DEVICE_LOST,
        about=name,
        title=f"{_sentence(name)} does not answer",
        text=f"{why} It is asked again and again; nothing is done without it. Look at its power and its cable.",
    )


def _back(name: str) -> Notice:
    what = "The temperature" if name == THERMOMETER else _sentence(name)
    return Notice(
        kind=Kind.DEVICE_BACK, about=name, title=f"{what} is back", text=f"{what} is back, and the night goes on."
    )


def _of_run(watched: Watched, seen: Seen) -> list[Notice]:
    run = seen.run
    if run is None or watched.runs_ended is None or seen.runs_ended <= watched.runs_ended:
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


def _sentence(name: str) -> str:
    return name[:1].upper() + name[1:]
