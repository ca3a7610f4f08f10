"""A picture of V-curves: points with their errors, the curves through them, the best position."""

import math
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from alpaca_focus.core.curve_models import curve_value
from alpaca_focus.core.errors import ConfigurationError
from alpaca_focus.core.values import Fit, FocusResult, Sample
from alpaca_focus.files.best_focus import Curve, FittedCurve
from alpaca_focus.files.whole import check_folder, written_whole

FORMATS = (".png", ".svg", ".pdf")
WIDTH_INCH, PANEL_INCH, DOTS_PER_INCH = 7.5, 3.6, 120
LARGEST_OVER_KEPT = 3.0
BLUE, RED, GREY, GREEN = "#1f5fa8", "#c23b22", "#8a8a8a", "#2a7f3f"


def check_picture_path(path: Path) -> None:
    """See that a picture can be written there, before any work is done for it.

    Raises:
        ConfigurationError: The ending names no format, or the folder is not there or takes no file.
    """
    if path.suffix.lower() not in FORMATS:
        raise ConfigurationError(f"{path} is no picture's name: let it end in {', '.join(FORMATS)}.")
    check_folder(path, "picture")


def curve_of_run(number: int, result: FocusResult) -> tuple[tuple[FittedCurve, ...], str]:
    """Return what a picture of a focus run that took frames shows: its curve, and a title."""
    measured = result.samples[0].measurement
    curve = Curve(metric=measured.metric, unit=measured.unit, samples=result.samples)
    title = f"Run {number}, {result.started_at:%Y-%m-%d %H:%M} UTC: {result.outcome.value}"
    return (FittedCurve(curve=curve, fit=result.fit),), title


def write_picture(
    path: Path, fitted: Sequence[FittedCurve], *, title: str = "", compromise_at: float | None = None
) -> None:
    """Draw one panel a curve and put the picture in place at once, so that nobody reads half of one.

    Args:
        path: Where to; its ending tells the format.
        fitted: The curves, with or without a fit.
        title: One line above them.
        compromise_at: A position to mark in every panel.

    Raises:
        ConfigurationError: The file cannot be written.
    """
    figure = _figure(fitted, title, compromise_at)
    with written_whole(path, "picture") as file:
        figure.savefig(file, format=path.suffix[1:].lower(), dpi=DOTS_PER_INCH)


def picture_png(fitted: Sequence[FittedCurve], *, title: str = "") -> bytes:
    """Return the same picture as the bytes of a PNG file."""
    file = BytesIO()
    _figure(fitted, title, None).savefig(file, format="png", dpi=DOTS_PER_INCH)
    return file.getvalue()


def _figure(fitted: Sequence[FittedCurve], title: str, compromise_at: float | None) -> Any:
    # Slow to import, and of no use to the other commands.
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(WIDTH_INCH, PANEL_INCH * len(fitted) + 0.4), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(fitted), 1, sharex=True, squeeze=False)[:, 0]
    for panel, each in zip(panels, fitted, strict=True):
        if compromise_at is not None:
            panel.axvline(
                compromise_at, color=RED, linewidth=1.2, linestyle="--", label=f"compromise {compromise_at:.1f}"
            )
        _draw(panel, each)
    panels[-1].set_xlabel("focuser position, steps")
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def _draw(panel: Any, fitted: FittedCurve) -> None:
    curve, fit = fitted.curve, fitted.fit
    panel.set_ylabel(curve.heading)
    panel.grid(visible=True, color="#dddddd", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.ticklabel_format(axis="x", useOffset=False, style="plain")
    usable = [(index, sample) for index, sample in enumerate(curve.samples) if sample.measurement.usable]
    left_out = [sample for index, sample in usable if fit is not None and index in fit.rejected]
    kept = [sample for index, sample in usable if fit is None or index not in fit.rejected]
    _points(panel, kept, marker="o", color=BLUE, label="frames")
    tops = [sample.measurement.value + sample.measurement.stderr for sample in kept]
    # Far points belong to the picture as long as they do not press the V flat.
    highest = LARGEST_OVER_KEPT * max(tops, default=math.inf)
    shown = [sample for sample in left_out if sample.measurement.value <= highest]
    _points(panel, shown, marker="x", color=RED, label="left out")
    if fit is not None:
        _curve(panel, fit, [sample.position for sample in (*kept, *shown)])
    panel.set_ylim(0.0, 1.05 * max([*tops, *(sample.measurement.value for sample in shown)], default=1.0))
    if usable:
        panel.legend(loc="best", fontsize=8, framealpha=0.9)


def _points(panel: Any, samples: Sequence[Sample], *, marker: str, color: str, label: str) -> None:
    if samples:
        panel.errorbar(
            [sample.position for sample in samples],
            [sample.measurement.value for sample in samples],
            yerr=[sample.measurement.stderr for sample in samples],
            fmt=marker,
            color=color,
            ecolor=GREY,
            elinewidth=1.0,
            capsize=2.0,
            markersize=5.0,
            label=label,
            zorder=3,
        )


def _curve(panel: Any, fit: Fit, positions: Sequence[int]) -> None:
    low, high = min(*positions, fit.best_position), max(*positions, fit.best_position)
    margin = 0.04 * (high - low)
    line = np.linspace(low - margin, high + margin, 400)
    panel.plot(line, [curve_value(float(x), fit) for x in line], color=BLUE, linewidth=1.2, label=fit.model)
    error = fit.best_position_stderr
    panel.axvline(
        fit.best_position, color=GREEN, linewidth=1.2, label=f"best {fit.best_position:.1f} \u00b1 {error:.1f} steps"
    )
    if math.isfinite(error):
        panel.axvspan(fit.best_position - error, fit.best_position + error, color=GREEN, alpha=0.15, linewidth=0)
