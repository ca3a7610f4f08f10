"""Charts as SVG for a page, and in characters for a terminal."""

import math
from html import escape

from alpaca_focus.files.chart import Band, Chart, Mark, Points, Polyline, Upright

LEFT, RIGHT, TOP, BOTTOM, X_LABEL_ROOM = 58, 20, 20, 24, 14
SVG_WIDTH, SVG_HEIGHT = 960, 220
TEXT_PX = 6.5
"""Width of a figure on an axis."""
CROSS = "m-3,-3 l6,6 m0,-6 l-6,6"


def chart_svg(chart: Chart, *, width: int = SVG_WIDTH, height: int = SVG_HEIGHT) -> str:
    """Return a chart as an SVG element; `height` excludes the label of the horizontal axis."""
    return _Drawing(chart, width, height).svg()


class _Drawing:
    """Draws one chart as SVG."""

    def __init__(self, chart: Chart, width: int, height: int) -> None:
        self._chart = chart
        self._right, self._bottom = width - RIGHT, height - BOTTOM
        self._size = f"{width} {height + (X_LABEL_ROOM if chart.x_label else 0)}"

    def svg(self) -> str:
        label = escape(self._chart.label)
        parts = "".join((self._axes(), *map(self._mark, self._chart.marks)))
        return f'<svg viewBox="0 0 {self._size}" role="img" aria-label="{label}">{parts}</svg>'

    def _across(self, x: float) -> float:
        shown = self._chart.x
        return LEFT + (x - shown.low) / (shown.high - shown.low) * (self._right - LEFT)

    def _up(self, y: float) -> float:
        shown = self._chart.y
        return self._bottom - (y - shown.low) / (shown.high - shown.low) * (self._bottom - TOP)

    def _axes(self) -> str:
        chart, right, bottom = self._chart, self._right, self._bottom
        parts = []
        for value, text in chart.y_ticks(max(2, (bottom - TOP) // 40)):
            up = self._up(value)
            parts += [_line("grid", LEFT, up, right, up), _text(LEFT - 6, up + 4, text, "end")]
        parts.append(_line("axis", LEFT, bottom, right, bottom))
        room = 70.0 if chart.at_times else max(45.0, TEXT_PX * (len(f"{chart.x.high:.0f}") + 3))
        for value, text in chart.x_ticks(max(2, int((right - LEFT) // room))):
            across = self._across(value)
            parts += [_line("axis", across, bottom, across, bottom + 4), _text(across, bottom + 17, text, "middle")]
        if chart.x_label:
            parts.append(_text(right, bottom + 17 + X_LABEL_ROOM, chart.x_label, "end"))
        return "".join([*parts, _text(6, 13, chart.label, "start")])

    def _mark(self, mark: Mark) -> str:
        style = f"{mark.colour} dash" if isinstance(mark, Polyline | Upright) and mark.dashed else mark.colour
        match mark:
            case Points():
                return self._points(mark)
            case Polyline():
                path = " ".join(f"{self._across(x):.1f},{self._up(y):.1f}" for x, y in mark.at)
                return f'<polyline class="{style}" points="{path}"/>' if len(mark.at) > 1 else ""
            case Upright():
                across = self._across(mark.x)
                return _line(style, across, TOP, across, self._bottom)
            case Band():
                left = self._across(max(mark.low, self._chart.x.low))
                width = max(self._across(min(mark.high, self._chart.x.high)) - left, 0.5)
                size = f'width="{width:.1f}" height="{self._bottom - TOP}"'
                return f'<rect class="{mark.colour}" x="{left:.1f}" y="{TOP}" {size}/>'

    def _points(self, points: Points) -> str:
        parts = []
        y = self._chart.y
        for (at, value), error in zip(points.at, points.errors or [math.nan] * len(points.at), strict=True):
            across, up = self._across(at), self._up(value)
            if math.isfinite(error):
                top, bottom = self._up(min(value + error, y.high)), self._up(max(value - error, y.low))
                parts.append(_line("error", across, top, across, bottom))
            cross = f'<path class="{points.colour}" d="M{across:.1f},{up:.1f} {CROSS}"/>'
            dot = f'<circle class="{points.colour}" cx="{across:.1f}" cy="{up:.1f}" r="3.2"/>'
            parts.append(cross if points.crossed else dot)
        return "".join(parts)


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


TEXT_WIDTH, TEXT_HEIGHT = 52, 14


def chart_text(chart: Chart, *, width: int = TEXT_WIDTH, height: int = TEXT_HEIGHT) -> str:
    """Return a chart as lines of text, without its vertical lines and bands; width and height are inside the axes."""
    # Not needed by the daemon.
    import plotille  # noqa: PLC0415

    figure = plotille.Figure()
    figure.width, figure.height = width, height
    figure.with_colors = False
    # The unit of the horizontal axis has no room in 80 columns.
    figure.x_label, figure.y_label = chart.x_label.partition(",")[0], chart.label.replace(", ", " ")
    figure.set_x_limits(min_=chart.x.low, max_=chart.x.high)
    figure.set_y_limits(min_=chart.y.low, max_=chart.y.high)
    figure.register_label_formatter(float, _label)
    for mark in chart.marks:
        if isinstance(mark, Polyline | Points) and mark.at:
            x, y = ([float(each[axis]) for each in mark.at] for axis in (0, 1))
            if isinstance(mark, Polyline):
                figure.plot(x, y)
            else:
                figure.scatter(x, y, marker="x" if mark.crossed else "o")
    return str(figure.show())


def _label(value: float, chars: int, delta: float, *, left: bool = False) -> str:
    """Format a number at an axis of length `delta`; the names are plotille's."""
    text = f"{value:.0f}" if delta >= 100 else f"{value:.1f}" if delta >= 1 else f"{value:.2g}"
    return text.ljust(chars) if left else text.rjust(chars)
