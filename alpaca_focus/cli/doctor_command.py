"""`alpaca-focus doctor`: checks everything that the settings name, and reports what to fix."""

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
from alpaca_focus.doctor.diagnostics import DiagnosticOptions, run_diagnostics
from alpaca_focus.service.log_output import configure_logging

STYLES = {
    CheckOutcome.OK: "green",
    CheckOutcome.NOTE: "yellow",
    CheckOutcome.FAILS: "bold red",
    CheckOutcome.NOT_TRIED: "dim",
}
OUTCOME_COLUMNS, NAME_COLUMNS = 9, 13
REMEDY_COLUMNS = 2 + OUTCOME_COLUMNS + 1 + NAME_COLUMNS + 1
QUESTION = "Move the focuser a few steps and back, to test it?"
STOPPING = "Stopping: every device is restored."


def doctor(
    config: ConfigOption,
    *,
    json: JsonOption = False,
    move: Annotated[
        bool | None,
        typer.Option(
            "--move/--no-move",
            help="Move the focuser a few steps and back. Default: ask on a terminal, and do not move otherwise.",
            show_default=False,
        ),
    ] = None,
    frame: Annotated[
        bool,
        typer.Option("--frame/--no-frame", help="Take one frame, as short and dark as possible."),
    ] = True,
) -> None:
    """Check all devices and settings, and report what to fix.

    Exit code 0 when nothing needs fixing, 2 when something does, 3 when the focuser could not be brought back.
    """
    # The checks report every problem themselves.
    configure_logging(level=logging.ERROR)
    if move is None:
        move = not json and sys.stdin.isatty() and sys.stdout.isatty() and _confirm_move()
    printer = _Printer(quiet=json)
    options = DiagnosticOptions(
        file=config,
        frame_allowed=frame,
        move_allowed=move,
        on_checks=printer.add,
        on_subject=printer.show_subject,
        on_stranded=printer.mark_stranded,
    )

    async def diagnose() -> bool:
        await run_diagnostics(options)
        return True

    with printer:
        completed = bool(until_signalled(diagnose(), notice=STOPPING))
    checks = printer.checks
    code = EXIT_CONFIGURATION if worst(checks) is CheckOutcome.FAILS else 0
    if not completed:
        code = EXIT_ABORTED
    if printer.is_stranded:
        code = EXIT_CODES[Outcome.STRANDED]
    if json:
        typer.echo(_as_json(checks, complete=completed))
    elif completed:
        typer.echo(f"\n{summary(checks)}")
    raise typer.Exit(code)


def _confirm_move() -> bool:
    try:
        return typer.confirm(QUESTION)
    except typer.Abort:
        raise typer.Exit(EXIT_ABORTED) from None


class _Printer:
    """Prints the checks of each subject as they come; a context manager, which shows the current subject."""

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

    def show_subject(self, subject: str) -> None:
        """Show which subject is being probed."""
        if self._status is not None:
            self._status.update(f"{subject} ...")

    def mark_stranded(self) -> None:
        """Record that the focuser was not brought back."""
        self.is_stranded = True

    def add(self, checks: Sequence[Check]) -> None:
        """Collect the checks of one or more subjects, and print them unless the output is JSON."""
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
    """Return the last line: the number of checks by outcome."""
    counts = Counter(check.outcome for check in checks)
    parts = [f"{counts[outcome]} {outcome.value}" for outcome in CheckOutcome if counts[outcome]]
    result = "Something needs fixing." if counts[CheckOutcome.FAILS] else "Nothing needs fixing."
    return f"{len(checks)} checks: {', '.join(parts)}. {result}"


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
