"""`alpaca-focus watch`: measures each new frame in a folder as the capture program finishes it."""

import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from alpaca_focus.cli.curve_text import optimum_line
from alpaca_focus.cli.keys import EndRequest
from alpaca_focus.cli.live import LiveGraph
from alpaca_focus.cli.measure import AxisOption, EndOption, FirstOption, MetricOption
from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.files.best_focus import FittedCurve, fitted_curve
from alpaca_focus.files.curve_tables import CollectedFrames
from alpaca_focus.files.file_report import AUTO
from alpaca_focus.files.folder_watch import FolderListing, FolderWatch, file_stamp, folder_snapshot
from alpaca_focus.files.measuring import MeasureOptions, measure_file
from alpaca_focus.files.pictures import check_picture_path, write_picture
from alpaca_focus.imaging.spectrum import SpectrumSettings, TraceAxis

POLLS_PER_SETTLE = 4
SHORTEST_WAIT_S, LONGEST_WAIT_S = 0.05, 0.5


def watch(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder into which the frames are written.")],
    *,
    metric: MetricOption = AUTO,
    existing: Annotated[
        bool, typer.Option("--existing", help="Also measure the files that are there already.")
    ] = False,
    settle_s: Annotated[
        float,
        typer.Option(
            "--settle-s", min=0.05, metavar="S", help="Seconds without a change after which a file is complete."
        ),
    ] = 1.0,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="OUT.png", help="Also save the graph as a picture (.png, .svg, .pdf)."),
    ] = None,
    x0: FirstOption = None,
    x1: EndOption = None,
    axis: AxisOption = TraceAxis.AUTO,
) -> None:
    """Measure each new FITS file in a folder. A terminal shows a live graph against focuser position; `q` ends it."""
    if plot is not None:
        check_picture_path(plot)
    if not folder.is_dir():
        raise ConfigurationError(f"There is no folder {folder} to watch.")
    with EndRequest() as end, LiveGraph(Console(highlight=False)) as graph:
        options = MeasureOptions(metric=metric, spectrum=SpectrumSettings(x0=x0, x1=x1, axis=axis))
        session = _Session(folder, options, settle_s=settle_s, plot=plot, graph=graph)
        session.start(existing=existing)
        # To stderr: other programs may read the frames' lines from stdout.
        typer.echo(f"Watching {folder} for new FITS files; {end.how} ends it.", err=True)
        while not end.wait(session.wait_s):
            session.poll(end)
    for line in session.summary():
        typer.echo(line)


class _Session:
    """One run of the command."""

    def __init__(
        self, folder: Path, options: MeasureOptions, *, settle_s: float, plot: Path | None, graph: LiveGraph
    ) -> None:
        self.wait_s = min(max(settle_s / POLLS_PER_SETTLE, SHORTEST_WAIT_S), LONGEST_WAIT_S)
        self._folder, self._options, self._plot, self._graph = folder, options, plot, graph
        self._files = FolderWatch(settle_s=settle_s)
        self._frames = CollectedFrames()
        self._fitted: list[FittedCurve] = []
        self._away = False
        self._picture_problem = ""

    def start(self, *, existing: bool) -> None:
        """Ignore the files that are there already, unless `existing`."""
        snapshot = folder_snapshot(self._folder)
        if snapshot is not None and not existing:
            self._files.ignore(snapshot, time.monotonic())

    def poll(self, end: EndRequest) -> None:
        """Poll the folder once, measure the complete files and show them."""
        self._graph.follow_size()
        snapshot = folder_snapshot(self._folder)
        self._report_presence(there=snapshot is not None)
        if snapshot is None:
            return
        measured = False
        for name in self._files.poll(snapshot, time.monotonic()):
            measured = self._measure(name, snapshot) or measured
            if end.poll():
                break
        if measured:
            self._show()

    def summary(self) -> list[str]:
        """Return the best positions, one line per curve."""
        if not self._fitted:
            return ["No usable frame with a focuser position was measured."]
        return [optimum_line(each) for each in self._fitted]

    def _report_presence(self, *, there: bool) -> None:
        if self._away != there:
            return
        self._away = not there
        state = "is there again" if there else "is gone or does not answer; waiting for it"
        self._graph.line(f"The folder {self._folder} {state}.")

    def _measure(self, name: str, snapshot: FolderListing) -> bool:
        """Measure a file and return whether there is a new report."""
        path = self._folder / name
        report = measure_file(path, self._options)
        if file_stamp(path) != snapshot[name]:
            # It changed or vanished while it was read: the next poll lists its new state.
            return False
        if self._files.outcome(name, time.monotonic(), complete=report.readable):
            self._graph.line(report.line())
            self._frames.add(name, report.as_dict())
        return report.readable

    def _show(self) -> None:
        self._fitted = [fitted_curve(curve) for curve in self._frames.curves()]
        if not self._fitted:
            return
        self._graph.show(self._fitted, "\n".join(self.summary()))
        if self._plot is not None:
            self._draw(self._plot)

    def _draw(self, path: Path) -> None:
        try:
            write_picture(path, self._fitted, title=f"{self._folder}")
        except ConfigurationError as error:
            # A full disk or an unmounted share must not stop the measuring; it is reported once.
            if str(error) != self._picture_problem:
                self._graph.line(str(error))
            self._picture_problem = str(error)
        else:
            self._picture_problem = ""
