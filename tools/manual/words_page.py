"""The words of the messages and of the settings: metrics, curves, outcomes, and what a refocus waits for."""

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType

from alpaca_focus.core.curves.curve_models import CurveModel
from alpaca_focus.core.metrics import METRICS
from alpaca_focus.core.night.decisions import inhibitors
from alpaca_focus.core.night.focuser_watch import FocuserWatch
from alpaca_focus.core.night.notices import Kind
from alpaca_focus.core.night.state import History, Plan, Snapshot
from alpaca_focus.core.values import Outcome
from alpaca_focus.settings.interface_models import MessagesSection

DEVICE = "telescope 0"
WAITS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        f"no answer from {DEVICE}": ("A device that is needed is silent.", "Its cable, its power, its server."),
        "paused": ("It was paused by hand.", "`alpaca-focus resume`, or the button of the dashboard."),
        "not safe": ("The safety monitor reports it.", "Nothing: it goes on when the monitor reports safe."),
        "safety unknown: the monitor does not answer": (
            "Without an answer of the safety monitor, nothing is moved.",
            "Its cable, its power, its server.",
        ),
        "mount parked": ("There is nothing to focus on.", "Nothing, until it is unparked."),
        "mount not tracking": ("Stars would be trails.", "Switch tracking on."),
        "mount slewing": ("The telescope moves.", "Nothing: it takes seconds."),
        "not night": (
            "The sun is above `night.sun_altitude_deg`.",
            "`site` must be right; a higher limit, or `null`, for tests in twilight.",
        ),
        f"the plan takes {Plan.DARK} frames": (
            "They need no focus. The same with flat and bias frames.",
            "`alpaca-focus tell light` where the script forgot it.",
        ),
        "waiting after a failed run": (
            "A run has failed; the wait doubles with each one.",
            "Why it failed: `alpaca-focus history`. `alpaca-focus refocus` does not wait.",
        ),
        "the focuser was moved by others": (
            "By hand or by another program, less than `night.quiet_after_a_move_s` ago.",
            "Nothing. `alpaca-focus refocus` does not wait.",
        ),
        "the focuser is not where it belongs": (
            "A run or a move was cut off. It is brought back at the focuser's first answer.",
            "Power and cable of the focuser, its server.",
        ),
        "the imaging program moves the focuser": ("It owns the focuser for that moment.", "Nothing."),
        "only test shots are coming": (
            "With the gateway: the imaging program's exposures are shorter than `night.least_image_s`.",
            "Nothing while it centres or frames; for short images, a smaller `night.least_image_s`.",
        ),
        "exposure running": ("A focus run never disturbs one.", "Nothing: it begins in the next gap."),
        "no gap in the imaging yet": (
            "With the gateway, or `imaging.way: told`: the imaging program has not left a gap.",
            "Nothing, unless it stays: see [Troubleshooting](../troubleshooting.md#never-refocuses).",
        ),
    }
)
"""By reason: what it means, and what to do."""
OUTCOMES: Mapping[str, str] = MappingProxyType(
    {
        "focused": "At the fitted position, verified by a fresh frame.",
        "restored": "The run failed, and the focuser is back where it started.",
        "stranded": "The focuser could not be brought back. The restore marker stays on disk; a person has to act.",
    }
)
CURVES: Mapping[CurveModel, str] = MappingProxyType(
    {
        CurveModel.HYPERBOLA: "Equal arms: what seeing and defocus make of a star, added in quadrature.",
        CurveModel.UNEQUAL: "Each arm has a slope of its own.",
        CurveModel.PARABOLA: "Through the points near focus.",
        CurveModel.TREND_LINES: "Where the straight lines through the two arms meet.",
        CurveModel.MEAN: "Half way between the hyperbola and the trend lines.",
    }
)


INTRODUCTION = """What stands in messages, in the log, in `status` and in the settings. What a frame's flags mean is in
[Measuring](../measuring.md); the words of the triggers are in [The whole night](../night.md)."""


def page() -> str:
    """Return the page as Markdown.

    Raises:
        KeyError: The program has a word that is not explained here.
    """
    metrics = [
        f"| `{name}` | {each.description} | {each.unit} | {'lower' if each.lower_is_better else 'higher'} |"
        for name, each in METRICS.items()
    ]
    curves = [f"| {each.value} | {CURVES[each]} |" for each in CurveModel]
    outcomes = [f"| `{each.value}` | {OUTCOMES[each.value]} |" for each in Outcome]
    waits = [f"| {reason.replace(DEVICE, '...')} | {' | '.join(WAITS[reason])} |" for reason in reasons_to_wait()]
    kinds = [f"| `{each.value}` | {_described(each)} |" for each in Kind]
    return "\n".join(
        (
            "# The words it uses",
            "",
            INTRODUCTION,
            "",
            "## What a refocus waits for { #waits }",
            "",
            "| `waits for:` | what it means | what to do |",
            "| --- | --- | --- |",
            *waits,
            "",
            "## How a focus run ends { #outcomes }",
            "",
            "| outcome | what it means |",
            "| --- | --- |",
            *outcomes,
            "| `failed` | It could not begin: a device did not answer, or a setting does not suit it. |",
            "| `aborted` | A person, or the imaging program, ended it; the focuser is back where it started. |",
            "",
            "## Metrics { #metrics }",
            "",
            "| `focus.metric` | what it is | unit | better when |",
            "| --- | --- | --- | --- |",
            *metrics,
            "",
            "## Curves { #curves }",
            "",
            "For `alpaca-focus fit --model`; a focus run uses the hyperbola, or the known one of earlier runs.",
            "",
            "| name | what it is |",
            "| --- | --- |",
            *curves,
            "",
            "## Kinds of messages { #messages }",
            "",
            "| kind | sent when |",
            "| --- | --- |",
            *kinds,
            "",
        )
    )


def reasons_to_wait() -> tuple[str, ...]:
    """Return every reason for which a refocus may have to wait, in the words of the program."""
    everything = Snapshot(
        at=datetime(2026, 1, 1, tzinfo=UTC),
        parked=True,
        slewing=True,
        safe=False,
        safety_unknown=True,
        sun_altitude_deg=10.0,
        plan=Plan.DARK,
        program_moves=True,
        away=True,
        exposing=True,
        silent=(DEVICE,),
    )
    rest = Snapshot(at=everything.at, tracking=False, camera_free=False)
    test_shots = Snapshot(at=everything.at, exposing=True, test_shots=True)
    history = History(hold_s=60.0, focuser=FocuserWatch(quiet_s=60.0))
    told = (
        reason for each in (everything, test_shots, rest) for reason in inhibitors(history, each, -18.0, paused=True)
    )
    return tuple(dict.fromkeys(told))


def _described(kind: Kind) -> str:
    return f"{MessagesSection.model_fields[kind.value].description}."
