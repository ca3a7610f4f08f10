"""`alpaca-focus measure`: measures stars or spectra in FITS files, one line per file."""

import csv
import io
import json as json_format
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.core.metrics import COLUMNS, MEASUREMENTS, MetricKind
from alpaca_focus.files.best_focus import DECIDERS
from alpaca_focus.files.file_report import AUTO, FileReport
from alpaca_focus.files.folder_watch import SUFFIXES, folder_snapshot
from alpaca_focus.files.measuring import MeasureOptions, measure_files
from alpaca_focus.files.preview import check_preview, draw_preview
from alpaca_focus.imaging.spectrum import SpectrumSettings, TraceAxis

MANY_FILES = 5
"""Number of files from which a progress bar is shown."""
EXIT_UNUSABLE, EXIT_INTERRUPTED = 1, 130
WILD = frozenset("*?[")

if TYPE_CHECKING:
    MeasuredAs: TypeAlias = str
    Decider: TypeAlias = str
else:
    # Built from the table of metrics, which a type checker cannot follow.
    MeasuredAs = StrEnum("MeasuredAs", {name.upper(): name for name in (*MEASUREMENTS, AUTO)})
    Decider = StrEnum("Decider", {name.upper(): name for name in DECIDERS})

MetricOption = Annotated[MeasuredAs, typer.Option(help="What to measure; auto distinguishes spectra from stars.")]
FirstOption = Annotated[
    int | None, typer.Option("--x0", help="First column of a spectrum's slice; a row for a vertical spectrum.")
]
EndOption = Annotated[int | None, typer.Option("--x1", help="Column after the last one of the slice.")]
AxisOption = Annotated[TraceAxis, typer.Option(help="Direction of a spectrum.")]


def measure(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="FITS files (also .gz and .fz), folders of them, or patterns."),
    ],
    *,
    metric: MetricOption = AUTO,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per file.")] = False,
    csv_table: Annotated[bool, typer.Option("--csv", help="Print a table: a header and one line per file.")] = False,
    preview: Annotated[
        Path | None, typer.Option(metavar="OUT.png", help="Draw the measured stars or spectrum; for one file.")
    ] = None,
    x0: FirstOption = None,
    x1: EndOption = None,
    axis: AxisOption = TraceAxis.AUTO,
    dask: Annotated[
        str | None,
        typer.Option(
            metavar="tcp://HOST:8786",
            help="Measure on this Dask cluster. Its workers read files they have under the same path; others are "
            "sent to them. The lines are in the order of the files.",
        ),
    ] = None,
) -> None:
    """Measure stars or spectra in FITS files, one line per file.

    Exit code 0 if every file was measured, 1 if some could not be, 2 if there were none.
    """
    if json and csv_table:
        raise ConfigurationError("The output is either --json or --csv: leave one of them out.")
    paths = find_files(files)
    if preview is not None:
        check_preview(preview, paths)
    options = MeasureOptions(metric=metric, spectrum=SpectrumSettings(x0=x0, x1=x1, axis=axis))
    header, line_of = (None, _json_line) if json else _csv_table(metric) if csv_table else (None, FileReport.line)
    reports: list[FileReport] = []
    try:
        with _measured(paths, options, dask) as measured, _progress(len(paths)) as print_line:
            if header is not None:
                typer.echo(header)
            for report in measured:
                reports.append(report)
                print_line(line_of(report))
    except KeyboardInterrupt:
        typer.echo(f"Stopped: {len(reports)} of {len(paths)} files were measured.", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    if preview is not None and reports[0].readable:
        draw_preview(preview, reports[0], options)
    if not all(report.usable for report in reports):
        raise typer.Exit(EXIT_UNUSABLE)


@contextmanager
def _measured(paths: Sequence[Path], options: MeasureOptions, dask: str | None) -> Iterator[Iterator[FileReport]]:
    """Yield the reports, measured here or on a cluster; unfinished work is cancelled at the end."""
    if dask is None:
        with closing(measure_files(paths, options)) as measured:
            yield measured
        return
    try:
        # An optional dependency, loaded for --dask only.
        from alpaca_focus.files.cluster import Cluster  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f'--dask needs the Python package {error.name}, which is missing. Run pip install "alpaca-focus[dask]".'
        ) from None
    print_error = partial(typer.echo, err=True)
    with Cluster(dask) as cluster, closing(cluster.measure_files(paths, options, print_error)) as measured:
        yield measured


def find_files(arguments: Sequence[str]) -> list[Path]:
    """Return the files that the arguments name, each once: folders give their FITS files, patterns their matches.

    Raises:
        ConfigurationError: There is no file.
    """
    found: dict[Path, None] = {}
    for argument in arguments:
        found.update(dict.fromkeys(_expanded(argument)))
    if not found:
        raise ConfigurationError(
            f"There is no FITS file ({', '.join(SUFFIXES)}) in {', '.join(arguments)}: nothing was measured."
        )
    return list(found)


def _expanded(argument: str) -> list[Path]:
    path = Path(argument)
    if path.is_dir():
        return [path / name for name in sorted(folder_snapshot(path) or ())]
    if WILD.isdisjoint(argument) or path.exists():
        return [path]
    start = Path(path.anchor)
    matches = start.glob(str(path.relative_to(start)))
    return sorted(match for match in matches if match.is_file() and not match.name.startswith("."))


def _json_line(report: FileReport) -> str:
    return json_format.dumps(report.as_dict(), allow_nan=False)


def _csv_table(metric: str) -> tuple[str, Callable[[FileReport], str]]:
    """Return the header of the table, and a function that makes a row of a report; unknown values are empty."""
    kinds = (MetricKind.STARS, MetricKind.SPECTRUM) if metric == AUTO else (metric,)
    numbers = dict.fromkeys(name for kind in kinds for name in COLUMNS[kind])
    columns = ["file", "metric", *numbers, "usable", "reason", "position"]

    def row(report: FileReport) -> str:
        line = io.StringIO()
        csv.DictWriter(line, columns, extrasaction="ignore", lineterminator="").writerow(report.as_dict())
        return line.getvalue()

    return ",".join(columns), row


@contextmanager
def _progress(total: int) -> Iterator[Callable[[str], None]]:
    """Yield a function that prints a file's line; with many files and a terminal there is a progress bar on stderr."""
    console = Console(stderr=True)
    if total < MANY_FILES or not console.is_terminal:
        yield typer.echo
        return
    columns = (TextColumn("measuring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, redirect_stdout=False) as progress:
        task = progress.add_task("", total=total)

        def print_line(line: str) -> None:
            if sys.stdout.isatty():
                # The bar is on the same terminal: rich moves it below the line.
                progress.console.print(line, markup=False, highlight=False, soft_wrap=True)
            else:
                typer.echo(line)
            progress.advance(task)

        yield print_line
