"""Charts in characters, for a terminal: lines in dots, points as `o`, those left out as `x`."""

import plotille

from alpaca_focus.files.chart import Chart, Line, Points

WIDTH, HEIGHT = 52, 14


def chart_text(chart: Chart, *, width: int = WIDTH, height: int = HEIGHT) -> str:
    """Return a chart as lines of characters, without its vertical lines and bands.

    Args:
        chart: What to draw.
        width: Characters inside the axes.
        height: Lines inside the axes.
    """
    figure = plotille.Figure()
    figure.width, figure.height = width, height
    figure.with_colors = False
    # The unit of the horizontal axis has no room in 80 columns.
    figure.x_label, figure.y_label = chart.x_label.partition(",")[0], chart.label
    figure.set_x_limits(min_=chart.x.low, max_=chart.x.high)
    figure.set_y_limits(min_=chart.y.low, max_=chart.y.high)
    figure.register_label_formatter(float, _label)
    for mark in chart.marks:
        if isinstance(mark, Line | Points) and mark.at:
            x, y = ([float(each[axis]) for each in mark.at] for axis in (0, 1))
            if isinstance(mark, Line):
                figure.plot(x, y)
            else:
                figure.scatter(x, y, marker="x" if mark.crossed else "o")
    return str(figure.show())


def _label(value: float, chars: int, delta: float, *, left: bool = False) -> str:
    """Format a number at an axis of length `delta`; the names are plotille's."""
    text = f"{value:.0f}" if delta >= 100 else f"{value:.1f}" if delta >= 1 else f"{value:.2g}"
    return text.ljust(chars) if left else text.rjust(chars)
