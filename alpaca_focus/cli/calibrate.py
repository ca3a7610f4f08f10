"""`alpaca-focus calibrate`: measures properties of the focuser and the telescope, and proposes settings for them."""

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

calibrate = command_group("Measure V-curve, backlash, filter or temperature offsets.")

ApplyOption = Annotated[
    bool, typer.Option("--apply", help="Write the result into the settings file; its comments and order stay.")
]
RunsOption = Annotated[int, typer.Option(min=1, max=20, help="How many to take.")]


@calibrate.command()
def vcurve(config: ConfigOption, *, runs: RunsOption = 3) -> None:
    """Measure full V-curves and learn their slopes, so that later runs need only three exposures."""
    _run(config, lambda calibration: calibrations.vcurve(calibration, runs=runs), write=False)


@calibrate.command()
def backlash(config: ConfigOption, *, pairs: RunsOption = 2, apply: ApplyOption = False) -> None:
    """Measure the focuser's backlash with pairs of runs that arrive inward and outward."""
    _run(config, lambda calibration: calibrations.backlash(calibration, pairs=pairs), write=apply)


@calibrate.command()
def filters(
    config: ConfigOption,
    *,
    runs: RunsOption = 3,
    reference: Annotated[
        str | None, typer.Option(metavar="NAME", help="Filter to compare with; by default the current one.")
    ] = None,
    apply: ApplyOption = False,
) -> None:
    """Measure the focus offsets of all filters in the wheel."""
    _run(config, lambda calibration: calibrations.filters(calibration, runs=runs, reference=reference), write=apply)


@calibrate.command()
def temperature(config: ConfigOption, *, apply: ApplyOption = False) -> None:
    """Compute the temperature coefficient from the history of runs, without touching any device."""
    _show(config, calibrations.temperature(load_yaml(config, Settings)), write=apply)


def _run(config: Path, measure: Callable[[Calibration], Coroutine[Any, Any, Proposal]], *, write: bool) -> None:
    """Run a calibration and show its proposal; exit if a signal aborts it."""
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
    typer.echo("Written:" if write else "Proposed settings (--apply writes them):")
    if write:
        calibrations.apply(config, proposal)
    for name, value in proposal.changes.items():
        typer.echo(f"  {name}: {json.dumps(value, ensure_ascii=False)}")
