"""What `alpaca-focus fleet` shows: what a person who was asleep needs first stands first, in words."""

from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from alpaca_focus.notify.fleet import FAILED_OUTCOMES, Row, Standing

TROUBLE, LOOK, OK = "TROUBLE", "look", "ok"
STYLES = {TROUBLE: "bold red", LOOK: "yellow", OK: "green"}
STATES = {
    Standing.STRANDED: "FOCUSER STRANDED",
    Standing.OFFLINE: "OFFLINE",
    Standing.UNCLEAR: "not understood",
    Standing.PAUSED: "paused",
}


def page(found: Sequence[Row], heading: str, trouble: str = "") -> RenderableType:
    """Return the page of a terminal.

    Args:
        found: The telescopes.
        heading: The line above all.
        trouble: What is wrong with the broker; empty: nothing is.
    """
    above = [Text(trouble, style=STYLES[TROUBLE])] if trouble else []
    below = [table(found), *remarks(found)] if found else [Text("No telescope has told anything yet.")]
    return Group(*above, Text(heading), *below)


def table(found: Sequence[Row]) -> Table:
    """Return a line a telescope."""
    shown = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    shown.add_column("", no_wrap=True)
    shown.add_column("telescope", overflow="fold", min_width=10, max_width=24)
    shown.add_column("state", overflow="fold", min_width=9, max_width=16)
    for name in ("position", "HFD px", "deg C", "focused"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("last run", overflow="fold", min_width=6, max_width=10)
    for row in found:
        word = word_of(row.standing)
        shown.add_row(
            Text(word, style=STYLES[word]),
            Text(row.name),
            Text(STATES.get(row.standing, row.last.state), style="bold" if row.standing.is_trouble else ""),
            "" if row.last.position is None else f"{row.last.position}",
            "" if row.last.hfd is None else f"{row.last.hfd:.2f}",
            "" if row.last.temperature is None else f"{row.last.temperature:.1f}",
            "" if row.minutes is None else f"{_age(row.minutes)} ago",
            Text("FAILED" if row.last.result in FAILED_OUTCOMES else row.last.result),
        )
    return shown


def remarks(found: Sequence[Row]) -> list[Text]:
    """Return what there is to say beside the numbers, a line each, in the order of the table."""
    return [
        Text.assemble((f"{row.name}: ", "bold" if row.standing.is_trouble else ""), note)
        for row in found
        for note in _notes(row)
    ]


def word_of(standing: Standing) -> str:
    """Return the one word that says whether somebody has to look."""
    return TROUBLE if standing.is_trouble else LOOK if standing.needs_look else OK


def _notes(row: Row) -> list[str]:
    told = []
    if row.standing is Standing.STRANDED:
        told.append(f"the focuser could not be brought back. {row.last.reason}")
    if not row.is_online:
        told.append("its daemon is gone" + (f"; the last it told: {row.last.state}." if row.last.state else "."))
    if row.last.result in FAILED_OUTCOMES:
        told.append(f"the last run failed. {row.last.reason}")
    if row.last.silent:
        told.append(f"no answer from {', '.join(row.last.silent)}.")
    if row.last.waits_for:
        told.append(f"waits for its devices. {row.last.waits_for}")
    if row.last.paused and row.standing is not Standing.PAUSED:
        told.append("paused.")
    if row.last.due:
        waits = f"; it waits for: {', '.join(row.last.blocked_by)}" if row.last.blocked_by else ""
        told.append(f"a refocus is due: {row.last.due}{waits}.")
    return told


def summary(found: Sequence[Row]) -> str:
    """Return how many telescopes there are, and how many of them are in trouble."""
    count = f"{len(found)} telescope{'' if len(found) == 1 else 's'}"
    bad = sum(row.standing.is_trouble for row in found)
    return f"{count}, {bad} in trouble" if bad else f"{count}, none in trouble"


def trouble_line(trouble: str, since: datetime, now: datetime) -> str:
    """Return what is wrong with the broker, and for how long; empty: nothing is."""
    if not trouble:
        return ""
    minutes = max(0, int((now - since).total_seconds() // 60))
    lasted = f" For {_age(minutes)}." if minutes else ""
    return f"{trouble}{lasted} It is tried again and again; what stands below is what was heard before."


def _age(minutes: int) -> str:
    """Return an age in the largest unit that still says enough."""
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} d"
