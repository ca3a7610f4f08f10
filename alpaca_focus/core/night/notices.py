"""The notices to people and their words: the state first, then the cause and the remedy, in two sentences at most."""

from dataclasses import dataclass, replace
from enum import StrEnum

from alpaca_focus.core.outages import OUT_OF_FOCUS, UNVERIFIED, Outage, capitalised, sentences
from alpaca_focus.core.status import REQUIRED, LastRun
from alpaca_focus.core.values import FocusResult, Outcome, Position

THERMOMETER = "the thermometer"
OBSERVATORY = "the observatory"
"""What is lost while the devices are not connected."""


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
        is_repeat: Whether people know already: it is in the report of the night, and not sent.
    """

    kind: Kind
    title: str
    text: str
    about: str = ""
    run: int | None = None
    file: str = ""
    is_repeat: bool = False


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


def loss_notice(outage: Outage, run: Notice | None, belongs_at: Position | None) -> Notice:
    """Return the notice about an outage.

    Args:
        outage: The outage.
        run: The notice about the run that has failed with it; `None`: there was none.
        belongs_at: Where the focuser belongs, if it was left away from there.
    """
    about, why = outage.about, outage.devices[0].why
    if about == THERMOMETER:
        text = f"No temperature is accepted: {why}. The temperature trigger and compensation wait until it is back."
        return Notice(kind=Kind.SENSOR_LOST, about=about, title=outage.state, text=text)
    remedy = "Retrying; check power and cables."
    if about == OBSERVATORY:
        cause = sentences(why)[0]
    elif run is not None:
        cause = f"{capitalised(outage.stopped('during a refocus' if run.run is None else f'during run {run.run}'))}."
    else:
        cause = f"{capitalised(outage.cause)}."
    if belongs_at is not None:
        remedy = f"The focuser belongs at {belongs_at}; it is moved there when it answers."
    return Notice(
        kind=Kind.DEVICE_LOST if belongs_at is None else Kind.FOCUSER_STRANDED,
        about=about,
        title=outage.state if belongs_at is None else OUT_OF_FOCUS,
        text=f"{cause} {remedy}",
        run=None if run is None else run.run,
    )


def return_notice(outage: Outage, lasted_s: float, *, position_problem: str, was_away: bool) -> Notice:
    """Return the notice about the end of an outage.

    Args:
        outage: The outage.
        lasted_s: How long it lasted.
        position_problem: Why the focuser's position needs a refocus; empty: it needs none.
        was_away: Whether the focuser had been left away from where it belongs.
    """
    about = outage.about
    lasted = f"{lasted_s:.0f} s" if lasted_s < 90 else f"{lasted_s / 60:.0f} min"
    title = "Focus is kept again" if outage.kinds & REQUIRED else outage.state.replace("unknown", "known again")
    text = f"{capitalised(outage.answers_again())} after {lasted}."
    if about == THERMOMETER:
        text = f"It was not known for {lasted}."
    elif about == OBSERVATORY:
        text = f"All devices are connected after {lasted}."
    if outage.kinds & REQUIRED and position_problem:
        title, text = UNVERIFIED, f"{text} {capitalised(position_problem)}; a refocus follows."
    elif was_away:
        text = f"{text} The focuser is where it belongs."
    return Notice(kind=Kind.DEVICE_BACK, about=about, title=title, text=text)


def run_notice(run: EndedRun, belongs_at: Position | None) -> Notice | None:
    """Return the notice about a run; `None`: it is not worth one."""
    cause, *more = sentences(run.reason)
    # Of an error of a device, the end matters: where the focuser is now.
    state = next((each for each in reversed(more) if each.startswith("The focuser")), "".join(more[:1]))
    if run.outcome == Outcome.STRANDED:
        kind, title = Kind.FOCUSER_STRANDED, OUT_OF_FOCUS
        if belongs_at is not None:
            state = f"The focuser belongs at {belongs_at}; it is moved there as soon as it can be."
    elif run.outcome == Outcome.FOCUSED and run.doubtful:
        kind, title = Kind.DEGRADED, "The focus is doubtful"
    elif run.was_worse:
        kind, title = Kind.DEGRADED, "A refocus was undone"
    elif run.outcome in {Outcome.RESTORED, "failed"}:
        kind, title = Kind.FOCUS_FAILED, "A refocus failed"
    else:
        return None
    return Notice(kind=kind, title=title, text=f"{cause} {state}".strip(), run=run.number)


def position_notice(problem: str) -> Notice:
    """Return the notice about a position that needs a refocus; `problem` is a clause."""
    text = f"{capitalised(problem)}. A refocus follows as soon as one is possible."
    # Each position is news of its own.
    return Notice(kind=Kind.DEGRADED, about=problem, title=UNVERIFIED, text=text)
