"""Scrolling lines with live graphs below them on a terminal."""

from collections.abc import Sequence
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from alpaca_focus.files.best_focus import FittedCurve
from alpaca_focus.files.chart import v_curve
from alpaca_focus.files.chart_drawing import TEXT_HEIGHT, TEXT_WIDTH, chart_text

AXIS_COLUMNS, AXIS_LINES = 17, 4
"""Space that plotille needs around a graph, for axes and labels."""
MIN_INSIDE_COLUMNS, MIN_INSIDE_LINES = 20, 4
OTHER_LINES = 8
"""Lines of the terminal reserved for text."""


class LiveGraph:
    """Prints lines above live graphs. A context manager; the last graphs stay on the screen."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._fitted: Sequence[FittedCurve] = ()
        self._status = ""
        self._size = console.size
        shown = console.is_terminal and not console.is_dumb_terminal
        self._live = Live(console=console, auto_refresh=False, redirect_stderr=False) if shown else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.update(self._graphs(), refresh=True)
            self._live.stop()

    def line(self, text: str) -> None:
        """Print a line above the graphs, wrapped if it is long."""
        self._console.print(Text(text), soft_wrap=True)

    def show(self, fitted: Sequence[FittedCurve], status: str) -> None:
        """Draw these curves with a status text below."""
        self._fitted, self._status = fitted, status
        self._redraw()

    def follow_size(self) -> None:
        """Redraw if the size of the terminal has changed."""
        if self._console.size != self._size:
            self._size = self._console.size
            self._redraw()

    def _redraw(self) -> None:
        if self._live is not None:
            self._live.update(Group(self._graphs(), Text(self._status)), refresh=True)

    def _graphs(self) -> RenderableType:
        if not self._fitted:
            return Text("")
        columns, lines = self._console.size
        beside = columns // len(self._fitted) - AXIS_COLUMNS >= MIN_INSIDE_COLUMNS
        across, down = (len(self._fitted), 1) if beside else (1, len(self._fitted))
        width = min(TEXT_WIDTH, columns // across - AXIS_COLUMNS)
        height = min(TEXT_HEIGHT, (lines - OTHER_LINES) // down - AXIS_LINES)
        if width < MIN_INSIDE_COLUMNS or height < MIN_INSIDE_LINES:
            return Text("(The terminal is too small for a graph.)")
        charts = [v_curve(each.curve.samples, each.fit) for each in self._fitted]
        texts = [chart_text(chart, width=width, height=height) for chart in charts]
        plots = [Text(text, no_wrap=True, overflow="crop") for text in texts]
        if not beside:
            return Group(*plots)
        grid = Table.grid(padding=(0, 1))
        grid.add_row(*plots)
        return grid
