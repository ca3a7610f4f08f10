"""Lines that scroll by, and below them, where the output is a terminal, graphs that stay."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from alpaca_focus.cli.terminal import curve_plot
from alpaca_focus.files.best_focus import FittedCurve

AXIS_COLUMNS, AXIS_LINES = 17, 4
"""What plotille puts around the inside of a graph."""
MIN_INSIDE_COLUMNS, MAX_INSIDE_COLUMNS = 20, 52
MIN_INSIDE_LINES, MAX_INSIDE_LINES = 4, 14
OTHER_LINES = 8
"""Lines of the terminal that are left to text."""


class LiveGraph:
    """Prints lines and keeps the graphs under them. A context manager: the last graph stays on the screen."""

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

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.update(self._graphs(), refresh=True)
            self._live.stop()

    def line(self, text: str) -> None:
        """Print a line above the graphs; a long one is not cut."""
        self._console.print(Text(text), soft_wrap=True)

    def show(self, fitted: Sequence[FittedCurve], status: str) -> None:
        """Draw these curves from now on, and a line of text under them."""
        self._fitted, self._status = fitted, status
        self._redraw()

    def follow_size(self) -> None:
        """Draw anew if the terminal's size has changed."""
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
        width = min(MAX_INSIDE_COLUMNS, columns // across - AXIS_COLUMNS)
        height = min(MAX_INSIDE_LINES, (lines - OTHER_LINES) // down - AXIS_LINES)
        if width < MIN_INSIDE_COLUMNS or height < MIN_INSIDE_LINES:
            return Text("(The terminal is too small for a graph.)")
        plots = [Text(_plot(each, width, height), no_wrap=True, overflow="crop") for each in self._fitted]
        if not beside:
            return Group(*plots)
        grid = Table.grid(padding=(0, 1))
        grid.add_row(*plots)
        return grid


def _plot(fitted: FittedCurve, width: int, height: int) -> str:
    return curve_plot(fitted.curve.samples, fitted.fit, width=width, height=height)
