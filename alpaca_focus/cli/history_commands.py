"""`alpaca-focus history`, `report` and `report-night`: show saved focus runs and nights."""

import json as json_module
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from alpaca_focus.cli.common import ConfigOption, JsonLinesOption, JsonOption
from alpaca_focus.cli.terminal import RunPrinter, result_json, text_console
from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.core.events import FrameMeasured, RunEnded, RunStarted
from alpaca_focus.core.metrics import STAR_SIZE, heading
from alpaca_focus.core.sweep.backlash import ApproachMethod, Backlash, Direction
from alpaca_focus.core.values import Light, SavedRun
from alpaca_focus.daemon.night_report import last_night, review_night, summary, write_report
from alpaca_focus.files.file_access import check_folder
from alpaca_focus.files.nina import write_nina_report
from alpaca_focus.files.pictures import check_picture_path, curve_of_run, write_picture
from alpaca_focus.settings.loader import load_yaml
from alpaca_focus.settings.models import Settings
from alpaca_focus.store.run_store import RunStore

FRAME_HEADINGS = f"{'ended (UTC)':<19}  {'filter':<8}  {'deg C':>6}  {'position':>8}  {'HFD px':>6}"
HistoryConfigOption = Annotated[
    Path | None,
    typer.Option("--config", "-c", metavar="FILE", help="Settings file with the storage.directory to read."),
]
DirectoryOption = Annotated[
    Path | None, typer.Option("--directory", metavar="DIR", help="Folder of the history, instead of --config.")
]


def history(
    config: HistoryConfigOption = None,
    directory: DirectoryOption = None,
    *,
    last: Annotated[int, typer.Option(min=1, help="How many to show.")] = 20,
    frames: Annotated[
        bool, typer.Option("--frames", help="List the measured light frames instead of the runs.")
    ] = False,
    json: JsonLinesOption = False,
) -> None:
    """List the saved focus runs, newest first."""
    with RunStore(_directory(config, directory), read_only=True) as store:
        if frames:
            _list_frames(store.lights(last=last), json=json)
            return
        runs = store.runs(last=last)
    if json:
        for run in runs:
            typer.echo(_as_json(run))
        return
    value = _value_heading(runs)
    typer.echo(
        f"{'run':>5}  {'started (UTC)':<16}  {'filter':<8}  {'deg C':>6}  {'best':>8}  {'+-':>5}  {value:>6}  "
        f"{'exp.':>4}  {'s':>5}  {'why':<18}  outcome"
    )
    for run in runs:
        typer.echo(_line(run, value_width=max(6, len(value))))


def report(
    run: Annotated[int, typer.Argument(metavar="RUN", help="Number of the run, from `history`.")],
    *,
    config: HistoryConfigOption = None,
    directory: DirectoryOption = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="OUT.png", help="Draw its curve as a picture (.png, .svg, .pdf).")
    ] = None,
    nina: Annotated[
        Path | None, typer.Option(metavar="OUT.json", help="Write it in the format of N.I.N.A.'s autofocus reports.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show one focus run: each frame, the curve, and how it ended."""
    if plot is not None:
        check_picture_path(plot)
    if nina is not None:
        check_folder(nina, "report")
    with RunStore(_directory(config, directory), read_only=True) as store:
        saved = store.run(run)
    if saved is None:
        raise ConfigurationError(f"There is no run {run} in the history. `alpaca-focus history` lists the runs.")
    if plot is not None:
        _draw(plot, saved)
    if nina is not None:
        write_nina_report(nina, saved.result, _backlash(config))
    if json:
        typer.echo(_as_json(saved))
        return
    result = saved.result
    typer.echo(f"Run {saved.number}, {result.started_at:%Y-%m-%d %H:%M:%S} UTC, {saved.trigger}.")
    printer = RunPrinter(text_console())
    printer.show(RunStarted(start_position=result.start_position))
    for sample in result.samples:
        printer.show(FrameMeasured(sample=sample))
    printer.show(RunEnded(result=result))


def report_night(
    config: ConfigOption,
    *,
    out: Annotated[Path, typer.Option(metavar="OUT.html", help="HTML file to write.")],
    evening: Annotated[
        datetime | None,
        typer.Option("--date", formats=["%Y-%m-%d"], help="Date of the evening; by default the last night."),
    ] = None,
) -> None:
    """Write a night's report as one HTML page. It shows triggers, V-curves, drift, and possible improvements."""
    check_folder(out, "report")
    settings, now = load_yaml(config, Settings), datetime.now(UTC)
    night = review_night(settings, last_night(settings, now) if evening is None else evening.date(), now)
    write_report(out, night, now)
    typer.echo(f"The night of {night.date}: {summary(night)} The report: {out}")


def _directory(config: Path | None, directory: Path | None) -> Path:
    if directory is not None:
        return directory.expanduser()
    if config is None:
        raise ConfigurationError("No history is given. Give --config FILE or --directory DIR.")
    folder = load_yaml(config, Settings).storage.folder
    if folder is None:
        raise ConfigurationError(f"{config} has no storage.directory, so no history is saved. Set storage.directory.")
    return folder


def _backlash(config: Path | None) -> Backlash | None:
    """Return the backlash compensation in the settings; `None` without settings or compensation."""
    if config is None:
        return None
    backlash = load_yaml(config, Settings).focuser.backlash
    if backlash.method == "none":
        return None
    return Backlash(steps=backlash.steps, arrive=Direction(backlash.arrive), method=ApproachMethod(backlash.method))


def _value_heading(runs: Sequence[SavedRun]) -> str:
    """Return the column heading of the value in focus: the metric if all runs share one."""
    measured = [run.result.samples[0].measurement for run in runs if run.result.samples]
    headings = {heading(each.metric, each.unit) for each in measured}
    return headings.pop() if len(headings) == 1 else "value" if headings else heading(STAR_SIZE, "px")


def _line(run: SavedRun, *, value_width: int) -> str:
    result, fit = run.result, run.result.fit
    temperature = "-" if result.temperature_c is None else f"{result.temperature_c:.1f}"
    best, stderr, value = "-", "-", "-"
    if fit is not None:
        best, stderr = f"{fit.best_position:.1f}", f"{fit.best_position_stderr:.1f}"
    if result.verification is not None:
        value = f"{result.verification.measurement.value:.2f}"
    return (
        f"{run.number:>5}  {result.started_at:%Y-%m-%d %H:%M}  {result.filter_name or '-':<8}  {temperature:>6}  "
        f"{best:>8}  {stderr:>5}  {value:>{value_width}}  {result.exposures:>4}  "
        f"{result.duration_s:>5.0f}  {run.trigger:<18}  {result.outcome.value}"
    )


def _list_frames(lights: tuple[Light, ...], *, json: bool) -> None:
    if json:
        for light in lights:
            typer.echo(json_module.dumps({**asdict(light), "ended_at": light.ended_at.isoformat()}))
        return
    typer.echo(FRAME_HEADINGS)
    for light in lights:
        temperature = "-" if light.temperature_c is None else f"{light.temperature_c:.1f}"
        position = "-" if light.position is None else str(light.position)
        typer.echo(
            f"{light.ended_at:%Y-%m-%d %H:%M:%S}  {light.filter_name or '-':<8}  {temperature:>6}  {position:>8}  "
            f"{light.hfd_px:>6.2f}"
        )


def _as_json(run: SavedRun) -> str:
    # The result is already one JSON object: number and trigger go before its first key.
    return f'{{"run":{run.number},"trigger":"{run.trigger}",{result_json(run.result)[1:]}'


def _draw(path: Path, run: SavedRun) -> None:
    if not run.result.samples:
        raise ConfigurationError(f"Run {run.number} took no frame, so there is no curve to draw.")
    fitted, title = curve_of_run(run.number, run.result)
    write_picture(path, fitted, title=title)
