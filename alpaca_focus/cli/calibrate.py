"""`alpaca-focus calibrate`: what several runs say of the focuser and the telescope, and the settings for it."""

import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from alpaca_focus.cli.common import EXIT_ABORTED, ConfigOption, command_group, until_signalled
from alpaca_focus.run import calibrations
from alpaca_focus.run.calibrations import Calibration, Proposal
from alpaca_focus.settings.loader import load_yaml
from alpaca_focus.settings.models import Settings

calibrate = command_group(
    "Measure the V-curve, the backlash, the filters' focus offsets, or the temperature coefficient."
)

ApplyOption = Annotated[
    bool, typer.Option("--apply", help="Write the result into the settings; comments and order stay.")
]
RunsOption = Annotated[int, typer.Option(min=1, max=20, help="How many.")]


@calibrate.command()
def vcurve(config: ConfigOption, *, runs: RunsOption = 3) -> None:
    """Take whole V-curves and learn their slopes, so that later runs need three exposures."""
    _carry_out(config, lambda calibration: calibrations.vcurve(calibration, runs=runs), write=False)


@calibrate.command()
def backlash(config: ConfigOption, *, pairs: RunsOption = 2, apply: ApplyOption = False) -> None:
    """Measure the focuser's slack by runs that arrive inward and outward."""
    _carry_out(config, lambda calibration: calibrations.backlash(calibration, pairs=pairs), write=apply)


@calibrate.command()
def filters(
    config: ConfigOption,
    *,
    runs: RunsOption = 3,
    reference: Annotated[
        str | None, typer.Option(metavar="NAME", help="Filter to compare with; left out: the one in the light.")
    ] = None,
    apply: ApplyOption = False,
) -> None:
    """Measure the focus offsets of all filters of the wheel."""
    _carry_out(
        config, lambda calibration: calibrations.filters(calibration, runs=runs, reference=reference), write=apply
    )


@calibrate.command()
def temperature(config: ConfigOption, *, apply: ApplyOption = False) -> None:
    """Find from the history by how much focus moves with temperature; no device is touched."""
    _show(config, calibrations.temperature(load_yaml(config, Settings)), write=apply)


def _carry_out(config: Path, measure: Callable[[Calibration], Coroutine[Any, Any, Proposal]], *, write: bool) -> None:
    """Carry out a calibration with its printing, its signals and its exit code."""
    calibration = Calibration(settings=load_yaml(config, Settings), report=typer.echo)
    proposal = until_signalled(measure(calibration))
    if proposal is None:
        raise typer.Exit(EXIT_ABORTED)
    _show(config, proposal, write=write)


def _show(config: Path, proposal: Proposal, *, write: bool) -> None:
    for line in proposal.lines:
        typer.echo(line)
    if not proposal.changes:
        return
    typer.echo("Written:" if write else "To be set (or run it with --apply):")
    if write:
        calibrations.apply(config, proposal)
    for name, value in proposal.changes.items():
        typer.echo(f"  {name}: {json.dumps(value, ensure_ascii=False)}")
