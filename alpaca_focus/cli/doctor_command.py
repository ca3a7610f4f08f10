"""`alpaca-focus doctor`: looks at everything that the settings name, and says what to mend."""

import json as json_module
import logging
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.status import Status
from rich.table import Table
from rich.text import Text

from alpaca_focus.cli.common import (
    EXIT_ABORTED,
    EXIT_CODES,
    EXIT_CONFIGURATION,
    ConfigOption,
    JsonOption,
    until_signalled,
)
from alpaca_focus.cli.terminal import text_console
from alpaca_focus.core.values import Outcome
from alpaca_focus.doctor.checks import Check, CheckOutcome, worst
from alpaca_focus.doctor.checkup import CheckupOrder, examine
from alpaca_focus.service.log_output import configure_logging

STYLES = {
    CheckOutcome.OK: "green",
    CheckOutcome.NOTE: "yellow",
    CheckOutcome.FAILS: "bold red",
    CheckOutcome.NOT_TRIED: "dim",
}
OUTCOME_COLUMNS, NAME_COLUMNS = 9, 13
REMEDY_COLUMNS = 2 + OUTCOME_COLUMNS + 1 + NAME_COLUMNS + 1
QUESTION = "May the focuser be moved by a few steps and back, to see whether it moves?"
STOPPING = "Stopping: what was touched is put back as it was."


def doctor(
    config: ConfigOption,
    *,
    json: JsonOption = False,
    move: Annotated[
        bool | None,
        typer.Option(
            "--move/--no-move",
            help="Move the focuser by a few steps and back. Left out: you are asked on a terminal, and else it is not.",
            show_default=False,
        ),
    ] = None,
    frame: Annotated[
        bool,
        typer.Option("--frame/--no-frame", help="Whether the camera may take one frame, as short and dark as can be."),
    ] = True,
) -> None:
    """Look at everything that the settings name, gently, and say what to mend; exit code 2 if there is something."""
    # What goes wrong is in the checks themselves.
    configure_logging(level=logging.ERROR)
    if move is None:
        move = not json and sys.stdin.isatty() and sys.stdout.isatty() and _asked()
    printer = _Printer(quiet=json)
    order = CheckupOrder(
        file=config,
        takes_frame=frame,
        moves=move,
        report=printer.report,
        waits_for=printer.waits_for,
        stranded=printer.strand,
    )
    with printer:
        ended = until_signalled(_to_the_end(order), notice=STOPPING)
    checks = printer.checks
    code = EXIT_CONFIGURATION if worst(checks) is CheckOutcome.FAILS else 0
    if ended is None:
        code = EXIT_ABORTED
    if printer.is_stranded:
        code = EXIT_CODES[Outcome.STRANDED]
    if json:
        typer.echo(_as_json(checks, complete=ended is not None))
    elif ended is not None:
        typer.echo(f"\n{summary(checks)}")
    raise typer.Exit(code)


def _asked() -> bool:
    try:
        return typer.confirm(QUESTION)
    except typer.Abort:
        raise typer.Exit(EXIT_ABORTED) from None


async def _to_the_end(order: CheckupOrder) -> bool:
    await examine(order)
    return True


class _Printer:
    """Prints the checks of each subject as they come; a context manager, which shows what is waited for."""

    def __init__(self, *, quiet: bool) -> None:
        self.checks: list[Check] = []
        self.is_stranded = False
        self._quiet = quiet
        self._console = text_console()
        shown = not quiet and self._console.is_terminal and not self._console.is_dumb_terminal
        self._status: Status | None = self._console.status("") if shown else None

    def __enter__(self) -> None:
        if self._status is not None:
            self._status.start()

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def waits_for(self, subject: str) -> None:
        """Show what is looked at."""
        if self._status is not None:
            self._status.update(f"{subject} ...")

    def strand(self) -> None:
        """Remember that the focuser is not back."""
        self.is_stranded = True

    def report(self, checks: Sequence[Check]) -> None:
        """Keep the checks of one subject or a few, and print them unless a machine reads."""
        subjects = dict.fromkeys(check.subject for check in checks)
        for subject in () if self._quiet else subjects:
            self._console.print(Text(subject, style="bold"))
            of_subject = [check for check in checks if check.subject == subject]
            if self._console.is_terminal:
                self._console.print(_table(of_subject))
            else:
                self._console.print(Text("\n".join(map(_line, of_subject))))
        self.checks.extend(checks)


def _line(check: Check) -> str:
    remedy = f"\n{'':{REMEDY_COLUMNS}}-> {check.remedy}" if check.remedy else ""
    return f"  {check.outcome.value:<{OUTCOME_COLUMNS}} {check.name:<{NAME_COLUMNS}} {check.seen}{remedy}"


def _table(checks: Sequence[Check]) -> Table:
    table = Table.grid(padding=(0, 1), pad_edge=False)
    table.add_column(width=1)
    table.add_column(width=OUTCOME_COLUMNS, no_wrap=True)
    table.add_column(width=NAME_COLUMNS, no_wrap=True)
    table.add_column(overflow="fold")
    for check in checks:
        style = STYLES[check.outcome]
        seen = Text(check.seen)
        if check.remedy:
            seen.append(f"\n-> {check.remedy}", style=style)
        table.add_row("", Text(check.outcome.value, style=style), check.name, seen)
    return table


def summary(checks: Sequence[Check]) -> str:
    """Return the last line."""
    counts = Counter(check.outcome for check in checks)
    parts = [f"{counts[outcome]} {outcome.value}" for outcome in CheckOutcome if counts[outcome]]
    told = f"{len(checks)} checks: {', '.join(parts)}."
    return f"{told} {'Something has to be mended.' if counts[CheckOutcome.FAILS] else 'Nothing has to be mended.'}"


def _as_json(checks: Sequence[Check], *, complete: bool) -> str:
    counts = Counter(check.outcome for check in checks)
    return json_module.dumps(
        {
            "outcome": worst(checks).value,
            "complete": complete,
            "counts": {outcome.value: counts[outcome] for outcome in CheckOutcome},
            "checks": [asdict(check) for check in checks],
        },
        ensure_ascii=False,
    )
