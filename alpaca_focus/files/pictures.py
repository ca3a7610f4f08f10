"""Charts as pictures, drawn with matplotlib: V-curves as PNG, SVG or PDF, and figures for other pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Any

from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.core.values import FocusResult
from alpaca_focus.files.best_focus import Curve, FittedCurve
from alpaca_focus.files.chart import Band, Chart, Colour, Mark, Points, Polyline, Range, Upright, v_curve
from alpaca_focus.files.file_access import atomic_write, check_folder

FORMATS = (".png", ".svg", ".pdf")
WIDTH_INCH, PANEL_INCH, DOTS_PER_INCH = 7.5, 3.6, 120
MOST_X_TICKS, MOST_Y_TICKS = 9, 8
MANY_POINTS = 60
"""More points than this are drawn small, and below a line through them."""


@dataclass(frozen=True, slots=True)
class Paper:
    """The colours of a picture, of its error bars and of its grid; without `grid` there is none."""

    colours: Mapping[Colour, str]
    error: str
    grid: str | None = None


WHITE_PAPER = Paper(
    MappingProxyType({Colour.BLUE: "#1f5fa8", Colour.RED: "#c23b22", Colour.GREEN: "#2a7f3f"}), "#8a8a8a", "#dddddd"
)


def check_picture_path(path: Path) -> None:
    """Check that a picture can be written there, before any work is done for it.

    Raises:
        ConfigurationError: The ending names no format, or the folder does not exist or is not writable.
    """
    if path.suffix.lower() not in FORMATS:
        raise ConfigurationError(f"{path} is not the name of a picture. It must end in one of {', '.join(FORMATS)}.")
    check_folder(path, "picture")


def curve_of_run(number: int, result: FocusResult) -> tuple[tuple[FittedCurve, ...], str]:
    """Return the curve of a focus run that took frames, and a title for its picture."""
    measured = result.samples[0].measurement
    curve = Curve(metric=measured.metric, unit=measured.unit, samples=result.samples)
    title = f"Run {number}, {result.started_at:%Y-%m-%d %H:%M} UTC: {result.outcome.value}"
    return (FittedCurve(curve=curve, fit=result.fit),), title


def write_picture(
    path: Path, fitted: Sequence[FittedCurve], *, title: str = "", compromise_at: float | None = None
) -> None:
    """Draw one panel per curve, with or without its fit, and write the picture atomically.

    The ending of `path` names the format; `compromise_at` is marked in every panel.

    Raises:
        ConfigurationError: The file cannot be written.
    """
    figure = _figure(fitted, title, compromise_at)
    with atomic_write(path, "picture") as file:
        figure.savefig(file, format=path.suffix[1:].lower(), dpi=DOTS_PER_INCH)


def picture_png(fitted: Sequence[FittedCurve], *, title: str = "") -> bytes:
    """Return the same picture as the bytes of a PNG file."""
    file = BytesIO()
    _figure(fitted, title, None).savefig(file, format="png", dpi=DOTS_PER_INCH)
    return file.getvalue()


def empty_figure(width_inch: float, height_inch: float) -> Any:
    """Return a figure of matplotlib's without anything in it."""
    # Slow to import, and not needed by most commands.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(width_inch, height_inch), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def draw_chart(panel: Any, chart: Chart, paper: Paper = WHITE_PAPER) -> None:
    """Draw a chart into a panel of a figure, without labels of the axes and legend."""
    panel.set_axisbelow(True)
    if paper.grid is not None:
        panel.grid(visible=True, color=paper.grid, linewidth=0.6)
    for axis, ticks in ((panel.xaxis, chart.x_ticks(MOST_X_TICKS)), (panel.yaxis, chart.y_ticks(MOST_Y_TICKS))):
        axis.set_ticks([at for at, _ in ticks], [text for _, text in ticks])
    panel.set_xlim(chart.x.low, chart.x.high)
    panel.set_ylim(chart.y.low, chart.y.high)
    for mark in chart.marks:
        _draw_mark(panel, mark, paper)


def _draw_mark(panel: Any, mark: Mark, paper: Paper) -> None:
    style: dict[str, Any] = {"color": paper.colours[mark.colour], "label": mark.name or None}
    if isinstance(mark, Polyline | Upright):
        style |= {"linewidth": 1.2, "linestyle": "--" if mark.dashed else "-"}
    match mark:
        case Points():
            are_many = len(mark.at) > MANY_POINTS
            panel.errorbar(
                *zip(*mark.at, strict=True),
                yerr=mark.errors or None,
                fmt="x" if mark.crossed else "." if are_many else "o",
                ecolor=paper.error,
                elinewidth=1.0,
                capsize=2.0,
                markersize=3.0 if are_many else 5.0,
                zorder=1.5 if are_many else 3,
                **style,
            )
        case Polyline():
            panel.plot(*zip(*mark.at, strict=True), **style)
        case Upright():
            panel.axvline(mark.x, **style)
        case Band():
            panel.axvspan(mark.low, mark.high, alpha=0.15, linewidth=0, **style)


def _figure(fitted: Sequence[FittedCurve], title: str, compromise_at: float | None) -> Any:
    charts = [v_curve(each.curve.samples, each.fit) for each in fitted]
    figure = empty_figure(WIDTH_INCH, PANEL_INCH * len(charts) + 0.4)
    shared = Range(min(chart.x.low for chart in charts), max(chart.x.high for chart in charts))
    mark: list[Mark] = []
    if compromise_at is not None:
        name = f"compromise {compromise_at:.1f}"
        mark.append(Upright(x=compromise_at, colour=Colour.RED, dashed=True, name=name))
    panels = figure.subplots(len(charts), 1, sharex=True, squeeze=False)[:, 0]
    for panel, chart in zip(panels, charts, strict=True):
        draw_chart(panel, replace(chart, x=shared, marks=(*mark, *chart.marks)))
        panel.set_ylabel(chart.label)
        panel.legend(loc="best", fontsize=8, framealpha=0.9)
    panels[-1].set_xlabel(charts[-1].x_label)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure
